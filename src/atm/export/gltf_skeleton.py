"""The skeleton of a binary glTF file and how it moves, as the reader of BVH files gives them.

glTF lets each joint rest in axes of its own; here rotations count from the rest pose in the axes of the world, as a BVH
file's do, so that everything that reads one reads the other.

Format: Khronos Group, glTF 2.0 specification. Of cubic splines the keys are taken, with straight ways between them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pygltflib as gltf
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from atm.base.errors import InputError
from atm.curation.prepare.bvh import Bvh, Poses

_NUMBERS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_FASTEST = 240.0
"""Frames per second at which a file is looked at, at most."""


@dataclass(frozen=True)
class GltfSkeleton:
    """A skeleton, its rest pose, and its motion."""

    file: gltf.GLTF2
    nodes: tuple[int, ...]
    """Node of each joint; a parent stands before its children."""
    bvh: Bvh
    """The same as a BVH file without channels: names, parents, rest pose."""
    rest: Float[np.ndarray, "J 4 4"]
    """Each joint's place in the world in the rest pose, with the scale of what it hangs on."""
    above: Float[np.ndarray, "J 4 4"]
    """The same of the node that each joint hangs on, be it a joint or not."""
    poses: Poses
    """Places, and turns from the rest pose in the axes of the world."""
    fps: float


def read_glb(path: Path | str) -> GltfSkeleton:
    """Return the skeleton of a file, with its first animation; one frame of the rest pose where it has none.

    Raises:
        InputError: no such file, no binary glTF file, or none with a skeleton.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"cannot read {path}: there is no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    if content[:4] != b"glTF":
        raise InputError(f"{path.name} is no binary glTF file (.glb): it does not begin as one")
    try:
        return _skeleton(gltf.GLTF2.load_from_bytes(content), path.name)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails anywhere in the library
        raise InputError(f"{path.name} cannot be read as a binary glTF file, it is damaged: {error}") from None


def _skeleton(file: gltf.GLTF2, source: str) -> GltfSkeleton:
    parents = {child: node for node, one in enumerate(file.nodes) for child in one.children or []}
    joints = _joints(file, parents, source)
    index = {node: joint for joint, node in enumerate(joints)}
    known, seconds, fps = _moves(file)
    names = tuple(file.nodes[node].name or f"node {node}" for node in joints)
    still, moving = {}, {}
    for node in _outward(file, parents):
        local = _local(file.nodes[node])
        above = parents.get(node)
        still[node] = local if above is None else still[above] @ local
        moved = _moved(file.nodes[node], known.get(node, {}), seconds)
        moving[node] = moved if above is None else moving[above] @ moved
    rest = np.stack([still[node] for node in joints])
    above = np.stack([still[parents[node]] if node in parents else np.eye(4) for node in joints])
    world = np.stack([np.broadcast_to(moving[node], (len(seconds), 4, 4)) for node in joints], axis=1)
    ways = tuple(index.get(parents.get(node, -1), -1) for node in joints)
    places = rest[:, :3, 3]
    offsets = np.array([places[k] - (places[way] if way >= 0 else 0.0) for k, way in enumerate(ways)])
    bvh = Bvh(names, ways, offsets, ((),) * len(joints), np.zeros((len(seconds), 0)), 1 / fps)
    turns = rotation_of(world) @ np.swapaxes(rotation_of(rest), -1, -2)
    return GltfSkeleton(file, tuple(joints), bvh, rest, above, Poses(world[..., :3, 3], turns), fps)


def rotation_of(matrices: Float[np.ndarray, "*B 4 4"]) -> Float[np.ndarray, "*B 3 3"]:
    """Return the rotation in transforms that may scale, too."""
    u, _, vt = np.linalg.svd(matrices[..., :3, :3])
    return u @ vt


def _joints(file: gltf.GLTF2, parents: dict[int, int], source: str) -> list[int]:
    """Return the joints: those of skins, of a VRM figure, or what is animated, and all that lies between them."""
    wanted = {joint for skin in file.skins or [] for joint in skin.joints}
    for name in ("VRMC_vrm_animation", "VRMC_vrm"):
        bones = (file.extensions or {}).get(name, {}).get("humanoid", {}).get("humanBones", {})
        wanted |= {bone["node"] for bone in bones.values()}
    if not wanted:
        wanted = {channel.target.node for one in file.animations or [] for channel in one.channels}
    wanted.discard(None)
    if len(wanted) < 2:
        raise InputError(f"{source} has no skeleton: expected nodes that are joints of a skin, or that are animated")
    for joint in list(wanted):
        way, node = [], joint
        while (node := parents.get(node)) is not None:
            way.append(node)
            if node in wanted:
                wanted |= set(way)
    # A figure is one tree; eyes and hair of other skins may be trees of their own.
    tops = {node: _top(node, wanted, parents) for node in wanted}
    most = max(set(tops.values()), key=list(tops.values()).count)
    return [node for node in _outward(file, parents) if tops.get(node) == most]


def _top(node: int, wanted: set[int], parents: dict[int, int]) -> int:
    while parents.get(node) in wanted:
        node = parents[node]
    return node


def _outward(file: gltf.GLTF2, parents: dict[int, int]) -> list[int]:
    order, waiting = [], [node for node in range(len(file.nodes)) if node not in parents]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(file.nodes[order[-1]].children or []))
    return order


def _local(node: gltf.Node) -> Float[np.ndarray, "4 4"]:
    if node.matrix:
        return np.reshape(node.matrix, (4, 4)).T.astype(np.float64)
    return _moved(node, {}, np.zeros(1))[0]


def _moved(node: gltf.Node, known: dict, seconds: Float[np.ndarray, "T"]) -> Float[np.ndarray, "_ 4 4"]:
    """Return the transforms of a node in its parent, a row a frame; one row for a node that stands still."""
    if not known and node.matrix:
        return _local(node)[None]
    frames = len(seconds) if known else 1
    scale = np.broadcast_to(node.scale or (1.0, 1.0, 1.0), (frames, 3))
    place = np.broadcast_to(node.translation or (0.0, 0.0, 0.0), (frames, 3))
    turn = np.broadcast_to(Rotation.from_quat(node.rotation or (0.0, 0.0, 0.0, 1.0)).as_matrix(), (frames, 3, 3))
    if "scale" in known:
        scale = _between(*known["scale"], seconds)
    if "translation" in known:
        place = _between(*known["translation"], seconds)
    if "rotation" in known:
        times, values = known["rotation"]
        turns = Rotation.from_quat(values)
        turn = (
            Slerp(times, turns)(np.clip(seconds, times[0], times[-1])).as_matrix()
            if len(times) > 1
            else np.broadcast_to(turns.as_matrix()[0], (frames, 3, 3))
        )
    made = np.zeros((frames, 4, 4))
    made[:, :3, :3], made[:, :3, 3], made[:, 3, 3] = turn * scale[:, None, :], place, 1.0
    return made


def _between(times: np.ndarray, values: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(seconds, times, column) for column in values.T], axis=1)


def _moves(file: gltf.GLTF2) -> tuple[dict[int, dict[str, tuple[np.ndarray, np.ndarray]]], np.ndarray, float]:
    """Return keys of the first animation by node and what they move, the times of the frames, and their rate."""
    known: dict[int, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for channel in file.animations[0].channels if file.animations else []:
        if channel.target.node is None or channel.target.path == "weights":
            continue
        sampler = file.animations[0].samplers[channel.sampler]
        times, values = array(file, sampler.input)[:, 0], array(file, sampler.output)
        if sampler.interpolation == "CUBICSPLINE":
            values = values.reshape(len(times), 3, -1)[:, 1]
        known.setdefault(channel.target.node, {})[channel.target.path] = times, values
    keys = [times for moved in known.values() for times, _ in moved.values()]
    if not keys or max(times[-1] - times[0] for times in keys) <= 0:
        return known, np.zeros(1), 20.0
    most = max(keys, key=len)
    fps = min(1 / float(np.median(np.diff(most))), _FASTEST)
    fps = round(fps) if abs(fps - round(fps)) < 0.01 else fps
    first, last = min(times[0] for times in keys), max(times[-1] for times in keys)
    return known, first + np.arange(int((last - first) * fps + 1e-3) + 1) / fps, fps


def array(file: gltf.GLTF2, number: int | None) -> Float[np.ndarray, "N C"]:
    """Return the rows of an accessor; whole numbers that stand for shares of 1 become such."""
    if number is None:
        raise InputError("it names no numbers where a skin or an animation needs some: the file is damaged")
    accessor = file.accessors[number]
    if accessor.bufferView is None or accessor.sparse:
        raise InputError("it packs an animation in a way that is not read (sparse accessors): export it plainly")
    view = file.bufferViews[accessor.bufferView]
    blob = file.binary_blob()
    if blob is None or view.buffer != 0 or file.buffers[0].uri:
        raise InputError("its numbers lie outside the file: export it as one .glb")
    dtype, columns = np.dtype(_NUMBERS[accessor.componentType]), _COMPONENTS[accessor.type]
    start, width = (view.byteOffset or 0) + (accessor.byteOffset or 0), columns * dtype.itemsize
    rows = np.ndarray((accessor.count, columns), dtype, blob, start, (view.byteStride or width, dtype.itemsize))
    if accessor.normalized and dtype.kind in "iu":
        return np.maximum(rows / np.iinfo(dtype).max, -1.0)
    return rows.astype(np.float64)
