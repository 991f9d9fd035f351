"""Slow, normal or fast: one physical measure of pace per verb, and the bounds between the three."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.motion.program import Direction, Speed, Verb
from atm.scripted.oracles.body import FPS, WRIST, Body, Span, rate, smooth

MARGIN_SECONDS = 0.5
"""A movement begins before and ends after the frames in which its oracle recognises it."""
TURN_EASE_DEGREES = 20.0
"""Starting and stopping a turn takes the time of turning so much further."""
DIP_SECONDS = 1.2
"""The dip before a jump lies within this before the take-off."""


class Bounds(NamedTuple):
    """Less than the first number is slow, more than the second is fast."""

    slow: float
    fast: float


# Our own choice: halfway between a comfortable pace, one half slower and one a third faster; for walking, between the
# cadences of people told to walk slowly, as they like, and fast.
BEATS: dict[Verb, Bounds] = {
    "walk": Bounds(1.62, 2.02),  # 97 and 121 steps a minute
    "hop": Bounds(1.47, 1.86),
    "jump": Bounds(0.95, 1.05),
    "wave": Bounds(1.2, 1.95),
    "clap": Bounds(1.65, 2.75),
    "punch": Bounds(1.18, 1.72),
    "kick": Bounds(0.68, 0.91),
}
"""Repetitions a second, where there are two or more."""
SIDE_STEPS = Bounds(1.58, 2.35)
"""The same for walking sideways, where each second step only closes."""
RUN = Bounds(2.3, 3.02)
RUN_BACKWARD = Bounds(1.48, 1.88)
"""Fastest half second of the pelvis, in m/s."""
RUN_STEPS = 6
"""A run of fewer steps does not get to its speed."""
SINGLE: dict[Verb, Bounds] = {
    "turn": Bounds(91.0, 143.0),  # degrees a second, see `TURN_EASE_DEGREES`
    "sit_down": Bounds(1.1, 1.55),  # of the height of the pelvis
    "stand_up": Bounds(1.18, 1.65),
    "crouch": Bounds(1.62, 2.12),
    "jump": Bounds(2.6, 3.4),  # of the height of the pelvis, sinking before the take-off
    "lie_down": Bounds(0.51, 0.75),  # of the height of the pelvis, mean over the middle 80 %
    "get_up": Bounds(0.47, 0.69),
    "bow": Bounds(1.34, 1.78),  # of the trunk's lean
    "raise_arms": Bounds(2.02, 2.47),  # of the height of the wrist
}
"""Shares of the whole way that a movement does in a second where it is fastest, after the low-pass of `Body.calm`."""


def speed_of(
    body: Body,
    verb: Verb,
    span: Span,
    *,
    beats: Sequence[float] = (),
    direction: Direction | None = None,
    degrees: float | None = None,
) -> Speed | None:
    """Return slow, normal or fast; None where the verb has no pace or a single repetition does not show it.

    Args:
        body: joints.
        verb: what is done.
        span: when.
        beats: frame of each repetition (footfall, stroke, blow).
        direction: of walking and running.
        degrees: of a turn.
    """
    if span.end - span.start < 2:
        return None
    if verb in BEATS and len(beats) > 1 and beats[-1] > beats[0]:
        bounds = SIDE_STEPS if verb == "walk" and direction in ("left", "right") else BEATS[verb]
        return _named((len(beats) - 1) * FPS / (beats[-1] - beats[0]), bounds)
    if verb == "run":
        if len(beats) < RUN_STEPS:
            return None
        bounds = RUN_BACKWARD if direction == "backward" else RUN
        velocity = rate(smooth(body.pelvis[:, [0, 2]], 4.0))[span.start : span.end]
        return _named(float(np.linalg.norm(velocity, axis=1).max()), bounds)
    if verb not in SINGLE:
        return None
    return _named(_fastest(body.calm, verb, span, abs(degrees or 0.0)), SINGLE[verb])


def _named(pace: float, bounds: Bounds) -> Speed:
    if pace < bounds.slow:
        return "slow"
    return "fast" if pace > bounds.fast else "normal"


def _fastest(calm: Body, verb: Verb, span: Span, degrees: float) -> float:
    margin = round(MARGIN_SECONDS * FPS)
    wide = slice(max(0, span.start - margin), min(len(calm), span.end + margin))
    if verb == "turn":
        return (degrees + TURN_EASE_DEGREES) * _middle_rate(calm.yaw[wide])
    if verb in ("lie_down", "get_up"):
        return _middle_rate(calm.pelvis[wide, 1])
    if verb == "jump":
        wide = slice(max(0, span.start - round(DIP_SECONDS * FPS)), max(2, span.start))
        return _peak(np.minimum.accumulate(calm.pelvis[wide, 1]))
    if verb == "bow":
        return _peak(calm.trunk_lean[wide])
    if verb == "raise_arms":
        return _peak(max((calm.joints[wide, wrist, 1] for wrist in WRIST), key=np.ptp))
    return _peak(calm.pelvis[wide, 1])


def _peak(signal: Float[np.ndarray, "F"]) -> float:
    """Return fastest change of a signal in shares of its range a second; 1.9 over the duration of a smooth movement."""
    return float(np.abs(rate(signal)).max() / (np.ptp(signal) + 1e-3))


def _middle_rate(signal: Float[np.ndarray, "F"]) -> float:
    """Return ways from one end of a signal to the other a second, over the middle 80 % of the way."""
    done = (signal - signal[0]) / (signal[-1] - signal[0] + 1e-9)
    frames = np.interp([0.1, 0.9], np.maximum.accumulate(done), np.arange(len(done)))
    return float(0.8 * FPS / max(1.0, frames[1] - frames[0]))
