"""One footfall: how a foot leaves its place, travels and lands. Before and after, it does not move.

Swing shapes of walking and running forward are captured ones; those of backward and flat steps are ours.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from atm.scripted.motion.body import SIDES
from atm.scripted.motion.cycles import Cycle
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
    yaw: np.ndarray | None = None
    """Turn of the foot outward over the clock, degrees, beside the turn from one place to the next."""
    out: np.ndarray | None = None
    """Way outward of the straight line over the swing, metres at a full step."""

    def standing_pitch(self, phase: np.ndarray, stance: float) -> np.ndarray:
        """Return pitch of the standing foot at phases from its landing, of a stance that lasts so much of the cycle."""
        landing = np.interp(phase, [0, self.after / 2], [_LAND, 1])
        leaving = np.interp(phase, [stance - self.before / 2, stance], [0, _LIFT])
        return np.interp(landing, _CLOCK, self.pitch) + np.interp(leaving, _CLOCK, self.pitch)


_CLOCK = np.linspace(0, 1, 241)
_LIFT, _LAND = 0.25, 0.85


def _table(points: list[tuple[float, float]]) -> np.ndarray:
    x, y = np.array(points).T
    return PchipInterpolator(x, y)(_CLOCK)


def _pitch_table(before: tuple[float, ...], swing: tuple[float, ...], after: tuple[float, ...]) -> np.ndarray:
    """Return pitches evenly spread over the time before the lift, the swing, and the time after the landing."""
    clock = np.concatenate(
        [
            np.linspace(0, _LIFT, len(before), endpoint=False),
            np.linspace(_LIFT, _LAND, len(swing)),
            np.linspace(_LAND, 1, len(after) + 1)[1:],
        ]
    )
    return _table(list(zip(clock, (*before, *swing, *after), strict=True)))


_ON_TIME = minimum_jerk(_CLOCK**0.94)
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


def captured_swing(cycle: Cycle, side: str, stride: float, before: float, after: float) -> SwingShape:
    """Return how a foot swings in a captured cycle.

    Args:
        cycle: a person's cycle.
        side: left or right.
        stride: metres of two steps.
        before: the heel starts to lift so long before the toes, in step times.
        after: the foot lies flat so long after the landing, in step times.
    """
    lift = cycle.lift - cycle.land
    u = _CLOCK
    phase = lift + u * (1 - lift)

    def sole(at: np.ndarray) -> np.ndarray:
        return cycle(f"{side}_foot_ahead", at) + cycle("forward", at + 0.5 * (side == "right")) + 100 * stride * at

    way = sole(phase)
    share = np.maximum.accumulate(np.clip((way - way[0]) / (way[-1] - way[0]), 0, 1))
    # A foot leaves and lands without a jolt.
    share = share * (1 - _ease(u, 0.12)) + _ease(u, 0.12) * minimum_jerk(u)
    height = 0.01 * cycle(f"{side}_foot_y", phase)
    height = np.maximum(height - (height[0] * (1 - u) + height[-1] * u), 0.012 * np.sin(np.pi * u))
    height = height * minimum_jerk(u / 0.1) * minimum_jerk((1 - u) / 0.1)

    flat = float(np.median(cycle(f"{side}_foot_pitch", np.linspace(0.12, lift - 0.25, 9))))
    clock_phase = np.interp(_CLOCK, [0, _LIFT, _LAND, 1], [lift - before / 2, lift, 1.0, 1.0 + after / 2])
    pitch = cycle(f"{side}_foot_pitch", clock_phase) - flat
    gate = minimum_jerk(_CLOCK / (0.5 * _LIFT)) * minimum_jerk((1 - _CLOCK) / (1.2 * (1 - _LAND)))
    yaw = np.clip(cycle(f"{side}_foot_yaw", clock_phase) - standing_yaw(cycle, side), -14, 14)
    # Of feet that hang down the yaw is badly measured: low waves only.
    yaw = gaussian_filter1d(yaw, 14) * gate * 0.6
    out = 0.01 * cycle(f"{side}_foot_out", phase)
    out = (out - out[0] * (1 - u) - out[-1] * u) * (1 - _ease(u, 0.25))
    return SwingShape(share, height, pitch * gate, before, after, yaw, out)


def standing_yaw(cycle: Cycle, side: str) -> float:
    """Return how far the standing foot is turned outward, degrees."""
    return float(np.median(cycle(f"{side}_foot_yaw", np.linspace(0.08, cycle.lift - cycle.land - 0.2, 9))))


def _ease(u: np.ndarray, width: float) -> np.ndarray:
    """Return 1 at both ends of the swing, 0 in between."""
    return 1 - minimum_jerk(u / width) * minimum_jerk((1 - u) / width)


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
    heading: float = 0.0
    """Degrees that the body faces there."""


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
    outward = (1, -1)[step.foot]
    if shape.yaw is not None:
        score.add(f"{side}_foot_yaw", outward * step.vigour * np.interp(clock, _CLOCK, shape.yaw))
    if shape.out is not None:
        out = outward * step.vigour * np.interp(u, _CLOCK, shape.out)
        heading = np.radians(step.heading)
        score.add(f"{side}_foot_x", out * np.cos(heading))
        score.add(f"{side}_foot_z", -out * np.sin(heading))
    flight = step.land - step.lift
    score.to(f"{side}_foot_yaw", step.yaw, step.lift + 0.05 * flight, 0.85 * flight)
