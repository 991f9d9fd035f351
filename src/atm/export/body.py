"""The figure: which capsules stand for a human on a skeleton. Pictures and the web viewer draw from this one table."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.motion import Skeleton

SIDE_COLOURS = {"left": "#e0763b", "right": "#2e7fa3", "middle": "#cdc6ba"}
"""Left limbs warm, right limbs cool."""
Weights = dict[str, float]
"""A place or a direction as a weighted sum of joint positions."""


class Capsule(NamedTuple):
    """A limb: a cone with round ends, which may be wider than deep."""

    side: str
    """`left`, `right` or `middle`, as the figure itself would say."""
    a: Weights
    b: Weights
    radius_a: float
    """In metres, like `radius_b`."""
    radius_b: float
    across_a: Weights = {}  # noqa: RUF012 - never changed
    """How far the capsule reaches to the figure's left (and as far to its right), beside its radius."""
    across_b: Weights = {}  # noqa: RUF012 - never changed


class ExportedBody(NamedTuple):
    """Capsules as arrays, so that a whole motion is placed in one go."""

    sides: list[str]
    ends: Float[np.ndarray, "K 2 J"]
    """Weights of the joints for both ends of each capsule."""
    across: Float[np.ndarray, "K 2 J"]
    radii: Float[np.ndarray, "K 2"]
    groups: list[int]
    """Capsules of one group melt into one shape."""

    def place(self, joints: Float[np.ndarray, "*T J 3"]) -> Float[np.ndarray, "*T K 2 3"]:
        """Return where the ends of the capsules are, in metres."""
        return np.einsum("kej,...jc->...kec", self.ends, joints)

    def plain(self) -> "ExportedBody":
        """Return the same figure of round capsules only: each wide one as a row of four."""
        rows = [
            (k, offset)
            for k, across in enumerate(self.across)
            for offset in (np.linspace(-1, 1, 4) if across.any() else [0.0])
        ]
        source, offsets = [k for k, _ in rows], np.array([offset for _, offset in rows])
        ends = self.ends[source] + offsets[:, None, None] * self.across[source]
        return ExportedBody(
            sides=[self.sides[k] for k in source],
            ends=ends,
            across=np.zeros_like(ends),
            radii=self.radii[source],
            groups=[self.groups[k] for k in source],
        )


FACE = ("left_shoulder", "right_shoulder", "spine3", "head")
"""The joints that say which way the face looks: across the shoulders and up to the head."""
NOSE_UP, NOSE_OUT, NOSE_LENGTH, NOSE_RADIUS = 0.055, 0.07, 0.01, 0.012
"""The nose: how far above the joint of the head, how far before it, how long, how thick (metres)."""


def _at(start: str, toward: str, share: float = 0.0) -> Weights:
    """Return weights of a place on the line through two joints: 0 is the first, 1 the second, more lies behind it."""
    return {start: 1 - share, toward: share}


def _skull(up: float, out: float) -> Weights:
    """Return weights of a place on the skull: shares of the way up the chest's end and of the way out of the neck."""
    return {"head": 1 + out, "neck": up - out, "spine3": -up}


def _across(joint: str, share: float) -> Weights:
    """Return weights of a place from the right joint of this name to the left one, times a share."""
    return {f"left_{joint}": share, f"right_{joint}": -share}


def _limbs(side: str) -> list[Capsule]:
    hip, knee, ankle, foot = (f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "foot"))
    collar, shoulder, elbow, wrist = (f"{side}_{joint}" for joint in ("collar", "shoulder", "elbow", "wrist"))
    return [
        Capsule(side, _at(hip, knee, 0.02), _at(knee, hip), 0.088, 0.056),
        Capsule(side, _at(knee, ankle), _at(knee, ankle, 0.3), 0.055, 0.056),
        Capsule(side, _at(knee, ankle, 0.3), _at(ankle, knee), 0.056, 0.037),
        Capsule(side, _at(ankle, foot, -0.15), _at(foot, ankle), 0.039, 0.034),
        Capsule(side, _at(foot, ankle), _at(ankle, foot, 1.35), 0.034, 0.026),
        Capsule("middle", _at(collar, shoulder, 0.05), _at(shoulder, collar, 0.1), 0.062, 0.05),
        Capsule(side, _at(shoulder, elbow, 0.02), _at(shoulder, elbow, 0.3), 0.055, 0.049),
        Capsule(side, _at(shoulder, elbow, 0.3), _at(elbow, shoulder), 0.049, 0.038),
        Capsule(side, _at(elbow, wrist), _at(elbow, wrist, 0.3), 0.038, 0.039),
        Capsule(side, _at(elbow, wrist, 0.3), _at(wrist, elbow), 0.039, 0.027),
        Capsule(side, _at(wrist, elbow), _at(elbow, wrist, 1.22), 0.027, 0.034),
        Capsule(side, _at(elbow, wrist, 1.22), _at(elbow, wrist, 1.44), 0.034, 0.02),
    ]


_HIPS, _WAIST, _CHEST = _across("hip", 0.5), _across("shoulder", 0.14), _across("shoulder", 0.23)
_COLLARS, _NAPE = _across("shoulder", 0.2), _across("shoulder", 0.05)
_HUMAN = [
    Capsule("middle", _at("pelvis", "spine1", -0.55), _at("pelvis", "spine1", -0.1), 0.082, 0.096, _HIPS, _HIPS),
    Capsule("middle", _at("pelvis", "spine1", -0.1), _at("pelvis", "spine1", 0.4), 0.096, 0.094, _HIPS, _HIPS),
    Capsule("middle", _at("pelvis", "spine1", 0.4), _at("spine2", "spine1", 0.2), 0.094, 0.088, _HIPS, _WAIST),
    Capsule("middle", _at("spine2", "spine1", 0.2), _at("spine3", "neck", 0.3), 0.088, 0.1, _WAIST, _CHEST),
    Capsule("middle", _at("spine3", "neck", 0.3), _at("spine3", "neck", 0.58), 0.1, 0.09, _CHEST, _COLLARS),
    Capsule("middle", _at("spine3", "neck", 0.58), _at("spine3", "neck", 0.88), 0.09, 0.056, _COLLARS, _NAPE),
    Capsule("middle", _at("spine3", "neck", 0.8), _at("neck", "head", 0.85), 0.058, 0.052),
    Capsule("middle", _skull(0.02, 0.15), _skull(0.33, -0.1), 0.066, 0.088),
    *_limbs("left"),
    *_limbs("right"),
]

# KIT's body has two spine joints and no collars: the nearest joint it has stands in.
_STAND_INS = {"spine3": "spine2", "left_collar": "neck", "right_collar": "neck"}


def joint_index(skeleton: Skeleton, joint: str) -> int:
    """Return the number of a joint of the figure, or of the one that stands in for it."""
    return skeleton.index(joint if joint in skeleton.joint_names else _STAND_INS[joint])


@cache
def body_of(skeleton: Skeleton) -> ExportedBody:
    """Return the capsules of a skeleton."""

    def row(weights: Weights) -> np.ndarray:
        made = np.zeros(skeleton.n_joints)
        for joint, weight in weights.items():
            made[joint_index(skeleton, joint)] += weight
        return made

    return ExportedBody(
        sides=[capsule.side for capsule in _HUMAN],
        ends=np.array([[row(c.a), row(c.b)] for c in _HUMAN]),
        across=np.array([[row(c.across_a), row(c.across_b)] for c in _HUMAN]),
        radii=np.array([[c.radius_a, c.radius_b] for c in _HUMAN]),
        groups=_groups(),
    )


def _groups() -> list[int]:
    """Return the wide ones are the trunk; those that go on in the next between two joints are one limb."""
    groups = []
    for k, capsule in enumerate(_HUMAN):
        goes_on = capsule.a == _HUMAN[k - 1].b and 0 not in capsule.a.values()
        groups.append(0 if capsule.across_a else groups[-1] if goes_on else k + 1)
    return groups
