"""Statistics of a data set: gathered in parts, deviations averaged inside each group of columns."""

import numpy as np

from atm.data.statistics import Moments
from atm.motion import HUMANML3D


def test_deviations_are_averaged_inside_each_group(tmp_path):
    """Columns 1 and 2 form a group: deviations 1 and 3 become 2; N stands in the denominator."""
    features = np.zeros((2, 263), np.float32)
    features[:, 1], features[:, 2] = (-1, 1), (-3, 3)
    Moments.of(features).write(tmp_path, HUMANML3D)
    np.testing.assert_allclose(np.load(tmp_path / "Std.npy")[1:3], 2)
    np.testing.assert_allclose(np.load(tmp_path / "Mean.npy"), 0)


def test_parts_add_up_to_the_whole(tmp_path):
    features = np.random.default_rng(0).normal(3, 2, size=(50, 263)).astype(np.float32)
    (Moments.of(features[:20]) + Moments.of(features[20:])).write(tmp_path, HUMANML3D)
    np.testing.assert_allclose(np.load(tmp_path / "Mean.npy"), features.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "Std.npy")[0], features[:, 0].std(), rtol=1e-4)
