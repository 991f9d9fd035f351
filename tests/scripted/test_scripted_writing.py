import json
import re
from itertools import pairwise

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.motion.program import Program, timeline_from_json
from atm.scripted import write
from atm.scripted.sampling import held_out, read_combinations
from atm.scripted.write import write_scripted

CLIPS = 30
"""More than one worker takes at a time, so that two processes share them."""
SPLITS = ("train", "val", "test", "train_val", "test_held_out", "test_seen")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scripted(tmp_path_factory.mktemp("data") / "scripted", clips=CLIPS, seed=3, jobs=1, progress=False)


def ids(folder, split):
    return (folder / f"{split}.txt").read_text().split()


def content(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_layout_is_that_of_humanml3d(folder):
    for clip in ids(folder, "all"):
        assert re.fullmatch(r"S\d{6}", clip)
        features = np.load(folder / "new_joint_vecs" / f"{clip}.npy", allow_pickle=False)
        joints = np.load(folder / "new_joints" / f"{clip}.npy", allow_pickle=False)
        assert features.shape[1] == 263 and features.dtype == np.float32
        assert joints.shape == (len(features), 22, 3) and joints.dtype == np.float32
        # Published readers leave out what has fewer than 40 frames, or 200 and more.
        assert 40 <= len(features) <= 196


def test_each_clip_has_three_captions_with_their_words(folder):
    for clip in ids(folder, "all"):
        lines = (folder / "texts" / f"{clip}.txt").read_text().splitlines()
        assert len({line.split("#")[0] for line in lines}) == 3
        for line in lines:
            _, words, start, end = line.split("#")
            assert all(re.fullmatch(r"[a-z]+/[A-Z]+", word) for word in words.split())
            assert (start, end) == ("0.0", "0.0")


def test_the_splits_share_nothing_and_hold_all(folder):
    train, val, test = (ids(folder, split) for split in ("train", "val", "test"))
    assert sorted(train + val + test) == ids(folder, "all")
    assert sorted(train + val) == ids(folder, "train_val")
    # 5 % and 15 % of 30, rounded to even; many held-out clips make the test split larger, never the others.
    assert len(val) == 2 and len(test) >= 4


def test_other_combinations_to_hold_out_change_the_splits_alone(folder, tmp_path):
    """Every clip that kicks, and no other one, is in the test split alone; an empty list holds nothing out."""
    for combinations in (({"verb": "kick"},), ()):
        other = tmp_path / f"held{len(combinations)}"
        write_scripted(other, clips=CLIPS, seed=3, hold_out=combinations, jobs=1, progress=False)
        programs = json.loads((other / "programs.json").read_text())
        kicks = [clip for clip, actions in programs.items() if any(action["verb"] == "kick" for action in actions)]
        assert ids(other, "test_held_out") == (kicks if combinations else [])
        assert sorted(ids(other, "test_held_out") + ids(other, "test_seen")) == ids(other, "test")
        mine, theirs = content(folder), content(other)
        differing = {name for name in mine if mine[name] != theirs[name]}
        assert differing <= {"dataset.json", *(f"{name}.txt" for name in SPLITS)}
        with pytest.raises(InputError, match="held_out"):
            write_scripted(other, clips=CLIPS, seed=3, progress=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read"),
        ('{"verb": "walk"}', "JSON list"),
        ('[{"verb": "wlak"}]', "walk"),
        ('[{"verb": "walk", "cuont": 3}]', "count"),
        ('[{"count": 3}]', "verb"),
    ],
)
def test_combinations_that_no_action_can_have_are_refused(tmp_path, text, message):
    (tmp_path / "held.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_combinations(tmp_path / "held.json")


def test_combinations_are_read_as_they_stand(tmp_path):
    (tmp_path / "held.json").write_text('[{"verb": "jump", "count": 3}, {"verb": "walk", "direction": "backward"}]')
    assert read_combinations(tmp_path / "held.json") == (
        {"verb": "jump", "count": 3},
        {"verb": "walk", "direction": "backward"},
    )


def test_held_out_combinations_are_in_the_test_split_only(folder):
    programs = {k: Program.from_json(v) for k, v in json.loads((folder / "programs.json").read_text()).items()}
    assert list(programs) == ids(folder, "all")
    held = {clip for clip, program in programs.items() if held_out(program)}
    assert held == set(ids(folder, "test_held_out"))
    assert held <= set(ids(folder, "test"))


def test_statistics_are_those_of_all_frames_averaged_inside_groups(folder):
    frames = np.concatenate([np.load(f) for f in sorted((folder / "new_joint_vecs").iterdir())]).astype(np.float64)
    std = frames.std(0)
    groups = [0, 1, 3, 4, 67, 193, 259, 263]
    for start, end in pairwise(groups):
        std[start:end] = std[start:end].mean()
    np.testing.assert_allclose(np.load(folder / "Mean.npy"), frames.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.load(folder / "Std.npy"), std, rtol=1e-4)


def test_joints_are_recovered_from_the_features(folder):
    """In the published format a pelvis starts over the origin, and its height is column 3."""
    features = np.load(folder / "new_joint_vecs" / "S000000.npy")
    joints = np.load(folder / "new_joints" / "S000000.npy")
    np.testing.assert_allclose(joints[:, 0, 1], features[:, 3], atol=1e-6)
    np.testing.assert_allclose(joints[0, 0, [0, 2]], 0, atol=1e-6)


@pytest.mark.slow
def test_two_processes_write_the_same_files_as_one(folder, tmp_path):
    again = write_scripted(tmp_path / "again", clips=CLIPS, seed=3, jobs=2, progress=False)
    assert content(again) == content(folder)


def test_more_clips_begin_with_the_same_clips(folder, tmp_path):
    """So that a study with more data holds the data of the smaller one."""
    timeline, features, captions = write.make_clip(3, 7)
    np.testing.assert_array_equal(features, np.load(folder / "new_joint_vecs" / "S000007.npy"))
    lines = (folder / "texts" / "S000007.txt").read_text().splitlines()
    assert [line.split("#")[0] for line in lines] == captions
    assert json.loads((folder / "programs.json").read_text())["S000007"] == [timed.to_json() for timed in timeline]


def test_times_in_the_programs_tile_each_clip_and_programs_are_read_without_them(folder):
    for clip, done in json.loads((folder / "programs.json").read_text()).items():
        timeline = timeline_from_json(done)
        assert timeline[0].begin == 0.0
        assert all(first.end == second.begin for first, second in pairwise(timeline))
        frames = len(np.load(folder / "new_joint_vecs" / f"{clip}.npy"))
        assert timeline[-1].end == pytest.approx(frames / 20, abs=0.08)
        assert Program.from_json(done).actions == tuple(timed.action for timed in timeline)
        for timed in timeline:
            assert list(timed.marks) == sorted(timed.marks)
            assert not timed.marks or timed.begin - 0.02 <= timed.marks[0] <= timed.marks[-1] <= timed.end + 0.02


def test_actions_of_older_files_have_no_times():
    assert timeline_from_json([{"verb": "clap", "count": 2}]) is None


@pytest.mark.parametrize("most", [1, 2, 3])
def test_clips_have_as_many_actions_as_asked_at_most(tmp_path, most):
    write_scripted(tmp_path / "few", clips=40, seed=0, actions=most, jobs=1, progress=False)
    programs = json.loads((tmp_path / "few" / "programs.json").read_text())
    assert {len(actions) for actions in programs.values()} == set(range(1, most + 1))
    assert json.loads((tmp_path / "few" / "dataset.json").read_text())["actions"] == most


@pytest.mark.parametrize("most", [0, 5])
def test_numbers_of_actions_that_no_clip_has_are_refused(tmp_path, most):
    with pytest.raises(InputError, match="expected 1 to 4"):
        write_scripted(tmp_path / "out", clips=20, seed=0, actions=most)


def test_a_finished_data_set_is_left_as_it_is(folder, monkeypatch):
    monkeypatch.setattr(write, "_write_chunk", None)
    assert write_scripted(folder, clips=CLIPS, seed=3, progress=False) == folder


def test_another_data_set_is_not_overwritten(folder, tmp_path):
    with pytest.raises(InputError, match=r"another scripted data set, with seed 3 \(not 4\)"):
        write_scripted(folder, clips=CLIPS, seed=4, progress=False)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="is not empty and no scripted data set"):
        write_scripted(tmp_path, clips=CLIPS, seed=3, progress=False)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_write_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_scripted(tmp_path / "out", clips=CLIPS, seed=3, jobs=1, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("clips", "seed", "message"), [(5, 0, "20 to 1,000,000"), (40, -1, "from 0 up")])
def test_numbers_out_of_range_are_refused(tmp_path, clips, seed, message):
    with pytest.raises(InputError, match=message):
        write_scripted(tmp_path / "out", clips=clips, seed=seed)


def test_a_clip_that_comes_out_too_short_or_broken_is_drawn_again(monkeypatch):
    """The performer is replaced: first too long, then too short, then not a number, then a good one."""
    real = write.perform_timed
    tries = []

    def faulty(program, rng):
        tries.append(program)
        joints, timeline = real(Program.from_json([{"verb": "stand", "seconds": 3.0}]), rng)
        if len(tries) == 1:
            raise InputError("too long")
        joints = joints[:40] if len(tries) == 2 else joints * np.nan if len(tries) == 3 else joints
        return joints, timeline

    monkeypatch.setattr(write, "perform_timed", faulty)
    timeline, features, _ = write.make_clip(0, 0)
    assert len(tries) == 4 and timeline[0].action.verb == "stand"
    assert np.isfinite(features).all()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_write_chunk", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_scripted(tmp_path / "out", clips=CLIPS, seed=3, jobs=1, progress=False)
    assert list(tmp_path.iterdir()) == []
