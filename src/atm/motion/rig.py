"""A motion as a rig: bones of constant length that hang on one another, and how each joint turns.

The figure of the rest pose stands in a T and looks along +z. Positions do not say how far a limb is twisted about
itself; our reading: a joint with several children (hips, chest) takes the rotation that fits them all, the spine
between them shares out the difference, and every other bone turns from its parent's direction by the shortest way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from atm.motion.skeletons import Skeleton

_DOWN, _UP, _FRONT, _LEFT = np.array([0, -1.0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), np.array([1.0, 0, 0])
_AIMED = ("knee", "ankle", "elbow", "wrist")
"""Joints whose bone points at where they shall be, from where its inner end is: so the error of one bone is not carried
down the limb. All other bones, which are short, keep their directions; an aimed foot would nod."""


@dataclass(frozen=True)
class Rig:
    """A body that keeps its bones, and its motion; lengths in metres."""

    parents: tuple[int, ...]
    """Parent of each joint; -1 for the root, which comes first."""
    offsets: Float[np.ndarray, "J 3"]
    """Each joint from its parent in the rest pose."""
    root: Float[np.ndarray, "T 3"]
    """Place of the root."""
    rotations: Float[np.ndarray, "T J 3 3"]
    """Rotation of each joint, relative to its parent."""
    fps: float
    """Frames per second."""

    @property
    def joints(self) -> Float[np.ndarray, "T J 3"]:
        """Joint positions, by forward kinematics."""
        places, turns = np.empty(self.rotations.shape[:3]), self.turns
        for joint in outward(self.parents):
            above = self.parents[joint]
            if above < 0:
                places[:, joint] = self.root
            else:
                places[:, joint] = places[:, above] + turns[:, above] @ self.offsets[joint]
        return places

    @property
    def turns(self) -> Float[np.ndarray, "T J 3 3"]:
        """Rotation of each joint from the rest pose, in the axes of the world."""
        turns = self.rotations.copy()
        for joint in outward(self.parents):
            if self.parents[joint] >= 0:
                turns[:, joint] = turns[:, self.parents[joint]] @ self.rotations[:, joint]
        return turns

    def at(self, fps: float) -> "Rig":
        """Return the same motion at another frame rate: rotations by the shortest way, the root in straight lines."""
        frames = len(self.root)
        if fps == self.fps or frames < 2:
            return replace(self, fps=fps)
        # The last frame is met where the rates allow it; rounding must not lose it.
        count = int((frames - 1) / self.fps * fps + 1e-6) + 1
        known, times = np.arange(frames) / self.fps, np.minimum(np.arange(count) / fps, (frames - 1) / self.fps)
        root = np.stack([np.interp(times, known, axis) for axis in self.root.T], axis=1)
        turns = [
            Slerp(known, Rotation.from_matrix(self.rotations[:, joint]))(times) for joint in range(len(self.parents))
        ]
        return replace(self, root=root, rotations=np.stack([turn.as_matrix() for turn in turns], axis=1), fps=fps)


def fit_rig(
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    lengths: Float[np.ndarray, "J"] | None = None,
    rest: Float[np.ndarray, "J 3"] | None = None,
) -> Rig:
    """Return the rig that comes nearest to joint positions, from the root outwards (inverse kinematics in closed form).

    Args:
        joints: in metres, y up; bones may change their length.
        skeleton: whose joints these are.
        lengths: of the bone that ends at each joint, in metres; None: the mean lengths of this motion.
        rest: each joint from its parent in a rest pose of one's own, in metres, which looks along +z; None: a T-pose
            with bones of `lengths`.
    """
    parents = list(skeleton.parents)
    children = children_of(parents)
    bones = joints - joints[:, parents]  # the root's own row is never read
    offsets = _t_pose(bones, skeleton, lengths) if rest is None else np.array(rest, dtype=np.float64)

    turned: dict[int, Rotation] = {
        joint: _best_rotation(offsets[below], bones[:, below]) for joint, below in children.items() if len(below) > 1
    }
    guesses = _spine_guesses(turned, skeleton)
    reached = joints.copy()  # where forward kinematics puts the joints
    for joint in outward(parents):
        below = children[joint]
        if joint not in turned:
            guess = guesses.get(joint, turned.get(parents[joint]))
            if below:
                aimed = skeleton.joint_names[below[0]].endswith(_AIMED)
                wanted = joints[:, below[0]] - reached[:, joint] if aimed else bones[:, below[0]]
                guess = swing(guess.apply(offsets[below[0]]), wanted) * guess
            turned[joint] = guess
        turn = turned[joint].as_matrix()
        for child in below:
            reached[:, child] = reached[:, joint] + turn @ offsets[child]

    rotations = np.stack([turned[joint].as_matrix() for joint in range(skeleton.n_joints)], axis=1)
    local = rotations.copy()
    local[:, 1:] = np.swapaxes(rotations[:, parents[1:]], -1, -2) @ rotations[:, 1:]
    return Rig(skeleton.parents, offsets, joints[:, 0], local, skeleton.fps)


def _t_pose(
    bones: Float[np.ndarray, "T J 3"], skeleton: Skeleton, lengths: Float[np.ndarray, "J"] | None
) -> Float[np.ndarray, "J 3"]:
    """Return each joint from its parent in a T-pose with bones of these lengths; None: their mean lengths."""
    if lengths is None:
        lengths = np.linalg.norm(bones, axis=-1).mean(0)
    offsets = np.zeros((skeleton.n_joints, 3))
    for below in children_of(skeleton.parents).values():
        if below:
            rest = _rest_directions(bones[:, below], [skeleton.joint_names[child] for child in below])
            offsets[below] = rest * lengths[below, None]
    return offsets


def children_of(parents: Sequence[int]) -> dict[int, list[int]]:
    """Return the joints that hang on each joint."""
    return {joint: [child for child, above in enumerate(parents) if above == joint] for joint in range(len(parents))}


def outward(parents: Sequence[int]) -> list[int]:
    """Return all joints, each after its parent, a limb at a time: the order in which a BVH file names them."""
    children, order, waiting = children_of(parents), [], [0]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(children[order[-1]]))
    return order


def rest_direction(name: str) -> Float[np.ndarray, "3"]:
    """Return direction of the bone that ends at a joint, in a T-pose."""
    side, _, part = name.rpartition("_")
    if part in ("knee", "ankle"):
        return _DOWN
    if part in ("midfoot", "foot"):
        return _FRONT
    if part in ("shoulder", "elbow", "wrist"):
        return _LEFT if side == "left" else -_LEFT
    return _UP


def _side_of(joint_name: str) -> str:
    return next((side for side in ("left", "right") if joint_name.startswith(f"{side}_")), "middle")


def _rest_directions(bones: Float[np.ndarray, "T K 3"], names: list[str]) -> Float[np.ndarray, "K 3"]:
    """Return which way the bones of one joint's children go in the rest pose."""
    if len(names) == 1:
        return rest_direction(names[0])[None]
    left, right, middle = (
        bones[:, next(k for k, name in enumerate(names) if _side_of(name) == side)]
        for side in ("left", "right", "middle")
    )
    x = _unit(left - right)
    z = _unit(np.cross(x, middle))
    frames = np.stack([x, np.cross(z, x), z], axis=-1)  # columns
    return _unit(np.einsum("tji,tkj->tki", frames, bones).mean(0))


def _best_rotation(rest: np.ndarray, bones: np.ndarray) -> Rotation:
    """Return the rotation of each frame that brings the rest offsets (K, 3) nearest to the bones (T, K, 3).

    Source: Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".
    """
    u, _, vt = np.linalg.svd(np.einsum("tki,kj->tij", bones, rest))
    signs = np.ones((len(bones), 3))
    signs[:, 2] = np.sign(np.linalg.det(u @ vt))
    return Rotation.from_matrix((u * signs[:, None]) @ vt)


def swing(before: np.ndarray, after: np.ndarray) -> Rotation:
    """Return the smallest rotation from each direction (T, 3) to the other; none where a bone has no length."""
    u, v = _unit(before), _unit(after)
    axis = np.cross(u, v)
    sine, cosine = np.linalg.norm(axis, axis=-1), (u * v).sum(-1)
    # Opposite directions have no shortest way; any axis at a right angle does.
    aside = np.cross(u, np.where(np.abs(u[:, :1]) < 0.9, _LEFT, _UP))
    axis = np.where((sine < 1e-9)[:, None], _unit(aside), axis / np.maximum(sine, 1e-12)[:, None])
    return Rotation.from_rotvec(axis * np.arctan2(sine, cosine)[:, None])


def _spine_guesses(turned: dict[int, Rotation], skeleton: Skeleton) -> dict[int, Rotation]:
    """Return rotations of the joints between hips and chest: equal shares of the turn from one to the other."""
    path = [next(joint for joint in turned if joint != 0)]
    while path[-1] != 0:
        path.append(skeleton.parents[path[-1]])
    # As rotation vectors the turn can be cut into shares.
    turn = (turned[path[0]] * turned[0].inv()).as_rotvec()
    steps = len(path) - 1
    return {joint: Rotation.from_rotvec(turn * k / steps) * turned[0] for k, joint in enumerate(path[-2:0:-1], start=1)}


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
