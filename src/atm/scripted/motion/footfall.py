"""One footfall: how a foot leaves its place, travels and lands. Before and after, it does not move.

Swing shapes are tables measured on captured walks and runs; those of backward and flat steps are ours.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from atm.scripted.motion.body import SIDES
from atm.scripted.motion.score import Score, minimum_jerk


@dataclass(frozen=True)
class SwingShape:
    """How a foot leaves, travels and lands, over a common clock: 0.25 is the lift, 0.85 the landing."""

    share: np.ndarray
    """Part of the way that is done, over the swing."""
    height: np.ndarray
    """Height of the sole over the swing, metres at a full step."""
    pitch: np.ndarray
    """Foot pitch over the clock, degrees at a full step."""
    before: float
    """The heel (or toes) starts to lift so long before the lift, in step times."""
    after: float
    """The foot lies flat so long after the landing, in step times."""


_CLOCK = np.linspace(0, 1, 241)
_LIFT, _LAND = 0.25, 0.85


def _table(points: list[tuple[float, float]]) -> np.ndarray:
    x, y = np.array(points).T
    return PchipInterpolator(x, y)(_CLOCK)


def _evenly(*values: float) -> np.ndarray:
    return _table(list(zip(np.linspace(0, 1, len(values)), values, strict=True)))


def _pitch_table(before: tuple[float, ...], swing: tuple[float, ...], after: tuple[float, ...]) -> np.ndarray:
    """Pitches evenly spread over the time before the lift, the swing, and the time after the landing."""
    clock = np.concatenate(
        [
            np.linspace(0, _LIFT, len(before), endpoint=False),
            np.linspace(_LIFT, _LAND, len(swing)),
            np.linspace(_LAND, 1, len(after) + 1)[1:],
        ]
    )
    return _table(list(zip(clock, (*before, *swing, *after), strict=True)))


def _sole_share(pitch: np.ndarray, stride: float) -> np.ndarray:
    """Travel of the sole's point, from the measured travel of the ankle and the pitch of the foot on its way."""
    ankle_share = np.array([0, 0.067, 0.150, 0.236, 0.330, 0.434, 0.549, 0.677, 0.812, 0.928, 1])
    swing_pitch = np.radians(np.interp(np.linspace(_LIFT, _LAND, 11), _CLOCK, pitch))
    foot, sole, flat = 0.1434, 0.18, np.radians(25)
    toe_ahead_of_ankle = foot * np.cos(swing_pitch - flat)
    toe_behind_point = sole * (1 - np.cos(np.maximum(swing_pitch, 0)))
    start = -toe_ahead_of_ankle[0]
    end = stride - toe_behind_point[-1] - toe_ahead_of_ankle[-1]
    point = start + ankle_share * (end - start) + toe_ahead_of_ankle + toe_behind_point
    return PchipInterpolator(np.linspace(0, 1, 11), point / stride)(_CLOCK)


_WALK_PITCH = _pitch_table((0, -1, -5, -15), (-33, -60, -69, -59, -43, -23, -3, 15, 23), (10, 0))
_RUN_PITCH = _pitch_table((0, -4, -19, -40), (-56, -67, -77, -91, -103, -106, -96, -76, -51, -26, -2, 18, 14), (5, 0))
_ON_TIME = minimum_jerk(_CLOCK**0.94)
WALKING = SwingShape(
    share=_sole_share(_WALK_PITCH, 1.29),
    height=_evenly(0, 0.025, 0.060, 0.070, 0.052, 0.028, 0.018, 0.010, 0),
    pitch=_WALK_PITCH,
    before=0.40,
    after=0.16,
)
RUNNING = SwingShape(
    share=_evenly(0, 0.06, 0.15, 0.25, 0.36, 0.48, 0.61, 0.75, 0.88, 0.97, 1),
    height=_evenly(0, 0.06, 0.14, 0.23, 0.27, 0.28, 0.24, 0.18, 0.12, 0.05, 0),
    pitch=_RUN_PITCH,
    before=0.30,
    after=0.12,
)
BACKWARD = SwingShape(
    share=_ON_TIME,
    height=_table([(0, 0), (0.2, 0.028), (0.45, 0.045), (0.7, 0.036), (0.9, 0.010), (1, 0)]),
    pitch=_pitch_table((0, 3), (9, 7, 0, -12, -22, -24), (-14, -5, 0)),
    before=0.25,
    after=0.35,
)
FLAT = SwingShape(
    share=_ON_TIME,
    height=_table([(0, 0), (0.25, 0.035), (0.5, 0.055), (0.75, 0.036), (1, 0)]),
    pitch=_pitch_table((0, -4), (-14, -20, -12, -2, 3, 2), (0.5, 0)),
    before=0.25,
    after=0.20,
)


@dataclass(frozen=True)
class Step:
    """One footfall."""

    foot: int
    lift: float
    land: float
    x: float
    z: float
    yaw: float
    vigour: float
    """1 for a full step; scales lift and pitch."""


def swing(score: Score, step: Step, shape: SwingShape, step_time: float) -> None:
    """Write one footfall; before and after it the foot does not move."""
    side, t = SIDES[step.foot], score.times
    u = np.clip((t - step.lift) / (step.land - step.lift), 0, 1)
    share = np.interp(u, _CLOCK, shape.share)
    for channel, target in (("x", step.x), ("z", step.z)):
        score.track(f"{side}_foot_{channel}", (target - score[f"{side}_foot_{channel}"]) * share)
    score.add(f"{side}_foot_y", step.vigour * np.interp(u, _CLOCK, shape.height))
    clock = np.interp(
        t,
        [step.lift - shape.before * step_time, step.lift, step.land, step.land + shape.after * step_time],
        [0, _LIFT, _LAND, 1],
    )
    score.add(f"{side}_foot_pitch", step.vigour * np.interp(clock, _CLOCK, shape.pitch))
    flight = step.land - step.lift
    score.to(f"{side}_foot_yaw", step.yaw, step.lift + 0.05 * flight, 0.85 * flight)
