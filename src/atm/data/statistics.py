"""Mean and deviation of a data set's features, gathered part by part."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from atm.base.storage import atomic
from atm.motion import Skeleton


@dataclass(frozen=True)
class Moments:
    """Frames, sum and sum of squares of features: enough for mean and deviation, and parts can be added up."""

    frames: int
    total: np.ndarray
    squares: np.ndarray

    @staticmethod
    def none(width: int) -> "Moments":
        return Moments(0, np.zeros(width), np.zeros(width))

    @staticmethod
    def of(features: np.ndarray) -> "Moments":
        features = features.astype(np.float64)
        return Moments(len(features), features.sum(0), (features**2).sum(0))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.frames + other.frames, self.total + other.total, self.squares + other.squares)

    def statistics(self) -> tuple[Float[np.ndarray, "D"], Float[np.ndarray, "D"]]:
        """Return the mean and deviation of each column for itself, N in the denominator."""
        mean = self.total / self.frames
        return mean, np.sqrt(np.maximum(self.squares / self.frames - mean**2, 0.0))

    def write(self, folder: Path, skeleton: Skeleton) -> None:
        """Write `Mean.npy` and `Std.npy`, the deviations averaged inside each group of columns, as published."""
        mean, std = self.statistics()
        std = averaged_in_groups(std, skeleton)
        # A group that never changes (the contacts of three clips in the air) is left as it is, not divided by 0.
        std[std == 0] = 1.0
        for name, row in (("Mean.npy", mean), ("Std.npy", std)):
            with atomic(folder / name) as part:
                np.save(part, row.astype(np.float32))


def averaged_in_groups(std: Float[np.ndarray, "D"], skeleton: Skeleton) -> Float[np.ndarray, "D"]:
    """Return deviations of each column, averaged inside each group of columns, as published."""
    averaged = std.copy()
    for group in skeleton.columns.values():
        averaged[group] = std[group].mean()
    return averaged
