"""What joint positions say of a body, on a figure that walks."""

import numpy as np
import pytest
import torch
from walker import walking

from atm.base.errors import InputError
from atm.motion import HUMANML3D, KIT, features_from_joints, joints_from_features
from atm.motion.anatomy import UNITS, doubts, front_of, in_metres, stands_along, unit_of_leg

WALK = walking(40).numpy()


def said(joints: np.ndarray, features=None) -> str:
    return " ".join(doubts(joints, HUMANML3D, features))


def test_a_person_is_not_doubted():
    assert said(WALK) == ""
    features = features_from_joints(torch.from_numpy(WALK), HUMANML3D)
    assert said(joints_from_features(features, HUMANML3D).numpy(), features.numpy()) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_the_size_of_a_body_says_its_unit(unit):
    joints, found = in_metres(WALK / UNITS[unit], HUMANML3D, "walk.npy")
    assert found == unit
    np.testing.assert_allclose(joints, WALK)


def test_a_leg_of_no_human_length_has_no_unit():
    assert unit_of_leg(0.0) is None and unit_of_leg(0.3) is None
    with pytest.raises(InputError, match="walk.npy: the legs have no length"):
        in_metres(WALK * 0, HUMANML3D, "walk.npy")


def test_a_small_body_is_doubted():
    assert said(WALK / 4) == "has legs of 0.204 m: a person's measure 0.4 to 1.3"


@pytest.mark.parametrize(
    ("turned", "axis"),
    [([0, 2, 1], "z"), ([1, 0, 2], "x")],
)
def test_a_body_that_stands_along_another_axis_is_told(turned, axis):
    assert stands_along(WALK[..., turned], HUMANML3D) == axis
    assert f"stands along {axis}, not along y" in said(WALK[..., turned])


def test_a_body_upside_down_is_told_and_one_that_lies_on_the_floor_is_not():
    assert stands_along(WALK * [1, -1, -1], HUMANML3D) == "-y"
    lying = (WALK - WALK[:, :1])[..., [0, 2, 1]] * [1, -1, 1]
    lying[..., 1] -= lying[..., 1].min()
    assert stands_along(lying, HUMANML3D) == "y"


def test_exchanged_sides_are_told_by_feet_and_knees_together():
    assert "left and right are swapped" in said(WALK * [-1, 1, 1])
    pairs = [
        [HUMANML3D.index(f"{side}_{part}") for side in ("left", "right")] for part in ("hip", "knee", "ankle", "foot")
    ]
    hips, knees, ankles, toes = (WALK[:, pair] for pair in pairs)
    assert not front_of(hips, knees, ankles, toes).swapped
    backwards = ankles - (toes - ankles)
    assert front_of(hips, knees, ankles, backwards).feet < 0 < front_of(hips, knees, ankles, toes).feet
    below = ankles + (ankles - knees)
    assert front_of(hips, knees, ankles, below).feet == 0


def test_normalised_features_are_told_by_their_rotations():
    features = features_from_joints(torch.from_numpy(WALK), HUMANML3D).numpy()
    normalised = (features - features.mean(0)) / (features.std(0) + 0.1)
    joints = joints_from_features(torch.from_numpy(normalised), HUMANML3D).numpy()
    assert "look like normalised features" in said(joints, normalised)


def test_bones_that_stretch_are_told():
    joints = WALK.copy()
    joints[10:, HUMANML3D.index("left_wrist"), 0] += 0.4
    assert "has bones of up to" in said(joints)


def test_kits_body_is_measured_by_its_own_legs():
    joints = np.random.default_rng(0).normal(size=(3, KIT.n_joints, 3))
    assert "legs" in " ".join(doubts(joints * 1e-3, KIT))
