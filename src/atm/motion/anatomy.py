"""Signs of a body in joint positions alone: which side is which, which way is up, how large, and if it is a person.

Whatever comes in is asked the same: data folders by `atm data check`, recordings by `atm data prepare`, motion files by
`atm export`, `atm retrieve` and `atm evaluate`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.motion.skeletons import HUMANML3D, Skeleton

UNITS = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254, "CMU's units": 0.0254 / 0.45}
"""Lengths that motion files are written in, in metres."""
_DECIMAL = ("metres", "centimetres", "millimetres")
LEGS = (0.4, 1.3)
"""Metres that two leg bones can measure."""
_LEG = sum((HUMANML3D.bone_lengths or ())[joint] for joint in (4, 7))
"""Metres of a grown-up's leg."""
_UNIT_FITS = (0.55, 1.6)
"""Ratios to that leg between which a unit is taken for the file's."""
_LONGEST_BONE = 0.75
"""Metres; no bone between two joints is longer, not even a tall person's shank."""
_STRETCH = 0.15
"""Metres by which a bone may change its length; more is no body. Raw output of good networks stays below."""
_AXIS_OFF = 0.3
"""How far the axes of rotations are from length 1, in the median, where features are not in published units."""
UPRIGHT = 0.8
"""Length of the mean direction from feet to head, of 1, from which on a body stands most of the time."""
FLOOR = (-0.06, 0.12)
"""Metres between which the lowest joint is when the floor is at 0."""

_FEET_TELL, _KNEES_TELL = 0.2, 0.05
"""Mean sine of a foot's angle to its shank, and mean share of a leg by which its knee stands off the line from hip to
ankle, from which on these tell front from back."""


MOST_FPS = 1000
"""Frames per second of the fastest file."""


def frame_rate(arrays: Mapping[str, np.ndarray], skeleton: Skeleton, where: str) -> float:
    """Return the frames per second that `fps` in an archive says; where it says none, the skeleton's.

    Raises:
        InputError: it is no number, or no rate.
    """
    if "fps" not in arrays:
        return skeleton.fps
    said = np.asarray(arrays["fps"])
    if said.size != 1 or said.dtype.kind not in "fiu" or not 0 < (rate := said.item()) <= MOST_FPS:
        raise InputError(f"{where}: its array 'fps' is {said!r}: expected one number of frames per second up to 1000")
    return float(rate)


class Front(NamedTuple):
    """Signs of which way a body faces, if left is left: above 0 the way it should, below 0 the other way."""

    feet: float
    """Direction of the toes, seen from the shank; 0: they do not say."""
    knees: float
    """Direction in which knees bend; 0: they do not."""

    @property
    def swapped(self) -> bool:
        """True where all signs that say anything say that left is right."""
        told = [sign for sign in self if sign]
        return bool(told) and all(sign < 0 for sign in told)


def front_of(
    hips: Float[np.ndarray, "T 2 3"],
    knees: Float[np.ndarray, "T 2 3"],
    ankles: Float[np.ndarray, "T 2 3"],
    toes: Float[np.ndarray, "T 2 3"],
) -> Front:
    """Return how legs and feet stand to the front that follows from left (the hip line) and up (along the leg).

    Seen from the shank a foot points to the front whether somebody stands, sits or kneels on the instep; a tip straight
    below the ankle says nothing. A knee stands in front of the line from hip to ankle. Legs that lie along the hip
    line, as in somebody who sits cross-legged, say little and count little.

    Args:
        hips: pairs (left, right), as all others, in any unit.
        knees: see `hips`.
        ankles: see `hips`.
        toes: or tips of the feet.
    """
    left = _unit(hips[:, :1] - hips[:, 1:])
    shank = _unit(knees - ankles)
    foot = _unit(toes - ankles)
    feet = float((foot * np.cross(left, shank)).sum(-1).mean())
    leg = hips - ankles
    length = (np.linalg.norm(hips - knees, axis=-1) + np.linalg.norm(knees - ankles, axis=-1))[..., None]
    off = (knees - ankles - _along(knees - ankles, leg)) / np.maximum(length, 1e-12)
    bent = float((off * np.cross(left, _unit(leg))).sum(-1).mean())
    return Front(feet if abs(feet) > _FEET_TELL else 0.0, bent if abs(bent) > _KNEES_TELL else 0.0)


def _along(vectors: Float[np.ndarray, "*b 3"], line: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    """Return the part of vectors that lies along a line."""
    along = _unit(line)
    return (vectors * along).sum(-1, keepdims=True) * along


def unit_of_leg(leg: float) -> str | None:
    """Return the name in `UNITS` of the unit in which a leg of this length is most nearly a person's; None: in none."""
    if not leg > 0:
        return None
    name = _nearest_unit(leg, tuple(UNITS))
    return name if _UNIT_FITS[0] < leg * UNITS[name] / _LEG < _UNIT_FITS[1] else None


def _nearest_unit(leg: float, units: tuple[str, ...]) -> str:
    return min(units, key=lambda unit: abs(np.log(leg * UNITS[unit] / _LEG)))


def leg_length(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> float:
    """Return the length of the two bones of a leg, in the median over frames, in the unit of the joints."""
    bones = [joints[:, joint] - joints[:, skeleton.parents[joint]] for joint in skeleton.leg_joints]
    return float(np.median(sum(np.linalg.norm(bone, axis=-1) for bone in bones)))


def stands_along(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> str:
    """Return the axis along which a body in metres stands: y, unless most of its time it stands along another axis,
    and the floor is not at 0 along y alone (then it lies)."""
    ankles = joints[:, [skeleton.index("left_ankle"), skeleton.index("right_ankle")]].mean(axis=1)
    mean = _unit(joints[:, skeleton.index("head")] - ankles).mean(axis=0)
    axis = int(np.abs(mean).argmax())
    up = mean[axis] > 0
    if abs(mean[axis]) < UPRIGHT or (axis == 1 and up):
        return "y"
    grounded = [FLOOR[0] < np.quantile(heights, 0.02) < FLOOR[1] for heights in (
        joints[..., 1].min(axis=1), (joints[..., axis] if up else -joints[..., axis]).min(axis=1)
    )]  # fmt: skip
    lies = axis != 1 and grounded[0] and not grounded[1]
    return "y" if lies else ("" if up else "-") + "xyz"[axis]


def doubts(
    joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, features: Float[np.ndarray, "T D"] | None = None
) -> list[str]:
    """Return reasons why joints in metres, y up, are no motion of a person, in words that stand behind a file's name.

    Args:
        joints: one motion.
        skeleton: whose joints these are.
        features: that the joints were made of, in published units; None: they were not.
    """
    found = []
    if features is not None and (off := _axes_off(features, skeleton)) > _AXIS_OFF:
        found.append(
            f"holds rotations whose axes are off length 1 by {off:.2f}: these look like normalised features; multiply "
            "by Std.npy and add Mean.npy of the data set first"
        )
    bones = np.linalg.norm(joints[:, 1:] - joints[:, list(skeleton.parents[1:])], axis=-1)
    leg = leg_length(joints, skeleton)
    if not LEGS[0] < leg < LEGS[1]:
        found.append(f"has legs of {leg:.3g} m: a person's measure {LEGS[0]} to {LEGS[1]}")
    elif bones.max() > _LONGEST_BONE or np.ptp(bones, axis=0).max() > _STRETCH:
        found.append(
            f"has bones of up to {bones.max():.2f} m that change by up to {np.ptp(bones, axis=0).max():.2f} m: a "
            "person's do not"
        )
    if found:
        return found
    if (up := stands_along(joints, skeleton)) != "y":
        found.append(f"stands along {up}, not along y: turn it (z up: x, z, -y), unless somebody lies here")
    elif front_of(*(joints[:, list(pair)] for pair in _legs(skeleton))).swapped:
        found.append("has feet and knees that point backwards: left and right are swapped, or the axes are left-handed")
    return found


def in_metres(
    joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, where: str
) -> tuple[Float[np.ndarray, "T J 3"], str]:
    """Return joints in metres, and the unit that the size of the body says they came in.

    For a body that is no person's in any unit it is the nearest of metres, centimetres and millimetres.

    Raises:
        InputError: all joints of the legs lie in one point.
    """
    leg = leg_length(joints, skeleton)
    if not leg > 0:
        raise InputError(f"{where}: the legs have no length, expected joint positions of a body")
    unit = "metres" if LEGS[0] < leg < LEGS[1] else unit_of_leg(leg) or _nearest_unit(leg, _DECIMAL)
    return joints * UNITS[unit], unit


def _legs(skeleton: Skeleton) -> list[tuple[int, int]]:
    return [
        (skeleton.index(f"left_{part}"), skeleton.index(f"right_{part}")) for part in ("hip", "knee", "ankle", "foot")
    ]


def _axes_off(features: Float[np.ndarray, "T D"], skeleton: Skeleton) -> float:
    axes = features[:, skeleton.columns["rotations"]].reshape(-1, 3)
    return float(np.median(np.abs(np.linalg.norm(axes, axis=-1) - 1)))


def _unit(vectors: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-12), 0.0)
