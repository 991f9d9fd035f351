"""Skeletons: the tables agree with themselves."""

import pytest
import torch

from atm.base.errors import InputError
from atm.motion import HUMANML3D, KIT, skeleton_of_width

BODIES = pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda s: s.name)


def test_widths_are_those_of_the_published_features():
    """1 yaw + 2 step + 1 height + 3 (J-1) positions + 6 (J-1) rotations + 3 J velocities + 4 contacts = 12 J - 1."""
    assert HUMANML3D.feature_width == 12 * 22 - 1 == 263
    assert KIT.feature_width == 12 * 21 - 1 == 251


@BODIES
def test_columns_follow_each_other_without_a_gap(skeleton):
    columns = list(skeleton.columns.values())
    assert [c.start for c in columns] == [0] + [c.stop for c in columns[:-1]]


@BODIES
def test_every_joint_but_the_root_hangs_on_one_that_comes_before_it(skeleton):
    assert sorted(skeleton.outward) == list(range(1, skeleton.n_joints))
    reached = {0}
    for joint in skeleton.outward:
        assert skeleton.parents[joint] in reached
        assert skeleton.rotation_parents[joint] in reached
        reached.add(joint)


@BODIES
def test_left_is_the_other_side_of_right(skeleton):
    order = skeleton.mirror_order
    assert [order[j] for j in order] == list(range(skeleton.n_joints))
    assert tuple(order[j] for j in skeleton.left_foot) == skeleton.right_foot
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    assert (order[right_hip], order[right_shoulder]) == (left_hip, left_shoulder)
    assert all("left" in skeleton.joint_names[j] for j in skeleton.left_foot)


@BODIES
def test_raw_directions_are_unit_vectors_but_for_the_root(skeleton):
    lengths = torch.tensor(skeleton.raw_directions).norm(dim=-1)
    assert lengths.tolist() == [0.0] + [1.0] * (skeleton.n_joints - 1)


def test_levels_walk_all_chains_at_once():
    """The chains of HumanML3D begin 0-2, 0-1, 0-3, 9-14, 9-13; only the spine has a fifth joint behind its start."""
    assert HUMANML3D.levels[0] == (2, 1, 3, 14, 13)
    assert HUMANML3D.levels[-1] == (15,)


def test_seconds_become_the_nearest_number_of_frames():
    assert HUMANML3D.frames(2.0) == 40
    assert KIT.frames(2.0) == 25
    assert KIT.frames(1.0) == round(12.5)


def test_an_unknown_width_names_both_known_ones():
    assert skeleton_of_width(263) is HUMANML3D
    assert skeleton_of_width(251) is KIT
    with pytest.raises(InputError, match=r"263 .*251 .*got 66"):
        skeleton_of_width(66)


def test_an_unknown_joint_is_an_error_that_names_the_joints():
    with pytest.raises(ValueError, match=r"no joint 'tail'.*left_wrist"):
        HUMANML3D.index("tail")
