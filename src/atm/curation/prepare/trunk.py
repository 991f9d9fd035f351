"""The trunk from joint positions, for files whose rotations say another thing than their positions.

Programs that make a BVH file of positions leave some rotations to chance: a pelvis may turn anywhere as long as joints
without length below it turn back. Hips, shoulders and spine then say how pelvis and chest are turned.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.curation.prepare.bvh import Bvh
from atm.curation.prepare.naming import Roles
from atm.scripted.motion.body import COLLAR, HEAD, HIP, NECK, OFFSETS, SHOULDER, SPINE1

_RIGID, _BY_SHOULDERS, _BY_SPINE, _ANATOMY = 10.0, 45.0, 60.0, 25.0
"""Degrees by which a joint's rotation may differ, in the median over frames, from what positions say: of points that
hang on it without a joint between; of shoulders that move against the chest; of a spine that bends above it. The last
is added where no rest pose says how these points lie in a standing body."""
_APART = 0.1
"""Share of the width of hips or shoulders from which on two points of the trunk lie apart."""


class Reading(NamedTuple):
    """Points that tell the turn of one joint of the trunk."""

    joint: int
    left: tuple[int, int]
    """Joints left and right of it."""
    above: int | None
    """Joint that, seen from below, lies above; None: the middle of left and right, seen from the joint, does."""
    below: int | None
    """Joint that it is seen from; None: the middle of left and right."""
    left_bound: float
    """Degrees by which the rotation may differ from the line between left and right."""
    up_bound: float
    """The same about that line."""


class Trunk(NamedTuple):
    """How to turn a trunk by positions alone."""

    ends: tuple[Reading, Reading]
    """Readings of pelvis and chest."""
    standing: tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3 3"]]
    """Frames of the same points in a standing body, seen in its left, up and front."""
    head: Float[np.ndarray, "3"]
    """Direction from neck to head of a standing body, likewise."""


def read_trunk(positions: Float[np.ndarray, "T J 3"], bvh: Bvh, roles: Roles, standing: np.ndarray | None) -> Trunk:
    """Return which points of a file tell how its trunk is turned.

    Args:
        positions: of some frames.
        bvh: the file.
        roles: which joint is which.
        standing: left, up and front (columns) of the file's rest pose, if that stands.
    """
    ends = _pelvis(positions, bvh, roles), _chest(positions, bvh, roles)
    if standing is not None:
        rest = bvh.rest[None] @ standing
        frames = tuple(_frame(rest, end)[0] for end in ends)
        head = unit(rest[0, roles.head] - rest[0, roles.neck])
    else:
        frames = tuple(map(_standard_frame, ends, (True, False)))
        head = np.zeros(3)
    head = head if head.any() else unit(OFFSETS[HEAD])
    return Trunk(ends, (frames[0], frames[1]), head)


def disagreement(
    trunk: Trunk,
    positions: Float[np.ndarray, "T J 3"],
    turns: dict[int, Float[np.ndarray, "T 3 3"]],
    bvh: Bvh,
    roles: Roles,
    *,
    rest: bool,
) -> str | None:
    """Return which part of the body says that the captured rotations of the trunk are not its own; None: none.

    Args:
        trunk: of the file.
        positions: of some frames.
        turns: left, up and front (columns) of each joint of the trunk by the captured rotations.
        bvh: the file.
        roles: which joint is which.
        rest: these were counted from a rest pose; else from the joints' own axes, which lie near the bones.
    """
    more = 0.0 if rest else _ANATOMY
    names = (("hip line", "pelvis"), ("shoulder line", "chest"))
    for end, standing, (line, bone) in zip(trunk.ends, trunk.standing, names, strict=True):
        by_positions, by_rotations = _frame(positions, end), turns[end.joint] @ standing
        left, up = by_positions[:, :, 0], by_positions[:, :, 1]
        if np.median(_angle(left, by_rotations[:, :, 0])) > end.left_bound + more:
            return line
        # What is left once both look the same way to the left: a turn about that line.
        level = by_rotations[:, :, 1] - _dot(by_rotations[:, :, 1], left) * left
        if np.median(_angle(up, unit(level))) > end.up_bound + more:
            return bone
    solved = turned_by_positions(trunk, positions, roles)
    for joint in roles.spine[1:-1]:
        if np.median(_angle_of(solved[joint], turns[joint])) > _BY_SPINE + more:
            return "spine"
    head = unit(positions[:, roles.head] - positions[:, roles.neck])
    if roles.neck not in roles.spine and head.any():
        bound = _RIGID if rest and bvh.parents[roles.head] == roles.neck else _BY_SPINE
        if np.median(_angle(head, turns[roles.neck] @ trunk.head)) > bound:
            return "head"
    return None


def turned_by_positions(
    trunk: Trunk, positions: Float[np.ndarray, "T J 3"], roles: Roles
) -> dict[int, Float[np.ndarray, "T 3 3"]]:
    """Return left, up and front (columns) of each joint of the trunk, over time.

    Pelvis and chest by the points that hang on them, what lies between in equal parts of the way, the neck by the bone
    to the head.
    """
    pelvis, chest = (
        _frame(positions, end) @ standing.T for end, standing in zip(trunk.ends, trunk.standing, strict=True)
    )
    turns = {roles.spine[-1]: chest, roles.spine[0]: pelvis}
    for k, joint in enumerate(roles.spine[1:-1], start=1):
        turns[joint] = blend(pelvis, chest, k / (len(roles.spine) - 1))
    if roles.neck not in turns:
        turns[roles.neck] = chest
        bone = unit(positions[:, roles.head] - positions[:, roles.neck])
        if roles.neck != roles.head and bone.any():
            turns[roles.neck] = swing(chest @ trunk.head, bone).as_matrix() @ chest
    return turns


def blend(start: Float[np.ndarray, "T 3 3"], end: Float[np.ndarray, "T 3 3"], share: float) -> np.ndarray:
    """Turn a rotation by the given share of the shortest way to another one.

    Raises:
        InputError: one of them is none, as where hips, spine and shoulders lie in a line.
    """
    way_there = np.swapaxes(start, -1, -2) @ end
    if not (np.linalg.det(way_there) > 0).all():
        raise InputError("the trunk is no body's: in some frame its hips, spine and shoulders lie in one line")
    way = Rotation.from_matrix(way_there).as_rotvec()
    return start @ Rotation.from_rotvec(share * way).as_matrix()


def swing(before: Float[np.ndarray, "T 3"], after: Float[np.ndarray, "T 3"]) -> Rotation:
    """Return the smallest rotation from each direction to the other; none where one has no length."""
    u, v = unit(before), unit(after)
    axis = np.cross(u, v)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, _dot(u, v))
    return Rotation.from_rotvec(axis / np.maximum(sine, 1e-12) * angle)


def unit(vectors: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    """Return vectors of length 1; zero where there is no direction."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-12), 0.0)


def _pelvis(positions: np.ndarray, bvh: Bvh, roles: Roles) -> Reading:
    pelvis, middle = roles.spine[0], positions[:, roles.hip].mean(axis=1)
    width = np.linalg.norm(positions[:, roles.hip[0]] - positions[:, roles.hip[1]], axis=-1).mean()
    for above in (pelvis, *roles.spine[1:], roles.neck, roles.head):
        if _far(positions[:, above] - middle, width):
            rigid = above == pelvis or bvh.parents[above] == pelvis
            return Reading(pelvis, roles.hip, above, None, _RIGID, _RIGID if rigid else _BY_SPINE)
    return Reading(pelvis, roles.hip, roles.head, None, _RIGID, _BY_SPINE)


def _chest(positions: np.ndarray, bvh: Bvh, roles: Roles) -> Reading:
    chest, shoulders = roles.spine[-1], roles.shoulder
    width = np.linalg.norm(positions[:, shoulders[0]] - positions[:, shoulders[1]], axis=-1).mean()
    left = shoulders
    if roles.collar[0] is not None and roles.collar[1] is not None:
        collars = (roles.collar[0], roles.collar[1])
        if _far(positions[:, collars[0]] - positions[:, collars[1]], width):
            left = collars
    rigid = all(bvh.parents[joint] == chest for joint in left)
    bound = _RIGID if rigid else _BY_SHOULDERS
    for above in (roles.neck, roles.head):
        if above != chest and _far(positions[:, above] - positions[:, chest], width):
            hangs = bvh.parents[above] == chest
            return Reading(chest, left, above, chest, bound, _RIGID if rigid and hangs else _BY_SPINE)
    return Reading(chest, left, None, chest, bound, _BY_SPINE)


def _frame(positions: Float[np.ndarray, "T J 3"], end: Reading) -> Float[np.ndarray, "T 3 3"]:
    """Return left, up and front (columns) as the points of a joint say."""
    sides = positions[:, list(end.left)]
    middle = sides.mean(axis=1)
    above = middle if end.above is None else positions[:, end.above]
    below = middle if end.below is None else positions[:, end.below]
    return _square(sides[:, 0] - sides[:, 1], above - below)


def _standard_frame(end: Reading, pelvis: bool) -> Float[np.ndarray, "3 3"]:
    """Return the same of HumanML3D's standing body, for a file that shows none."""
    if pelvis:
        up = -(OFFSETS[HIP[0]] + OFFSETS[HIP[1]]) / 2
        above = OFFSETS[SPINE1] if end.above != end.joint else np.zeros(3)
        return _square((OFFSETS[HIP[0]] - OFFSETS[HIP[1]])[None], (up + above)[None])[0]
    places = [OFFSETS[COLLAR[i]] + OFFSETS[SHOULDER[i]] for i in (0, 1)]
    up = OFFSETS[NECK] if end.above is not None else (places[0] + places[1]) / 2
    return _square((places[0] - places[1])[None], up[None])[0]


def _square(left: Float[np.ndarray, "T 3"], up: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3 3"]:
    left = unit(left)
    up = unit(up - _dot(up, left) * left)
    return np.stack([left, up, np.cross(left, up)], axis=-1)


def _far(way: Float[np.ndarray, "T 3"], width: float) -> bool:
    return bool(np.linalg.norm(way, axis=-1).mean() > _APART * width)


def _angle(one: Float[np.ndarray, "T 3"], other: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T"]:
    return np.degrees(np.arccos(_dot(one, other)[:, 0].clip(-1, 1)))


def _angle_of(one: Float[np.ndarray, "T 3 3"], other: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "T"]:
    trace = np.einsum("tij,tij->t", one, other)
    return np.degrees(np.arccos(((trace - 1) / 2).clip(-1, 1)))


def _dot(one: Float[np.ndarray, "T 3"], other: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 1"]:
    return (one * other).sum(-1, keepdims=True)
