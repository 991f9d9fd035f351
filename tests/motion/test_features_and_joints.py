"""Features from joints and back: round trips, directions, gradients and errors."""

import pytest
import torch
from walker import standing, walking

from atm.base.errors import InputError
from atm.motion import (
    HUMANML3D,
    KIT,
    canonical,
    contacts,
    facing,
    features_from_joints,
    joints_from_features,
    joints_from_rotations,
    mirror_joints,
    offsets_of,
    uniform_skeleton,
)
from atm.motion.features import with_joints
from atm.motion.rotations import about_y, rotate


def test_joints_come_back_from_their_features():
    """The figure has the target body and never faces backwards, so only the last frame is lost."""
    joints = walking(40, turn=1.0)
    recovered = joints_from_features(features_from_joints(joints, HUMANML3D), HUMANML3D)
    back_in_place = canonical(recovered, HUMANML3D)
    torch.testing.assert_close(back_in_place, canonical(joints, HUMANML3D)[:-1], rtol=0, atol=2e-5)


def test_features_with_their_own_joints_are_themselves():
    """Nothing was moved, so every column stays; the last velocity, whose frame is lost, is the one before it."""
    features = features_from_joints(walking(40, turn=1.0), HUMANML3D)
    again = with_joints(features, joints_from_features(features, HUMANML3D), HUMANML3D)
    torch.testing.assert_close(again[:-1], features[:-1], rtol=0, atol=1e-4)
    torch.testing.assert_close(joints_from_features(again, HUMANML3D), joints_from_features(features, HUMANML3D))


def test_features_with_moved_joints_decode_to_these_also_where_the_body_faces_backwards():
    """A full turn: features computed anew from its joints would turn the wrong way when it faces -z."""
    features = torch.zeros(60, HUMANML3D.feature_width)
    features[:, HUMANML3D.columns["yaw_step"]] = torch.pi / 60
    features = with_joints(features, joints_from_features(features, HUMANML3D) + walking(1).float(), HUMANML3D)
    moved = joints_from_features(features, HUMANML3D)
    moved[:, 1:] += torch.tensor([0.01, 0.02, -0.03])
    moved[:, 0, 1] -= 0.05
    again = with_joints(features, moved, HUMANML3D)
    torch.testing.assert_close(joints_from_features(again, HUMANML3D), moved, rtol=0, atol=1e-6)
    columns = HUMANML3D.columns["yaw_step"], HUMANML3D.columns["root_step"]
    assert all(torch.equal(again[:, which], features[:, which]) for which in columns)


def test_rotations_give_the_same_joints_as_positions():
    features = features_from_joints(walking(30, turn=-0.8), HUMANML3D)
    by_position = joints_from_features(features, HUMANML3D)
    by_rotation = joints_from_rotations(features, HUMANML3D, HUMANML3D.target_offsets)
    # The root rotation of the two ways is each other's inverse in the published tools: bones agree in length only.
    for joints in (by_position, by_rotation):
        lengths = torch.linalg.vector_norm(joints[:, 1:] - joints[:, list(HUMANML3D.parents[1:])], dim=-1)
        expected = torch.tensor(HUMANML3D.bone_lengths[1:]).expand_as(lengths)
        torch.testing.assert_close(lengths, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(by_position[:, 0], by_rotation[:, 0])


def test_a_figure_in_reference_pose_faces_forward():
    pose = standing(HUMANML3D, HUMANML3D.target_offsets)
    torch.testing.assert_close(facing(pose, HUMANML3D), torch.tensor([0.0, 0.0, 1.0]))


def test_walking_to_where_the_body_faces_is_motion_along_z():
    """0.05 m a frame forward: the step columns are (0, 0.05) in every row, and the yaw step is 0."""
    features = features_from_joints(walking(20, metres_per_frame=0.05), HUMANML3D)
    columns = HUMANML3D.columns
    expected = torch.tensor([0.0, 0.05]).expand(19, 2)
    torch.testing.assert_close(features[:, columns["root_step"]], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(features[:, columns["yaw_step"]], torch.zeros(19, 1), rtol=0, atol=1e-6)
    assert joints_from_features(features, HUMANML3D)[-1, 0, 2] == pytest.approx(18 * 0.05, abs=1e-5)


def test_turning_left_is_half_the_angle_per_frame():
    """1 rad to the left, +z towards +x, over 200 steps. The rotation that brings the front back to +z turns the other
    way: -1/200 rad a frame, of which the column holds half. Smoothing keeps a steady turn but for its ends, 4 sigma of
    20 frames; row 0 holds a jump, since frame 0 is the identity."""
    features = features_from_joints(walking(201, turn=1.0), HUMANML3D)
    torch.testing.assert_close(features[81:119, 0], torch.full((38,), -1 / 200 / 2), rtol=1e-3, atol=0)
    track = joints_from_features(features, HUMANML3D)
    assert track[-1, 0, 0] > 1.0, "a left turn bends the way to +x"


def test_height_is_over_the_lowest_joint_of_the_motion():
    joints = walking(10)
    joints[-1] = joints[0]  # so that the last frame, which is lost, is not the lowest
    joints = joints + torch.tensor([3.0, -7.0, 2.0])
    recovered = joints_from_features(features_from_joints(joints, HUMANML3D), HUMANML3D)
    assert recovered[..., 1].min() == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(recovered[0, 0, [0, 2]], torch.zeros(2))


def test_a_body_of_another_size_is_put_on_the_target_body():
    """Twice the size: bones become the target's, and the way shrinks with the legs, by half."""
    joints = walking(20)
    uniform = uniform_skeleton(2 * joints, HUMANML3D, HUMANML3D.target_offsets)
    torch.testing.assert_close(uniform, joints, rtol=0, atol=5e-6)


def test_feet_are_in_contact_below_a_squared_step_of_the_threshold():
    """0.002 m² is 4.47 cm a frame: 4.4 cm is contact, 4.5 cm is not. Height does not matter."""
    joints = torch.zeros(3, 22, 3)
    left_ankle, left_toe, right_ankle, right_toe = HUMANML3D.contact_joints
    joints[1:, left_ankle, 0] = 0.044
    joints[1:, left_toe, 0] = 0.045
    joints[:, right_ankle, 1] = 9.0
    joints[2, right_toe, 2] = 0.05
    expected = torch.tensor([[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    assert torch.equal(contacts(joints, HUMANML3D), expected)


def test_the_mirrored_left_hand_is_the_right_hand():
    joints = walking(5, turn=0.5)
    mirrored = mirror_joints(joints)
    left, right = HUMANML3D.index("left_wrist"), HUMANML3D.index("right_wrist")
    torch.testing.assert_close(mirrored[:, right], joints[:, left] * torch.tensor([-1.0, 1.0, 1.0]))
    torch.testing.assert_close(mirror_joints(mirrored), joints)


@pytest.mark.parametrize("n_joints", [21, 22, 52])
def test_mirroring_twice_changes_nothing(n_joints):
    joints = torch.randn(2, n_joints, 3)
    assert torch.equal(mirror_joints(mirror_joints(joints)), joints)


def test_kit_features_are_in_millimetres_and_come_back():
    offsets = torch.tensor(KIT.raw_directions) * 200.0
    # A figure whose right is its right: the published sides of KIT are the opposite of their raw directions, so that
    # hips and shoulders stand a little off, too, where rotations are defined.
    sides = [5, 8, 11, 16]
    offsets[sides] = offsets[sides] * -1 + torch.tensor([0.0, 0.0, 40.0])
    # Shoulders wider than hips, or the published facing, which takes one from the other, is nowhere.
    offsets[[5, 8]] *= 1.5
    travel = torch.linspace(0, 90, 12)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    joints = rotate(about_y(torch.tensor(1.0)), standing(KIT, offsets) + travel)
    features = features_from_joints(joints, KIT, target_offsets=offsets_of(joints[0], KIT))
    recovered = joints_from_features(features, KIT)
    assert features.shape == (11, 251)
    torch.testing.assert_close(recovered, canonical(joints, KIT)[:-1], rtol=0, atol=0.01)


def test_joints_from_features_takes_any_leading_shape():
    features = torch.randn(2, 3, 4, 263)
    joints = joints_from_features(features, HUMANML3D)
    assert joints.shape == (2, 3, 4, 22, 3)
    torch.testing.assert_close(joints[1, 2], joints_from_features(features[1, 2], HUMANML3D))
    by_rotation = joints_from_rotations(features, HUMANML3D, HUMANML3D.target_offsets)
    torch.testing.assert_close(
        by_rotation[1, 2], joints_from_rotations(features[1, 2], HUMANML3D, HUMANML3D.target_offsets)
    )


def test_joints_are_differentiable_in_the_features():
    features = torch.randn(3, 263, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: joints_from_features(x, HUMANML3D), features, fast_mode=True)
    offsets = HUMANML3D.target_offsets.double()
    assert torch.autograd.gradcheck(lambda x: joints_from_rotations(x, HUMANML3D, offsets), features, fast_mode=True)


def test_numpy_joints_give_the_same_features():
    joints = walking(6)
    assert torch.equal(features_from_joints(joints.numpy(), HUMANML3D), features_from_joints(joints, HUMANML3D))


def test_wrong_input_is_told_apart():
    joints = walking(4)
    with pytest.raises(InputError, match="22 joints of HumanML3D, got 21"):
        features_from_joints(joints[:, :21], HUMANML3D)
    with pytest.raises(InputError, match="at least 2 frames, got 1"):
        features_from_joints(joints[:1], HUMANML3D)
    with pytest.raises(InputError, match="21, 22, 52 joints to mirror, got 23"):
        mirror_joints(torch.zeros(2, 23, 3))
    with pytest.raises(InputError, match="pass target_offsets"):
        features_from_joints(torch.zeros(3, 21, 3), KIT)
    broken = joints.clone()
    broken[2, 5, 1] = torch.nan
    with pytest.raises(InputError, match="frame 2 holds NaN"):
        features_from_joints(broken, HUMANML3D)


def test_a_bone_against_its_raw_direction_is_an_error_that_names_it():
    """Both arms of the reference pose hang straight down: turned straight up, there is no shortest way."""
    joints = walking(4)
    elbow, wrist = HUMANML3D.index("left_elbow"), HUMANML3D.index("left_wrist")
    joints[1, wrist] = joints[1, elbow] + torch.tensor([0.0, HUMANML3D.bone_lengths[wrist], 0.0])
    with pytest.raises(InputError, match="frame 1: left_wrist has no rotation"):
        features_from_joints(joints, HUMANML3D)


def test_a_motion_that_starts_exactly_backwards_is_an_error():
    joints = walking(4).float() * torch.tensor([-1.0, 1.0, -1.0])
    with pytest.raises(InputError, match="first frame faces exactly -z"):
        canonical(joints, HUMANML3D)


def test_hips_and_shoulders_that_cancel_out_are_an_error():
    """The published sum has hips against shoulders: of the same width, they leave no facing."""
    joints = walking(4)
    right_hip, left_hip, right_shoulder, left_shoulder = HUMANML3D.face_joints
    joints[:, right_shoulder] = joints[:, right_hip]
    joints[:, left_shoulder] = joints[:, left_hip]
    with pytest.raises(InputError, match="frame 1: pelvis has no rotation, for hips and shoulders face"):
        features_from_joints(joints, HUMANML3D)
