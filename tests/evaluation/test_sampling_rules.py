"""Entries and crops of the published data set class, case by case."""

import random
from collections import Counter

import numpy as np

from atm.evaluation.sampling import draw, published_entries


def entries(*motions, minimum: int = 40):
    return published_entries(motions, minimum=minimum, rng=random.Random(0))


def test_motions_of_40_to_199_frames_take_part():
    names = [entry.name for entry in entries(*((str(n), n, [(0.0, 0.0)]) for n in (39, 40, 199, 200)))]
    assert names == ["40", "199"]


def test_entries_stand_by_length_and_equals_in_file_order():
    names = [entry.name for entry in entries(("b", 60, [(0, 0)]), ("a", 60, [(0, 0)]), ("c", 50, [(0, 0)]))]
    assert names == ["c", "b", "a"]


def test_a_caption_of_a_part_makes_an_entry_of_its_own():
    """1.0 to 3.5 s are frames 20 to 70; a part of 20 frames is too short; nan means the whole motion."""
    nan = float("nan")
    part, whole = entries(("m", 100, [(1.0, 3.5), (1.0, 2.0), (nan, nan)]))
    assert (part.start, part.frames, part.captions) == (20, 50, (0,))
    assert part.name.endswith("_m")
    assert (whole.name, whole.frames, whole.captions) == ("m", 100, (2,))


def test_a_motion_without_a_caption_of_the_whole_has_no_entry_of_the_whole():
    assert [entry.frames for entry in entries(("m", 100, [(0.0, 4.0)]))] == [80]


def test_crops_are_multiples_of_4_and_one_of_three_is_4_shorter():
    rng, np_rng = random.Random(0), np.random.RandomState(0)
    crops = [draw(63, 2, rng=rng, np_rng=np_rng) for _ in range(3000)]
    frames = Counter(crop.frames for crop in crops)
    assert set(frames) == {60, 56}
    assert abs(frames[56] / 3000 - 1 / 3) < 0.03
    assert {crop.start for crop in crops if crop.frames == 60} == {0, 1, 2, 3}
    assert {crop.caption for crop in crops} == {0, 1}
