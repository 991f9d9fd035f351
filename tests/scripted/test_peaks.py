"""Peaks as the library finds them that is too slow to import."""

import numpy as np
import pytest
from scipy import signal

from atm.scripted.oracles.peaks import find_peaks, prominences, sides


def curves():
    rng = np.random.default_rng(0)
    for length in (0, 1, 2, 3, 4, 30, 200):
        yield rng.normal(size=length)
        yield np.cumsum(rng.normal(size=length))
        yield rng.integers(0, 4, size=length).astype(float)  # flat tops, and peaks of one height
        yield np.zeros(length)
    yield np.array([0, 1, 1, 0, 2, 2, 2, 1, 3, 3.0])


ASKED = [
    {},
    {"height": 0.5},
    {"prominence": 0.7},
    {"height": 1, "prominence": 1.0},
    {"distance": 4.2, "height": 0},
]


@pytest.mark.parametrize("asked", ASKED)
def test_peaks_heights_and_prominences_are_those_of_scipy(asked):
    for curve in curves():
        curve = curve + np.arange(len(curve)) * 1e-9 if "distance" in asked else curve  # which of equals stays is open
        theirs, about = signal.find_peaks(curve, **{"height": -np.inf, "prominence": 0, **asked})
        ours = find_peaks(curve, **asked)
        assert ours.frames.tolist() == theirs.tolist()
        np.testing.assert_array_equal(ours.heights, about["peak_heights"])
        np.testing.assert_array_equal(ours.prominences, about["prominences"])


def test_prominences_of_given_frames_are_those_of_scipy():
    for curve in curves():
        frames, _ = signal.find_peaks(curve)
        np.testing.assert_array_equal(prominences(curve, frames), signal.peak_prominences(curve, frames)[0])


def test_a_peak_begins_and_ends_where_scipy_says():
    for curve in curves():
        frames, about = signal.find_peaks(curve, prominence=0.2, width=0, rel_height=0.6)
        ours = sides(curve, find_peaks(curve, prominence=0.2), sink=0.6)
        theirs = list(zip(about["left_ips"], about["right_ips"], strict=True))
        np.testing.assert_allclose(np.array(ours).reshape(-1, 2), np.array(theirs).reshape(-1, 2), atol=1e-9)
        assert len(ours) == len(frames)
