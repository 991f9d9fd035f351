"""Measures of motion on motions whose measure is known."""

import math

import pytest
import torch
from walker import standing

from atm.motion import HUMANML3D, acceleration, bone_stretch, foot_skate, jerk, velocity


def test_derivatives_of_a_cubic_are_its_derivatives():
    """x = t³ with t in seconds: x''' = 6 m/s³ everywhere; differences of a cubic's third order are exact."""
    fps = 20.0
    t = torch.arange(8, dtype=torch.float64) / fps
    joints = torch.zeros(8, 1, 3, dtype=torch.float64)
    joints[:, 0, 0] = t**3
    torch.testing.assert_close(jerk(joints, fps)[:, 0, 0], torch.full((5,), 6.0, dtype=torch.float64))
    # The second difference around frame i is exact for a cubic: 6 t_i.
    torch.testing.assert_close(acceleration(joints, fps)[:, 0, 0], 6 * t[1:-1])
    torch.testing.assert_close(velocity(joints, fps)[:, 0, 0], (t[1:] ** 3 - t[:-1] ** 3) * fps)


def sliding(metres_per_frame: float, frames: int = 12) -> torch.Tensor:
    pose = standing(HUMANML3D, HUMANML3D.target_offsets)
    return pose + torch.arange(frames)[:, None, None] * torch.tensor([metres_per_frame, 0.0, 0.0])


def test_a_figure_that_slides_skates_at_its_speed():
    """1 mm a frame at 20 fps is 2 cm/s."""
    assert foot_skate(sliding(0.001), HUMANML3D) == pytest.approx(2.0, rel=1e-3)


def test_a_figure_that_stands_does_not_skate():
    assert foot_skate(sliding(0.0), HUMANML3D) == 0.0


def test_feet_in_the_air_do_not_count():
    """Both feet go up by 20 cm a frame, so that none is near the floor for 4 frames."""
    rising = sliding(0.01)
    rising[..., 1] += 0.2 * torch.arange(len(rising))[:, None]
    assert math.isnan(foot_skate(rising, HUMANML3D))
    assert math.isnan(foot_skate(sliding(0.0, frames=3), HUMANML3D))


def test_landing_and_leaving_frames_do_not_count():
    """Planted in frames 2 to 7: steps from frame 3 to frame 6 count and are still, the fast ones at the ends do not."""
    joints = sliding(0.0)
    x = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    joints[..., 0] += x[:, None]
    feet = [HUMANML3D.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]
    in_air = torch.tensor([0, 1, 8, 9, 10, 11])
    joints[in_air[:, None], feet, 1] += 0.3
    assert foot_skate(joints, HUMANML3D) == pytest.approx(0.0, abs=1e-5)


def test_bone_stretch_is_the_largest_change_of_one_bone():
    """A hand that goes 3 cm out along its forearm, and back by 1: 4 cm between the longest and the shortest."""
    joints = sliding(0.01).double()
    assert bone_stretch(joints, HUMANML3D) == pytest.approx(0.0, abs=1e-4)
    wrist, elbow = HUMANML3D.index("left_wrist"), HUMANML3D.index("left_elbow")
    along = joints[0, wrist] - joints[0, elbow]
    along /= along.norm()
    joints[3, wrist] += 0.03 * along
    joints[5, wrist] -= 0.01 * along
    assert bone_stretch(joints, HUMANML3D) == pytest.approx(4.0, abs=1e-4)
