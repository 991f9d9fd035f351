"""Peaks of a curve, as scipy.signal finds them: importing that takes longer than making a motion."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Peaks(NamedTuple):
    """Places where a curve is higher than on both sides."""

    frames: Int[np.ndarray, "P"]
    heights: Float[np.ndarray, "P"]
    prominences: Float[np.ndarray, "P"]
    """How far the curve sinks on both sides before it rises above the peak, or ends."""


def find_peaks(
    curve: Float[np.ndarray, "T"], *, height: float = -math.inf, prominence: float = 0.0, distance: float = 1
) -> Peaks:
    """Find peaks; of a flat top its middle. The ends are none.

    Args:
        curve: finite numbers.
        height: of a peak, at least.
        prominence: of a peak, at least.
        distance: frames from one peak to the next, at least. Of two that are nearer the higher one stays; the choice is
            made before prominence is asked for.
    """
    curve = np.asarray(curve, dtype=float)
    frames = _tops(curve)
    frames = frames[curve[frames] >= height]
    if distance > 1:
        frames = frames[_apart(frames, curve[frames], math.ceil(distance))]
    found = prominences(curve, frames)
    kept = found >= prominence
    return Peaks(frames[kept], curve[frames[kept]], found[kept])


def prominences(curve: Float[np.ndarray, "T"], frames: Int[np.ndarray, "P"]) -> Float[np.ndarray, "P"]:
    """Return how far the curve sinks on both sides of each frame before it rises above it, or ends."""
    return np.array([curve[at] - max(_sink(curve[at::-1]), _sink(curve[at:])) for at in frames], dtype=float)


def sides(curve: Float[np.ndarray, "T"], peaks: Peaks, *, sink: float) -> list[tuple[float, float]]:
    """Return where each peak begins and ends, between frames too: where the curve has sunk by this share of the
    peak's prominence."""
    levels = peaks.heights - sink * peaks.prominences
    return [
        (at - _way_down(curve[at::-1], level), at + _way_down(curve[at:], level))
        for at, level in zip(peaks.frames.tolist(), levels.tolist(), strict=True)
    ]


def _way_down(curve: Float[np.ndarray, "T"], level: float) -> float:
    """Return after how many frames the curve, which begins above a level, comes down to it."""
    under = int((curve <= level).argmax())
    return under - (level - curve[under]) / (curve[under - 1] - curve[under])


def _sink(curve: Float[np.ndarray, "T"]) -> float:
    """Return the lowest value before the curve rises above its first."""
    above = curve > curve[0]
    return curve[: above.argmax() if above.any() else len(curve)].min()


def _tops(curve: Float[np.ndarray, "T"]) -> Int[np.ndarray, "P"]:
    if len(curve) < 3:
        return np.zeros(0, dtype=int)
    begins = np.flatnonzero(np.r_[True, curve[1:] != curve[:-1]])
    ends = np.r_[begins[1:], len(curve)]
    level = curve[begins]
    top = np.r_[False, (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:]), False][: len(level)]
    return (begins[top] + ends[top] - 1) // 2


def _apart(frames: Int[np.ndarray, "P"], heights: Float[np.ndarray, "P"], distance: int) -> np.ndarray:
    """Tell which peaks stay where the highest come first and send off those that are too near."""
    stays = np.ones(len(frames), dtype=bool)
    for one in np.argsort(heights)[::-1]:
        if stays[one]:
            near = np.abs(frames - frames[one]) < distance
            near[one] = False
            stays &= ~near
    return stays
