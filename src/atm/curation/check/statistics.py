"""Which statistics a folder's `Mean.npy` and `Std.npy` are, and of which data."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from atm.base.errors import InputError
from atm.data.statistics import Moments, averaged_in_groups
from atm.data.store import read_array
from atm.motion import Skeleton

PUBLISHED = "averaged inside groups of columns, as published"
RAW = "of each column for itself"
BIASED = {
    5.0: "a training run's own copy: root and contact columns divided by 5 (the field's `feat_bias`)",
    25.0: "the field's evaluator's: root and contact columns divided by 5 twice",
}
_CLOSE = 0.05
"""Largest mean difference of logarithms in a group of columns, for deviations to be those of the data."""
_NEAR = 0.1
"""Largest distance of means, in deviations, for means to be those of the data."""
_CONSTANT = 1e-6
"""Deviations up to this are those of columns that never change."""
_HALF_A_BIAS = float(np.log(5.0)) / 2
"""Difference of logarithms beyond which deviations are as near to none of those that are told apart."""
_FAR_STD, _FAR_MEAN = 0.7, 1.0
"""Half of the columns beyond one of these, and the statistics are of other features altogether."""


class Verdict(NamedTuple):
    """What the statistics of a folder are."""

    kind: str
    """Which deviations they are nearest to: `PUBLISHED`, `RAW` or one of `BIASED`."""
    std_off: float
    """Difference of log deviations, mean inside a group of columns, of the group where it is largest."""
    mean_off: float
    """Distance of means in deviations averaged inside groups, taken in the same way."""
    foreign: bool
    """Not of these features at all."""

    @property
    def matches(self) -> bool:
        return self.std_off < _CLOSE and self.mean_off < _NEAR

    @property
    def certain(self) -> bool:
        """Return whether the deviations are of this kind, and not only nearest to it."""
        return self.std_off < _HALF_A_BIAS


def read_row(file: Path | None, skeleton: Skeleton) -> tuple[Float[np.ndarray, "D"] | None, str]:
    """Return a file of statistics, or what is wrong with it."""
    if file is None:
        return None, "is missing"
    try:
        row = read_array(file)
    except InputError as error:
        return None, str(error)
    if row.shape != (skeleton.feature_width,):
        return None, f"has shape {row.shape}, expected ({skeleton.feature_width},)"
    if not np.isfinite(row).all():
        return None, "holds NaN or infinite values"
    return row.astype(np.float64), ""


def judge(
    mean: Float[np.ndarray, "D"], std: Float[np.ndarray, "D"], moments: Sequence[Moments], skeleton: Skeleton
) -> Verdict:
    """Return what given statistics are.

    Args:
        mean, std: as the folder has them; deviations > 0.
        moments: of the data, in every selection that statistics are made of; the best fit counts.
        skeleton: whose features these are.
    """
    return min(
        (verdict for own in moments if own.frames for verdict in _candidates(mean, std, own, skeleton)),
        key=lambda verdict: verdict.std_off + verdict.mean_off,
    )


def _candidates(
    mean: Float[np.ndarray, "D"], std: Float[np.ndarray, "D"], moments: Moments, skeleton: Skeleton
) -> list[Verdict]:
    own_mean, raw = moments.statistics()
    grouped = averaged_in_groups(raw, skeleton)
    expected = {PUBLISHED: grouped, RAW: raw}
    for factor, name in BIASED.items():
        biased = grouped.copy()
        for group in ("yaw_step", "root_step", "root_height", "contacts"):
            biased[skeleton.columns[group]] /= factor
        expected[name] = biased
    verdicts = []
    for name, deviations in expected.items():
        # A column that never changes says nothing: any deviation serves it.
        changing = deviations > _CONSTANT
        off = np.full((2, len(mean)), np.nan)
        off[0, changing] = np.abs((mean - own_mean)[changing] / grouped[changing])
        off[1, changing] = np.abs(np.log(std[changing] / deviations[changing]))
        groups = [changing & _inside(group, len(mean)) for group in skeleton.columns.values()]
        mean_off, std_off = (max((float(row[own].mean()) for own in groups if own.any()), default=0.0) for row in off)
        foreign = bool((np.nanmedian(off, axis=1) > (_FAR_MEAN, _FAR_STD)).any())
        verdicts.append(Verdict(name, std_off, mean_off, foreign))
    return verdicts


def _inside(group: slice, width: int) -> Bool[np.ndarray, "D"]:
    inside = np.zeros(width, bool)
    inside[group] = True
    return inside
