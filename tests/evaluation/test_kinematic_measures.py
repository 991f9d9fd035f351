"""Kinematic features, their distance, and measures of movement, on motions whose values are known."""

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.evaluation.kinematics import KinematicReference, kinematic_features, movement_measures
from atm.motion import HUMANML3D, Motion


def swaying(n: int, *, tremble: float = 0.0, seed: int = 0, frames: int = 40) -> Motion:
    """Motions that sway slowly, each with its own reach in a few directions."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(frames) / 8)[:, None] * np.random.default_rng(9).standard_normal((4, 1, 263))
    features = np.einsum("nk,ktd->ntd", rng.standard_normal((n, 4)), waves)
    features += tremble * rng.standard_normal(features.shape)
    return Motion(torch.from_numpy(features.astype(np.float32)), torch.full((n,), frames))


def distances(reference: KinematicReference, motion: Motion) -> tuple[float, float]:
    features = kinematic_features(motion).double().numpy()
    return reference.distance(features), reference.small_distance(features)


def test_kinematic_features_by_hand():
    """A column 0, 2, 4 has mean 2, deviation sqrt(8 / 3) and changes by 2; what stands behind the end is nothing."""
    features = torch.zeros(1, 5, 263)
    features[0, :, 7] = torch.tensor([0.0, 2.0, 4.0, 99.0, -5.0])
    mean, std, change = kinematic_features(Motion(features, torch.tensor([3])))[0].split(263)
    assert (mean[7].item(), std[7].item(), change[7].item()) == pytest.approx((2, (8 / 3) ** 0.5, 2))
    assert mean[8] == std[8] == change[8] == 0


def test_real_motions_are_at_distance_zero_from_themselves_and_near_to_their_like():
    reference = KinematicReference.fit([swaying(100)])
    assert distances(reference, swaying(100)) == pytest.approx((0, 0), abs=1e-3)
    trembling = distances(reference, swaying(100, tremble=0.3, seed=1))
    alike = distances(reference, swaying(100, seed=1))
    assert trembling[0] > 10 * alike[0]
    assert trembling[1] > 10 * alike[1]


def test_the_reference_does_not_depend_on_batches():
    motion = swaying(40)
    split, whole = KinematicReference.fit([motion[:15], motion[15:]]), KinematicReference.fit([motion])
    assert distances(split, swaying(40, seed=1)) == pytest.approx(distances(whole, swaying(40, seed=1)), rel=1e-3)


@pytest.mark.parametrize("batches", [[], [swaying(15)]])
def test_a_reference_needs_motions(batches):
    with pytest.raises(InputError, match="at least 16 motions"):
        KinematicReference.fit(batches)


def test_one_frame_has_no_change():
    with pytest.raises(InputError, match="at least 2 frames"):
        kinematic_features(Motion(torch.zeros(1, 4, 263), torch.tensor([1])))


def test_acceleration_and_jerk_of_a_rising_body():
    """Root height c t³ (t in frames): second differences 6 c t at its middle frame, third 6 c, for every joint.

    Frames 0 to 8: the middles are 1 to 7, so the mean second difference is 6 c times 4. At 20 fps a third difference
    of x metres is 8000 x m/s³.
    """
    c = 1e-4
    features = torch.zeros(1, 12, 263)
    features[0, :, 3] = c * torch.arange(12) ** 3
    # Heights are measured from the floor, so the other joints have to rise with the root.
    features[0, :, HUMANML3D.columns["positions"]][:, 1::3] = features[0, :, 3:4]
    measures = movement_measures(Motion(features, torch.tensor([9])))
    assert measures["acceleration"][0] == pytest.approx(100 * 6 * c * 4, rel=1e-3)
    assert measures["jerk"][0] == pytest.approx(8000 * 6 * c, rel=1e-2)


def test_a_body_that_stands_still_has_no_movement():
    features = torch.zeros(2, 20, 263)
    features[..., 3] = 0.9
    measures = movement_measures(Motion(features, torch.tensor([20, 10])))
    for name in ("acceleration", "jerk"):
        np.testing.assert_allclose(measures[name], 0, atol=1e-4)
