"""The store of a data folder: damaged in any way it is built again, and two processes do not build it side by side."""

import json
import multiprocessing

import numpy as np
import pytest

from atm.base.seal import SEAL
from atm.data.humanml3d import open_dataset
from atm.data.store import read_clip
from folders import make_folder

DAMAGE = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeroed": lambda content: bytes(len(content)),
    "one bit": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "gone": lambda content: None,
}


@pytest.fixture
def folder(tmp_path):
    made = make_folder(tmp_path / "data", clips=6)
    open_dataset(made, "train")
    return made


@pytest.mark.parametrize("suffix", [".f32", ".json", ".texts.json", f".f32{SEAL}"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_store_is_built_again(folder, suffix, how):
    dataset = open_dataset(folder, "train")
    before = [dataset.features(item).copy() for item in dataset.items]
    file = next(path for path in (folder / ".atm").iterdir() if path.name.partition(".")[2] == suffix[1:])
    content = DAMAGE[how](file.read_bytes())
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    again = open_dataset(folder, "train")
    assert [item.captions for item in again.items] == [item.captions for item in dataset.items]
    for item, features in zip(again.items, before, strict=True):
        assert np.array_equal(again.features(item), features)
    assert not [path.name for path in (folder / ".atm").iterdir() if ".part" in path.name or "lock" in path.name]


def test_a_store_that_is_sound_is_not_built_again(folder):
    stamps = {path: path.stat().st_mtime_ns for path in (folder / ".atm").iterdir()}
    open_dataset(folder, "train")
    assert stamps == {path: path.stat().st_mtime_ns for path in (folder / ".atm").iterdir()}


def _open(folder) -> int:
    return len(open_dataset(folder, "train"))


@pytest.mark.slow
def test_several_processes_that_open_a_folder_at_once_find_one_store(tmp_path):
    folder = make_folder(tmp_path / "data", clips=40)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_open, [folder] * 4))) == 1
    assert len(list((folder / ".atm").glob("*.f32"))) == 1


def test_a_clip_that_lies_hundreds_of_kilometres_away_takes_no_part_in_training(tmp_path):
    file = tmp_path / "far.npy"
    np.save(file, np.full((50, 263), 9e5, np.float32))
    _, fault = read_clip(file, 263)
    assert fault is not None and fault.kind == "impossible"
    np.save(file, np.full((50, 251), 9e5, np.float32))
    assert read_clip(file, 251)[1] is None, "the features of KIT-ML are in millimetres"


def test_a_caption_from_the_end_of_time_is_of_no_part_of_its_clip(tmp_path):
    folder = make_folder(tmp_path / "data", clips=6)
    for text in (folder / "texts").glob("*.txt"):
        text.write_text("a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\nhe sits#he/PRON sit/VERB#1e308#1e308\n")
    assert {len(item.captions) for item in open_dataset(folder, "train").items} == {1}


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, "9" * 5000, json.dumps({"000000": "abc"})])
def test_programs_that_are_none_are_one_sentence(folder, content):
    from atm.base.errors import InputError

    (folder / "programs.json").write_text(content)
    with pytest.raises(InputError, match="programs.json"):
        open_dataset(folder, "train")
