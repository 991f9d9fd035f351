"""Data folders joined into one."""

import json

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.curation.join import Part, join_folders
from atm.data.humanml3d import open_dataset
from folders import make_folder


@pytest.fixture
def folders(tmp_path):
    """Two folders whose clips have different names; the first is scripted."""
    one, other = make_folder(tmp_path / "one", clips=16), make_folder(tmp_path / "other", clips=16, seed=1)
    for place in ("new_joint_vecs", "texts"):
        for file in (other / place).iterdir():
            file.rename(file.with_name(f"c{file.name}"))
    for split in ("train", "val", "test"):
        lines = (other / f"{split}.txt").read_text().split()
        (other / f"{split}.txt").write_text("".join(f"c{line}\n" for line in lines))
    (one / "programs.json").write_text(json.dumps({"000000": [{"verb": "walk"}]}))
    return one, other


def test_a_joined_folder_has_the_clips_texts_lists_and_programs_of_both(folders, tmp_path):
    one, other = folders
    both = open_dataset(join_folders([Part(one), Part(other, 3)], tmp_path / "both", show_progress=False), "train")
    first, second = open_dataset(one, "train"), open_dataset(other, "train")
    assert len(both) == len(first) + 3 * len(second)
    assert set(both.captions()) == {*first.captions(), *second.captions()}
    assert [item.program for item in both.items if item.id == "000000"] == [[{"verb": "walk"}]]
    assert len(open_dataset(tmp_path / "both", "test")) == len(open_dataset(one, "test")) + len(
        open_dataset(other, "test")
    )


def test_the_mean_counts_a_clip_as_often_as_it_is_listed(folders, tmp_path):
    one, other = folders
    join_folders([Part(one), Part(other, 3)], tmp_path / "both", show_progress=False)
    clips = (tmp_path / "both" / "train.txt").read_text().split()
    frames = np.concatenate([np.load(tmp_path / "both" / "new_joint_vecs" / f"{clip}.npy") for clip in clips])
    np.testing.assert_allclose(np.load(tmp_path / "both" / "Mean.npy"), frames.mean(0), atol=1e-4)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda one, other: [Part(one)], "two data folders or more"),
        (lambda one, other: [Part(one), Part(one)], "two folders have a clip 000000"),
        (lambda one, other: [Part(one), Part(one / "gone")], "no data folder"),
    ],
)
def test_what_cannot_be_joined_is_refused_and_nothing_is_left(folders, tmp_path, what, words):
    with pytest.raises(InputError, match=words):
        join_folders(what(*folders), tmp_path / "both", show_progress=False)
    assert not (tmp_path / "both").exists()


def test_a_folder_and_how_often_its_clips_are_listed_are_read_from_one_word():
    assert (Part.read("a/b:3").folder.name, Part.read("a/b:3").times) == ("b", 3)
    assert Part.read("a/b").times == 1
    with pytest.raises(InputError, match="listed 1 to 999999999 times"):
        Part.read("a:0")
