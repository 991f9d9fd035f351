"""AMASS archives, Kimodo's npz and its constraints: what stands in them, and what is said of it."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.curation.prepare.smplh import BodyModel
from atm.export.kimodo import read_constraints, write_constraints
from atm.export.names import FileStyle
from atm.export.recordings import read_motion
from atm.export.smpl import REST, REST_PELVIS
from atm.motion import HUMANML3D, KIT

MILLIMETRE = 1e-3


def on_mean_body(frames: int = 30) -> np.ndarray:
    """A motion that SMPL's mean body makes: every joint turns, the pelvis goes ahead."""
    rng, places, turns = np.random.default_rng(0), np.zeros((frames, 22, 3)), {}
    times = np.arange(frames)[:, None] / 20
    for joint, above in enumerate(HUMANML3D.parents):
        swing = Rotation.from_rotvec(0.3 * np.sin(times * rng.uniform(1, 4, 3) + rng.normal(size=3)))
        turns[joint] = swing if above < 0 else turns[above] * swing
        places[:, joint] = [0, 0.95, 0] + times * [0, 0, 1.0] if above < 0 else 0
        if above >= 0:
            places[:, joint] = places[:, above] + turns[above].apply(REST[joint])
    return places


def posed(archive) -> np.ndarray:
    """Joints of an archive by the reader that prepares AMASS, on the mean body; y up again."""
    rest = np.zeros((22, 3))
    for joint, above in enumerate(HUMANML3D.parents):
        rest[joint] = REST_PELVIS if above < 0 else rest[above] + REST[joint]
    body = BodyModel(rest, np.zeros((22, 3, 10)), np.array(HUMANML3D.parents))
    joints = body.pose(archive["betas"][:10], archive["poses"][:, :66], archive["trans"])
    return joints[..., [0, 2, 1]] * [-1.0, 1.0, 1.0]


def test_an_amass_archive_gives_the_motion_of_the_mean_body_back(tmp_path):
    joints, said = on_mean_body(), []
    path = save_motion(tmp_path / "walk.amass.npz", joints, say=said.append)
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_allclose(posed(archive), joints, atol=MILLIMETRE)
        assert archive["poses"].shape == (30, 156) and not archive["poses"][:, 66:].any()
        assert archive["mocap_framerate"] == 20 and str(archive["gender"]) == "neutral"
        np.testing.assert_array_equal(archive["root_orient"], archive["poses"][:, :3])
    assert said == ["walk.amass.npz: on SMPL's mean body the joints come within 0.0 cm on average, 0.0 cm at worst"]


def test_an_archive_says_how_close_another_body_comes(walk, tmp_path):
    said = []
    path = save_motion(tmp_path / "walk.amass.npz", walk, say=said.append)
    with np.load(path, allow_pickle=False) as archive:
        off = np.linalg.norm(posed(archive) - walk, axis=-1)
    assert f"within {100 * off.mean():.1f} cm on average, {100 * off.max():.1f} cm at worst" in said[0]
    assert 0.001 < off.mean() < 0.08


def test_what_is_written_for_smpl_is_read_again(tmp_path):
    joints = on_mean_body()
    for name, rate in (("walk.amass.npz", 20), ("walk.kimodo.npz", 30)):
        motion = read_motion(save_motion(tmp_path / name, joints))
        assert motion.skeleton.fps == rate
        np.testing.assert_allclose(
            motion.joints[:: 1 if rate == 20 else 3], joints[:: 1 if rate == 20 else 2], atol=MILLIMETRE
        )
    quick = read_motion(save_motion(tmp_path / "quick.amass.npz", joints, style=FileStyle(fps=60)))
    assert quick.skeleton.fps == 60 and len(quick.joints) == 3 * 29 + 1


def test_kimodos_arrays_agree_with_one_another_and_with_its_guide(walk, tmp_path):
    with np.load(save_motion(tmp_path / "walk.kimodo.npz", walk), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    frames = len(arrays["posed_joints"])
    assert frames == round(39 / 20 * 30) + 1 or frames == int(39 / 20 * 30) + 1
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    assert shapes == {
        "posed_joints": (22, 3), "global_rot_mats": (22, 3, 3), "local_rot_mats": (22, 3, 3), "foot_contacts": (4,),
        "smooth_root_pos": (3,), "root_positions": (3,), "global_root_heading": (2,),
    }  # fmt: skip
    turns = arrays["global_rot_mats"]
    for joint, above in enumerate(HUMANML3D.parents):
        if above >= 0:
            step = np.einsum("tij,j->ti", turns[:, above], REST[joint])
            np.testing.assert_allclose(
                arrays["posed_joints"][:, joint] - arrays["posed_joints"][:, above], step, atol=1e-5
            )
            np.testing.assert_allclose(turns[:, joint], turns[:, above] @ arrays["local_rot_mats"][:, joint], atol=1e-5)
    # The figure faces +z: no turn, and glides at 1 m/s, so that no foot stands.
    np.testing.assert_allclose(arrays["global_root_heading"], [[1, 0]] * frames, atol=0.05)
    assert not arrays["foot_contacts"].any()
    still = save_motion(tmp_path / "still.kimodo.npz", np.repeat(walk[:1], 20, axis=0))
    assert np.load(still)["foot_contacts"].all()


def test_the_heading_turns_from_ahead_towards_the_left(walk, tmp_path):
    """A figure that faces +x, which is its left at first, has turned by 90 degrees: cosine 0, sine 1."""
    turned = Rotation.from_euler("y", 90, degrees=True).apply(walk.reshape(-1, 3)).reshape(walk.shape)
    heading = np.load(save_motion(tmp_path / "left.kimodo.npz", turned))["global_root_heading"]
    np.testing.assert_allclose(heading, [[0, 1]] * len(heading), atol=0.05)


def test_a_soma_motion_of_kimodo_is_put_on_our_body(tmp_path):
    """77 joints; those that a body needs stand in a T, two frames."""
    places = {
        0: (0, 0.95, 0), 1: (0, 1.05, 0), 2: (0, 1.15, 0), 3: (0, 1.25, 0), 4: (0, 1.48, 0), 5: (0, 1.53, 0),
        6: (0, 1.58, 0.01), 11: (0.05, 1.43, 0), 12: (0.18, 1.43, 0), 13: (0.46, 1.43, 0), 14: (0.72, 1.43, 0),
        39: (-0.05, 1.43, 0), 40: (-0.18, 1.43, 0), 41: (-0.46, 1.43, 0), 42: (-0.72, 1.43, 0), 67: (0.1, 0.9, 0),
        68: (0.1, 0.48, 0), 69: (0.1, 0.08, 0), 70: (0.1, 0.02, 0.13), 72: (-0.1, 0.9, 0), 73: (-0.1, 0.48, 0),
        74: (-0.1, 0.08, 0), 75: (-0.1, 0.02, 0.13),
    }  # fmt: skip
    joints = np.zeros((2, 77, 3))
    for joint, place in places.items():
        joints[:, joint] = place
    turns = np.tile(np.eye(3), (2, 77, 1, 1))
    np.savez(tmp_path / "soma.npz", posed_joints=joints, global_rot_mats=turns)
    motion = read_motion(tmp_path / "soma.npz")
    assert motion.skeleton.fps == 30 and motion.joints.shape == (2, 22, 3)
    arm = motion.joints[0, HUMANML3D.index("left_wrist")] - motion.joints[0, HUMANML3D.index("left_shoulder")]
    np.testing.assert_allclose(arm / np.linalg.norm(arm), [1, 0, 0], atol=1e-3)
    np.savez(tmp_path / "robot.npz", posed_joints=joints[:, :34])
    with pytest.raises(InputError, match=r"expected Kimodo's posed_joints \(frames, 22, 3\) .* got \(2, 34, 3\)"):
        read_motion(tmp_path / "robot.npz")


def test_constraints_hold_the_path_and_the_first_and_last_pose(tmp_path):
    joints = on_mean_body()
    path = save_motion(tmp_path / "walk.constraints.json", joints)
    root, pose = read_constraints(path)
    last = int(29 / 20 * 30)
    assert (root.type, root.frame_indices) == ("root2d", [0, 30, last])
    assert (pose.type, pose.frame_indices) == ("fullbody", [0, last])
    np.testing.assert_allclose(pose.joints[0], joints[0], atol=MILLIMETRE)
    assert {"type", "frame_indices", "smooth_root_2d", "local_joints_rot", "root_positions"} == set(
        json.loads(path.read_text())[1]
    )
    again = tmp_path / "again.constraints.json"
    write_constraints(again, [root, pose])
    assert again.read_text() == path.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot read .* as Kimodo's constraints"),
        ('[{"type": "root3d", "frame_indices": [0]}]', "type is 'root3d', expected one of root2d, fullbody"),
        ('[{"type": "root2d", "frame_indices": [0]}]', "root2d needs smooth_root_2d"),
        ('[{"type": "root2d", "frame_indices": [0, 5], "smooth_root_2d": [[0, 0]]}]', "2 numbers for each of 2 frames"),
        ('[{"type": "root2d", "frame_indices": [-1], "smooth_root_2d": [[0, 0]]}]', "count from 0"),
    ],
)
def test_constraints_that_are_none_are_said(content, said, tmp_path):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(InputError, match=said):
        read_constraints(tmp_path / "bad.json")


def test_a_skeleton_without_smpls_joints_and_another_rate_of_constraints_are_refused(walk, tmp_path):
    with pytest.raises(
        InputError, match="an AMASS archive holds SMPL's 22 joints, .* but the motion is of KIT-ML with 21"
    ):
        save_motion(tmp_path / "kit.amass.npz", walk[:, :21], skeleton=KIT)
    with pytest.raises(InputError, match=r"fps can be chosen for .*, but the file is a .constraints.json"):
        save_motion(tmp_path / "walk.constraints.json", walk, style=FileStyle(fps=20))


def test_damaged_archives_are_said(tmp_path):
    np.savez(tmp_path / "shape.npz", trans=np.zeros((3, 3)), poses=np.zeros((3, 156)))
    with pytest.raises(InputError, match="expected mocap_framerate"):
        read_motion(tmp_path / "shape.npz")
    np.savez(tmp_path / "short.npz", trans=np.zeros((2, 3)), poses=np.zeros((3, 156)), mocap_framerate=60)
    with pytest.raises(InputError, match=r"got \(3, 156\) and \(2, 3\)"):
        read_motion(tmp_path / "short.npz")
    np.savez(tmp_path / "nan.npz", trans=np.full((2, 3), np.nan), poses=np.zeros((2, 66)), mocap_framerate=60)
    with pytest.raises(InputError, match="NaN"):
        read_motion(tmp_path / "nan.npz")
