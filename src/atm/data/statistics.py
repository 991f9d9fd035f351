"""Mean and deviation of a data set's features, gathered part by part."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

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

    def write(self, folder: Path, skeleton: Skeleton) -> None:
        """`Mean.npy` and `Std.npy`, the deviations averaged inside each group of columns, as published."""
        mean = self.total / self.frames
        std = np.sqrt(np.maximum(self.squares / self.frames - mean**2, 0.0))
        for group in skeleton.columns.values():
            std[group] = std[group].mean()
        np.save(folder / "Mean.npy", mean.astype(np.float32))
        np.save(folder / "Std.npy", std.astype(np.float32))
