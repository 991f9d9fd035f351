"""BVH files of bad intent or bad luck: read in the time of their size, refused beyond what a body has."""

import time

import pytest

from atm.base.errors import InputError
from atm.curation.prepare.bvh import MOST_JOINTS, joint_names, read_bvh

ONE = (
    "HIERARCHY\nROOT hip of it\n{{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    "End Site\n{{\nOFFSET 0 1 0\n}}\n}}\nMOTION\nFrames: {frames}\nFrame Time: {time}\n0 0 0\n"
)


def put(folder, text: str):
    (folder / "x.bvh").write_text(text)
    return folder / "x.bvh"


@pytest.mark.parametrize(
    "hostile",
    ["ROOT" + " " * 50_000, "ROOT " * 10_000, "ROOT a {" + " " * 50_000, "End " * 12_000, "OFFSET " * 8000,
     "ROOT a\n{\nCHANNELS 999 " + "Xrotation " * 5000, " " * 50_000 + "x"],
)  # fmt: skip
def test_a_small_file_is_refused_within_a_second(tmp_path, hostile):
    file = put(tmp_path, f"HIERARCHY\n{hostile}\nMOTION\nFrames: 1\nFrame Time: 0.05\n0\n")
    begun = time.process_time()
    joint_names(file)
    with pytest.raises(InputError):
        read_bvh(file)
    assert time.process_time() - begun < 1


def test_names_with_blanks_are_read(tmp_path):
    file = put(tmp_path, ONE.format(frames=1, time=0.05))
    assert joint_names(file) == ("hip of it",)
    assert read_bvh(file).names == ("hip of it", "hip of it end")


@pytest.mark.parametrize(
    ("frames", "time"), [(1, "1e-320"), ("9" * 5000, "0.05"), ("1" + "0" * 30, "0.05"), (1, "nan"), (1, "1e999")]
)
def test_impossible_numbers_in_the_header_are_one_sentence(tmp_path, frames, time):
    with pytest.raises(InputError) as caught:
        read_bvh(put(tmp_path, ONE.format(frames=frames, time=time)))
    assert "\n" not in str(caught.value)


def test_more_joints_than_any_body_has_are_refused(tmp_path):
    joint = "JOINT j\n{\nOFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    count = MOST_JOINTS + 10
    text = "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\n" + joint * count + "}\n" * (count + 1)
    with pytest.raises(InputError, match="no body has so many"):
        read_bvh(put(tmp_path, text + "MOTION\nFrames: 1\nFrame Time: 0.05\n0\n"))
