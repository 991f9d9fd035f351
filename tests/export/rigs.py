"""Skeletons as other programs make them, for tests: rest poses, axes, units and joints of many kinds."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

SPINE = {1: ("Spine",), 3: ("Spine", "Spine1", "Spine2"), 5: ("Spine", "Spine1", "Spine2", "Spine3", "Chest")}


@dataclass(frozen=True)
class RigKind:
    """What a skeleton is like."""

    arms: float = 0.0
    """Degrees by which the arms hang below a T."""
    legs: float = 0.0
    """Degrees by which the legs stand apart."""
    unit: float = 1.0
    """Units to a metre."""
    up: str = "y"
    facing: float = 0.0
    """Degrees to the left of +z."""
    spine: int = 3
    twists: bool = False
    """Joints within thighs and upper arms."""
    root: bool = False
    """A joint on the floor, on which the hips hang."""
    height: float = 1.0
    """Size of the whole body."""
    prefix: str = "mixamorig:"
    order: str = "ZXY"


KINDS = {
    "t_pose": RigKind(),
    "a_pose": RigKind(arms=45, legs=12),
    "centimetres": RigKind(unit=100, height=1.2, order="YXZ"),
    "z_up": RigKind(up="z", arms=30, prefix=""),
    "many_joints": RigKind(spine=5, twists=True, legs=5, order="XYZ"),
    "short_spine_and_root": RigKind(spine=1, root=True, unit=100, height=0.7),
    "looks_left": RigKind(facing=90, arms=20),
}


def rest_pose(kind: RigKind) -> dict[str, tuple[str | None, np.ndarray]]:
    """Parent and place of each joint in the rest pose, in the file's unit and axes."""
    places: dict[str, tuple[str | None, np.ndarray]] = {}

    def put(name: str, parent: str | None, *place: float) -> None:
        places[name] = (parent, kind.height * np.array(place))

    if kind.root:
        put("Root", None, 0, 0, 0)
    put("Hips", "Root" if kind.root else None, 0, 0.98, 0)
    above = "Hips"
    for k, name in enumerate(SPINE[kind.spine], start=1):
        put(name, above, 0, 0.98 + 0.42 * k / kind.spine, -0.02)
        above = name
    put("Neck", above, 0, 1.52, -0.01)
    put("Head", "Neck", 0, 1.62, 0.02)
    for side, x in (("Left", 1.0), ("Right", -1.0)):
        fall, apart = np.radians(kind.arms), np.radians(kind.legs)
        arm, leg = np.array([x * np.cos(fall), -np.sin(fall), 0]), np.array([x * np.sin(apart), -np.cos(apart), 0])
        put(f"{side}Shoulder", above, 0.06 * x, 1.46, 0)
        shoulder = np.array([0.17 * x, 1.45, -0.01])
        put(f"{side}Arm", f"{side}Shoulder", *shoulder)
        put(f"{side}ForeArm", f"{side}Arm", *(shoulder + 0.29 * arm))
        put(f"{side}Hand", f"{side}ForeArm", *(shoulder + 0.55 * arm))
        put(f"{side}HandIndex1", f"{side}Hand", *(shoulder + 0.65 * arm))
        hip = np.array([0.1 * x, 0.92, 0])
        put(f"{side}UpLeg", "Hips", *hip)
        put(f"{side}Leg", f"{side}UpLeg", *(hip + 0.43 * leg))
        put(f"{side}Foot", f"{side}Leg", *(hip + 0.82 * leg))
        put(f"{side}ToeBase", f"{side}Foot", *(hip + 0.82 * leg + [0, -0.07, 0.13]))
        if kind.twists:
            _twist(places, f"{side}Arm", f"{side}ForeArm", inside=False)
            _twist(places, f"{side}UpLeg", f"{side}Leg", inside=True)
    turn = Rotation.from_euler("y", kind.facing, degrees=True)
    if kind.up == "z":
        turn = Rotation.from_euler("x", 90, degrees=True) * turn
    return {name: (parent, kind.unit * turn.apply(place)) for name, (parent, place) in places.items()}


def _twist(places: dict, joint: str, below: str, *, inside: bool) -> None:
    """Put a joint halfway: on the way to the next one, or beside it."""
    places[f"{joint}Twist"] = (joint, (places[joint][1] + places[below][1]) / 2)
    if inside:
        places[below] = (f"{joint}Twist", places[below][1])


def write_bvh_rig(path: Path, kind: RigKind) -> Path:
    pose, lines = rest_pose(kind), ["HIERARCHY"]

    def write(name: str, depth: int) -> None:
        parent, place = pose[name]
        offset = place - (pose[parent][1] if parent else 0)
        tab = "\t" * depth
        channels = [f"{axis}rotation" for axis in kind.order]
        channels = channels if parent else [*("Xposition", "Yposition", "Zposition"), *channels]
        lines.extend([
            f"{tab}{'JOINT' if parent else 'ROOT'} {kind.prefix}{name}", f"{tab}{{",
            f"{tab}\tOFFSET {' '.join(f'{value:.6f}' for value in offset)}",
            f"{tab}\tCHANNELS {len(channels)} {' '.join(channels)}",
        ])  # fmt: skip
        below = [child for child, (above, _) in pose.items() if above == name]
        for child in below:
            write(child, depth + 1)
        if not below:
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0 0 0.01", f"{tab}\t}}"])
        lines.append(f"{tab}}}")

    top = next(name for name, (parent, _) in pose.items() if parent is None)
    write(top, 0)
    width = 3 + 3 * len(pose)
    frame = " ".join(["0"] * width)
    path.write_text("\n".join([*lines, "MOTION", "Frames: 1", "Frame Time: 0.033333", frame, ""]))
    return path


def write_glb_rig(path: Path, kind: RigKind, *, seed: int = 0) -> Path:
    """A skeleton whose joints rest in axes of any roll, below a node that scales and turns."""
    rng, pose = np.random.default_rng(seed), rest_pose(kind)
    outer = np.eye(4)
    outer[:3, :3] = Rotation.from_euler("x", -90, degrees=True).as_matrix() * 0.01
    world = {}
    for name, (_, place) in pose.items():
        world[name] = np.eye(4)
        world[name][:3, :3] = 0.01 * Rotation.random(random_state=rng).as_matrix()
        world[name][:3, 3] = place
    names = list(pose)
    nodes = [{"name": "Armature", "rotation": Rotation.from_euler("x", -90, degrees=True).as_quat().tolist(), "scale": [0.01] * 3}]  # fmt: skip  # noqa: E501
    for name, (parent, _) in pose.items():
        local = np.linalg.inv(world[parent] if parent else outer) @ world[name]
        nodes.append({
            "name": f"{kind.prefix}{name}", "translation": local[:3, 3].tolist(),
            "rotation": Rotation.from_matrix(local[:3, :3]).as_quat().tolist(),
        })  # fmt: skip
    for number, (parent, _) in enumerate(pose.values(), start=1):
        above = nodes[names.index(parent) + 1 if parent else 0]
        above.setdefault("children", []).append(number)
    binary = np.zeros(3, "<f4").tobytes()
    root = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": nodes,
        "skins": [{"joints": list(range(1, len(nodes)))}], "buffers": [{"byteLength": len(binary)}],
    }  # fmt: skip
    text = json.dumps(root).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path
