"""BVH files, read back by a parser and forward kinematics of our own that share no code with the writer."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.curation.prepare.bvh import read_bvh as read_recording
from atm.curation.prepare.naming import find_roles
from atm.export.names import NAMINGS, FileStyle, joint_name
from atm.motion import HUMANML3D, KIT
from atm.motion.bodies import constant_bones

MILLIMETRE = 1e-3


def read_bvh(path) -> tuple[dict[str, np.ndarray], float, dict]:
    """Positions (T, 3) of each joint by name, frame time, and the channels of each joint."""
    head, motion = path.read_text().split("MOTION\n")
    joints, stack, words = [], [], head.split()
    for i, word in enumerate(words):
        if word in ("ROOT", "JOINT", "End"):
            name = words[i + 1] if word != "End" else f"{stack[-1]['name']} end"
            stack.append({"name": name, "parent": stack[-1]["name"] if stack else None, "channels": []})
            joints.append(stack[-1])
        elif word == "OFFSET":
            stack[-1]["offset"] = np.array(words[i + 1 : i + 4], dtype=float)
        elif word == "CHANNELS":
            stack[-1]["channels"] = words[i + 2 : i + 2 + int(words[i + 1])]
        elif word == "}":
            stack.pop()
    lines = motion.strip().split("\n")
    numbers = np.array([line.split() for line in lines[2:]], dtype=float)
    assert int(lines[0].split()[1]) == len(numbers)
    places, turns, column = {}, {}, 0
    for joint in joints:
        values = {channel: numbers[:, column + k] for k, channel in enumerate(joint["channels"])}
        column += len(joint["channels"])
        place = np.tile(joint["offset"], (len(numbers), 1))
        for axis, letter in enumerate("XYZ"):
            if f"{letter}position" in values:
                place[:, axis] = values[f"{letter}position"]
        turn = Rotation.identity(len(numbers))
        for channel in joint["channels"]:
            if channel.endswith("rotation"):
                turn = turn * Rotation.from_euler(channel[0], values[channel][:, None], degrees=True)
        if joint["parent"] is None:
            places[joint["name"]], turns[joint["name"]] = place, turn
        else:
            before = turns[joint["parent"]]
            places[joint["name"]] = places[joint["parent"]] + before.apply(place)
            turns[joint["name"]] = before * turn
    assert column == numbers.shape[1]
    return places, float(lines[1].split()[2]), {joint["name"]: joint["channels"] for joint in joints}


def wild_motion(skeleton, seed: int, frames: int = 30) -> np.ndarray:
    """Bones of constant length that turn smoothly and widely, the children of one joint together."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(skeleton.n_joints, 3))
    for joint, name in enumerate(skeleton.joint_names):
        side = {"l": 1.0, "r": -1.0}.get(name[0] if "_" in name else "", 0.0)
        directions[joint] += [4 * side, 0 if side else 4, 0]
    offsets = 0.3 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    joints, turns = np.zeros((frames, skeleton.n_joints, 3)), {}
    joints[:, 0] = np.cumsum(rng.normal(size=(frames, 3)), axis=0) * 0.05
    times = np.arange(frames)[:, None] / 20
    for joint in (0, *skeleton.outward):
        parent = skeleton.parents[joint]
        local = Rotation.from_rotvec(rng.normal(size=3) + 2 * np.sin(times * rng.uniform(1, 4, 3) + rng.normal(size=3)))
        turns[joint] = local if parent < 0 else turns[parent] * local
        if parent >= 0:
            joints[:, joint] = joints[:, parent] + turns[parent].apply(offsets[joint])
    return joints


def worst(places: dict, joints: np.ndarray, skeleton) -> float:
    return max(
        np.linalg.norm(places[name] - joints[:, joint], axis=1).max() for joint, name in enumerate(skeleton.joint_names)
    )


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_forward_kinematics_of_the_file_gives_the_joints_back(skeleton, seed, tmp_path):
    joints = wild_motion(skeleton, seed)
    places, frame_time, channels = read_bvh(save_motion(tmp_path / "wild.bvh", joints, skeleton=skeleton))
    assert worst(places, joints, skeleton) < MILLIMETRE
    assert frame_time == pytest.approx(1 / skeleton.fps)
    assert [name for name, of in channels.items() if len(of) == 6] == ["pelvis"]


def soft_hips() -> np.ndarray:
    """Lengths stay, the angle between the hips does not: no one rotation of the pelvis can hold both."""
    joints = wild_motion(HUMANML3D, 3)
    hip, pelvis = HUMANML3D.index("left_hip"), joints[:, 0]
    swing = Rotation.from_rotvec(np.sin(np.arange(len(joints)))[:, None] * [0.0, 0.0, 0.3])
    moved = swing.apply(joints[:, hip] - pelvis) + pelvis - joints[:, hip]
    for name in ("left_hip", "left_knee", "left_ankle", "left_foot"):
        joints[:, HUMANML3D.index(name)] += moved
    return joints


def test_only_the_root_has_position_channels_and_the_file_holds_the_joints_on_constant_bones(tmp_path):
    """Readers differ in what they make of positions on inner joints, so there are none, whatever the motion does."""
    places, _, channels = read_bvh(save_motion(tmp_path / "soft.bvh", soft_hips()))
    assert {name: len(of) for name, of in channels.items() if of and len(of) != 3} == {"pelvis": 6}
    assert worst(places, constant_bones(soft_hips().astype(np.float32), HUMANML3D), HUMANML3D) < MILLIMETRE


def test_a_file_is_in_the_unit_and_on_the_axes_that_are_asked_for(tmp_path):
    """z up: what was up (y) is z, what was front (z) is -y; a centimetre is a hundredth."""
    joints = wild_motion(HUMANML3D, 1)
    style = FileStyle(unit="cm", up="z")
    places, _, _ = read_bvh(save_motion(tmp_path / "z.bvh", joints, style=style))
    turned = 100 * np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)
    assert worst(places, turned, HUMANML3D) < 100 * MILLIMETRE


def test_the_rest_pose_of_a_file_with_z_up_stands_on_z(tmp_path):
    path = save_motion(tmp_path / "t.bvh", np.stack([t_pose()] * 3), style=FileStyle(up="z"))
    places, _, _ = read_bvh(path)
    first = np.array(path.read_text().split("\n")[-2].split(), dtype=float)
    np.testing.assert_allclose(first[3:], 0, atol=1e-4)
    assert places["head"][0, 2] > places["pelvis"][0, 2] > places["left_foot"][0, 2]


def test_another_rate_has_the_old_frames_where_they_meet_and_constant_bones_between(tmp_path):
    """30 frames at 20 fps last 29 / 20 s: at 60 fps that is 87 steps, and every third frame is an old one."""
    joints = wild_motion(HUMANML3D, 0)
    places, frame_time, _ = read_bvh(save_motion(tmp_path / "60.bvh", joints, style=FileStyle(fps=60)))
    assert frame_time == pytest.approx(1 / 60) and len(places["pelvis"]) == 88
    assert worst({name: of[::3] for name, of in places.items()}, joints, HUMANML3D) < MILLIMETRE
    thigh = np.linalg.norm(places["left_knee"] - places["left_hip"], axis=1)
    np.testing.assert_allclose(thigh, 0.3, atol=1e-5)


def test_between_two_frames_a_joint_is_turned_halfway(tmp_path):
    """90 degrees in one step at 20 fps: 45 at 40 fps; and the root is in the middle of its way."""
    turned = Rotation.from_euler("Y", 90, degrees=True).apply(t_pose()) + np.array([0.0, 0.0, 0.2])
    path = save_motion(tmp_path / "turn.bvh", np.stack([t_pose(), turned]), style=FileStyle(fps=40))
    middle = np.array(path.read_text().strip().split("\n")[-2].split(), dtype=float)
    np.testing.assert_allclose(middle[:6], [0, 0.95, 0.1, 45, 0, 0], atol=1e-4)  # x y z, then channels Y, Z, X


@pytest.mark.parametrize("naming", NAMINGS)
def test_the_names_of_a_file_are_known_to_the_reader_of_recordings(naming, tmp_path):
    """`atm data prepare bvh` knows what programs call their joints, from tables of its own."""
    path = save_motion(tmp_path / "named.bvh", np.stack([t_pose()] * 5), style=FileStyle(names=naming))
    bvh = read_recording(path)
    roles = find_roles(bvh, {}, source=path.name)
    for part in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist"):
        found = tuple(bvh.names[joint] for joint in getattr(roles, part))
        assert found == tuple(joint_name(f"{side}_{part}", naming) for side in ("left", "right"))
    assert bvh.names[roles.head] == joint_name("head", naming)
    assert len({joint_name(name, naming) for name in HUMANML3D.joint_names}) == 22


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ({"names": "mixamoo"}, "unknown names 'mixamoo': did you mean 'mixamo'"),
        ({"unit": "inch"}, "unknown unit 'inch': known are: cm, m, mm"),
        ({"up": "x"}, "unknown up 'x': known are: y, z"),
        ({"fps": 0}, "fps must be over 0 and at most 1000, got 0"),
    ],
)
def test_a_style_that_is_none_is_refused(style, said):
    with pytest.raises(InputError, match=said):
        FileStyle(**style)


def test_a_style_that_a_format_has_not_is_refused_before_any_work(tmp_path):
    with pytest.raises(
        InputError, match="unit can be chosen for .bvh, .usd, .usda, .usdc, but the file is a .glb: leave it out"
    ):
        save_motion(tmp_path / "t.glb", np.stack([t_pose()] * 3), style=FileStyle(unit="cm"))
    with pytest.raises(
        InputError, match="names can be chosen for .bvh, .glb, .usd, .usda, .usdc, .fbx, but the file is a .mp4"
    ):
        save_motion(tmp_path / "t.mp4", np.stack([t_pose()] * 3), style=FileStyle(names="smpl"))


def test_bones_that_change_their_length_do_not_push_the_limb_away(tmp_path):
    """Thighs 2 cm longer in every other frame: 1 cm off the mean, so 1 cm off at the knee, and no more further out
    (the shin reaches back; its own mean is off by less than the thigh's)."""
    joints = np.stack([t_pose()] * 10)
    below_the_hip = [HUMANML3D.index(f"left_{name}") for name in ("knee", "ankle", "foot")]
    joints[::2, below_the_hip] += np.array([0, -0.02, 0])
    places, _, _ = read_bvh(save_motion(tmp_path / "stretch.bvh", joints))
    assert worst(places, joints, HUMANML3D) == pytest.approx(0.01, abs=1e-4)


def t_pose() -> np.ndarray:
    steps = {"hip": (0.1, -0.1, 0), "knee": (0, -0.4, 0), "ankle": (0, -0.4, 0), "foot": (0, 0, 0.15)}
    steps |= {"collar": (0.08, 0.1, 0), "shoulder": (0.1, 0, 0), "elbow": (0.26, 0, 0), "wrist": (0.25, 0, 0)}
    pose = np.zeros((22, 3))
    for joint in HUMANML3D.outward:
        side, _, part = HUMANML3D.joint_names[joint].rpartition("_")
        step = np.array(steps.get(part, (0, 0.12, 0))) * [-1 if side == "right" else 1, 1, 1]
        pose[joint] = pose[HUMANML3D.parents[joint]] + step
    return pose + np.array([0, 0.95, 0])


def test_a_t_pose_has_no_rotation_at_all(tmp_path):
    path = save_motion(tmp_path / "t.bvh", np.stack([t_pose()] * 3))
    first = np.array(path.read_text().split("\n")[-2].split(), dtype=float)
    np.testing.assert_allclose(first[:3], [0, 0.95, 0], atol=1e-6)
    np.testing.assert_allclose(first[3:], 0, atol=1e-4)


def test_a_body_that_turns_on_the_spot_turns_at_the_root_alone_and_beyond_180_degrees(tmp_path):
    turn = Rotation.from_euler("Y", np.linspace(0, 400, 30)[:, None], degrees=True)
    joints = np.stack([one.apply(t_pose()) for one in turn])
    path = save_motion(tmp_path / "turn.bvh", joints)
    last = np.array(path.read_text().split("\n")[-2].split(), dtype=float)
    np.testing.assert_allclose(last[3:6], [400, 0, 0], atol=1e-3)  # channels Y, Z, X
    np.testing.assert_allclose(last[6:], 0, atol=1e-3)


def test_a_twist_of_the_chest_is_shared_out_along_the_spine(tmp_path):
    """60 degrees between hips and chest: 20 at each of spine1, spine2 and spine3."""
    pose = t_pose()
    upper = [j for j, name in enumerate(HUMANML3D.joint_names) if any(p in name for p in ("neck", "head", "collar", "shoulder", "elbow", "wrist"))]  # fmt: skip  # noqa: E501
    pose[upper] = Rotation.from_euler("Y", 60, degrees=True).apply(pose[upper])
    path = save_motion(tmp_path / "twist.bvh", np.stack([pose] * 2))
    channels = read_bvh(path)[2]
    values = iter(path.read_text().split("\n")[-2].split())
    angles = {name: [float(next(values)) for _ in of] for name, of in channels.items()}
    for name in ("spine1", "spine2", "spine3"):
        assert angles[name] == pytest.approx([0, 20, 0], abs=1e-3)  # channels X, Y, Z


def test_a_bone_without_length_is_no_error(walk, tmp_path):
    walk[:, HUMANML3D.index("head")] = walk[:, HUMANML3D.index("neck")]
    places, _, _ = read_bvh(save_motion(tmp_path / "walk.bvh", walk))
    assert np.isfinite(places["head"]).all()
