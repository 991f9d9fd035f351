"""Crops of the published data set class."""

import random
from collections import Counter

import numpy as np

from atm.evaluation.sampling import draw


def test_crops_are_multiples_of_4_and_one_of_three_is_4_shorter():
    rng, np_rng = random.Random(0), np.random.RandomState(0)
    crops = [draw(63, 2, rng=rng, np_rng=np_rng) for _ in range(3000)]
    frames = Counter(crop.frames for crop in crops)
    assert set(frames) == {60, 56}
    assert abs(frames[56] / 3000 - 1 / 3) < 0.03
    assert {crop.start for crop in crops if crop.frames == 60} == {0, 1, 2, 3}
    assert {crop.caption for crop in crops} == {0, 1}
