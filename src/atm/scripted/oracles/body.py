"""Joint positions, cleaned, and the signals that every oracle reads: facing, heights, angles, spans of frames."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from atm.base.errors import InputError
from atm.motion.program import Direction
from atm.motion.skeletons import HUMANML3D

FPS = HUMANML3D.fps
SIDES = ("left", "right")
PELVIS, NECK, HEAD = (HUMANML3D.index(name) for name in ("pelvis", "neck", "head"))
HIP, KNEE, ANKLE, TOE, SHOULDER, ELBOW, WRIST = (
    tuple(HUMANML3D.index(f"{side}_{name}") for side in SIDES)
    for name in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
)
"""Joint numbers, (left, right)."""

JITTER_FREE_M = 0.002
"""A body with less jitter is read as it is."""
FILTER_FRAMES_PER_M = 75.0
"""Width (sigma) of the Gaussian low-pass in frames, per metre of jitter: 1.5 frames (75 ms) for 2 cm."""
FILTER_FRAMES_MAX = 1.5
"""A wider filter would melt the stances of running (0.2 s) away."""
CALM_FILTER_FRAMES = 2.5
"""Low-pass for the pace of whole movements (0.125 s; they last half a second and longer)."""
FLOOR_SHARE = 0.1
"""The floor is where the lowest joint is in the lowest tenth of the frames; the minimum is set by one bad frame."""
ANKLE_ABOVE_FLOOR_M = 0.06
"""Height of the ankle joint over a flat foot."""
PELVIS_ABOVE_HIPS_M = 0.085
"""Height of the pelvis joint over the hip joints, standing."""
STANDING_KNEE_SHARE = 0.98
"""Standing legs are not quite straight: share of the full leg length."""

# (proximal, distal, share of body mass, share of the segment's length from the proximal joint)
_SEGMENTS = [("neck", "head", 0.081, 0.8), ("pelvis", "spine2", 0.25, 0.5), ("spine2", "neck", 0.247, 0.5)] + [
    (f"{side}_{proximal}", f"{side}_{distal}", share, at)
    for side in SIDES
    for proximal, distal, share, at in (
        ("shoulder", "elbow", 0.028, 0.44),
        ("elbow", "wrist", 0.022, 0.68),
        ("hip", "knee", 0.1, 0.43),
        ("knee", "ankle", 0.0465, 0.43),
        ("ankle", "foot", 0.0145, 0.5),
    )
]
"""Source: mass shares of Winter, "Biomechanics and Motor Control of Human Movement", table 4.1."""


def _mass_weights() -> Float[np.ndarray, "22"]:
    weights = np.zeros(HUMANML3D.n_joints)
    for proximal, distal, share, at in _SEGMENTS:
        weights[HUMANML3D.index(proximal)] += share * (1 - at)
        weights[HUMANML3D.index(distal)] += share * at
    return weights / weights.sum()


_MASS = _mass_weights()
_BONES = np.array([(parent, joint) for joint, parent in enumerate(HUMANML3D.parents) if parent >= 0])


class Span(NamedTuple):
    """Frames from `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / FPS

    def trimmed(self, frames: int) -> "Span":
        """Return the span without so many frames at both ends."""
        return Span(self.start + frames, max(self.start + frames, self.end - frames))

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end

    def inside(self, other: "Span") -> bool:
        """Return true if more than a third of it is shared."""
        return 3 * self.shared(other) > self.end - self.start

    def shared(self, other: "Span") -> int:
        """Return frames that both hold."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))


def spans(inside: Bool[np.ndarray, "T"], *, min_seconds: float = 0.0, bridge_seconds: float = 0.0) -> list[Span]:
    """Run of True, in order.

    Args:
        inside: one flag per frame.
        min_seconds: shorter runs are left out (after bridging).
        bridge_seconds: gaps between two runs up to this long are taken as part of them.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(inside, np.int8), [0]])))
    runs: list[Span] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and start - runs[-1].end <= bridge_seconds * FPS:
            runs[-1] = Span(runs[-1].start, end)
        else:
            runs.append(Span(start, end))
    return [run for run in runs if run.seconds >= min_seconds]


def smooth(signal: np.ndarray, frames: float) -> np.ndarray:
    """Return Gaussian low-pass of this sigma along the first axis; the ends are held."""
    return gaussian_filter1d(signal, frames, axis=0, mode="nearest") if frames > 0 else signal


def rate(signal: np.ndarray) -> np.ndarray:
    """Change per second along the first axis; zeros for a single frame."""
    return np.gradient(signal, 1 / FPS, axis=0) if len(signal) > 1 else np.zeros_like(signal)


def direction_of(velocity: Float[np.ndarray, "2"]) -> Direction:
    """Name a direction given as (to the left, ahead)."""
    left, ahead = velocity
    if abs(ahead) >= abs(left):
        return "forward" if ahead >= 0 else "backward"
    return "left" if left > 0 else "right"


def check_joints(joints: np.ndarray) -> Float[np.ndarray, "T 22 3"]:
    """Return the same joints in float64.

    Raises:
        InputError: not (T, 22, 3), no frame at all, or a number that is not finite.
    """
    joints = np.asarray(joints, dtype=np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (HUMANML3D.n_joints, 3):
        raise InputError(
            f"oracles read joints of shape (frames, {HUMANML3D.n_joints}, 3) in metres, got {joints.shape}. "
            "Give Motion.joints of a HumanML3D motion, one clip at a time."
        )
    if len(joints) == 0:
        raise InputError("oracles need at least 1 frame, got an empty motion. Leave it out.")
    bad = ~np.isfinite(joints).all((1, 2))
    if bad.any():
        raise InputError(
            f"oracles need finite joint positions, but {int(bad.sum())} of {len(joints)} frames hold NaN or infinity "
            f"(first: frame {int(bad.argmax())}). Leave this motion out or generate it again."
        )
    return joints


def jitter(joints: Float[np.ndarray, "T 22 3"]) -> float:
    """Return standard deviation of white noise on each coordinate, in metres, judged by bones that change their length.

    A bone's length sees the noise of both its ends (factor sqrt 2), and the second difference of white noise has
    sqrt 6 times its standard deviation: hence the division by sqrt 12. Slow changes of a length do not count, as no
    low-pass could take them out.
    """
    if len(joints) < 5:
        return 0.0
    lengths = np.linalg.norm(joints[:, _BONES[:, 0]] - joints[:, _BONES[:, 1]], axis=-1)
    return float(np.median(np.diff(lengths, 2, axis=0).std(0)) / np.sqrt(12))


@dataclass(frozen=True)
class Body:
    """A body in motion. Made by `Body.of`; oracles take it in place of joints, so that signals are computed once."""

    joints: Float[np.ndarray, "T 22 3"]
    """Metres, y up, the floor at y = 0, `FPS` frames a second; low-passed as far as their jitter asks."""
    raw: Float[np.ndarray, "T 22 3"]
    """The same joints without the low-pass."""
    jitter: float
    """Noise that was found in the raw joints, in metres."""
    filter_frames: float
    """Width (sigma) of the low-pass that it asked for."""

    @staticmethod
    def of(joints: "np.ndarray | Body") -> "Body":
        """Check the joints, low-passes them as far as their jitter asks, and puts the floor at zero.

        Raises:
            InputError: as `check_joints`.
        """
        if isinstance(joints, Body):
            return joints
        joints = check_joints(joints)
        noise = jitter(joints)
        frames = min(noise * FILTER_FRAMES_PER_M, FILTER_FRAMES_MAX) if noise > JITTER_FREE_M else 0.0
        calm = smooth(joints, frames)
        floor = np.array([0.0, np.quantile(calm[:, :, 1].min(1), FLOOR_SHARE), 0.0])
        return Body(calm - floor, joints - floor, noise, frames)

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def quick(self) -> Float[np.ndarray, "T 22 3"]:
        """The joints with a low-pass half as wide: for what is as quick as a clap or a kick."""
        return smooth(self.raw, self.filter_frames / 2)

    @cached_property
    def calm(self) -> "Body":
        """The same body under one fixed and wide low-pass: for peak speeds, which any jitter raises."""
        return replace(self, joints=smooth(self.raw, CALM_FILTER_FRAMES))

    @cached_property
    def left(self) -> Float[np.ndarray, "T 2"]:
        """Unit vector on the ground (x, z) to the body's left, of hips and shoulders: a twist counts half."""
        across = sum(self.joints[:, left] - self.joints[:, right] for left, right in (HIP, SHOULDER))[:, [0, 2]]
        across = smooth(across, 1.0)
        return across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)

    @cached_property
    def ahead(self) -> Float[np.ndarray, "T 2"]:
        """Unit vector on the ground (x, z) that the body faces: +z where its left is +x."""
        return np.stack([-self.left[:, 1], self.left[:, 0]], axis=1)

    @cached_property
    def yaw(self) -> Float[np.ndarray, "T"]:
        """Heading in degrees, unwrapped; grows to the left (counterclockwise seen from above)."""
        return np.degrees(np.unwrap(np.arctan2(self.ahead[:, 0], self.ahead[:, 1])))

    @cached_property
    def feet_yaw(self) -> Float[np.ndarray, "T"]:
        """Return where the feet point, as a heading in degrees, unwrapped: the mean of both ankle-to-toe directions."""
        pointing = sum(self.joints[:, toe] - self.joints[:, ankle] for ankle, toe in zip(ANKLE, TOE, strict=True))
        return np.degrees(np.unwrap(np.arctan2(smooth(pointing[:, 0], 1.0), smooth(pointing[:, 2], 1.0))))

    def seen_from_body(self, offsets: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
        """Return world offsets as (to the left, up, ahead) of the heading of their frame."""
        ground = offsets[:, [0, 2]]
        return np.stack([(ground * self.left).sum(1), offsets[:, 1], (ground * self.ahead).sum(1)], axis=1)

    @cached_property
    def mass_centre(self) -> Float[np.ndarray, "T 3"]:
        """Centre of mass; the mean of many joints, so it is nearly free of jitter."""
        return np.einsum("tjc,j->tc", self.raw, _MASS)

    @cached_property
    def pelvis(self) -> Float[np.ndarray, "T 3"]:
        return self.joints[:, PELVIS]

    @cached_property
    def standing_height(self) -> float:
        """Height of the pelvis of this body when it stands, from its leg bones, in metres."""
        bones = [(hip, knee) for hip, knee in zip(HIP, KNEE, strict=True)]
        bones += [(knee, ankle) for knee, ankle in zip(KNEE, ANKLE, strict=True)]
        leg = sum(np.median(np.linalg.norm(self.joints[:, a] - self.joints[:, b], axis=-1)) for a, b in bones) / 2
        return float(leg * STANDING_KNEE_SHARE + ANKLE_ABOVE_FLOOR_M + PELVIS_ABOVE_HIPS_M)

    @cached_property
    def trunk_lean(self) -> Float[np.ndarray, "T"]:
        """Angle of pelvis to neck from the vertical, in degrees, > 0 ahead."""
        trunk = self.seen_from_body(self.joints[:, NECK] - self.pelvis)
        return np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1]))

    @cached_property
    def trunk_tilt(self) -> Float[np.ndarray, "T"]:
        """Angle of pelvis to neck from the vertical to any side, in degrees: 0 upright, 90 lying."""
        trunk = self.joints[:, NECK] - self.pelvis
        return np.degrees(np.arctan2(np.linalg.norm(trunk[:, [0, 2]], axis=1), trunk[:, 1]))

    @cached_property
    def feet(self) -> Float[np.ndarray, "2 T 3"]:
        """Left and right foot: the middle of ankle and toe."""
        return np.stack([self.joints[:, [ankle, toe]].mean(1) for ankle, toe in zip(ANKLE, TOE, strict=True)])

    @cached_property
    def clearance(self) -> Float[np.ndarray, "2 T"]:
        """Height of the lowest point of left and right foot over the floor, in metres."""
        soles = [
            np.minimum(self.joints[:, toe, 1], self.joints[:, ankle, 1] - ANKLE_ABOVE_FLOOR_M)
            for ankle, toe in zip(ANKLE, TOE, strict=True)
        ]
        return np.stack(soles)
