"""`atm data check`: one damage each, in both layouts; what is said of it, and that a repaired copy has no errors."""

import csv
import hashlib
import json
import re
import shutil
import sys

import numpy as np
import pytest
import torch
from movers import BODIES, features_of, make_moving_folder, moving, walking, write_clip

from atm import cli
from atm.base.errors import InputError
from atm.curation.check import check_folder, repair_folder
from atm.curation.check.captions import parse
from atm.curation.check.clips import poses_of
from atm.curation.check.movement import falls, walk_ratio
from atm.curation.check.statistics import BIASED, RAW
from atm.curation.check.texts import WORDS_READ
from atm.data.humanml3d import open_dataset
from atm.motion import HUMANML3D, KIT, joints_from_features

CLIPS = 10
TRAIN, TEST, VAL = "000003", "000006", "000008"
"""One clip of each split."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder without a fault, by name of its layout."""
    root = tmp_path_factory.mktemp("sound")
    return {name: make_moving_folder(root / name, skeleton, clips=CLIPS) for name, skeleton in BODIES.items()}


# The second layout, damaged in every way again, costs half a minute.
@pytest.fixture(params=["HumanML3D", pytest.param("KIT-ML", marks=pytest.mark.slow)])
def skeleton(request):
    return BODIES[request.param]


@pytest.fixture
def folder(sound, skeleton, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(sound[skeleton.name], tmp_path / "data")


def check(folder):
    return check_folder(folder, show_progress=False)


def found(report, name):
    """The finding of this name."""
    return next(finding for finding in report.findings if finding.name == name)


def names(report, *severities):
    return [finding.name for finding in report.findings if finding.severity in severities]


def vectors(folder, clip=TRAIN):
    return folder / "new_joint_vecs" / f"{clip}.npy"


def change(folder, how, clip=TRAIN):
    """Change a clip's features, and its joints with them."""
    width = np.load(vectors(folder, clip)).shape[1]
    skeleton = HUMANML3D if width == HUMANML3D.feature_width else KIT
    write_clip(folder, clip, how(np.load(vectors(folder, clip))), skeleton)


def with_nan(features):
    features[5, 7] = np.nan
    return features


def say(folder, *lines, clip=TRAIN):
    (folder / "texts" / f"{clip}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def list_also(folder, split, clip):
    with (folder / f"{split}.txt").open("a") as file:
        file.write(f"{clip}\n")


def rewrite_list(folder, split, how):
    file = folder / f"{split}.txt"
    file.write_text("\n".join(how(line) for line in file.read_text().split()) + "\n")


def copy_clip(folder, source, to):
    for part, suffix in (("new_joint_vecs", "npy"), ("new_joints", "npy")):
        shutil.copyfile(folder / part / f"{source}.{suffix}", folder / part / f"{to}.{suffix}")


def bias(folder, factor):
    std = np.load(folder / "Std.npy")
    std[:4] /= factor
    std[-4:] /= factor
    np.save(folder / "Std.npy", std)


DAMAGE = {
    "a clip that is no array": (
        lambda f: vectors(f).write_bytes(b"no array"), "error", "clips_unreadable", "000003 cannot be read"),
    "a clip with NaN": (lambda f: change(f, with_nan), "error", "clips_not_finite", "000003 holds NaN"),
    "a clip with numbers of no body": (
        lambda f: change(f, lambda x: x * np.float32(1e12)), "error", "clips_impossible", "000003 holds values up to"),
    "a clip of numbers that train to a loss of 1e14": (
        lambda f: change(f, lambda x: x * np.float32(9e6 / np.abs(x).max())),
        "error", "clips_impossible", "000003 holds values up to 9.0e.06"),
    "a clip of another width": (
        lambda f: np.save(vectors(f), np.zeros((60, 77))), "error", "clips_wrong_width", r"000003 has shape .60, 77"),
    "a clip without frames": (
        lambda f: np.save(vectors(f), np.load(vectors(f))[:0]), "error", "clips_no_frames", "000003 has no frames"),
    "a clip whose every second row was dropped": (
        lambda f: change(f, lambda x: x[::2]), "error", "clips_resampled", "000003 .by velocities a way of 0.5"),
    "a clip whose rows are there three times": (
        lambda f: change(f, lambda x: x.repeat(3, axis=0)), "error", "clips_resampled", "a way of (2.9|3.0)"),
    "joints at another frame rate": (
        lambda f: np.save(f / "new_joints" / f"{TRAIN}.npy", np.load(f / "new_joints" / f"{TRAIN}.npy").repeat(6, 0)),
        "error", "joints_differ", r"000003 has \d+ frames, the features \d+: 6.00 times as many"),
    "joints of another motion": (
        lambda f: np.save(f / "new_joints" / f"{TRAIN}.npy", np.load(f / "new_joints" / f"{TRAIN}.npy")[::-1]),
        "error", "joints_differ", "000003 lies .* m off the features"),
    "no Mean.npy": (lambda f: (f / "Mean.npy").unlink(), "error", "statistics_unusable", "Mean.npy is missing"),
    "a deviation of 0": (
        lambda f: np.save(f / "Std.npy", np.load(f / "Std.npy") * (np.arange(len(np.load(f / "Std.npy"))) != 9)),
        "error", "statistics_unusable", "1 deviations that are not > 0"),
    "statistics of another width": (
        lambda f: np.save(f / "Std.npy", np.ones(12)), "error", "statistics_unusable", r"shape \(12,\)"),
    "statistics of other features": (
        lambda f: np.save(f / "Mean.npy", np.load(f / "Mean.npy") + 40 * np.load(f / "Std.npy")),
        "error", "statistics_foreign", "means up to (39|40|41)"),
    "a text file that is not there": (
        lambda f: (f / "texts" / f"{TRAIN}.txt").unlink(), "error", "texts_missing", "000003"),
    "an empty text file": (lambda f: (f / "texts" / f"{TRAIN}.txt").write_text("\n"), "error", "texts_empty", "000003"),
    "a text in another encoding": (
        lambda f: (f / "texts" / f"{TRAIN}.txt").write_bytes("a naïve step#a/DET step/NOUN#0#0".encode("cp1252")),
        "error", "texts_not_utf8", "000003 .read as cp1252"),
    "a line without its fields": (
        lambda f: say(f, "a person steps", "a man steps#a/DET man/NOUN step/VERB#0.0#0.0"),
        "error", "captions_form", "000003 line 1: a person steps"),
    "a blank caption": (
        lambda f: say(f, "#a/DET man/NOUN#0.0#0.0", "a man steps#a/DET man/NOUN step/VERB#0.0#0.0"),
        "error", "captions_blank", "000003 line 1"),
    "a caption without a word": (
        lambda f: say(f, "?!#a/DET man/NOUN#0#0", "a man steps#a/DET man/NOUN step/VERB#0.0#0.0"),
        "error", "captions_unreadable", "000003 line 1"),
    "a caption without tokens": (
        lambda f: say(f, "a man steps##0.0#0.0"), "error", "captions_untagged", "000003 line 1: a man steps"),
    "tokens without classes": (
        lambda f: say(f, "a man steps#a man step#0.0#0.0"), "error", "captions_tokens", "000003 line 1"),
    "tokens of another tag set": (
        lambda f: say(f, "a man steps#a/DT man/NN step/VBZ#0.0#0.0"), "warning", "captions_classes", "000003 line 1"),
    "tokens of another caption": (
        lambda f: say(f, "a man steps#the/DET dog/NOUN bark/VERB loud/ADV#0.0#0.0"),
        "warning", "captions_foreign", "000003 line 1"),
    "a garbled caption": (
        lambda f: say(f, "a man\x07 steps#a/DET man/NOUN step/VERB#0.0#0.0"), "warning", "captions_garbled", "000003"),
    "a part that begins behind the end": (
        lambda f: say(f, "one man steps#one/NUM man/NOUN step/VERB#0.0#0.0", "a man#a/DET man/NOUN#30.0#33.0"),
        "error", "captions_times", "000003 line 2: a man"),
    "a part that ends before it begins": (
        lambda f: say(f, "one man steps#one/NUM man/NOUN step/VERB#0.0#0.0", "a man#a/DET man/NOUN#2.0#1.0"),
        "error", "captions_times", "000003 line 2: a man"),
    "no train.txt": (lambda f: (f / "train.txt").unlink(), "error", "split_missing", "train.txt"),
    "an id without a clip": (lambda f: list_also(f, "test", "777777"), "error", "ids_without_file", "test.txt: 777777"),
    "ids with a suffix": (
        lambda f: rewrite_list(f, "test", "{}.npy".format), "error", "ids_spelled", "000006.npy, the file is 000006"),
    "ids of which a spreadsheet left numbers": (
        lambda f: rewrite_list(f, "test", lambda line: str(int(line))),
        "error", "ids_spelled", "test.txt: 6, the file is 000006"),
    "a list in another encoding": (
        lambda f: (f / "val.txt").write_bytes((f / "val.txt").read_text().encode("utf-16")),
        "error", "lists_not_utf8", "val.txt .read as utf-16"),
    "an id twice in a list": (lambda f: list_also(f, "val", VAL), "warning", "ids_twice", "val.txt: 000008"),
    "an id in two splits": (
        lambda f: list_also(f, "train", TEST), "error", "ids_in_two_splits", "000006 .train, test"),
    "a test motion in train": (
        lambda f: copy_clip(f, TEST, TRAIN), "error", "duplicates_equal", "train 000003 is test 000006"),
    "a test motion in train, stored with less precision": (
        lambda f: change(f, lambda _: np.load(vectors(f, TEST)) * np.float32(1 + 1e-5)),
        "warning", "duplicates_similar", r"train 000003 shares \d+% of its poses with test 000006"),
    "a piece of a val motion in train": (
        lambda f: change(f, lambda _: np.load(vectors(f, VAL))[10:-8]),
        "warning", "duplicates_similar", "train 000003 shares 100% of its poses with val 000008"),
    "a broken programs.json": (
        lambda f: (f / "programs.json").write_text("{"), "error", "programs_unusable", "programs.json"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_one_damage_is_one_finding_and_the_repaired_copy_has_no_errors(folder, tmp_path, kind):
    damage, severity, name, place = DAMAGE[kind]
    damage(folder)
    before, after = repair_folder(folder, tmp_path / "repaired", show_progress=False)
    # A twelfth of the data changes their statistics; a list that loses an id no longer agrees with the others.
    shadows = {"statistics_differ", "train_val", "clips_in_no_split", "captions_untagged"} - {name}
    assert {*names(before, "error", "warning")} - shadows == {name}
    finding = found(before, name)
    assert finding.severity == severity
    assert any(re.search(place, where) for where in finding.where), finding.where
    assert after.sound
    assert not after.of("warning")
    for split in ("train", "val", "test"):
        assert len(open_dataset(tmp_path / "repaired", split)) > 0


def test_a_clip_that_can_hardly_be_a_person_is_named(folder):
    change(folder, lambda x: (x - x.mean(0)) / (x.std(0) + np.float32(0.1)))
    finding = found(check(folder), "clips_no_person")
    assert finding.severity == "warning" and len(finding.where) == 1
    assert re.search("000003 holds rotations .*: these look like normalised features", finding.where[0])


def test_a_sound_folder_has_nothing_to_warn_of(folder, skeleton):
    report = check(folder)
    assert report.sound and not report.of("warning")
    assert report.facts["clips"] == report.facts["usable clips"] == CLIPS
    assert report.facts["captions"] == 2 * CLIPS
    frames = sum(44 + 2 * i for i in range(CLIPS))  # a row less than positions
    assert report.facts["frames"] == frames
    assert report.facts["hours"] == round(frames / skeleton.fps / 3600, 2)
    assert report.facts["test"].startswith("2 ids")
    assert skeleton.name in report.facts["skeleton"]
    assert "as published" in report.facts["Std is"]


@pytest.fixture
def human(sound, tmp_path):
    """A copy in HumanML3D's layout."""
    return shutil.copytree(sound["HumanML3D"], tmp_path / "human")


@pytest.mark.parametrize("factor", BIASED)
def test_deviations_of_the_evaluator_and_of_training_runs_are_told(human, factor):
    bias(human, factor)
    report = check(human)
    assert names(report, "error", "warning") == ["statistics_biased"]
    assert report.facts["Std is"] == BIASED[factor]


def test_deviations_of_each_column_are_told_from_those_of_groups(human):
    clips = np.concatenate([np.load(file) for file in sorted((human / "new_joint_vecs").iterdir())])
    std = clips.std(0, dtype=np.float64)
    np.save(human / "Std.npy", np.where(std > 0, std, 1.0))
    report = check(human)
    assert names(report, "error", "warning") == ["statistics_raw"]
    assert report.facts["Std is"] == RAW


def test_statistics_of_a_larger_set_are_a_warning(human):
    np.save(human / "Mean.npy", np.load(human / "Mean.npy") + 0.3 * np.load(human / "Std.npy"))
    assert names(check(human), "error", "warning") == ["statistics_differ"]


def test_statistics_that_are_right_are_copied_as_they_are(human, tmp_path):
    repair_folder(human, tmp_path / "repaired", show_progress=False)
    for name in ("Mean.npy", "Std.npy"):
        assert (tmp_path / "repaired" / name).read_bytes() == (human / name).read_bytes()


def jumping(fps, seed):
    """Two seconds at `fps`: the body stands, flies for 0.6 s, and stands again."""
    t = torch.arange(round(2 * fps)) / fps - 0.7
    flight = (4.905 * t * (0.6 - t)).clamp_min(0.0)  # g/2 t (0.6 - t): up 0.44 m and down
    return moving(HUMANML3D, 0.9 + flight, seed)


def test_a_body_in_the_air_falls_at_9_8_whatever_else_it_does():
    (fall,) = falls(jumping(20, seed=1), 20.0)
    assert fall == pytest.approx(9.81, rel=0.02)


@pytest.mark.parametrize("fps", [20, 60])
def test_jumps_tell_the_frame_rate(human, tmp_path, fps):
    """Jumps captured at 60 frames a second and taken for 20 fall at 9.81 / 3² = 1.09 m/s²."""
    for file in sorted((human / "new_joint_vecs").iterdir()):
        write_clip(human, file.stem, features_of(jumping(fps, int(file.stem)), HUMANML3D), HUMANML3D)
    for name in ("Mean.npy", "Std.npy"):
        (human / name).unlink()
    report = check(human)
    if fps == 20:
        assert "frame_rate" not in names(report, "error")
        return
    finding = found(report, "frame_rate")
    assert "fall at 1.1 m/s²" in finding.what and "about 60 frames a second" in finding.meaning
    with pytest.raises(InputError, match="cannot be repaired.*fall at 1.1 m/s²"):
        repair_folder(human, tmp_path / "repaired", show_progress=False)
    assert not (tmp_path / "repaired").exists()


def test_the_walk_ratio_is_a_step_over_steps_in_a_second():
    """1 m a second, and the feet change places twice in a second: steps of 0.5 m, 0.5 m / 2 Hz = 0.25 m s."""
    features = np.zeros((200, 263), np.float32)
    features[:, HUMANML3D.columns["root_step"]] = 0.0, 1 / 20
    lead = 0.3 * np.sin(2 * np.pi * (np.arange(200) + 0.5) / 20)
    for side, sign in (("left", 1), ("right", -1)):
        features[:, HUMANML3D.columns["positions"].start + 3 * (HUMANML3D.index(f"{side}_ankle") - 1) + 2] = sign * lead
    assert walk_ratio(features, HUMANML3D) == pytest.approx(0.25, rel=0.01)
    assert walk_ratio(features[:20], HUMANML3D) is None


@pytest.mark.parametrize(("fps", "severity"), [(1, None), (1.6, "warning"), (3, "error"), (0.5, "error")])
def test_steps_tell_the_frame_rate_where_nobody_jumps(folder, skeleton, fps, severity):
    """Steps as captured, shown at the layout's frame rate: `fps` times as many frames make them slower."""
    for file in sorted((folder / "new_joint_vecs").iterdir()):
        joints = walking(skeleton, round(fps * 6 * skeleton.fps), int(file.stem), fps=fps * skeleton.fps)
        write_clip(folder, file.stem, features_of(joints, skeleton), skeleton)
    told = {finding.name: finding for finding in check(folder).findings if finding.name in ("frame_rate", "pace")}
    assert {finding.severity for finding in told.values()} == ({severity} if severity else set())
    for finding in told.values():
        rate = float(re.search(r"(\d+) frames a second", finding.meaning).group(1))
        assert rate == pytest.approx(fps * skeleton.fps, rel=0.15)


def test_a_joint_that_leaps_is_told(human):
    def leap(features):
        features[20, HUMANML3D.columns["positions"]] += 2.0  # metres, within a frame and back: 69 m/s
        features[19:21, HUMANML3D.columns["velocities"]] *= 80
        return features

    change(human, leap)
    assert "clips_too_fast" in names(check(human), "warning")


def fill(features, skeleton, group, value):
    features[:, skeleton.columns[group]] = value
    return features


@pytest.mark.parametrize(
    ("how", "name", "place"),
    [
        (lambda x, s: fill(x, s, "contacts", 255), "clips_columns", "contacts from 255 to 255, expected 0 or 1"),
        (lambda x, s: fill(x, s, "rotations", 0), "clips_columns", "axes of length 0 to 0, expected 1"),
        (lambda x, s: fill(x, s, "rotations", 3**-0.5), "clips_columns", "at no right angle"),
        (lambda x, s: x[:1].repeat(60, axis=0) * ([0] * 3 + [1] * (len(x[0]) - 3)), "clips_still", TRAIN),
    ],
    ids=["contacts", "no rotations", "skew rotations", "one pose"],
)
def test_columns_that_say_nothing_of_a_body_are_told(folder, skeleton, how, name, place):
    change(folder, lambda x: how(x, skeleton).astype(np.float32))
    finding = found(check(folder), name)
    assert finding.severity == "warning" and len(finding.where) == 1
    assert finding.where[0].startswith(TRAIN) and place in finding.where[0]


def test_a_body_that_is_not_on_the_floor_is_told(human):
    def lifted(features):
        features[:, HUMANML3D.columns["root_height"]] += 1
        features[:, HUMANML3D.columns["positions"]][:, 1::3] += 1
        return features

    change(human, lifted)
    assert found(check(human), "clips_off_floor").where == (f"{TRAIN} (1.00 m)",)


def test_features_in_centimetres_are_one_warning_not_a_frame_rate(folder, skeleton):
    """A hundred times as large, steps would be those of a hundred times the frame rate."""
    scale = np.ones(skeleton.feature_width, np.float32)
    for group in ("root_step", "root_height", "positions", "velocities"):
        scale[skeleton.columns[group]] = 100
    for file in sorted((folder / "new_joint_vecs").iterdir()):
        joints = walking(skeleton, round(6 * skeleton.fps), int(file.stem), fps=skeleton.fps)
        write_clip(folder, file.stem, features_of(joints, skeleton) * scale, skeleton)
    for name in ("Mean.npy", "Std.npy"):
        (folder / name).unlink()
    report = check(folder)
    assert names(report, "warning") == ["unit"] and names(report, "error") == ["statistics_unusable"]


def test_deviations_that_are_nobodys_are_not_called_those_of_a_training_run(human):
    std = np.load(human / "Std.npy")
    std[-4:] /= 200
    np.save(human / "Std.npy", std)
    report = check(human)
    assert names(report, "error", "warning") == ["statistics_differ"]
    assert report.facts["Std is"] == "not that of these clips"


def test_hidden_files_are_nobodys_clips(human):
    """As archives from some systems hold them, one beside each file."""
    (human / "new_joint_vecs" / f"._{TRAIN}.npy").write_bytes(b"\0\5\x16\7")
    (human / "texts" / f"._{TRAIN}.txt").write_bytes(b"\0\5\x16\7\xff")
    (human / "._train.txt").write_bytes(b"\0\5\x16\7\xff")
    report = check(human)
    assert not report.findings and report.facts["clips"] == CLIPS
    assert len(open_dataset(human, "train")) == len((human / "train.txt").read_text().split())


def test_parts_under_both_names_are_noted(human):
    shutil.copyfile(human / "Mean.npy", human / "mean.npy")
    assert found(check(human), "names_twice").where == ("Mean.npy, not mean.npy",)


def test_times_with_decimal_commas_are_made_out():
    line = parse("a man jumps#a/DET man/NOUN jump/VERB#0,5#2,0")
    assert (line.text, line.start, line.end, line.well_formed) == ("a man jumps", 0.5, 2.0, False)


def test_kit_features_in_metres_are_told(sound, tmp_path):
    folder = shutil.copytree(sound["KIT-ML"], tmp_path / "data")
    for file in (folder / "new_joint_vecs").iterdir():
        change(folder, lambda x: x / np.float32(1000), clip=file.stem)
    finding = found(check(folder), "unit")
    assert finding.severity == "warning" and "millimetres" in finding.meaning


def test_features_that_were_normalised_are_told_and_not_repaired(human, tmp_path):
    """Bodies that jump, so that heights differ, each column at mean 0 and deviation 1."""
    clips = {file.stem: features_of(jumping(20, int(file.stem)), HUMANML3D) for file in vectors(human).parent.iterdir()}
    rows = np.concatenate(list(clips.values()))
    for clip, features in clips.items():
        write_clip(human, clip, (features - rows.mean(0)) / np.maximum(rows.std(0), 1e-3), HUMANML3D)
    assert "clips_normalised" in names(check(human), "error")
    with pytest.raises(InputError, match="cannot be repaired.*normalised already"):
        repair_folder(human, tmp_path / "repaired", show_progress=False)


def test_a_body_of_another_size_is_told(human):
    change(human, lambda x: x * np.float32(0.8))
    assert [where[:6] for where in found(check(human), "clips_other_body").where] == [TRAIN]


def test_short_and_long_clips_are_notes_while_others_are_left(human):
    change(human, lambda x: x[:39], clip="000001")
    change(human, lambda x: np.concatenate([x] * 5)[:200], clip="000002")
    # Parts of a clip that takes no part take none either: the finding about the clip says so, once.
    say(human, "a step#a/DET step/NOUN#0.0#1.0", "a step#a/DET step/NOUN#0.0#0.0", clip="000002")
    report = check(human)
    assert not [finding for finding in report.findings if finding.name == "captions_part_length"]
    assert found(report, "clips_short").where == ("000001 (39)",)
    assert found(report, "clips_long").where == ("000002 (200)",)
    assert {found(report, name).severity for name in ("clips_short", "clips_long")} == {"note"}
    for file in (human / "new_joint_vecs").iterdir():
        change(human, lambda x: x[:30], clip=file.stem)
    assert found(check(human), "clips_short").severity == "error"


def test_what_needs_no_repair_is_a_note(human):
    np.save(vectors(human), np.load(vectors(human)).astype(np.float64))
    (human / "new_joints" / "000001.npy").unlink()
    (human / "texts" / "lonely.txt").write_text("a man steps#a/DET man/NOUN step/VERB#0.0#0.0")
    words = " ".join(f"step{'s' * (i % 2)}" for i in range(21))
    tokens = " ".join(["step/NOUN"] * (WORDS_READ + 1))
    say(human, f"{words}#{tokens}#0.0#0.0", "a step#a/DET step/NOUN#0.5#60.0", "one#one/NUM#0.0#1.0", clip="000002")
    report = check(human)
    assert report.sound and not report.of("warning")
    expected = {
        "clips_float64": TRAIN,
        "joints_missing": "000001",
        "texts_only": "lonely",
        "captions_long": "000002 line 1: step",
        "captions_beyond": "000002 line 2: a step .0.5 to 60 s",
        "captions_part_length": "000002 line 3: one",
    }
    for name, place in expected.items():
        assert any(re.match(place, where) for where in found(report, name).where), name


def test_captions_of_several_clips_are_counted_with_what_they_cost(human):
    """Both test clips say the same in both lines, so any of 31 others says it, too."""
    line = "a person steps#a/DET person/NOUN step/VERB#0.0#0.0"
    for clip in ("000006", "000007"):
        say(human, line, line.replace("a person", "A  person", 1), clip=clip)
    say(human, line)
    report = check(human)
    finding = found(report, "captions_shared")
    assert finding.severity == "warning" and finding.where == ("'a person steps' (3 clips)",)
    assert finding.meaning.startswith("100.0%")
    assert found(report, "captions_of_test_in_train").where == ("a person steps",)


def test_a_mirror_image_counts_with_its_clip_and_belongs_into_its_split(human):
    for part, suffix in (("new_joint_vecs", "npy"), ("new_joints", "npy"), ("texts", "txt")):
        shutil.copyfile(human / part / f"{TEST}.{suffix}", human / part / f"M{TEST}.{suffix}")
    change(human, lambda _: features_of(walking(HUMANML3D, 50, seed=77), HUMANML3D), clip=f"M{TEST}")
    list_also(human, "train", f"M{TEST}")
    list_also(human, "train_val", f"M{TEST}")
    report = check(human)
    assert report.facts["mirror images"] == 1
    assert "captions_shared" not in names(report, "note")
    assert found(report, "duplicates_mirrored").where == (f"train M{TEST} is the mirror image of test {TEST}",)


def test_lists_and_files_that_do_not_go_together_are_told(human):
    rewrite_list(human, "train_val", lambda line: line if line != TRAIN else "000006")
    copy_clip(human, "000001", "000002")
    (human / "readme.txt").write_text("These are motions.\nOf bodies.\n")
    (human / "val.txt").write_text("000008\n")
    report = check(human)
    assert found(report, "train_val").where == ("000003", "000006", "000009")
    assert found(report, "clips_in_no_split").where == ("000009",)
    assert found(report, "clips_equal").where == ("000001 = 000002",)
    assert not any("readme" in where for finding in report.findings for where in finding.where)


def test_kit_ids_in_their_raw_spelling_are_understood(sound, tmp_path):
    """03950_gt and M_03950_gt are the files 03950 and M03950."""
    folder = shutil.copytree(sound["KIT-ML"], tmp_path / "data")
    rewrite_list(folder, "test", "{}_gt".format)
    report, after = repair_folder(folder, tmp_path / "repaired", show_progress=False)
    assert "test.txt: 000006_gt, the file is 000006" in found(report, "ids_spelled").where
    assert after.sound and (tmp_path / "repaired" / "test.txt").read_text() == "000006\n000007\n"


def test_the_other_names_that_circulate_are_checked_and_repaired_to_the_published_ones(human, tmp_path):
    for old, new in (("new_joint_vecs", "motions"), ("Mean.npy", "mean.npy"), ("Std.npy", "std.npy")):
        (human / old).rename(human / new)
    shutil.rmtree(human / "new_joints")
    before, after = repair_folder(human, tmp_path / "repaired", show_progress=False)
    assert before.facts["names"] == "motions, texts, mean.npy, std.npy" and not names(before, "error", "warning")
    assert after.facts["names"] == "new_joint_vecs, texts, Mean.npy, Std.npy"


def test_a_repair_names_what_it_dropped_and_leaves_the_folder_as_it_was(human, tmp_path):
    change(human, with_nan)
    say(human, "a man steps#a/DET man/NOUN step/VERB#0.0#0.0", "#x/NOUN#0.0#0.0", clip="000002")
    (human / "LICENSE").write_text("free")
    (human / "index.csv").write_text("id,source\n")

    def state():
        return {file: hashlib.sha256(file.read_bytes()).digest() for file in sorted(human.rglob("*")) if file.is_file()}

    was = state()
    repair_folder(human, tmp_path / "repaired", show_progress=False)
    assert state() == was
    with (tmp_path / "repaired" / "dropped.csv").open(newline="") as file:
        dropped = {(row["what"], row["which"]): row["why"] for row in csv.DictReader(file)}
    assert "NaN" in dropped["clip", TRAIN]
    assert dropped["caption", "000002: #x/NOUN#0.0#0.0"] == "no caption is left of it"
    assert dropped["id of train.txt", TRAIN] == "has no usable clip"
    assert (tmp_path / "repaired" / "LICENSE").read_text() == "free"
    assert (tmp_path / "repaired" / "index.csv").is_file()


def test_joints_that_differ_are_made_of_the_features(human, tmp_path):
    np.save(human / "new_joints" / f"{TRAIN}.npy", np.zeros((40, 22, 3), np.float32))
    repair_folder(human, tmp_path / "repaired", show_progress=False)
    features = torch.from_numpy(np.load(vectors(human)))
    made = np.load(tmp_path / "repaired" / "new_joints" / f"{TRAIN}.npy")
    np.testing.assert_allclose(made, joints_from_features(features, HUMANML3D).numpy(), atol=1e-6)


def test_captions_are_mended_line_by_line(human, tmp_path):
    say(human, "the man walks", "the man runs##0.5#2.9", "two men#dog/NOUN cat/NOUN fly/VERB#0.0#0.0")
    repair_folder(human, tmp_path / "repaired", show_progress=False)
    assert (tmp_path / "repaired" / "texts" / f"{TRAIN}.txt").read_text().splitlines() == [
        "the man walks#the/DET man/NOUN walk/VERB#0.0#0.0",
        "the man runs#the/DET man/NOUN run/VERB#0.5#2.9",
        "two men#two/NUM man/NOUN#0.0#0.0",
    ]


def test_without_lists_the_clips_are_shared_out_and_copies_stay_out(human, tmp_path):
    for file in human.glob("*.txt"):
        file.unlink()
    for clip in ("000001", "000002", "000003"):
        copy_clip(human, "000000", clip)
    _, after = repair_folder(human, tmp_path / "repaired", show_progress=False)
    assert after.sound
    lists = {name: (tmp_path / "repaired" / f"{name}.txt").read_text().split() for name in ("train", "test")}
    assert lists["train"] and lists["test"] and not {*lists["train"]} & {*lists["test"]}


@pytest.mark.parametrize("occupied", [True, False])
def test_a_repair_writes_a_new_folder_only(human, tmp_path, occupied):
    out = tmp_path / "repaired"
    out.mkdir()
    if occupied:
        (out / "mine").write_text("dear to me")
        with pytest.raises(InputError, match="exists already"):
            repair_folder(human, out, show_progress=False)
        assert [file.name for file in out.iterdir()] == ["mine"]
    else:
        repair_folder(human, out, show_progress=False)
        assert (out / "train.txt").is_file()


def test_a_folder_of_which_nothing_is_left_is_not_repaired(human, tmp_path):
    shutil.rmtree(human / "texts")
    with pytest.raises(InputError, match="nothing of .* is left"):
        repair_folder(human, tmp_path / "repaired", show_progress=False)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda folder: None, "no data folder"),
        (lambda folder: folder.mkdir(), "no data folder in the HumanML3D layout"),
        (lambda folder: (folder / "motions").mkdir(parents=True), "no data folder in the HumanML3D layout"),
        (lambda folder: np.save(_in(folder / "motions") / "0.npy", np.zeros((50, 66))), "have 66 numbers per frame"),
    ],
)
def test_what_is_no_data_folder_is_said(tmp_path, made, said):
    made(tmp_path / "folder")
    with pytest.raises(InputError, match=said):
        check(tmp_path / "folder")


def _in(folder):
    folder.mkdir(parents=True)
    return folder


def test_numbers_of_poses_are_those_of_the_pose_alone(human):
    """Half as many rows have the poses of these rows; a turn or a step on the ground changes none."""
    features = np.load(vectors(human))
    numbers = poses_of(features, HUMANML3D)
    assert len(numbers) == len(features)
    assert set(poses_of(features[::2], HUMANML3D)) == {*poses_of(features, HUMANML3D)} & {
        *poses_of(features[::2], HUMANML3D)
    }
    moved = features.copy()
    moved[:, :4] += 1.0
    np.testing.assert_array_equal(poses_of(moved, HUMANML3D), numbers)


@pytest.fixture
def atm(monkeypatch, capsys):
    """Runs a command as the shell would; gives the exit code, what it printed, and what it said of errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["atm", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


def test_the_command_ends_with_1_for_errors_and_writes_all_places(atm, human, tmp_path):
    assert atm("data", "check", human, "--quiet")[0] == 0
    for clip in ("000000", "000001", "000002", TRAIN):
        change(human, with_nan, clip=clip)
    code, out, _ = atm("data", "check", human, "--json", tmp_path / "report.json", "--quiet")
    assert code == 1
    assert "and 1 more" in out and out.splitlines()[-1] == str(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    (finding,) = [finding for finding in report["findings"] if finding["name"] == "clips_not_finite"]
    assert finding["count"] == len(finding["where"]) == 4
    assert report["errors"] == 1 and not report["sound"] and report["facts"]["usable clips"] == CLIPS - 4


def test_the_command_repairs_and_prints_the_copy_last(atm, human, tmp_path):
    change(human, with_nan)
    code, out, _ = atm("data", "check", human, "--fix", tmp_path / "repaired", "--quiet")
    assert code == 0 and out.splitlines()[-1] == str(tmp_path / "repaired")


def test_the_command_ends_with_2_for_no_data_folder(atm, tmp_path):
    code, _, err = atm("data", "check", tmp_path / "nowhere")
    assert code == 2 and err.startswith("error: no data folder")
