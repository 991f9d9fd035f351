"""The binary glTF file: another program's way of reading it gives the motion and the figure back."""

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atm.apps.export import save_motion
from atm.export.names import FileStyle
from atm.motion import HUMANML3D
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

COMPONENTS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
NUMBERS = {5126: "<f4", 5123: "<u2", 5125: "<u4"}


class Gltf:
    """Reads a file by the specification alone."""

    def __init__(self, content: bytes):
        magic, version, length = struct.unpack("<4sII", content[:12])
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack("<I4s", content[12:20])
        assert kind == b"JSON" and size % 4 == 0
        self.root = json.loads(content[20 : 20 + size])
        rest, kind = struct.unpack("<I4s", content[20 + size : 28 + size])
        assert kind == b"BIN\0" and rest == self.root["buffers"][0]["byteLength"]
        self.binary = content[28 + size :]
        assert len(self.binary) == rest

    def array(self, number: int) -> np.ndarray:
        accessor = self.root["accessors"][number]
        view = self.root["bufferViews"][accessor["bufferView"]]
        numbers = NUMBERS[accessor["componentType"]]
        assert view["byteOffset"] % np.dtype(numbers).itemsize == 0
        assert view["byteOffset"] + view["byteLength"] <= len(self.binary)
        columns = COMPONENTS[accessor["type"]]
        flat = np.frombuffer(self.binary, numbers, accessor["count"] * columns, view["byteOffset"])
        values = flat.reshape(-1, columns)
        if "min" in accessor:
            np.testing.assert_array_equal(values.min(0), np.float32(accessor["min"]))
            np.testing.assert_array_equal(values.max(0), np.float32(accessor["max"]))
        return values

    def poses(self) -> np.ndarray:
        """Global transforms (T, nodes, 4, 4) of the joints over the animation."""
        animation, nodes = self.root["animations"][0], self.root["nodes"]
        moved = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            moved[channel["target"]["node"], channel["target"]["path"]] = self.array(sampler["output"])
        frames = len(self.array(animation["samplers"][0]["input"]))
        world = np.tile(np.eye(4), (frames, len(nodes), 1, 1))

        def place(node: int, above: np.ndarray) -> None:
            local = np.tile(np.eye(4), (frames, 1, 1))
            local[:, :3, 3] = moved.get((node, "translation"), nodes[node].get("translation", [0, 0, 0]))
            turns = moved.get((node, "rotation"), [nodes[node].get("rotation", [0, 0, 0, 1])])
            scale = np.array(nodes[node].get("scale", [1, 1, 1]))
            local[:, :3, :3] = Rotation.from_quat(turns).as_matrix() * scale
            world[:, node] = above @ local
            for child in nodes[node].get("children", []):
                place(child, world[:, node])

        for node in self.root["scenes"][0]["nodes"]:
            place(node, np.tile(np.eye(4), (frames, 1, 1)))
        return world


@pytest.fixture(scope="module")
def joints() -> np.ndarray:
    program = Program((Action("walk", 3, direction="forward"), Action("kick", 1, side="right")))
    return perform(program, np.random.default_rng(0))


@pytest.fixture(scope="module")
def gltf(joints, tmp_path_factory) -> Gltf:
    path = save_motion(tmp_path_factory.mktemp("glb") / "kick.glb", joints, text="walks and kicks")
    return Gltf(path.read_bytes())


def test_the_skeletons_motion_is_that_of_the_joints(gltf, joints):
    names = [node["name"] for node in gltf.root["nodes"]]
    assert names == [*HUMANML3D.joint_names, "figure"]
    assert gltf.root["animations"][0]["name"] == "walks and kicks"
    seconds = gltf.array(gltf.root["animations"][0]["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(seconds, np.arange(len(joints)) / 20, atol=1e-6)
    places = gltf.poses()[:, : HUMANML3D.n_joints, :3, 3]
    assert np.abs(places - joints).max() < 1e-4  # scripted bones keep their length


def test_names_and_rate_can_be_chosen(joints, tmp_path):
    path = save_motion(tmp_path / "kick.glb", joints, style=FileStyle(names="vrm", fps=40))
    gltf = Gltf(path.read_bytes())
    assert [node["name"] for node in gltf.root["nodes"]][:3] == ["hips", "leftUpperLeg", "rightUpperLeg"]
    seconds = gltf.array(gltf.root["animations"][0]["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(seconds, np.arange(2 * len(joints) - 1) / 40, atol=1e-6)
    assert np.abs(gltf.poses()[::2, : HUMANML3D.n_joints, :3, 3] - joints).max() < 1e-4


def skinned(gltf: Gltf, world: np.ndarray) -> dict[str, np.ndarray]:
    """Vertices of each material for one frame's transforms."""
    inverse = gltf.array(gltf.root["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    bones = world[: len(inverse)] @ inverse
    result = {}
    for part in gltf.root["meshes"][0]["primitives"]:
        attributes = {name: gltf.array(number) for name, number in part["attributes"].items()}
        assert gltf.array(part["indices"]).max() < len(attributes["POSITION"])
        np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(attributes["WEIGHTS_0"].sum(1), 1)
        vertices = np.concatenate([attributes["POSITION"], np.ones((len(attributes["POSITION"]), 1))], axis=1)
        turned = np.einsum("vij,vj->vi", bones[attributes["JOINTS_0"][:, 0]], vertices)
        result[gltf.root["materials"][part["material"]]["name"]] = turned[:, :3]
    return result


def test_the_figure_follows_the_joints_left_limbs_on_the_left(gltf, joints):
    """Every joint lies within a limb, and nothing of the figure is further from the joints than a hand or a head."""
    world = gltf.poses()
    for frame in (0, len(joints) // 2, len(joints) - 1):
        parts = skinned(gltf, world[frame])
        assert parts.keys() == {"left", "right", "middle"}
        every = np.concatenate(list(parts.values()))
        to_joints = np.linalg.norm(every[:, None] - joints[frame][None], axis=-1)
        assert to_joints.min(0).max() < 0.12
        assert to_joints.min(1).max() < 0.3
    still = skinned(gltf, world[0])  # the figure faces +z, so its left is on +x
    assert still["left"][:, 0].mean() > 0.1 > -0.1 > still["right"][:, 0].mean()


def test_the_rest_pose_is_a_t_on_the_floor_looking_along_z(gltf):
    positions = np.concatenate(
        [gltf.array(part["attributes"]["POSITION"]) for part in gltf.root["meshes"][0]["primitives"]]
    )
    low, high = positions.min(0), positions.max(0)
    assert -0.06 < low[1] < 0.0 < 1.5 < high[1] < 2.0
    assert high[0] > 0.7 and low[0] < -0.7 and high[2] < 0.4
    assert high[2] > -low[2]  # toes point forward


def test_rotations_do_not_jump_from_one_sign_to_the_other(gltf):
    for channel in gltf.root["animations"][0]["channels"]:
        if channel["target"]["path"] == "rotation":
            values = gltf.array(gltf.root["animations"][0]["samplers"][channel["sampler"]]["output"])
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
            assert ((values[1:] * values[:-1]).sum(1) > 0).all()


def test_the_head_of_the_figure_turns_with_the_neck(gltf):
    parts, names = gltf.root["meshes"][0]["primitives"], list(HUMANML3D.joint_names)
    holders, heights = (
        np.concatenate([gltf.array(part["attributes"][name]) for part in parts]) for name in ("JOINTS_0", "POSITION")
    )
    top = holders[heights[:, 1] > heights[:, 1].max() - 0.1, 0]
    assert set(top) <= {names.index("neck"), names.index("head")}


def test_the_same_motion_gives_the_same_bytes(joints, tmp_path):
    once, again = (save_motion(tmp_path / name, joints, text="kicks") for name in ("once.glb", "again.glb"))
    assert once.read_bytes() == again.read_bytes()
