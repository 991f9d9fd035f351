"""From any captured skeleton to HumanML3D's: 22 joints, metres, y up.

Legs and arms keep the captured directions of their bones. The trunk is laid out as in a standing body and turned with
the captured rotations of pelvis, spine, chest, neck and collars, since every program cuts a spine into other joints;
where these are not those of the joint positions, with what hips, shoulders and spine say (`trunk.py`).
The pelvis goes where the feet come to stand as they stood.

Source: our own; the field has no standard for this.
"""

from functools import cache
from itertools import pairwise, permutations, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.curation.prepare.bvh import Bvh, Poses
from atm.curation.prepare.naming import Roles
from atm.curation.prepare.trunk import Trunk, blend, disagreement, read_trunk, swing, turned_by_positions, unit
from atm.motion import HUMANML3D
from atm.motion.anatomy import FLOOR, UPRIGHT, front_of, unit_of_leg
from atm.scripted.motion.body import (
    ANKLE,
    BONES,
    COLLAR,
    ELBOW,
    HEAD,
    HIP,
    KNEE,
    NECK,
    OFFSETS,
    PELVIS,
    SHOULDER,
    SPINE1,
    SPINE2,
    SPINE3,
    TOE,
    WRIST,
)

UP_AXES = ("x", "y", "z", "-x", "-y", "-z")

_LEG = float(np.mean([BONES[KNEE[i]] + BONES[ANKLE[i]] for i in (0, 1)]))
"""Length of the target's leg, in metres."""
_STANDS = {"straight": 0.9, "legs": 0.8, "level": 0.9}
"""Cosines and ratios by which a rest pose counts as a standing body."""
_HANGS = -0.8
"""An upper arm that points down this far, as a cosine, hangs."""
_LEAN, _UNEVEN = np.radians(15), np.radians(3)
"""Who draws a rest pose draws it upright, and the lean of its spine is anatomy; but it may face anywhere, as soon as it
turns by more than left and right of a body differ."""
_SUPPORT = 0.05
"""Metres by which a foot must be lower than the other to bear most of the weight."""


class RecordedBody(NamedTuple):
    """Properties of a captured body that are needed to carry its motion over."""

    roles: Roles
    to_y_up: Float[np.ndarray, "3 3"]
    scale: float
    """Metres of the target body for a unit of the file."""
    axes: dict[int, Float[np.ndarray, "3 3"]]
    """For each joint of the trunk the body's left, up and front (columns) in the joint's own axes."""
    trunk: Trunk | None
    """How the trunk turns by positions alone, where rotations and positions disagree; None: by the rotations."""
    collars: Float[np.ndarray, "2 3"]
    """Directions from collar to shoulder, left and right, in the axes of the chest while the body stands."""
    assumed: str
    """Assumptions from the body about what the file does not state, in words."""


def measure_body(poses: Poses, bvh: Bvh, roles: Roles, up: str | None = None) -> RecordedBody:
    """Return size and axes of a captured body.

    Args:
        poses: some frames of the file, the more different the better.
        bvh: the file, for its rest pose.
        roles: which joint is which.
        up: the file's upward axis, one of `UP_AXES`; None: found out.

    Raises:
        InputError: legs or spine have no length, or left and right are swapped, as feet and knees say.
    """
    leg = _leg_length(poses.positions, roles)
    up = find_up(poses.positions * (_LEG / leg), bvh, roles) if up is None else up
    to_y_up = _rotation_to_y(up)
    positions, turns = poses.positions @ to_y_up.T, to_y_up @ poses.turns
    _check_sides(positions, roles)
    collars = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    trunk, axes = None, {}
    if roles.body is not None:
        counted = "positions as they are, SMPL's own joints"
    else:
        standing = standing_axes(bvh.rest, roles)
        axes = _own_axes(positions, turns, roles) if standing is None else _rest_axes(standing, roles)
        by_rotations = {joint: turns[:, joint] @ own for joint, own in axes.items()}
        trunk = read_trunk(positions, bvh, roles, standing)
        wrong = disagreement(trunk, positions, by_rotations, bvh, roles, rest=standing is not None)
        if wrong is not None:
            counted = f"trunk solved from joint positions, since its rotations are not those of its {wrong}"
            turned = turned_by_positions(trunk, positions, roles)
        else:
            counted = "trunk turned from " + ("the rest pose" if standing is not None else "the joints' own axes")
            trunk, turned = None, by_rotations
        if standing is None:
            collars = _hanging_collars(positions, turned[roles.spine[-1]], roles, collars)
        else:
            for i, (collar, shoulder) in enumerate(zip(roles.collar, roles.shoulder, strict=True)):
                if collar is not None:
                    collars[i] = standing.T @ (bvh.rest[shoulder] - bvh.rest[collar])
    return RecordedBody(roles, to_y_up, _LEG / leg, axes, trunk, collars, f"{_unit_of(leg)}, {up} up, {counted}")


def retarget(poses: Poses, body: RecordedBody) -> Float[np.ndarray, "T 22 3"]:
    """Return the motion on HumanML3D's body, in metres, y up; not yet in canonical place.

    Args:
        poses: positions and turns at the target's frame rate.
        body: whose they are.
    """
    roles = body.roles
    positions, turns = poses.positions @ (body.scale * body.to_y_up.T), body.to_y_up @ poses.turns
    if roles.body is not None:
        return positions[:, roles.body]
    if body.trunk is not None:
        trunk = turned_by_positions(body.trunk, positions, roles)
    else:
        trunk = {joint: turns[:, joint] @ axes for joint, axes in body.axes.items()}
    joints = np.zeros((len(positions), HUMANML3D.n_joints, 3))
    _lay_out_trunk(joints, trunk, roles)
    for i in (0, 1):
        joints[:, SHOULDER[i]] = joints[:, COLLAR[i]] + _shoulder(positions, trunk[roles.spine[-1]], body, i)
        arm = (roles.shoulder[i], roles.elbow[i], roles.wrist[i])
        _follow(joints, (SHOULDER[i], ELBOW[i], WRIST[i]), positions, arm)
        leg = (roles.hip[i], roles.knee[i], roles.ankle[i], roles.foot[i])
        _follow(joints, (HIP[i], KNEE[i], ANKLE[i], TOE[i]), positions, leg)
    return joints + _place_by_feet(joints, positions[:, roles.ankle])[:, None]


def find_up(positions: Float[np.ndarray, "T J 3"], bvh: Bvh, roles: Roles) -> str:
    """Return the upward axis of a file.

    The axis along which the body mostly stands, unless the floor speaks for another: who lies all the time stands
    along some axis, too, but the floor of most files is at 0. A rest pose that stands decides where these do not.

    Args:
        positions: of some frames, in metres as far as the legs tell, in the file's axes.
        bvh: the file, for its rest pose.
        roles: which joint is which.
    """
    standing = standing_axes(bvh.rest, roles)
    rest = None if standing is None else _axis_name(standing[:, 1])
    stands = unit(positions[:, roles.head] - positions[:, roles.ankle].mean(axis=1)).mean(axis=0)
    along = _axis_name(stands) if np.abs(stands).max() > UPRIGHT else None
    lowest = {up: np.quantile((positions[:, roles.joints] @ _rotation_to_y(up)[1]).min(axis=1), 0.02) for up in UP_AXES}
    grounded = [up for up in UP_AXES if FLOOR[0] < lowest[up] < FLOOR[1]]
    likely = [up for up in grounded if up in ("y", "z")]
    if along is not None and (along == rest or along in grounded or not likely):
        return along
    if rest is not None and (rest in grounded or not likely):
        return rest
    return likely[0] if likely else "y"


def _axis_name(direction: Float[np.ndarray, "3"]) -> str:
    axis = int(np.abs(direction).argmax())
    return UP_AXES[axis if direction[axis] > 0 else axis + 3]


def _rotation_to_y(up: str) -> Float[np.ndarray, "3 3"]:
    """Return a rotation (no reflection) that takes an axis to y."""
    axis = "xyz".index(up[-1])
    towards = np.zeros(3)
    towards[axis] = -1.0 if up[0] == "-" else 1.0
    # Rows: where x, y and z of the target come from, in a cycle, so that the determinant is 1.
    rows = np.zeros((3, 3))
    rows[1] = towards
    rows[2, (axis + 1) % 3] = 1.0
    rows[0] = np.cross(rows[1], rows[2])
    return rows


def _leg_length(positions: np.ndarray, roles: Roles) -> float:
    bones = ((roles.hip, roles.knee), (roles.knee, roles.ankle))
    lengths = [np.linalg.norm(positions[:, outer] - positions[:, inner], axis=-1).mean() for inner, outer in bones]
    if not sum(lengths) > 0:
        raise InputError("the legs have no length: the file's OFFSETs are all zero")
    return float(sum(lengths))


def _unit_of(leg: float) -> str:
    """Return the unit in which a leg is most nearly as long as the target's."""
    name = unit_of_leg(leg)
    return name or f"none known (a leg is {leg:.4g} long), sized by the legs"


def _rest_axes(standing: Float[np.ndarray, "3 3"], roles: Roles) -> dict[int, Float[np.ndarray, "3 3"]]:
    return dict.fromkeys((*roles.spine, roles.neck), standing)


def _own_axes(
    positions: Float[np.ndarray, "T J 3"], turns: Float[np.ndarray, "T J 3 3"], roles: Roles
) -> dict[int, Float[np.ndarray, "3 3"]]:
    """Return left, up and front among the joints' own axes, for a rest pose that is no pose.

    Skeletons such as LAFAN1's and Bandai-Namco's let an axis of each joint run along its bone; with all rotations zero
    their legs point up. Taken are the axes nearest to the bones and to what the whole motion shows of left and right.
    """
    pelvis, chest = roles.spine[0], roles.spine[-1]
    hips, shoulders = positions[:, roles.hip], positions[:, roles.shoulder]
    axes = {}
    for joint, pair, below, above in (
        (chest, shoulders, positions[:, chest], (roles.neck, roles.head)),
        (pelvis, hips, hips.mean(axis=1), (*roles.spine[1:], roles.neck, roles.head)),
    ):
        across = _seen_from(turns[:, joint], pair[:, 0] - pair[:, 1])
        upward = _bone_up(positions, turns[:, joint], below, above)
        axes[joint] = _nearest_axes(across, upward - across * (upward @ across))
    ends = turns[:, pelvis] @ axes[pelvis], turns[:, chest] @ axes[chest]
    for k, joint in enumerate(roles.spine[1:-1], start=1):
        reference = blend(*ends, k / (len(roles.spine) - 1))
        axes[joint] = _axes_by_motion(positions, turns, joint, roles.spine[k + 1], reference)
    if roles.neck not in axes:
        tip = roles.head if roles.neck != roles.head else None
        axes[roles.neck] = _axes_by_motion(positions, turns, roles.neck, tip, ends[1])
    return axes


def standing_axes(rest: Float[np.ndarray, "J 3"], roles: Roles) -> Float[np.ndarray, "3 3"] | None:
    """Return left, up and front (columns) of a rest pose, if it stands upright on straight legs, else None."""
    middle = rest[list(roles.hip)].mean(0)
    chain = [middle, *(rest[joint] for joint in roles.spine[1:]), rest[roles.head]]
    length = sum(np.linalg.norm(b - a) for a, b in pairwise(chain))
    trunk = rest[roles.head] - middle
    hips, shoulders = (unit(rest[pair[0]] - rest[pair[1]]) for pair in (roles.hip, roles.shoulder))
    left = unit(hips + shoulders)
    legs = unit(rest[list(roles.ankle)] - rest[list(roles.hip)])
    up = unit(trunk - left * (trunk @ left))
    stands = (
        np.linalg.norm(trunk) > _STANDS["straight"] * length
        and unit(trunk) @ up > _STANDS["level"]
        and (legs @ up < -_STANDS["legs"]).all()
        and hips @ shoulders > _STANDS["level"]
    )
    if not stands:
        return None
    axes = _nearest_axes(left, up)
    if axes[:, 1] @ up > np.cos(_LEAN):
        up = axes[:, 1]
        left = unit(left - up * (left @ up))
        left = axes[:, 0] if axes[:, 0] @ left > np.cos(_UNEVEN) else left
    return np.stack([left, up, np.cross(left, up)], axis=-1)


@cache
def _axis_frames() -> Float[np.ndarray, "24 3 3"]:
    """Return all frames of a joint's own axes: the 24 rotations of a cube."""
    frames = [
        np.eye(3)[list(order)] * np.array(signs)
        for order, signs in product(permutations(range(3)), product((1, -1), repeat=3))
    ]
    return np.stack([frame for frame in frames if np.linalg.det(frame) > 0])


def _nearest_axes(left: Float[np.ndarray, "3"], up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    frames = _axis_frames()
    return frames[np.argmax(frames[:, :, 0] @ unit(left) + frames[:, :, 1] @ unit(up))]


def _axes_by_motion(
    positions: np.ndarray, turns: np.ndarray, joint: int, tip: int | None, reference: Float[np.ndarray, "T 3 3"]
) -> Float[np.ndarray, "3 3"]:
    """Return the frame of a joint's own axes that follows a reference most nearly; up is the axis along its bone."""
    frames = _axis_frames()
    if tip is not None:
        bone = _seen_from(turns[:, joint], positions[:, tip] - positions[:, joint])
        if bone.any():
            along = frames[:, :, 1] @ bone
            frames = frames[along > along.max() - 1e-6]
    seen = np.einsum("tji,tjk->ik", turns[:, joint], reference)
    return frames[np.argmax(np.einsum("fik,ik->f", frames, seen))]


def _hanging_collars(
    positions: Float[np.ndarray, "T J 3"],
    chest: Float[np.ndarray, "T 3 3"],
    roles: Roles,
    otherwise: Float[np.ndarray, "2 3"],
) -> Float[np.ndarray, "2 3"]:
    """Return where the collar bones point while the arms hang, seen from the chest; `otherwise` where an arm never
    hangs."""
    collars = otherwise.copy()
    for i, (collar, shoulder, elbow) in enumerate(zip(roles.collar, roles.shoulder, roles.elbow, strict=True)):
        if collar is not None:
            arm = np.einsum("tji,tj->ti", chest, unit(positions[:, elbow] - positions[:, shoulder]))
            bone = np.einsum("tji,tj->ti", chest, unit(positions[:, shoulder] - positions[:, collar]))
            if (hangs := arm[:, 1] < _HANGS).any():
                collars[i] = np.median(bone[hangs], axis=0)
    return collars


def _bone_up(positions: np.ndarray, turn: np.ndarray, below: np.ndarray, above: tuple[int, ...]) -> np.ndarray:
    """Return direction to the first joint above that lies apart from `below`, as the joint sees it."""
    for other in above:
        bone = _seen_from(turn, positions[:, other] - below)
        if bone.any():
            return bone
    raise InputError("the spine has no length: all its joints lie in one point")


def _seen_from(turn: Float[np.ndarray, "T 3 3"], vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "3"]:
    """Return the mean direction in a joint's own axes; zero where there is none."""
    return unit(np.einsum("tji,tj->ti", turn, vectors).mean(0))


def _along_spine(trunk: dict[int, np.ndarray], roles: Roles, share: float) -> Float[np.ndarray, "T 3 3"]:
    """Return the trunk's turn at a share of the way from pelvis to chest, counted in joints."""
    place = share * (len(roles.spine) - 1)
    below = min(int(place), max(len(roles.spine) - 2, 0))
    if place == below:
        return trunk[roles.spine[below]]
    return blend(trunk[roles.spine[below]], trunk[roles.spine[below + 1]], place - below)


def _lay_out_trunk(joints: np.ndarray, trunk: dict[int, np.ndarray], roles: Roles) -> None:
    """Place the pelvis at the origin, then hips, spine, neck, head and collars."""
    pelvis, chest = trunk[roles.spine[0]], trunk[roles.spine[-1]]
    placed = [(joint, PELVIS, pelvis) for joint in (*HIP, SPINE1)]
    placed += [(SPINE2, SPINE1, _along_spine(trunk, roles, 1 / 3)), (SPINE3, SPINE2, _along_spine(trunk, roles, 2 / 3))]
    placed += [(joint, SPINE3, chest) for joint in (NECK, *COLLAR)]
    placed += [(HEAD, NECK, trunk[roles.neck])]
    for joint, parent, turn in placed:
        joints[:, joint] = joints[:, parent] + turn @ OFFSETS[joint]


def _shoulder(
    positions: Float[np.ndarray, "T J 3"], chest: Float[np.ndarray, "T 3 3"], body: RecordedBody, i: int
) -> Float[np.ndarray, "T 3"]:
    """Return the way from collar to shoulder: as in a standing body, moved as the collar bone moves in the chest."""
    standing = np.tile(OFFSETS[SHOULDER[i]], (len(chest), 1))
    collar, shoulder = body.roles.collar[i], body.roles.shoulder[i]
    if collar is not None:
        bone = np.einsum("tji,tj->ti", chest, positions[:, shoulder] - positions[:, collar])
        standing = swing(np.broadcast_to(body.collars[i], bone.shape), bone).apply(standing)
    return np.einsum("tij,tj->ti", chest, standing)


def _follow(joints: np.ndarray, ours: tuple[int, ...], positions: np.ndarray, theirs: tuple[int, ...]) -> None:
    """Set a limb's joints from its first one: captured directions, the target's lengths."""
    for (inner, outer), (a, b) in zip(pairwise(ours), pairwise(theirs), strict=True):
        joints[:, outer] = joints[:, inner] + unit(positions[:, b] - positions[:, a]) * BONES[outer]


def _place_by_feet(joints: Float[np.ndarray, "T 22 3"], ankles: Float[np.ndarray, "T 2 3"]) -> Float[np.ndarray, "T 3"]:
    """Return where the body is: the way that brings its ankles to the captured ones (scaled), the lower foot above all.

    Thigh and shank share out the leg differently in every skeleton; if the pelvis kept its place, feet would slide
    and sink while the knees bend.
    """
    lower = ankles[..., 1] / _SUPPORT
    weights = np.exp(lower.min(axis=1, keepdims=True) - lower)
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights[..., None] * (ankles - joints[:, ANKLE])).sum(axis=1)


def _check_sides(positions: np.ndarray, roles: Roles) -> None:
    pairs = (positions[:, pair] for pair in (roles.hip, roles.knee, roles.ankle, roles.foot))
    front = front_of(*pairs)
    if front.swapped:
        seen = " and ".join(name for name, sign in zip(("feet", "knees"), front, strict=True) if sign)
        raise InputError(
            f"the {seen} point backwards: left and right are swapped, either the names (give a --mapping with sides "
            "exchanged) or the axes (export the file with right-handed axes)"
        )
