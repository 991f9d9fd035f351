"""Motion features against the published data tools, stage by stage and in both directions.

Tolerances: 2e-5 in metres and 1e-2 in millimetres, what float32 and the order of its operations leave open; 2e-4 for
rotations, because bones close to the opposite of their raw direction magnify that; contacts are equal.
"""

import pytest
import torch
from numpy import ndarray

from atm.motion import (
    HUMANML3D,
    KIT,
    Skeleton,
    canonical,
    features_from_joints,
    joints_from_features,
    joints_from_rotations,
    mirror_joints,
    root_from_features,
    skeleton_of_width,
    uniform_skeleton,
)
from atm.motion import rotations as rot
from atm.motion.kinematics import smooth_over_time

CASES = ["features_012314.npz", "features_synth22.npz", "features_kit21.npz"]


def skeleton_and_joints(z: dict[str, ndarray]) -> tuple[Skeleton, torch.Tensor]:
    skeleton = skeleton_of_width(z["features"].shape[-1])
    return skeleton, torch.from_numpy(z["joints"] if "joints" in z else z["published_joints"])


def assert_positions(actual: torch.Tensor, expected: ndarray, skeleton: Skeleton) -> None:
    atol = 1e-2 if skeleton is KIT else 2e-5
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-4, atol=atol)


def assert_features(actual: torch.Tensor, expected: ndarray, skeleton: Skeleton) -> None:
    lengths = {"root_step", "root_height", "positions", "velocities"}
    for name, columns in skeleton.columns.items():
        if name == "contacts":
            assert torch.equal(actual[:, columns], torch.from_numpy(expected[:, columns]))
            continue
        atol = 2e-4 if name == "rotations" else 1e-2 if skeleton is KIT and name in lengths else 2e-5
        torch.testing.assert_close(
            actual[:, columns],
            torch.from_numpy(expected[:, columns]),
            rtol=1e-4,
            atol=atol,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("name", CASES)
def test_joints_are_put_on_the_target_body_as_published(golden, name):
    z = golden(name)
    skeleton, joints = skeleton_and_joints(z)
    uniform = uniform_skeleton(joints, skeleton, torch.from_numpy(z["tgt_offsets"]))
    assert_positions(uniform.float(), z["uniform"], skeleton)


@pytest.mark.parametrize("name", CASES)
def test_motion_is_put_in_canonical_place_as_published(golden, name):
    z = golden(name)
    skeleton, joints = skeleton_and_joints(z)
    uniform = uniform_skeleton(joints, skeleton, torch.from_numpy(z["tgt_offsets"]))
    assert_positions(canonical(uniform, skeleton), z["global_positions"], skeleton)


@pytest.mark.parametrize("name", CASES)
def test_features_from_joints_are_the_published_ones(golden, name):
    z = golden(name)
    skeleton, joints = skeleton_and_joints(z)
    features = features_from_joints(joints, skeleton, target_offsets=torch.from_numpy(z["tgt_offsets"]))
    assert_features(features, z["features"], skeleton)


def test_features_of_the_mirrored_motion_are_the_published_ones(golden):
    z, mirrored = golden("features_synth22.npz"), golden("features_synth22_mirrored.npz")
    joints = mirror_joints(torch.from_numpy(z["joints"]))
    features = features_from_joints(joints, HUMANML3D, target_offsets=torch.from_numpy(z["tgt_offsets"]))
    assert_features(features, mirrored["features"], HUMANML3D)
    recovered = joints_from_features(torch.from_numpy(mirrored["features"]), HUMANML3D)
    assert_positions(recovered, mirrored["recover_ric"], HUMANML3D)


@pytest.mark.parametrize("name", CASES)
def test_joints_come_back_from_features_as_published(golden, name):
    z = golden(name)
    skeleton, _ = skeleton_and_joints(z)
    features = torch.from_numpy(z["features"])
    to_front, root = root_from_features(features, skeleton)
    torch.testing.assert_close(to_front, torch.from_numpy(z["root_quat"]), rtol=1e-4, atol=2e-5)
    assert_positions(root, z["root_pos"], skeleton)
    assert_positions(joints_from_features(features, skeleton), z["recover_ric"], skeleton)
    offsets = torch.from_numpy(z["tgt_offsets"])
    assert_positions(joints_from_rotations(features, skeleton, offsets), z["recover_rot"], skeleton)


def test_released_features_give_the_released_joints(golden):
    z = golden("features_012314.npz")
    features = torch.from_numpy(z["published_features"])
    assert_positions(joints_from_features(features, HUMANML3D), z["published_joints"], HUMANML3D)
    offsets = torch.from_numpy(z["tgt_offsets"])
    assert_positions(joints_from_rotations(features, HUMANML3D, offsets), z["published_recover_rot"], HUMANML3D)


def test_target_body_of_the_published_data_is_ours(golden):
    z = golden("features_012314.npz")
    assert torch.equal(HUMANML3D.target_offsets, torch.from_numpy(z["tgt_offsets"]))


@pytest.mark.parametrize("joints", ["j22", "j52"])
def test_mirror_is_the_published_one(golden, joints):
    z = golden("mirror.npz")
    assert torch.equal(mirror_joints(torch.from_numpy(z[joints])), torch.from_numpy(z[f"{joints}_mirrored"]))


def test_rotations_are_the_published_ones(golden):
    z = {name: torch.from_numpy(array) for name, array in golden("quaternion.npz").items()}
    close = {"rtol": 1e-4, "atol": 2e-5}
    torch.testing.assert_close(rot.multiply(z["q"], z["r"]), z["qmul"], **close)
    torch.testing.assert_close(rot.rotate(z["q"], z["v"]), z["qrot"], **close)
    torch.testing.assert_close(rot.inverse(z["q"]), z["qinv"], **close)
    torch.testing.assert_close(rot.between(z["u"], z["v"]), z["qbetween"], **close)
    matrix = rot.matrix_from_quaternion(z["q"])
    torch.testing.assert_close(matrix, z["mat"], **close)
    torch.testing.assert_close(rot.sixd_from_matrix(matrix), z["cont6d"], **close)
    pairs = torch.cat([z["u"], z["v"]], dim=-1)
    torch.testing.assert_close(rot.matrix_from_sixd(pairs), z["mat_from_6d"], **close)
    torch.testing.assert_close(smooth_over_time(z["signal"]), z["smooth20"], **close)
