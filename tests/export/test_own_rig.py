"""Motions on skeletons that somebody brings, read back by parsers of the tests' own."""

import numpy as np
import pytest
from rigs import KINDS, RigKind, rest_pose, write_bvh_rig, write_glb_rig
from scipy.spatial.transform import Rotation
from test_bvh import read_bvh
from test_glb import Gltf

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.export.names import FileStyle
from atm.export.own_rig import open_rig
from atm.motion import HUMANML3D

PARTS = {
    "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "shoulder": "Arm", "elbow": "ForeArm",
    "wrist": "Hand",
}  # fmt: skip
LIMBS = (("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("shoulder", "elbow"), ("elbow", "wrist"))
SIDES = ("left", "right")
MILLIMETRE = 1e-3


def to_file(kind: RigKind) -> np.ndarray:
    """From y up and +z ahead to the axes of a rig."""
    turn = Rotation.from_euler("y", kind.facing, degrees=True).as_matrix()
    return (Rotation.from_euler("x", 90, degrees=True).as_matrix() @ turn) if kind.up == "z" else turn


def bones_of_rig(kind: RigKind) -> dict[tuple[str, str], float]:
    pose = rest_pose(kind)
    return {
        (name, parent): float(np.linalg.norm(place - pose[parent][1]))
        for name, (parent, place) in pose.items()
        if parent
    }


def angles(places: dict, walk: np.ndarray, kind: RigKind) -> np.ndarray:
    """Degrees between the limbs of the file and those of the motion."""
    found = []
    for side in SIDES:
        for inner, outer in LIMBS:
            ours = walk[:, HUMANML3D.index(f"{side}_{outer}")] - walk[:, HUMANML3D.index(f"{side}_{inner}")]
            ours = ours @ to_file(kind).T
            side_name = side.capitalize()
            theirs = places[f"{side_name}{PARTS[outer]}"] - places[f"{side_name}{PARTS[inner]}"]
            cosine = (ours * theirs).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
            found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(found)


def plain(places: dict, kind: RigKind) -> dict:
    return {name.removeprefix(kind.prefix): place for name, place in places.items()}


def check(places: dict, walk: np.ndarray, kind: RigKind) -> None:
    assert angles(places, walk, kind).max() < 0.1
    for (name, parent), length in bones_of_rig(kind).items():
        bone = np.linalg.norm(places[name] - places[parent], axis=-1)
        if parent != "Root":  # the hips move over it
            np.testing.assert_allclose(bone, length, atol=kind.unit * MILLIMETRE)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_limbs_of_a_bvh_rig_point_where_the_motion_points_and_keep_their_lengths(kind, walk, tmp_path):
    rig = open_rig(write_bvh_rig(tmp_path / "rig.bvh", kind))
    path = save_motion(tmp_path / "walk.bvh", walk, rig=rig)
    places, frame_time, _ = read_bvh(path)
    check(plain(places, kind), walk, kind)
    assert frame_time == pytest.approx(1 / 20)
    assert path.read_text().split("MOTION")[0] == rig.source.read_text().split("MOTION")[0]


@pytest.mark.parametrize("name", ["t_pose", "a_pose", "many_joints", "short_spine_and_root"])
def test_limbs_of_a_glb_rig_with_rolled_joints_point_where_the_motion_points(name, walk, tmp_path):
    kind = RigKind(**(vars(KINDS[name]) | {"unit": 1.0}))
    rig = open_rig(write_glb_rig(tmp_path / "rig.glb", kind))
    gltf = Gltf(save_motion(tmp_path / "walk.glb", walk, rig=rig, text="walks").read_bytes())
    world = gltf.poses()
    names = [node["name"] for node in gltf.root["nodes"]]
    check(plain({name: world[:, k, :3, 3] for k, name in enumerate(names)}, kind), walk, kind)
    assert gltf.root["animations"][0]["name"] == "walks" and gltf.root["skins"]


def test_a_rig_goes_as_far_as_its_legs_are_long_and_its_toes_touch_the_floor(walk, tmp_path):
    """Legs of 0.82 m times 1.2; the motion's own are as long as its joints say."""
    kind = KINDS["centimetres"]
    path = save_motion(tmp_path / "walk.bvh", walk, rig=open_rig(write_bvh_rig(tmp_path / "rig.bvh", kind)))
    places = plain(read_bvh(path)[0], kind)
    bones = [("hip", "knee"), ("knee", "ankle")]
    ours = np.mean([
        sum(
            np.linalg.norm(walk[:, HUMANML3D.index(f"{s}_{b}")] - walk[:, HUMANML3D.index(f"{s}_{a}")], axis=-1).mean()
            for a, b in bones
        )
        for s in SIDES
    ])  # fmt: skip
    scale = 100 * 0.82 * 1.2 / ours
    hips = walk[:, [HUMANML3D.index("left_hip"), HUMANML3D.index("right_hip")]].mean(1)
    theirs = (places["LeftUpLeg"] + places["RightUpLeg"]) / 2
    np.testing.assert_allclose(np.ptp(theirs[:, [0, 2]], axis=0), scale * np.ptp(hips[:, [0, 2]], axis=0), rtol=1e-3)
    toes = [walk[:, HUMANML3D.index(f"{side}_foot"), 1] for side in SIDES]
    lowest = np.quantile(np.minimum(places["LeftToeBase"][:, 1], places["RightToeBase"][:, 1]), 0.1)
    assert lowest == pytest.approx(scale * np.quantile(np.minimum(*toes), 0.1), abs=0.1)


def test_our_own_file_as_a_rig_gives_the_motion_back(walk, tmp_path):
    rig = open_rig(save_motion(tmp_path / "rig.bvh", walk))
    places, _, _ = read_bvh(save_motion(tmp_path / "walk.bvh", walk, rig=rig))
    for name in ("left_knee", "right_ankle", "left_foot"):
        off = np.linalg.norm(places[name] - walk[:, HUMANML3D.index(name)], axis=1)
        assert off.max() < 0.03, name


def test_a_rig_gets_another_frame_rate(walk, tmp_path):
    rig = open_rig(write_bvh_rig(tmp_path / "rig.bvh", RigKind()))
    places, frame_time, _ = read_bvh(save_motion(tmp_path / "walk.bvh", walk, rig=rig, style=FileStyle(fps=40)))
    assert frame_time == pytest.approx(1 / 40)
    assert angles({name: place[::2] for name, place in plain(places, RigKind()).items()}, walk, RigKind()).max() < 0.2


def test_a_rig_whose_names_no_table_knows_needs_a_mapping(walk, tmp_path):
    path = write_bvh_rig(tmp_path / "rig.bvh", RigKind(prefix=""))
    path.write_text(path.read_text().replace("LeftUpLeg", "Quux"))
    with pytest.raises(InputError, match="found no joint for left_hip"):
        open_rig(path)
    assert open_rig(path, {"left_hip": "Quux"}).roles.hip[0] == open_rig(path, {"left_hip": "Quux"}).bvh.names.index(
        "Quux"
    )
    with pytest.raises(InputError, match="unknown joint in the mapping, not in rig.bvh: 'Quuux': did you mean 'Quux'"):
        open_rig(path, {"left_hip": "Quuux"})


def test_a_rig_that_stands_in_no_pose_and_one_that_is_none_are_refused(tmp_path, walk):
    lying = write_bvh_rig(tmp_path / "lying.bvh", RigKind(legs=80))
    with pytest.raises(InputError, match="stands neither in its rest pose nor in its first frame"):
        open_rig(lying)
    with pytest.raises(InputError, match=r"a rig is a .bvh or a .glb file"):
        open_rig(tmp_path / "rig.fbx")
    with pytest.raises(InputError, match="no such rig"):
        open_rig(tmp_path / "none.bvh")
    rig = open_rig(write_bvh_rig(tmp_path / "rig.bvh", RigKind()))
    with pytest.raises(InputError, match=r"on the rig rig.bvh a .bvh file is written, got walk.glb"):
        save_motion(tmp_path / "walk.glb", walk, rig=rig)
    with pytest.raises(InputError, match="a rig has names, unit and axis of its own"):
        save_motion(tmp_path / "walk.bvh", walk, rig=rig, style=FileStyle(unit="cm"))


def test_a_joint_that_cannot_turn_freely_is_refused(tmp_path, walk):
    path = write_bvh_rig(tmp_path / "rig.bvh", RigKind(prefix=""))
    head, _, rest = path.read_text().partition("JOINT LeftLeg")
    rest = rest.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Xrotation", 1)
    text = f"{head}JOINT LeftLeg{rest}".rstrip("\n")
    path.write_text(text.rpartition("\n")[0] + "\n" + " ".join(text.split("\n")[-1].split()[:-2]) + "\n")
    with pytest.raises(InputError, match="LeftLeg turns about X, but a joint of a body needs three axes"):
        save_motion(tmp_path / "walk.bvh", walk, rig=open_rig(path))
