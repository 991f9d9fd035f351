"""A human body on the HumanML3D skeleton: from a table of named channels (angles, pelvis, feet) to joints.

The channels are what an animator would set: where the pelvis is and how it is turned, how far the chest leans, where
each sole stands, how each arm is bent. Legs, and hands that hold on to a point, follow by two-bone inverse kinematics,
so a planted foot stays where it is whatever the pelvis does, and every bone keeps its length exactly.

Sources: skeleton measures and neutral offsets of standing people; the rest is our own construction.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from atm.motion import HUMANML3D

FPS = HUMANML3D.fps
SIDES = ("left", "right")

BONES = np.array(HUMANML3D.bone_lengths)
"""Length in metres of the bone that ends in each joint."""

PELVIS, HIP, KNEE, ANKLE, TOE = 0, (1, 2), (4, 5), (7, 8), (10, 11)
SPINE1, SPINE2, SPINE3, NECK, HEAD = 3, 6, 9, 12, 15
COLLAR, SHOULDER, ELBOW, WRIST = (13, 14), (16, 17), (18, 19), (20, 21)

# Offset of a joint from its parent in a standing body; the lengths are then made exact.
_STANDING_OFFSETS = {
    1: (0.0594, -0.0841, -0.0041),
    2: (-0.0680, -0.0863, -0.0019),
    3: (0.0027, 0.1271, -0.0341),
    6: (0.005, 0.140, 0.025),
    9: (0.001, 0.046, 0.033),
    12: (0.001, 0.218, -0.019),
    13: (0.074, 0.114, -0.020),
    14: (-0.076, 0.120, -0.019),
    15: (-0.003, 0.076, 0.070),
    16: (0.1246, 0.0414, -0.0092),
    17: (-0.1161, 0.0401, -0.0058),
}
OFFSETS = {
    joint: np.array(offset) / np.linalg.norm(offset) * BONES[joint] for joint, offset in _STANDING_OFFSETS.items()
}

FLAT_FOOT_DEGREES = 21.0
"""The bone from ankle to toe points this far below the horizontal when the sole lies flat."""
SOLE_LENGTH = np.array([0.05 + BONES[TOE[i]] * np.cos(np.radians(FLAT_FOOT_DEGREES)) for i in (0, 1)])
"""From heel (5 cm behind the ankle) to toe, metres."""
TOE_AHEAD_OF_PELVIS = 0.045
"""Where the soles stand under a standing body, metres."""

SPINE_BLEND = ((0.4, 0.85, 0.55), (0.6, 1.0, 0.9))
"""Part of the way from the pelvis' to the chest's yaw, pitch and roll that the second and the third joint of the spine
have gone, as in captured people."""
_STRAIGHTEST_KNEE = 5.0
"""A standing leg keeps this bend, degrees."""
_STRAIGHTEST_SWING = 3.5
"""A swinging leg may be straighter."""

_TRUNK = ("root_x", "root_y", "root_z", "pelvis_yaw", "pelvis_tilt", "pelvis_roll")
_UPPER = ("chest_yaw", "chest_lean", "chest_side", "head_yaw", "head_pitch", "head_side")
_ARM = ("arm_flex", "arm_abd", "arm_turn", "elbow", "hold", "hold_x", "hold_y", "hold_z")
_LEG = ("knee_out", "foot_x", "foot_y", "foot_z", "foot_yaw", "foot_pitch")

CHANNELS = _TRUNK + _UPPER + tuple(f"{side}_{name}" for side in SIDES for name in _ARM + _LEG)
"""Columns of a channel table. Metres and degrees.

`*_yaw`: about the vertical, absolute, + turned left. `pelvis_tilt`, `chest_lean`, `head_pitch`: + forward.
`pelvis_roll`: + left side up; `chest_side`, `head_side`: + to the left. Arms are relative to the chest: `arm_flex`
forward, `arm_abd` outward, `arm_turn` forearm inward, `elbow` 0 straight. `hold` in 0..1 pulls the wrist to the point
`hold_x, hold_y, hold_z`. `knee_out` turns the knee outward about the line from hip to ankle. `foot_*` is the sole at
the toe; `foot_pitch` + lifts the toes about the heel, - lifts the heel about the toes.
"""
COLUMN = {name: i for i, name in enumerate(CHANNELS)}


def joints_from_channels(channels: np.ndarray) -> np.ndarray:
    """Pose the body.

    Args:
        channels: (T, len(CHANNELS)).

    Returns:
        (T, 22, 3) joint positions in metres, y up.
    """
    c = {name: channels[:, i] for i, name in enumerate(CHANNELS)}
    joints = np.zeros((len(channels), HUMANML3D.n_joints, 3))

    pelvis_angles = (c["pelvis_yaw"], c["pelvis_tilt"], c["pelvis_roll"])
    pelvis_turn = rotation(*pelvis_angles)
    chest_angles = (c["chest_yaw"], c["chest_lean"], -c["chest_side"])
    hips = [pelvis_turn @ OFFSETS[HIP[i]] for i in (0, 1)]
    soles = [_sole(c, i) for i in (0, 1)]
    root = np.stack([c["root_x"], c["root_y"], c["root_z"]], axis=-1)
    root[:, 1] -= _overreach(root, hips, soles)

    joints[:, PELVIS] = root
    joints[:, SPINE1] = root + pelvis_turn @ OFFSETS[SPINE1]
    for joint, parent, shares in ((SPINE2, SPINE1, SPINE_BLEND[0]), (SPINE3, SPINE2, SPINE_BLEND[1])):
        angles = zip(shares, pelvis_angles, chest_angles, strict=True)
        turn = rotation(*(below + share * (above - below) for share, below, above in angles))
        joints[:, joint] = joints[:, parent] + turn @ OFFSETS[joint]
    chest_turn = rotation(*chest_angles)
    joints[:, NECK] = joints[:, SPINE3] + chest_turn @ OFFSETS[NECK]
    head_turn = rotation(c["head_yaw"], c["head_pitch"], -c["head_side"])
    joints[:, HEAD] = joints[:, NECK] + head_turn @ OFFSETS[HEAD]

    for i in (0, 1):
        joints[:, HIP[i]] = root + hips[i]
        leg = _leg(joints[:, HIP[i]], soles[i], c, i, pelvis_turn)
        joints[:, KNEE[i]], joints[:, ANKLE[i]], joints[:, TOE[i]] = leg
        joints[:, COLLAR[i]] = joints[:, SPINE3] + chest_turn @ OFFSETS[COLLAR[i]]
        _arm(joints, c, i, chest_turn)
    return joints


def rotation(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """Return ry(yaw) Rx(pitch) Rz(roll) in degrees, (T, 3, 3)."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (np.radians(b) for b in (yaw, pitch, roll)))
    matrix = np.empty((*np.broadcast(yaw, pitch, roll).shape, 3, 3))
    matrix[..., 0, 0] = cy * cr + sy * sp * sr
    matrix[..., 0, 1] = sy * sp * cr - cy * sr
    matrix[..., 0, 2] = sy * cp
    matrix[..., 1, 0] = cp * sr
    matrix[..., 1, 1] = cp * cr
    matrix[..., 1, 2] = -sp
    matrix[..., 2, 0] = cy * sp * sr - sy * cr
    matrix[..., 2, 1] = sy * sr + cy * sp * cr
    matrix[..., 2, 2] = cy * cp
    return matrix


def _sole(c: dict[str, np.ndarray], i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ankle and toe of one foot where its channels put it, before the leg is asked whether it reaches."""
    side = SIDES[i]
    yaw, pitch = np.radians(c[f"{side}_foot_yaw"]), np.radians(c[f"{side}_foot_pitch"])
    forward = np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
    up = np.array([0.0, 1.0, 0.0])
    # Toes up turn the foot about its heel, heel up about its toes. p^2/(p+d) joins the two without a kink.
    about_heel = np.where(pitch > 0, pitch**2 / (np.abs(pitch) + np.radians(2)), 0.0)[:, None]
    toe = np.stack([c[f"{side}_foot_x"], c[f"{side}_foot_y"], c[f"{side}_foot_z"]], axis=-1)
    toe = toe + SOLE_LENGTH[i] * (forward * (np.cos(about_heel) - 1) + up * np.sin(about_heel))
    bone = (pitch - np.radians(FLAT_FOOT_DEGREES))[:, None]
    ankle = toe - BONES[TOE[i]] * (forward * np.cos(bone) + up * np.sin(bone))
    return ankle, toe


def _leg_reach(i: int, knee_degrees: float = _STRAIGHTEST_KNEE) -> float:
    """Return distance from hip to ankle with the knee bent so far."""
    thigh, shank = BONES[KNEE[i]], BONES[ANKLE[i]]
    return float(np.sqrt(thigh**2 + shank**2 + 2 * thigh * shank * np.cos(np.radians(knee_degrees))))


def height_over_feet(pose: np.ndarray, knee_degrees: float) -> float:
    """Return height of the pelvis, for one row of channels, at which the straighter leg's knee is bent so far."""
    return float(min(heights_over_feet(pose[None], i, knee_degrees)[0] for i in (0, 1)))


def heights_over_feet(poses: np.ndarray, i: int, knee_degrees: float) -> np.ndarray:
    """Return height of the pelvis, for each row of channels, at which one leg (0 left, 1 right) is bent so far."""
    c = {name: poses[:, k] for name, k in COLUMN.items()}
    hip = rotation(c["pelvis_yaw"], c["pelvis_tilt"], c["pelvis_roll"]) @ OFFSETS[HIP[i]]
    ankle = _sole(c, i)[0]
    across = np.hypot(c["root_x"] + hip[:, 0] - ankle[:, 0], c["root_z"] + hip[:, 2] - ankle[:, 2])
    return ankle[:, 1] - hip[:, 1] + np.sqrt(np.maximum(_leg_reach(i, knee_degrees) ** 2 - across**2, 0.01))


def _overreach(root: np.ndarray, hips: list[np.ndarray], soles: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return how far the pelvis has to come down for the standing feet to stay where they stand, (T,)."""
    too_high = np.zeros(len(root))
    for i in (0, 1):
        ankle, toe = soles[i]
        hip = root + hips[i]
        across = np.sum((hip - ankle)[:, [0, 2]] ** 2, axis=-1)
        highest = ankle[:, 1] + np.sqrt(np.maximum(_leg_reach(i) ** 2 - across, 0.01))
        stands = toe[:, 1] < 0.012
        too_high = np.maximum(too_high, np.where(stands, hip[:, 1] - highest, 0.0))
    if not too_high.any():
        return too_high
    return gaussian_filter1d(maximum_filter1d(too_high, 3), 1.0)


def _leg(
    hip: np.ndarray, sole: tuple[np.ndarray, np.ndarray], c: dict[str, np.ndarray], i: int, pelvis_turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return knee, ankle and toe; the knee bends about a hinge between the pelvis' left and the foot's."""
    ankle, toe = sole
    yaw = np.radians(c[f"{SIDES[i]}_foot_yaw"])
    foot_left = np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1)
    out = np.radians(c[f"{SIDES[i]}_knee_out"])[:, None]
    thigh, shank = BONES[KNEE[i]], BONES[ANKLE[i]]
    line = ankle - hip
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    # A swinging foot that is out of reach comes nearer; standing feet were given reach by lowering the pelvis.
    reached = np.clip(distance, abs(thigh - shank) + 0.12, _leg_reach(i, _STRAIGHTEST_SWING))
    moved = line * (reached / distance - 1)
    ankle, toe, line = ankle + moved, toe + moved, line + moved
    pole = knee_pole(line, pelvis_turn, foot_left)
    side = np.cross(line / np.linalg.norm(line, axis=-1, keepdims=True), pole)
    pole = pole * np.cos(out) + side * np.sin(out) * (-1, 1)[i]
    return hip + _bend(line, reached, pole, thigh, shank), ankle, toe


def knee_pole(line: np.ndarray, pelvis_turn: np.ndarray, foot_left: np.ndarray) -> np.ndarray:
    """Return unit vector across the line from hip to ankle in which the knee bends, halfway between pelvis and foot."""
    pole = np.cross(line, 0.5 * pelvis_turn[:, :, 0] + 0.5 * foot_left)
    return pole / np.maximum(np.linalg.norm(pole, axis=-1, keepdims=True), 1e-9)


def _bend(line, distance, pole, first: float, second: float) -> np.ndarray:
    """Return vector from the first joint to the middle one, for two bones that span `line`, bent towards `pole`."""
    along = line / distance
    pole = pole - along * np.sum(pole * along, axis=-1, keepdims=True)
    pole = pole / np.maximum(np.linalg.norm(pole, axis=-1, keepdims=True), 1e-9)
    cosine = np.clip((first**2 + distance**2 - second**2) / (2 * first * distance), -1, 1)
    return first * (along * cosine + pole * np.sqrt(1 - cosine**2))


def _arm(joints: np.ndarray, c: dict[str, np.ndarray], i: int, chest_turn: np.ndarray) -> None:
    side, outward = SIDES[i], (1, -1)[i]
    flex, abd, turn, elbow = (c[f"{side}_{name}"] for name in ("arm_flex", "arm_abd", "arm_turn", "elbow"))
    zero = np.zeros_like(flex)
    # The shoulder rises with an arm that is raised higher than it swings: up to 15 degrees at the collar bone.
    raised = 10 * np.maximum(0.5 - np.cos(np.radians(flex)) * np.cos(np.radians(abd)), 0.0)
    shoulder = np.einsum("tij,tjk,k->ti", chest_turn, rotation(zero, zero, outward * raised), OFFSETS[SHOULDER[i]])
    joints[:, SHOULDER[i]] = joints[:, COLLAR[i]] + shoulder
    upper_turn = chest_turn @ rotation(zero, -flex, outward * abd) @ rotation(-outward * turn, zero, zero)
    upper, fore = BONES[ELBOW[i]], BONES[WRIST[i]]
    bend = np.radians(elbow)
    down = np.stack([zero, -np.cos(bend), np.sin(bend)], axis=-1)
    joints[:, ELBOW[i]] = joints[:, SHOULDER[i]] - upper_turn[:, :, 1] * upper
    joints[:, WRIST[i]] = joints[:, ELBOW[i]] + np.einsum("tij,tj->ti", upper_turn, down) * fore

    _hold(joints, c, i)
    elbow_was = joints[:, ELBOW[i]].copy()
    _rest_on_floor(joints, SHOULDER[i], ELBOW[i], 0.045)
    joints[:, WRIST[i]] += joints[:, ELBOW[i]] - elbow_was
    _rest_on_floor(joints, ELBOW[i], WRIST[i], 0.035)


def _hold(joints: np.ndarray, c: dict[str, np.ndarray], i: int) -> None:
    """Pull the wrist to the point that it holds on to; the elbow stays on the side where it hung."""
    side, (upper, fore) = SIDES[i], (BONES[ELBOW[i]], BONES[WRIST[i]])
    hold = np.clip(c[f"{side}_hold"], 0, 1)[:, None]
    if not hold.any():
        return
    point = np.stack([c[f"{side}_hold_{axis}"] for axis in "xyz"], axis=-1)
    shoulder, free = joints[:, SHOULDER[i]], joints[:, WRIST[i]]
    line = free + hold * (point - free) - shoulder
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    reached = np.clip(distance, 0.12, np.sqrt(upper**2 + fore**2 + 2 * upper * fore * np.cos(np.radians(6))))
    line = line * reached / distance
    pole = joints[:, ELBOW[i]] - 0.5 * (shoulder + free)
    rows = hold[:, 0] > 0
    joints[rows, ELBOW[i]] = (shoulder + _bend(line, reached, pole, upper, fore))[rows]
    joints[rows, WRIST[i]] = (shoulder + line)[rows]


def _rest_on_floor(joints: np.ndarray, inner: int, outer: int, least: float) -> None:
    """Tip a bone until its outer end is no lower than `least`; softly, so that it comes to rest without a jolt."""
    bone = joints[:, outer] - joints[:, inner]
    height = joints[:, outer, 1]
    rows = height < least + 0.08
    if not rows.any():
        return
    softness = 0.012
    lifted = least + softness * np.logaddexp(0, (height[rows] - least) / softness)
    rise = np.clip(lifted - joints[rows, inner, 1], -BONES[outer], BONES[outer])
    level = bone[rows][:, [0, 2]]
    level *= (np.sqrt(BONES[outer] ** 2 - rise**2) / np.maximum(np.linalg.norm(level, axis=-1), 1e-6))[:, None]
    joints[rows, outer] = joints[rows, inner] + np.stack([level[:, 0], rise, level[:, 1]], axis=-1)
