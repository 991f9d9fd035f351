"""From joints back to channels: the inverse of `body.joints_from_channels`, for measuring captured motion with it.

A captured clip on HumanML3D's body is posed by the same channels to within centimetres: pelvis and chest are rigid in
both, and legs and arms have the same bones.
"""

import numpy as np

from atm.scripted.motion.body import (
    ANKLE,
    CHANNELS,
    COLLAR,
    COLUMN,
    ELBOW,
    FLAT_FOOT_DEGREES,
    HEAD,
    HIP,
    KNEE,
    NECK,
    OFFSETS,
    PELVIS,
    SHOULDER,
    SIDES,
    SOLE_LENGTH,
    SPINE1,
    SPINE3,
    TOE,
    WRIST,
    knee_pole,
    rotation,
)


def channels_from_joints(joints: np.ndarray) -> np.ndarray:
    """Return measure the channels of a moving body.

    Args:
        joints: (T, 22, 3) in metres on HumanML3D's body, y up.

    Returns:
        (T, len(CHANNELS)) channels; headings are unwrapped. Nothing is held.
    """
    joints = np.asarray(joints, dtype=float)
    channels = np.zeros((len(joints), len(CHANNELS)))

    def put(name: str, values: np.ndarray) -> None:
        channels[:, COLUMN[name]] = values

    for axis, name in enumerate(("root_x", "root_y", "root_z")):
        put(name, joints[:, PELVIS, axis])
    pelvis = _turn_of(joints, PELVIS, (*HIP, SPINE1))
    chest = _turn_of(joints, SPINE3, (NECK, *COLLAR))
    pelvis_yaw, tilt, roll = _angles(pelvis)
    chest_yaw, lean, side = _angles(chest)
    for name, values in (("pelvis_yaw", pelvis_yaw), ("pelvis_tilt", tilt), ("pelvis_roll", roll)):
        put(name, values)
    chest_yaw = _near(chest_yaw, pelvis_yaw)
    for name, values in (("chest_yaw", chest_yaw), ("chest_lean", lean), ("chest_side", -side)):
        put(name, values)

    # One bone shows two of the head's three angles.
    bone = joints[:, HEAD] - joints[:, NECK]
    ahead = np.hypot(bone[:, 0], bone[:, 2])
    up, forward = OFFSETS[HEAD][1], OFFSETS[HEAD][2]
    put("head_pitch", np.degrees(np.arctan2(ahead, bone[:, 1]) - np.arctan2(forward, up)))
    put("head_yaw", _near(np.degrees(np.unwrap(np.arctan2(bone[:, 0], bone[:, 2]))), chest_yaw))

    for i, name in enumerate(SIDES):
        for channel, values in {**_arm(joints, i, chest), **_foot(joints, i, pelvis)}.items():
            put(f"{name}_{channel}", values)
    return channels


def _turn_of(joints: np.ndarray, base: int, ends: tuple[int, ...]) -> np.ndarray:
    """Return the rotation (T, 3, 3) that best carries the standing offsets of some joints to where they are
    (Kabsch)."""
    standing = np.array([OFFSETS[end] for end in ends])
    u, _, vt = np.linalg.svd(np.einsum("kj,tki->tij", standing, joints[:, list(ends)] - joints[:, [base]]))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return u @ vt


def _angles(turn: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Yaw (unwrapped), pitch and roll in degrees: the inverse of `body.rotation`."""
    yaw = np.degrees(np.unwrap(np.arctan2(turn[:, 0, 2], turn[:, 2, 2])))
    pitch = np.degrees(np.arcsin(np.clip(-turn[:, 1, 2], -1, 1)))
    return yaw, pitch, np.degrees(np.arctan2(turn[:, 1, 0], turn[:, 1, 1]))


def _near(angle: np.ndarray, other: np.ndarray) -> np.ndarray:
    return other + (angle - other + 180) % 360 - 180


def _arm(joints: np.ndarray, i: int, chest: np.ndarray) -> dict[str, np.ndarray]:
    outward = (1, -1)[i]
    shoulder, elbow, wrist = (joints[:, pair[i]] for pair in (SHOULDER, ELBOW, WRIST))
    upper = np.einsum("tij,ti->tj", chest, _unit(elbow - shoulder))
    fore = np.einsum("tij,ti->tj", chest, _unit(wrist - elbow))
    abd = np.degrees(outward * np.arcsin(np.clip(upper[:, 0], -1, 1)))
    flex = np.degrees(np.arctan2(upper[:, 2], -upper[:, 1]))
    bend = np.degrees(np.arccos(np.clip((upper * fore).sum(-1), -1, 1)))
    zero = np.zeros_like(flex)
    local = np.einsum("tij,ti->tj", rotation(zero, -flex, outward * abd), fore)
    turn = np.degrees(-outward * np.arctan2(local[:, 0], local[:, 2]))
    return {
        "arm_flex": flex,
        "arm_abd": abd,
        "arm_turn": turn,
        "elbow": bend,
    }


def _foot(joints: np.ndarray, i: int, pelvis: np.ndarray) -> dict[str, np.ndarray]:
    bone = joints[:, TOE[i]] - joints[:, ANKLE[i]]
    ahead = bone[:, 0] * pelvis[:, 0, 2] + bone[:, 2] * pelvis[:, 2, 2]
    # A foot whose toes hang down and back is bent far, not turned round.
    sense = np.where(ahead < 0, -1.0, 1.0)
    level = sense * np.hypot(bone[:, 0], bone[:, 2])
    yaw = np.arctan2(sense * bone[:, 0], sense * bone[:, 2])
    pitch = np.arctan2(bone[:, 1], level)
    pitch = np.where(pitch > np.pi / 2, pitch - 2 * np.pi, pitch) + np.radians(FLAT_FOOT_DEGREES)
    about_heel = np.where(pitch > 0, pitch**2 / (np.abs(pitch) + np.radians(2)), 0.0)
    point = joints[:, TOE[i]].copy()
    back = SOLE_LENGTH[i] * (1 - np.cos(about_heel))
    point[:, 0] += back * np.sin(yaw)
    point[:, 2] += back * np.cos(yaw)
    point[:, 1] -= SOLE_LENGTH[i] * np.sin(about_heel)

    line = joints[:, ANKLE[i]] - joints[:, HIP[i]]
    along = _unit(line)
    knee = joints[:, KNEE[i]] - joints[:, HIP[i]]
    knee -= along * (knee * along).sum(-1, keepdims=True)
    pole = knee_pole(line, pelvis, np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1))
    out = (-1, 1)[i] * np.arctan2((np.cross(along, pole) * knee).sum(-1), (pole * knee).sum(-1))
    # Of a straight leg it cannot be told.
    sure = np.clip(np.linalg.norm(knee, axis=-1) / 0.05, 0, 1)
    return {
        "knee_out": np.degrees(out) * sure,
        **{f"foot_{axis}": point[:, k] for k, axis in enumerate("xyz")},
        "foot_yaw": _near(np.degrees(np.unwrap(yaw)), _angles(pelvis)[0]),
        "foot_pitch": np.degrees(pitch),
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
