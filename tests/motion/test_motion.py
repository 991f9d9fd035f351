"""Motion: lengths, mask, padding, rows, units."""

import subprocess
import sys

import pytest
import torch

from atm.base.errors import InputError
from atm.motion import HUMANML3D, KIT, Motion, joints_from_features


def test_mask_is_true_inside_a_motion():
    motion = Motion(torch.zeros(2, 3, 263), torch.tensor([3, 1]))
    assert motion.mask.tolist() == [[True, True, True], [True, False, False]]


def test_zero_padding_clears_what_stands_behind_the_end_even_nan():
    features = torch.ones(2, 3, 263)
    features[1, 1:] = torch.nan
    motion = Motion(features, torch.tensor([3, 1])).zero_padding()
    assert motion.features[0].eq(1).all()
    assert motion.features[1, 0].eq(1).all()
    assert motion.features[1, 1:].eq(0).all()


def test_padding_changes_no_joint_inside_the_motion():
    """Root positions are sums over earlier rows only."""
    features = torch.randn(1, 6, 263)
    longer = Motion(features, torch.tensor([4])).joints
    changed = features.clone()
    changed[:, 4:] = 100.0
    torch.testing.assert_close(Motion(changed, torch.tensor([4])).joints[:, :4], longer[:, :4])


@pytest.mark.parametrize("rows", [slice(1, 3), [1, 2], torch.tensor([1, 2]), torch.tensor([False, True, True])])
def test_rows_of_a_batch_are_a_batch(rows):
    motion = Motion(torch.randn(3, 4, 263), torch.tensor([4, 3, 2]))
    part = motion[rows]
    assert len(part) == 2
    assert torch.equal(part.features, motion.features[1:])
    assert part.lengths.tolist() == [3, 2]


def test_joints_are_in_metres_whatever_the_features_are_in():
    features = torch.randn(1, 5, 251)
    motion = Motion(features, torch.tensor([5]))
    assert motion.skeleton is KIT
    torch.testing.assert_close(motion.joints, joints_from_features(features, KIT) / 1000)


def test_seconds_follow_from_the_frame_rate():
    assert Motion(torch.zeros(1, 40, 263), torch.tensor([40])).seconds.tolist() == [40 / 20]
    assert Motion(torch.zeros(1, 25, 251), torch.tensor([25])).seconds.tolist() == [25 / 12.5]


def test_gradient_of_joints_reaches_the_features_until_detached():
    motion = Motion(torch.randn(1, 4, 263, requires_grad=True), torch.tensor([4]))
    motion.joints.sum().backward()
    for group in ("yaw_step", "root_step", "root_height", "positions"):
        assert motion.features.grad[..., HUMANML3D.columns[group]].abs().sum() > 0
    for group in ("rotations", "velocities", "contacts"):
        assert motion.features.grad[..., HUMANML3D.columns[group]].abs().sum() == 0
    assert not motion.detach().features.requires_grad


def test_features_of_no_known_body_are_refused():
    with pytest.raises(InputError, match="263"):
        _ = Motion(torch.zeros(1, 2, 66), torch.tensor([2])).joints


def test_importing_motion_imports_no_heavy_package():
    heavy = "{'roma', 'scipy', 'transformers', 'diffusers', 'lightning', 'matplotlib', 'pydantic'}"
    code = (
        f"import sys, torch; before = set(sys.modules); import atm.motion; print({heavy} & (set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
