"""Joint positions as a BVH file, for Blender, Maya, MotionBuilder and the like.

Lengths are in metres, y is up, the figure of the rest pose stands in a T and looks along +z. Angles are in degrees;
the order of the axes is the joint's own, as its channels say. Positions do not say how far a limb is twisted about
itself; our reading: a joint with several children (hips, chest) takes the rotation that fits them all, the spine
between them shares out the difference, and every other bone turns from its parent's direction by the shortest way.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.export.body import side_of
from atm.motion import Skeleton

RIGID = 0.0005
"""Metres by which the children of one joint may leave their common rigid shape before they get position channels."""

_DOWN, _UP, _FRONT, _LEFT = np.array([0, -1.0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), np.array([1.0, 0, 0])
_END_SITES = {"head": 0.18, "foot": 0.06, "wrist": 0.17}
"""Metres from the last joint of a limb to its tip."""


def rotation_order(joint_name: str) -> str:
    """Return the order of a joint's rotation channels.

    The angle in the middle must stay under 90 degrees, or curves jump: for a limb that is the twist about itself, for
    the body the fall to a side (it lies on belly and back more often).
    """
    if joint_name == "pelvis":
        return "YZX"
    return "ZXY" if joint_name.endswith(("collar", "shoulder", "elbow", "wrist")) else "XYZ"


class Figure(NamedTuple):
    """What a BVH file says of a body, whatever its motion."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """Of each joint the one it hangs on; -1 for the root, which comes first."""
    offsets: Float[np.ndarray, "J 3"]
    """Each joint from its parent in the rest pose, in metres."""
    orders: tuple[str, ...]
    """Of each joint's rotation channels, such as "ZXY"."""
    tips: dict[int, Float[np.ndarray, "3"]]
    """From each joint that nothing hangs on to the end of its limb."""


class Rig(NamedTuple):
    """How a body of given joint positions stands and moves."""

    offsets: Float[np.ndarray, "J 3"]
    """Each joint from its parent in the rest pose, in metres."""
    rotations: Float[np.ndarray, "T J 3 3"]
    """Of each joint, relative to its parent."""
    places: dict[int, Float[np.ndarray, "T 3"]]
    """Joints that move in their parent's frame (always the root), with their positions there."""


def save_bvh(path: Path | str, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> None:
    """Write a motion whose forward kinematics gives the joint positions back, as far as bones keep their length.

    A bone that changes its length gets its mean length; its outer joint is then off by the difference.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints; its frame rate is the file's.
    """
    rig = fit_rig(np.asarray(joints, dtype=np.float64), skeleton)
    names = skeleton.joint_names
    ends = {joint: names[joint] for joint, below in children_of(skeleton.parents).items() if not below}
    tips = {joint: _rest_direction(name) * _END_SITES[name.rpartition("_")[2]] for joint, name in ends.items()}
    figure = Figure(names, skeleton.parents, rig.offsets, tuple(map(rotation_order, names)), tips)
    Path(path).write_text(bvh_text(figure, rig.rotations, rig.places, skeleton.fps), encoding="ascii")


def bvh_text(
    figure: Figure, rotations: Float[np.ndarray, "T J 3 3"], places: dict[int, Float[np.ndarray, "T 3"]], fps: float
) -> str:
    """Return the file of a figure that moves.

    Args:
        figure: names, rest pose, channels.
        rotations: of each joint, relative to its parent.
        places: joints that move in their parent's frame (always the root), with their positions there, in metres.
        fps: frames per second.
    """
    return _hierarchy(figure, places) + _motion(figure, rotations, places, fps)


def fit_rig(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> Rig:
    """Return rest pose and rotations for joint positions (inverse kinematics in closed form)."""
    parents = list(skeleton.parents)
    children = children_of(parents)
    bones = joints - joints[:, parents]  # the root's own row is never read
    offsets = np.zeros((skeleton.n_joints, 3))
    for below in children.values():
        if below:
            offsets[below] = _rest_offsets(bones[:, below], [skeleton.joint_names[child] for child in below])

    turned: dict[int, Rotation] = {
        joint: _best_rotation(offsets[below], bones[:, below]) for joint, below in children.items() if len(below) > 1
    }
    guesses = _spine_guesses(turned, skeleton)
    reached = joints.copy()  # where forward kinematics puts the joints: with the mean lengths, not quite the same
    places = {0: joints[:, 0]}
    for joint in sorted(children, key=lambda joint: _depth(joint, parents)):
        below = children[joint]
        wanted = joints[:, below] - reached[:, [joint]]
        if joint not in turned:
            guess = guesses.get(joint, turned.get(parents[joint]))
            # Aimed from where the joint is: so the error of one bone is not carried down the limb.
            turned[joint] = _swing(guess.apply(offsets[below[0]]), wanted[:, 0]) * guess if below else guess
        turn = turned[joint].as_matrix()
        if len(below) > 1:
            seen = np.einsum("tji,tkj->tki", turn, wanted)
            if np.linalg.norm(seen - offsets[below], axis=-1).max() > RIGID:
                places |= {child: seen[:, k] for k, child in enumerate(below)}
        for child in below:
            if child not in places:
                reached[:, child] = reached[:, joint] + turn @ offsets[child]

    rotations = np.stack([turned[joint].as_matrix() for joint in range(skeleton.n_joints)], axis=1)
    local = rotations.copy()
    local[:, 1:] = np.swapaxes(rotations[:, parents[1:]], -1, -2) @ rotations[:, 1:]
    return Rig(offsets, local, places)


def children_of(parents: Sequence[int]) -> dict[int, list[int]]:
    """Return the joints that hang on each joint."""
    return {joint: [child for child, above in enumerate(parents) if above == joint] for joint in range(len(parents))}


def _rest_offsets(bones: np.ndarray, names: list[str]) -> np.ndarray:
    """Return where the children of one joint are in the rest pose: (K, 3)."""
    lengths = np.linalg.norm(bones, axis=-1).mean(0)
    if len(names) == 1:
        return _rest_direction(names[0]) * lengths[:, None]
    left, right, middle = (
        bones[:, next(k for k, name in enumerate(names) if side_of(name) == side)]
        for side in ("left", "right", "middle")
    )
    x = _unit(left - right)
    z = _unit(np.cross(x, middle))
    frames = np.stack([x, np.cross(z, x), z], axis=-1)  # columns
    shape = np.einsum("tji,tkj->tki", frames, bones).mean(0)
    return _unit(shape) * lengths[:, None]


def _rest_direction(name: str) -> np.ndarray:
    """Return direction of the bone that ends at a joint, in a T-pose."""
    side, _, part = name.rpartition("_")
    if part in ("knee", "ankle"):
        return _DOWN
    if part in ("midfoot", "foot"):
        return _FRONT
    if part in ("shoulder", "elbow", "wrist"):
        return _LEFT if side == "left" else -_LEFT
    return _UP


def _best_rotation(rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """Return the rotation of each frame that brings the rest offsets (K, 3) nearest to the bones (T, K, 3).

    Source: Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".
    """
    u, _, vt = np.linalg.svd(np.einsum("tki,kj->tij", bones, rest))
    signs = np.ones((len(bones), 3))
    signs[:, 2] = np.sign(np.linalg.det(u @ vt))
    return Rotation.from_matrix((u * signs[:, None]) @ vt)


def _swing(before: np.ndarray, after: np.ndarray) -> Rotation:
    """Return the smallest rotation from each direction (T, 3) to the other; none where a bone has no length."""
    u, v = _unit(before), _unit(after)
    axis = np.cross(u, v)
    sine, cosine = np.linalg.norm(axis, axis=-1), (u * v).sum(-1)
    # Opposite directions have no shortest way; any axis at a right angle does.
    aside = np.cross(u, np.where(np.abs(u[:, :1]) < 0.9, _LEFT, _UP))
    axis = np.where((sine < 1e-9)[:, None], _unit(aside), axis / np.maximum(sine, 1e-12)[:, None])
    return Rotation.from_rotvec(axis * np.arctan2(sine, cosine)[:, None])


def _spine_guesses(turned: dict[int, Rotation], skeleton: Skeleton) -> dict[int, Rotation]:
    """For the joints between hips and chest: equal shares of the turn from one to the other."""
    chest = max(turned, key=lambda joint: _depth(joint, skeleton.parents))
    path = [chest]
    while path[-1] != 0:
        path.append(skeleton.parents[path[-1]])
    # As rotation vectors the turn can be cut into shares.
    turn = (turned[chest] * turned[0].inv()).as_rotvec()
    steps = len(path) - 1
    return {joint: Rotation.from_rotvec(turn * k / steps) * turned[0] for k, joint in enumerate(path[-2:0:-1], start=1)}


def _depth(joint: int, parents: Sequence[int]) -> int:
    return 0 if parents[joint] < 0 else 1 + _depth(parents[joint], parents)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _hierarchy(figure: Figure, places: dict[int, np.ndarray]) -> str:
    children, lines = children_of(figure.parents), ["HIERARCHY"]

    def write(joint: int, depth: int) -> None:
        indent, inner = "  " * depth, "  " * (depth + 1)
        place = "6 Xposition Yposition Zposition" if joint in places else "3"
        lines.append(f"{indent}{'JOINT' if joint else 'ROOT'} {figure.names[joint]}")
        lines.append(f"{indent}{{")
        lines.append(f"{inner}OFFSET {_numbers(figure.offsets[joint])}")
        lines.append(f"{inner}CHANNELS {place} " + " ".join(f"{axis}rotation" for axis in figure.orders[joint]))
        for child in children[joint]:
            write(child, depth + 1)
        if not children[joint]:
            tip = _numbers(figure.tips[joint])
            lines.extend([f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET {tip}", f"{inner}}}"])
        lines.append(f"{indent}}}")

    write(0, 0)
    return "\n".join(lines) + "\n"


def _motion(figure: Figure, rotations: np.ndarray, places: dict[int, np.ndarray], fps: float) -> str:
    columns = []
    for joint in _written_order(figure.parents):
        if joint in places:
            columns.append(places[joint])
        angles = Rotation.from_matrix(rotations[:, joint]).as_euler(figure.orders[joint], degrees=True)
        # A turn over 180 degrees goes on counting, so that curves in an editor have no jumps.
        columns.append(np.unwrap(angles, period=360, axis=0))
    rows = "\n".join(_numbers(row) for row in np.concatenate(columns, axis=1))
    return f"MOTION\nFrames: {len(rotations)}\nFrame Time: {1 / fps:.6f}\n{rows}\n"


def _written_order(parents: Sequence[int]) -> list[int]:
    children, order, waiting = children_of(parents), [], [0]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(children[order[-1]]))
    return order


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)
