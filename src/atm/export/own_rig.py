"""A motion on a skeleton that somebody brings: a BVH or a GLB file, with its names, proportions, unit and axes.

Limbs (feet among them) point where they point in the motion, with the lengths of the rig; hips, spine, chest, neck and
collars turn from the rig's standing pose as they turn from a standing body, so that every spine keeps its own shape.
The rig's standing pose may be a T or an A, may look anywhere, and joints may rest in axes of any roll. Fingers, twist
joints and all others keep their place on the bone that they hang on. The body is scaled by the legs, its feet stand
where the motion's stand.

Source: our own; the field has no standard for this.
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pygltflib as gltf
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError, unknown
from atm.curation.prepare.bvh import Bvh, read_bvh, sample
from atm.curation.prepare.naming import Roles, find_roles
from atm.curation.prepare.retarget import standing_axes
from atm.export.glb import add_array, continuous
from atm.export.gltf_skeleton import GltfSkeleton, read_glb, rotation_of
from atm.export.names import FileStyle
from atm.export.smpl import REST
from atm.motion import HUMANML3D, Skeleton
from atm.motion.rig import fit_rig, swing

LIMBS = (("hip", "knee"), ("knee", "ankle"), ("ankle", "foot"), ("shoulder", "elbow"), ("elbow", "wrist"))
"""Bones that point where they point in the motion: the joint that turns, and the one at the bone's end."""
_SIDES = ("left", "right")


class OwnRig(NamedTuple):
    """A skeleton to put motions on."""

    source: Path
    bvh: Bvh
    """Names, parents and rest pose, in the file's unit and axes."""
    roles: Roles
    places: Float[np.ndarray, "J 3"]
    """Joints of the standing pose."""
    turns: Float[np.ndarray, "J 3 3"]
    """Rotation of each joint from the rest pose to the standing pose, in the axes of the file."""
    axes: Float[np.ndarray, "3 3"]
    """Left, up and front (columns) of the standing body."""
    glb: GltfSkeleton | None
    """The whole file, where it is a GLB."""


class Posed(NamedTuple):
    """A motion on a rig, in the file's unit and axes."""

    places: Float[np.ndarray, "T J 3"]
    turns: Float[np.ndarray, "T J 3 3"]
    """From the rest pose, in the axes of the file."""
    driven: frozenset[int]
    """Joints that turn by themselves; all others are carried along."""
    fps: float


def open_rig(path: Path | str, mapping: Mapping[str, str] | None = None) -> OwnRig:
    """Return the skeleton of a BVH or GLB file.

    Args:
        path: the file.
        mapping: HumanML3D's joint name -> the rig's, for names that no table knows.

    Raises:
        InputError: no such file, no body in it, a joint of the mapping that it has not, or no pose in which it stands.
    """
    path, mapping = Path(path), dict(mapping or {})
    suffix = path.suffix.lower()
    if suffix not in (".bvh", ".glb"):
        raise InputError(f"a rig is a .bvh or a .glb file, got {path}")
    if not path.is_file():
        raise InputError(f"no such rig: {path}")
    glb = read_glb(path) if suffix == ".glb" else None
    bvh = read_bvh(path) if glb is None else glb.bvh
    for theirs in mapping.values():
        if theirs not in bvh.names:
            raise unknown(f"joint in the mapping, not in {path.name}:", theirs, bvh.names)
    roles = find_roles(bvh, mapping, path.name)
    still = np.broadcast_to(np.eye(3), (len(bvh.names), 3, 3))
    first = sample(bvh, list(range(len(bvh.names))), np.zeros(1)) if glb is None else glb.poses
    for places, turns in ((bvh.rest, still), (first.positions[0], first.turns[0])):
        axes = standing_axes(places, roles)
        if axes is not None:
            return OwnRig(path, bvh, roles, places, turns, axes, glb)
    raise InputError(
        f"{path.name} stands neither in its rest pose nor in its first frame: expected a body upright on straight "
        "legs, arms as they like; export the rig in a T- or A-pose"
    )


def put_on(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, rig: OwnRig, *, fps: float | None = None) -> Posed:
    """Return a motion on a rig.

    Args:
        joints: in metres, y up.
        skeleton: whose joints these are.
        rig: what to put it on.
        fps: frames per second wanted; None: those of the motion.
    """
    joints = np.asarray(joints, dtype=np.float64)
    body = fit_rig(joints, skeleton, rest=_standing(joints, skeleton)).at(fps or skeleton.fps)
    if len(body.root) != len(joints):
        joints = fit_rig(joints, skeleton).at(body.fps).joints
    wanted = _wanted(body.turns, joints, skeleton, rig)
    turns = np.empty((len(joints), len(rig.bvh.names), 3, 3))
    for joint, above in enumerate(rig.bvh.parents):
        turns[:, joint] = wanted.get(joint, turns[:, above] if above >= 0 else np.eye(3))
    places = np.zeros((*turns.shape[:2], 3))
    for joint, above in enumerate(rig.bvh.parents):
        if above >= 0:
            places[:, joint] = places[:, above] + turns[:, above] @ (rig.places[joint] - rig.places[above])
    places += _way(places, joints, skeleton, rig)[:, None]
    return Posed(places, turns @ rig.turns, frozenset(wanted), body.fps)


def save_on_rig(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    rig: OwnRig,
    *,
    text: str = "",
    style: FileStyle | None = None,
) -> None:
    """Write the rig's own file with the motion in the place of what it held: skeleton, meshes and all else stay.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: whose joints these are.
        rig: of the same format as the file.
        text: becomes the animation's name in a GLB file.
        style: its frame rate is the file's; the rest is the rig's.

    Raises:
        InputError: a joint of the rig that cannot turn freely.
    """
    posed = put_on(joints, skeleton, rig, fps=style.fps if style else None)
    if rig.glb is None:
        Path(path).write_text(_bvh_text(rig, posed), encoding="utf-8")
    else:
        Path(path).write_bytes(_glb_bytes(rig, rig.glb, posed, text))


def _standing(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> Float[np.ndarray, "J 3"] | None:
    """Return a standing body with the motion's bones; None: the T-pose has to do, as for KIT's skeleton."""
    if skeleton.joint_names != HUMANML3D.joint_names:
        return None
    lengths = np.linalg.norm(joints - joints[:, list(skeleton.parents)], axis=-1).mean(0)
    return _unit(REST) * lengths[:, None]


def _wanted(
    turned: Float[np.ndarray, "T J 3 3"], joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, rig: OwnRig
) -> dict[int, Float[np.ndarray, "T 3 3"]]:
    """Return how the rig's joints turn from its standing pose, in the axes of the file."""
    roles, axes = rig.roles, rig.axes

    def ours(name: str) -> Float[np.ndarray, "T 3 3"]:
        return axes @ turned[:, skeleton.index(name)] @ axes.T

    middle = [name for name in ("pelvis", "spine1", "spine2", "spine3") if name in skeleton.joint_names]
    wanted = _spine([ours(name) for name in middle], rig)
    wanted[roles.neck] = ours("neck")
    for i, side in enumerate(_SIDES):
        collar = roles.collar[i]
        if collar is not None and f"{side}_collar" in skeleton.joint_names:
            wanted[collar] = ours(f"{side}_collar")
        for inner, outer in LIMBS:
            joint, end = getattr(roles, inner)[i], getattr(roles, outer)[i]
            bone = _unit(rig.places[end] - rig.places[joint])
            way = _unit(joints[:, skeleton.index(f"{side}_{outer}")] - joints[:, skeleton.index(f"{side}_{inner}")])
            turn = Rotation.from_matrix(ours(f"{side}_{inner}"))
            wanted[joint] = (swing(turn.apply(bone), way @ axes.T) * turn).as_matrix()
    return wanted


def _spine(turns: list[Float[np.ndarray, "T 3 3"]], rig: OwnRig) -> dict[int, Float[np.ndarray, "T 3 3"]]:
    """Return the turns of the rig's spine, however many joints it has, by how far up each of them is."""
    spine = rig.roles.spine
    steps = [np.linalg.norm(rig.places[b] - rig.places[a]) for a, b in pairwise(spine)]
    shares = np.cumsum([0.0, *steps]) / max(sum(steps), 1e-12)
    found = {}
    for joint, share in zip(spine, shares, strict=True):
        at = share * (len(turns) - 1)
        below = min(int(at), len(turns) - 2)
        way = Rotation.from_matrix(np.swapaxes(turns[below], -1, -2) @ turns[below + 1]).as_rotvec()
        found[joint] = turns[below] @ Rotation.from_rotvec((at - below) * way).as_matrix()
    return found


def _way(
    places: Float[np.ndarray, "T K 3"], joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, rig: OwnRig
) -> Float[np.ndarray, "T 3"]:
    """Return where the rig goes: its hips along the scaled path of ours, its toes as high over the floor as ours."""
    legs = [[skeleton.index(f"{side}_{part}") for part in ("hip", "knee", "ankle", "foot")] for side in _SIDES]
    roles = rig.roles
    theirs = [[pair[i] for pair in (roles.hip, roles.knee, roles.ankle, roles.foot)] for i in (0, 1)]
    scale = _leg(rig.places[None], theirs) / _leg(joints, legs)
    path = scale * joints @ rig.axes.T
    way = path[:, [leg[0] for leg in legs]].mean(1) - places[:, [leg[0] for leg in theirs]].mean(1)
    up = rig.axes[:, 1]
    lowest = (path[:, [leg[3] for leg in legs]] @ up).min(1)
    reached = ((places[:, [leg[3] for leg in theirs]] + way[:, None]) @ up).min(1)
    return way + (np.quantile(lowest, 0.1) - np.quantile(reached, 0.1)) * up


def _leg(joints: Float[np.ndarray, "_ J 3"], legs: list[list[int]]) -> float:
    bones = [(leg[k], leg[k + 1]) for leg in legs for k in (0, 1)]
    length = float(np.mean([np.linalg.norm(joints[:, b] - joints[:, a], axis=-1).mean() for a, b in bones]))
    if not length > 0:
        raise InputError("the legs have no length: no scale can be found between motion and rig")
    return length


def _bvh_text(rig: OwnRig, posed: Posed) -> str:
    """Return the rig's file, its hierarchy as it stands, with the motion below it."""
    text = rig.source.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")
    head = text[: text.upper().rindex("MOTION")]
    bvh, values = rig.bvh, np.repeat(rig.bvh.values[:1], len(posed.places), axis=0)
    if np.array_equal(rig.places, bvh.rest):  # it stands in its rest pose: all angles zero
        values = _resting(bvh, len(posed.places))
    column = 0
    for joint, channels in enumerate(bvh.channels):
        above = bvh.parents[joint]
        order = "".join(axis for axis, turning in channels if turning)
        if joint in posed.driven:
            if len(order) != 3:
                raise InputError(
                    f"{rig.source.name}: {bvh.names[joint]} turns about {' '.join(order) or 'no axis'}, but a joint of "
                    "a body needs three axes: give it three rotation channels"
                )
            turns = posed.turns[:, joint]
            local = turns if above < 0 else np.swapaxes(posed.turns[:, above], -1, -2) @ turns
            angles = np.unwrap(Rotation.from_matrix(local).as_euler(order, degrees=True), period=360, axis=0)
        angle = 0
        for axis, turning in channels:
            if turning and joint in posed.driven:
                values[:, column], angle = angles[:, angle], angle + 1
            elif not turning and above < 0:
                values[:, column] = posed.places[:, joint, "XYZ".index(axis)]
            column += 1
    top = [joint for joint, above in enumerate(bvh.parents) if above < 0]
    if any(len([1 for _, turning in bvh.channels[joint] if not turning]) != 3 for joint in top):
        raise InputError(f"{rig.source.name}: the root needs three position channels, or the motion stays on one spot")
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values)
    return f"{head}MOTION\nFrames: {len(values)}\nFrame Time: {1 / posed.fps:.8f}\n{rows}\n"


def _resting(bvh: Bvh, frames: int) -> Float[np.ndarray, "T C"]:
    """Return channels of the rest pose: no turn, and each joint at its OFFSET."""
    row = [
        0.0 if turning else float(bvh.offsets[joint, "XYZ".index(axis)])
        for joint, channels in enumerate(bvh.channels)
        for axis, turning in channels
    ]
    return np.repeat(np.array(row)[None], frames, axis=0)


def _glb_bytes(rig: OwnRig, glb: GltfSkeleton, posed: Posed, text: str) -> bytes:
    """Return the rig's file with one animation, which turns its joints and moves the first of them."""
    file = copy.deepcopy(glb.file)
    animation = gltf.Animation(name=text or "motion")
    seconds = add_array(file, np.arange(len(posed.places)) / posed.fps, bounds=True)

    def move(node: int, what: str, values: np.ndarray) -> None:
        target = gltf.AnimationChannelTarget(node=node, path=what)
        animation.channels.append(gltf.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(gltf.AnimationSampler(input=seconds, output=add_array(file, values)))

    world = posed.turns @ rotation_of(glb.rest)
    for joint, (node, above) in enumerate(zip(glb.nodes, glb.bvh.parents, strict=True)):
        outer = world[:, above] if above >= 0 else rotation_of(glb.above[joint])
        local = np.swapaxes(outer, -1, -2) @ world[:, joint]
        move(node, "rotation", continuous(Rotation.from_matrix(local).as_quat()))
        if above < 0:
            inward = np.linalg.inv(glb.above[joint])
            move(node, "translation", posed.places[:, joint] @ inward[:3, :3].T + inward[:3, 3])
    for node in glb.nodes:
        _unpack(file.nodes[node])
    file.animations = [animation]
    return b"".join(file.save_to_bytes())


def _unpack(node: gltf.Node) -> None:
    """Write a node's matrix as its parts: what is animated may have no matrix."""
    if not node.matrix:
        return
    matrix = np.reshape(node.matrix, (4, 4)).T
    node.translation = matrix[:3, 3].tolist()
    node.rotation = Rotation.from_matrix(rotation_of(matrix)).as_quat().tolist()
    node.scale = np.linalg.norm(matrix[:3, :3], axis=0).tolist()
    node.matrix = None


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
