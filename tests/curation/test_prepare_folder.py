"""What `atm data prepare` leaves on disk: clips, texts, splits, statistics, reports; and what a second call does."""

import csv
import functools
import json
import sys

import bvh_skeletons
import numpy as np
import pytest

from atm.base.errors import InputError
from atm.curation.prepare import prepare_bvh
from atm.curation.prepare.captions import Part, read_captions_file
from atm.curation.prepare.folder import drawn_splits
from atm.curation.prepare.records import RecordEntry
from atm.curation.prepare.sides import swap_sides, swap_sides_of_line
from atm.data.humanml3d import open_dataset, read_captions, read_split
from atm.motion import HUMANML3D
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform


@functools.cache
def bvh() -> str:
    """One wave of at least two seconds, as text."""
    import tempfile
    from pathlib import Path

    joints = perform(Program((Action("wave", count=1),)), np.random.default_rng(0)).astype(np.float64)
    with tempfile.TemporaryDirectory() as folder:
        return bvh_skeletons.save(Path(folder) / "a.bvh", joints, bvh_skeletons.mixamo()).read_text()


def longer(seconds: float) -> str:
    """The same file with its rows repeated until it is so long, at 60 frames per second."""
    head, _, rows = bvh().partition("Frame Time: 0.016667\n")
    rows, frames = rows.splitlines(), round(seconds * 60) + 1
    turned = [*rows, *reversed(rows)]
    rows = (turned * (frames // len(turned) + 1))[:frames]
    return head[: head.index("Frames:")] + f"Frames: {frames}\nFrame Time: 0.016667\n" + "\n".join(rows) + "\n"


@pytest.fixture
def folder(tmp_path):
    """Four recordings in two folders, one of them damaged, and one without a caption."""
    (tmp_path / "in" / "day 2").mkdir(parents=True)
    for name in ("a", "b", "day 2/c", "extra"):
        (tmp_path / "in" / f"{name}.bvh").write_text(bvh())
    (tmp_path / "in" / "torn.bvh").write_text(bvh()[:-100])
    write(
        tmp_path, "a.bvh,waves", "a.bvh,someone lifts the left hand", "b,waves", "day 2/c.bvh,waves", "torn.bvh,waves"
    )
    return tmp_path


def write(folder, *rows: str, header: str = "file,caption") -> None:
    (folder / "captions.csv").write_text("\n".join([header, *rows]) + "\n")


def prepare(folder, **options):
    options = {"captions": folder / "captions.csv", "jobs": 1, "progress": False} | options
    return prepare_bvh(folder / "in", folder / "out", **options)


def content(out) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*"))
            if path.is_file() and ".prepare" not in path.parts}  # fmt: skip


def test_the_folder_is_one_that_training_reads(folder):
    summary = prepare(folder)
    assert summary.clips == 3 and summary.splits["train"] == 1
    out = folder / "out"
    assert sorted(read_split(out, "all")) == ["a", "b", "day_2_c"]
    assert sorted(read_split(out, "train") + read_split(out, "val") + read_split(out, "test")) == ["a", "b", "day_2_c"]
    assert sorted(read_split(out, "train") + read_split(out, "val")) == sorted(read_split(out, "train_val"))
    dataset = open_dataset(out, "all")
    assert len(dataset) == 3
    lines = read_captions(out / "texts" / "a.txt")
    assert [(caption.text, start, end) for caption, start, end in lines] == [
        ("waves", 0, 0), ("someone lifts the left hand", 0, 0)]  # fmt: skip
    assert lines[1][0].words == ("someone/PRON", "lift/VERB", "the/DET", "left/ADJ", "hand/NOUN")
    rows = list(csv.DictReader((out / "index.csv").open()))
    assert rows[2]["source"] == "day 2/c.bvh" and float(rows[2]["start"]) == 0
    assert int(rows[2]["frames"]) == len(np.load(out / "new_joint_vecs" / "day_2_c.npy"))
    assert json.loads((out / "dataset.json").read_text())["fps"] == 20


def test_statistics_are_those_of_all_clips_with_deviations_averaged_in_groups(folder):
    prepare(folder, mirror=True)
    features = np.concatenate([np.load(path) for path in (folder / "out" / "new_joint_vecs").glob("*.npy")])
    np.testing.assert_allclose(np.load(folder / "out" / "Mean.npy"), features.mean(0, dtype=np.float64), atol=1e-6)
    std = features.std(0, dtype=np.float64)
    written = np.load(folder / "out" / "Std.npy")
    for group in ("positions", "rotations", "velocities"):
        columns = HUMANML3D.columns[group]
        np.testing.assert_allclose(written[columns], std[columns].mean(), rtol=1e-4)


def test_bad_and_missing_files_are_reported_and_the_rest_is_written(folder):
    write(folder, "a.bvh,waves", "torn.bvh,waves", "nowhere.bvh,waves")
    summary = prepare(folder)
    assert summary.clips == 1
    assert {fault.where for fault in summary.faults} == {"torn.bvh", "nowhere.bvh"}
    skipped = (folder / "out" / "skipped.txt").read_text().splitlines()
    assert len(skipped) == 2 and any("cut short" in line for line in skipped)
    text = "\n".join(summary.lines())
    assert "2 skipped" in text and "3 more .bvh files have no caption" in text and "clips per second" in text


def test_nothing_to_write_is_an_error_that_names_the_first_cause(folder):
    write(folder, "torn.bvh,waves")
    with pytest.raises(InputError, match=r"nothing could be written .* 1 skipped .*torn.bvh: .*cut short"):
        prepare(folder)
    write(folder, "nowhere.bvh,waves")
    with pytest.raises(InputError, match="none of the 1 files of the captions file is in"):
        prepare(folder)


def test_a_second_call_goes_on_and_makes_anew_only_what_has_changed(folder):
    prepare(folder)
    first = content(folder / "out")
    (folder / "out" / "Mean.npy").unlink()  # as if the first call had been stopped before its end
    again = prepare(folder)
    assert again.fresh == 0 and again.clips == 3
    assert content(folder / "out") == first
    (folder / "in" / "torn.bvh").write_text(bvh())
    (folder / "in" / "b.bvh").write_text(longer(3))
    repaired = prepare(folder)
    assert (repaired.fresh, repaired.clips) == (2, 4)
    assert not (folder / "out" / "skipped.txt").exists()
    write(folder, "a,waves")  # the same file by another name
    assert prepare(folder).clips == 1
    assert [path.stem for path in (folder / "out" / "new_joint_vecs").iterdir()] == ["a"]


def test_changed_captions_and_options_are_taken_over(folder):
    prepare(folder)
    write(folder, "a.bvh,waves", "b,bows", "day 2/c.bvh,waves")
    assert prepare(folder).fresh == 2  # b says something else, and a has one caption less
    assert read_captions(folder / "out" / "texts" / "b.txt")[0][0].text == "bows"
    assert prepare(folder, mirror=True).fresh == 6
    assert prepare(folder).fresh == 3
    assert not list((folder / "out" / "texts").glob("M*"))


@pytest.mark.slow
def test_the_number_of_processes_does_not_change_a_byte(folder):
    prepare(folder, mirror=True, seed=4)
    one = content(folder / "out")
    (folder / "out").rename(folder / "first")
    prepare(folder, mirror=True, seed=4, jobs=2)
    assert content(folder / "out") == one


def test_another_folder_is_left_alone(folder):
    (folder / "out").mkdir()
    (folder / "out" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="is not empty and was not made by"):
        prepare(folder)


def test_mirrored_copies_have_an_m_swapped_words_and_the_split_of_their_originals(folder):
    write(folder, "a.bvh,waves the left hand", "b,waves", "day 2/c.bvh,waves")
    assert prepare(folder, mirror=True).clips == 6
    out = folder / "out"
    assert read_captions(out / "texts" / "Ma.txt")[0][0].text == "waves the right hand"
    for split in ("train", "val", "test"):
        ids = set(read_split(out, split))
        assert {f"M{clip}" for clip in ids if not clip.startswith("M")} == {c for c in ids if c.startswith("M")}
    plain, mirrored = (np.load(out / "new_joints" / f"{clip}.npy") for clip in ("a", "Ma"))
    swapped = mirrored[:, list(HUMANML3D.mirror_order)] * [-1, 1, 1]
    # The body that all clips are put on has no two equal legs or arms: bones differ by 7 mm.
    np.testing.assert_allclose(swapped, plain, atol=0.02)


def test_long_recordings_are_cut_into_equal_windows_that_readers_take(folder):
    """25 s are 501 frames of 20 per second, in three windows of 167; 10.5 s lose their end instead."""
    (folder / "in" / "a.bvh").write_text(longer(25))
    (folder / "in" / "b.bvh").write_text(longer(10.5))
    write(folder, "a.bvh,waves", "b,waves")
    prepare(folder)
    out = folder / "out" / "new_joint_vecs"
    assert {path.stem: len(np.load(path)) for path in out.iterdir()} == {
        "a_w00": 166, "a_w01": 166, "a_w02": 166, "b": 199}  # fmt: skip
    assert len(open_dataset(folder / "out", "all")) == 4
    rows = list(csv.DictReader((folder / "out" / "index.csv").open()))
    assert [float(row["start"]) for row in rows] == pytest.approx([0, 167 / 20, 334 / 20, 0], abs=1e-3)
    assert prepare(folder, window=5).clips == 5 + 2


def test_parts_of_a_recording_become_clips_of_their_own(folder):
    (folder / "in" / "a.bvh").write_text(longer(25))
    rows = ["a.bvh,waves,2,5", "a.bvh,greets,2,5", "a.bvh,waves on,5,", "a.bvh,later,30,40", "a.bvh,short,1,1.5"]
    write(folder, *rows, header="file,caption,start,end")
    summary = prepare(folder)
    out = folder / "out"
    assert len(np.load(out / "new_joint_vecs" / "a_w00.npy")) == 60  # 3 s: 61 frames, one less in features
    assert [caption.text for caption, _, _ in read_captions(out / "texts" / "a_w00.txt")] == ["waves", "greets"]
    assert sorted(path.stem for path in (out / "texts").iterdir()) == ["a_w00", "a_w01", "a_w02"]  # 20 s in two
    assert [fault.where for fault in summary.faults] == ["a.bvh 30-40 s", "a.bvh 1-1.5 s"]
    assert "the file has 25.00 s" in summary.faults[0].why


def test_splits_are_kept_where_named_and_takes_stay_together(folder):
    rows = ["a.bvh,waves,val,", "b,waves,,one", "day 2/c.bvh,waves,,one", "extra.bvh,waves,,two"]
    write(folder, *rows, header="file,caption,split,take")
    prepare(folder)
    split_of = {row["id"]: row["split"] for row in csv.DictReader((folder / "out" / "index.csv").open())}
    assert split_of["a"] == "val" and split_of["b"] == split_of["day_2_c"]


def test_drawn_splits_have_the_published_shares_and_divide_no_group():
    entries = [
        RecordEntry(f"{g}-{k}", f"{g}.bvh", 0, 1, 60, f"{g}", None) for g in range(200) for k in range(1 + g % 3)
    ]
    splits = drawn_splits(entries, seed=1)
    total = len(entries)
    assert sum(map(len, splits.values())) == total
    # Groups of three at most: a share is passed by two clips at most.
    assert 0.15 <= len(splits["test"]) / total <= 0.15 + 3 / total
    assert 0.05 <= len(splits["val"]) / total <= 0.05 + 3 / total
    groups = [{clip.split("-")[0] for clip in ids} for ids in splits.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert drawn_splits(entries, seed=1) == splits != drawn_splits(entries, seed=2)
    assert len(drawn_splits(entries[:1], seed=0)["train"]) == 1, "a lone recording is for training"


def test_ids_that_would_clash_are_refused(folder):
    (folder / "in" / "a_w00.bvh").write_text(bvh())
    write(folder, "a.bvh,waves", "a_w00.bvh,waves")
    with pytest.raises(InputError, match="'a_w00.bvh' has the id that a clip of 'a.bvh' would get"):
        prepare(folder)
    (folder / "in" / "day_2_c.bvh").write_text(bvh())
    write(folder, "day 2/c.bvh,waves", "day_2_c,waves")
    with pytest.raises(InputError, match="would both get the id day_2_c"):
        prepare(folder)


@pytest.mark.parametrize(
    ("option", "said"), [({"window": 12}, "window = 12 s"), ({"fps": 0}, "fps = 0"), ({"up": "w"}, "unknown axis 'w'")]
)
def test_options_out_of_range_are_refused(option, said, folder):
    with pytest.raises(InputError, match=said):
        prepare(folder, **option)


def test_a_mapping_with_a_name_that_no_file_has_is_refused(folder):
    (folder / "joints.yaml").write_text("left_knee: mixamorig:LeftLek")
    with pytest.raises(InputError, match="did you mean 'mixamorig:LeftLeg'"):
        prepare(folder, mapping=folder / "joints.yaml")


def test_json_lines_say_the_same_as_csv(tmp_path):
    (tmp_path / "c.csv").write_text(
        'file,caption,start,end,split\na,"walks, then sits",,,\nb,runs,1,2.5,test\nb,jogs,1,2.5,test\n'
    )
    lines = [{"file": "a", "caption": "walks, then  sits"}, {"file": "b", "caption": "runs", "start": 1, "end": 2.5,
             "split": "test"}, {"file": "b", "caption": "jogs", "start": 1, "end": 2.5, "split": "test"}]  # fmt: skip
    (tmp_path / "c.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    described = read_captions_file(tmp_path / "c.csv")
    assert described == read_captions_file(tmp_path / "c.jsonl")
    assert described[0].parts == (Part(0.0, None, ("walks, then sits",)),)
    assert described[1].parts == (Part(1.0, 2.5, ("runs", "jogs")),) and described[1].split == "test"


@pytest.mark.parametrize(
    "text",
    [
        "file;caption;start;end\na.bvh;walks, then sits;1;2.5\n",
        "file\tcaption\tstart\tend\na.bvh\twalks, then sits\t1\t2.5\n",
        'End,Start,Caption,File\r\n2.5,1,"walks, then sits",a.bvh\r\n',
        '\ufefffile,caption,start,end\na.bvh,"walks, then sits",1,2.5\n,,,\n,,,',
    ],
    ids=["semicolons", "tabs", "other order", "as spreadsheets end it"],
)
def test_a_captions_file_as_spreadsheets_write_it(text, tmp_path):
    (tmp_path / "c.csv").write_text(text, encoding="utf-8", newline="")
    (described,) = read_captions_file(tmp_path / "c.csv")
    assert (described.file, described.parts) == ("a.bvh", (Part(1.0, 2.5, ("walks, then sits",)),))


def test_a_file_may_be_spelled_in_several_ways(tmp_path):
    rows = ["a/b,walks", "a/b.bvh,runs", "a\\b.BVH,jumps", "./a/b,bows"]
    (tmp_path / "c.csv").write_text("\n".join(["file,caption", *rows]))
    (described,) = read_captions_file(tmp_path / "c.csv")
    assert described.parts == (Part(0.0, None, ("walks", "runs", "jumps", "bows")),)


def test_names_of_any_alphabet_become_ids(folder):
    for name in ("走路.bvh", "跑步.BVH"):
        (folder / "in" / name).write_text(bvh())
    write(folder, "走路,walks", "跑步.bvh,runs")
    assert prepare(folder).clips == 2
    assert sorted(read_split(folder / "out", "all")) == sorted(["走路", "跑步"])


def test_a_captions_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "c.csv").write_bytes("file,caption\na,läuft\n".encode("latin-1"))
    with pytest.raises(InputError, match="expected UTF-8; save it so"):
        read_captions_file(tmp_path / "c.csv")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.csv", "a.bvh,walks\n", "expected a first line such as file,caption,start,end,split"),
        (
            "c.csv",
            "file|caption\na|b\n",
            "expected a first line such as file,caption,start,end,split (or with semicolons)",
        ),
        ("c.csv", "file,caption,caption\na,b,c\n", "two columns have the same name"),
        ("c.csv", "file;caption;start\na;b;0,5\n", "start is '0,5', expected seconds >= 0, such as 2.5"),
        ("c.csv", "file,caption\na,一个人走\n", "has no word that text encoders read"),
        ("c.csv", "file,caption,begin\na,b,1\n", "unknown column in c.csv, line 2: 'begin'"),
        ("c.csv", "file,caption\na,walks, sits\n", "c.csv, line 2: more fields than the header has"),
        ("c.csv", "file,caption\na,\n", "c.csv, line 2: caption is empty"),
        ("c.csv", "file,caption\na,b#c\n", "cannot contain '#'"),
        ("c.csv", "file,caption,start,end\na,b,2,1\n", "end = 1 s is not after start = 2 s"),
        ("c.csv", "file,caption,start\na,b,soon\n", "start is 'soon', expected seconds"),
        ("c.csv", "file,caption,fps\na,b,zero\n", "fps is 'zero', expected the file's frames per second"),
        ("c.csv", "file,caption,fps\na,b,60\na,c,120\n", "line 3: a had another split, take or fps"),
        ("c.csv", "version https://git-lfs.github.com/spec/v1\n", "c.csv is a Git LFS pointer"),
        ("c.csv", "file,caption,split\na,b,dev\n", "unknown split in c.csv, line 2: 'dev'"),
        ("c.csv", "file,caption,split\na,b,train\na,c,val\n", "line 3: a had another split"),
        ("c.csv", "file,caption,split,take\na,b,train,1\nc,d,val,1\n", "line 3: take '1' is in train further up"),
        ("c.csv", "file,caption\n", "holds no captions"),
        ("c.jsonl", '{"file": "a", "caption": "b"\n', "c.jsonl, line 1: no JSON"),
        ("c.jsonl", '["a", "b"]\n', "c.jsonl, line 1: expected"),
        ("c.jsonl", '{"file": "a", "caption": ["b"]}\n', "caption is ['b'], expected text"),
    ],
)
def test_a_captions_file_that_cannot_be_says_where_and_what(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        read_captions_file(tmp_path / name)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("caption", "mirrored"),
    [
        ("walks to the left", "walks to the right"),
        ("Left hand up, RIGHT foot down", "Right hand up, LEFT foot down"),
        ("turns clockwise", "turns counterclockwise"),
        ("a counter-clockwise, then an anticlockwise turn", "a clockwise, then an clockwise turn"),
        ("leftwards with a right-handed upright bow", "rightwards with a left-handed upright bow"),
    ],
)
def test_sides_are_swapped_in_words(caption, mirrored):
    assert swap_sides(caption) == mirrored


def test_tagged_words_are_swapped_with_the_caption():
    line = "turns counter clockwise to the left#turn/VERB counter/NOUN clockwise/ADV to/ADP the/DET left/NOUN#1.0#2.5"
    swapped = "turns clockwise to the right#turn/VERB clockwise/ADV to/ADP the/DET right/NOUN#1.0#2.5"
    assert swap_sides_of_line(line) == swapped


def test_the_command_prints_the_summary_and_the_path_last(folder, monkeypatch, capsys):
    from atm import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["atm", "data", "prepare", "bvh", *map(str, arguments), "--jobs", "1", "--quiet"]
        )
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    code, out, _ = run(folder / "in", folder / "out", "--captions", folder / "captions.csv")
    assert code == 0 and out.splitlines()[-1] == str(folder / "out") and "1 skipped" in out
    write(folder, "torn.bvh,waves")
    code, _, err = run(folder / "in", folder / "other", "--captions", folder / "captions.csv")
    assert code == 2 and err.startswith("error: nothing could be written") and len(err.splitlines()) == 1
