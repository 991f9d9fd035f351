"""A score: what every channel of the body does over time, written by one action after the other.

Each entry is a smooth change that adds to what is already there, so changes may overlap, start late and end early in
different channels, and the idle sway never stops underneath. Minimum-jerk ramps throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from atm.scripted.motion.body import (
    CHANNELS,
    COLUMN,
    FPS,
    SIDES,
    TOE_AHEAD_OF_PELVIS,
    height_over_feet,
)
from atm.scripted.motion.cycles import draw_person, standing

LONGEST_SECONDS = 12.0
"""Length of the paper that a score is written on; what comes later is lost (and too long for a clip anyway)."""
GRAVITY = 9.81
CHEST_SHARE = 0.69
"""Part of the way from pelvis to neck that turns with the chest."""

PACE = {"slow": (1.42, 1.6), "normal": (0.94, 1.1), "fast": (0.64, 0.74)}
"""Durations are multiplied by a number from this range; the ranges do not overlap."""


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Return 0 to 1 over u in 0..1 with zero speed and acceleration at both ends."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def minimum_jerk_integral(u: np.ndarray | float) -> np.ndarray | float:
    """Return the integral of `minimum_jerk` from 0 to u; grows like u - 1/2 behind 1."""
    u = np.asarray(u, dtype=float)
    inside = np.clip(u, 0.0, 1.0)
    return inside**4 * (2.5 - 3 * inside + inside**2) + np.maximum(u - 1.0, 0.0)


@dataclass(frozen=True)
class Style:
    """How this body carries itself through the whole clip; drawn once, from how captured people differ."""

    walks: np.ndarray
    runs: np.ndarray
    """In which ways the person's walk and run differ from the mean one, see `cycles`."""
    stands: dict[str, float]
    """How the person stands, see `cycles.standing`."""
    vivid: float
    """How much of captured bends and swings of sitting and jumping the person makes, as a share."""
    knees: float
    """Bend of the straighter knee in standing, degrees."""
    arm_swing: float
    stride: float
    bounce: float
    sway: float
    stance_width: float
    """Between the toes, metres."""
    idle: float

    @staticmethod
    def draw(rng: np.random.Generator) -> "Style":
        walks, runs, stands = draw_person(rng), draw_person(rng), standing(draw_person(rng))
        return Style(
            walks=walks,
            runs=runs,
            stands=stands,
            vivid=rng.uniform(0.65, 1.0),
            knees=rng.uniform(6.0, 13.0),
            arm_swing=rng.uniform(0.85, 1.15),
            stride=rng.uniform(0.94, 1.06),
            bounce=rng.uniform(0.85, 1.15),
            sway=rng.uniform(0.8, 1.2),
            stance_width=float(np.clip(stands["width"] / 100, 0.14, 0.30)),
            idle=rng.uniform(0.8, 1.3),
        )

    def pair(self, name: str, low: float, high: float) -> tuple[float, float]:
        """Return a standing angle of the left and the right side, within bounds."""
        left, right = (float(np.clip(self.stands[f"{side}_{name}"], low, high)) for side in SIDES)
        return left, right

    @property
    def arm_flex(self) -> tuple[float, float]:
        return self.pair("arm_flex", -18, 6)

    @property
    def arm_abd(self) -> tuple[float, float]:
        return self.pair("arm_abd", 1, 18)

    @property
    def arm_turn(self) -> tuple[float, float]:
        return self.pair("arm_turn", -30, 20)

    @property
    def elbow(self) -> tuple[float, float]:
        return self.pair("elbow", 18, 55)

    @property
    def toe_out(self) -> tuple[float, float]:
        return self.pair("foot_yaw", 2, 28)

    @property
    def lean(self) -> float:
        return float(np.clip(self.stands["chest_lean"], -8, 7))

    @property
    def tilt(self) -> float:
        return float(np.clip(self.stands["pelvis_tilt"], -4, 12))

    @property
    def head_pitch(self) -> float:
        return float(np.clip(0.6 * self.stands["head_pitch"], -6, 8))


@dataclass
class Score:
    """Channels over time, where each one is headed, and the moment that the next action starts."""

    rng: np.random.Generator
    style: Style
    values: np.ndarray
    goal: np.ndarray
    now: float = 0.0
    pace: float = 1.0
    posture: str = "standing"
    """standing, seated or lying."""
    seat: float = 0.38
    """How far the pelvis of the seated body is below where it stood, metres."""
    heading: float = 0.0
    """Degrees, + turned left, where the body will face once everything written has been played."""
    marks: list[float] = field(default_factory=list)
    """Moments of the present action: when its first repetition begins, and when each is done."""
    times: np.ndarray = field(init=False)

    def __post_init__(self):
        self.times = np.arange(len(self.values)) / FPS

    @staticmethod
    def standing(rng: np.random.Generator) -> "Score":
        """Return an empty score of a body that stands at the origin and faces +Z."""
        style = Style.draw(rng)
        goal = np.zeros(len(CHANNELS))

        def put(channel: str, value: float) -> None:
            goal[COLUMN[channel]] = value

        put("chest_lean", style.lean)
        put("pelvis_tilt", style.tilt)
        put("head_pitch", style.head_pitch)
        for channel, most in (("chest_yaw", 5.0), ("chest_side", 3.0), ("head_yaw", 12.0), ("pelvis_roll", 3.0)):
            put(channel, float(np.clip(style.stands[channel], -most, most)))
        fore = float(np.clip(style.stands["fore"] / 100, -0.07, 0.07))
        # Who stands on one leg a little more has the pelvis over it.
        put("root_x", rng.uniform(-0.025, 0.025))
        for i, side in enumerate(SIDES):
            outward = (1, -1)[i]
            put(f"{side}_foot_x", outward * style.stance_width / 2)
            put(f"{side}_foot_z", TOE_AHEAD_OF_PELVIS + 0.5 * outward * fore)
            put(f"{side}_foot_yaw", outward * style.toe_out[i])
            put(f"{side}_knee_out", float(np.clip(style.stands[f"{side}_knee_out"], -22, 0)))
            for name in ("arm_flex", "arm_abd", "arm_turn", "elbow"):
                put(f"{side}_{name}", getattr(style, name)[i])
        put("root_y", height_over_feet(goal, style.knees))
        values = np.tile(goal, (int(LONGEST_SECONDS * FPS), 1))
        return Score(rng, style, values, goal.copy())

    def __getitem__(self, channel: str) -> float:
        """Return where a channel is headed."""
        return float(self.goal[COLUMN[channel]])

    def to(self, channel: str, value: float, at: float, seconds: float) -> None:
        """Bring a channel to a value by a minimum-jerk ramp that starts at a time of the score."""
        self.by(channel, value - self[channel], at, seconds)

    def by(self, channel: str, change: float, at: float, seconds: float) -> None:
        """Change a channel by so much, for good."""
        column = COLUMN[channel]
        self.goal[column] += change
        first, last = (int(np.ceil(max(t, 0.0) * FPS)) for t in (at, at + seconds))
        u = (self.times[first:last] - at) / seconds
        # Measured ramps are fastest at 0.4 of their time, not in the middle.
        self.values[first:last, column] += change * minimum_jerk(u**0.88)
        self.values[last:, column] += change

    def pulse(self, channel: str, amount: float, at: float, up: float, down: float) -> None:
        """Change a channel by so much and take it back."""
        self.by(channel, amount, at, up)
        self.by(channel, -amount, at + up, down)

    def add(self, channel: str, curve: np.ndarray) -> None:
        """Add a curve over `times` that begins and ends at zero."""
        self.values[:, COLUMN[channel]] += curve

    def track(self, channel: str, curve: np.ndarray) -> None:
        """Add a curve over `times` that begins at zero and stays where it ends."""
        self.values[:, COLUMN[channel]] += curve
        self.goal[COLUMN[channel]] += curve[-1]

    def play(
        self, channel: str, curve: np.ndarray, weight: np.ndarray, then: tuple[float, float, float] | None = None
    ) -> None:
        """Lead a channel along a curve over `times`, as strongly as the weight says (0 to 1), under which it idles on.

        Args:
            channel: one of the body's.
            curve: absolute values.
            weight: 0 at both ends.
            then: (value, at, seconds) of a change for good that goes on beneath, so that it is left there.
        """
        column = COLUMN[channel]
        before, was = self.values[:, column].copy(), self.goal[column]
        if then:
            self.to(channel, *then)
        beneath = was + self.values[:, column] - before
        self.values[:, column] += weight * (curve - beneath)

    def through(self, channel: str, knots: Sequence[tuple[float, float, float, float]]) -> None:
        """Lead a channel through (time, value, speed, acceleration) by quintic pieces; it stays at the last value.

        The first knot's value must be where the channel is headed.
        """
        self.track(channel, self.curve(knots) - knots[0][1])

    def curve(self, knots: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
        """Return a curve over `times` through (time, value, speed, acceleration), constant before and behind."""
        curve = np.full(len(self.times), float(knots[0][1]))
        for (t0, *start), (t1, *end) in pairwise(knots):
            first, last = (int(np.ceil(max(t, 0.0) * FPS)) for t in (t0, t1))
            curve[first:last] = quintic(self.times[first:last] - t0, t1 - t0, start, end)
            curve[last:] = end[0]
        return curve

    def hold(self, side: str, weight: np.ndarray, point: np.ndarray) -> None:
        """Pull a wrist to a point of the world, (3,) or (N, 3), as strongly as the weight over `times` says."""
        rows = weight > 0
        self.values[rows, COLUMN[f"{side}_hold"]] = weight[rows]
        first = COLUMN[f"{side}_hold_x"]
        self.values[rows, first : first + 3] = np.broadcast_to(point, (len(weight), 3))[rows]

    def window(self, start: float, end: float, rise: float, fall: float) -> np.ndarray:
        """Return a curve over `times`: 0, up to 1 from `start` within `rise`, back to 0 by `end`."""
        return minimum_jerk((self.times - start) / rise) * (1 - minimum_jerk((self.times - end + fall) / fall))

    def local(self, right_left: float, forward: float) -> tuple[float, float]:
        """Return world x, z of a displacement given as (to the left, forward) of the heading."""
        yaw = np.radians(self.heading)
        return (
            right_left * np.cos(yaw) + forward * np.sin(yaw),
            -right_left * np.sin(yaw) + forward * np.cos(yaw),
        )

    def shift(self, left: float, forward: float, at: float, seconds: float, part: str = "root") -> None:
        """Move the pelvis (or a foot: part "left_foot") by so much to the left and forward of the heading."""
        x, z = self.local(left, forward)
        self.by(f"{part}_x", x, at, seconds)
        self.by(f"{part}_z", z, at, seconds)

    def bend(self, lean: float, tilt_share: float, at: float, seconds: float) -> None:
        """Lean the trunk (pelvis to neck) so far from where an upright body is, the pelvis taking a share of it."""
        tilt = tilt_share * lean
        # The chest turns the upper part of the spine only; see the blend in `body`.
        self.to("pelvis_tilt", self.style.tilt + tilt, at, seconds)
        self.to("chest_lean", self.style.lean + tilt + (lean - tilt) / CHEST_SHARE, at, seconds)

    def stand_tall(self, at: float, seconds: float) -> None:
        """Bring the pelvis to the height of this person's stand over the feet where they will be."""
        self.to("root_y", height_over_feet(self.goal, self.style.knees), at, seconds)

    def unbalance(self, at: float, there: float, back: float) -> None:
        """Sway over to one side a little on the way there, and back: no two-sided move is quite even."""
        way = float(self.rng.choice([-1, 1]))
        amounts = {"chest_side": 2.0, "chest_yaw": 3.5, "pelvis_yaw": 2.0}
        for channel, amount in amounts.items():
            self.pulse(channel, way * amount * self.rng.uniform(0.5, 1.2), at, there, back)
        for channel, amount in zip(("root_x", "root_z"), self.local(way * 0.012, 0.0), strict=True):
            self.pulse(channel, amount, at, there, back)

    def jitter(self, share: float) -> float:
        """Return a factor near 1."""
        return 1 + share * float(np.clip(self.rng.normal(), -2, 2))

    def each_side(self, side: str | None) -> list[str]:
        return list(SIDES) if side == "both" else [str(side)]


def quintic(t: np.ndarray, duration: float, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
    """Return the fifth-order polynomial with this (value, speed, acceleration) at 0 and at `duration`."""
    (x0, v0, a0), (x1, v1, a1) = start, end
    u, d = t / duration, duration
    rest = x1 - x0 - v0 * d - a0 * d**2 / 2
    rest_v = (v1 - v0 - a0 * d) * d
    rest_a = (a1 - a0) * d**2
    c3 = 10 * rest - 4 * rest_v + rest_a / 2
    c4 = -15 * rest + 7 * rest_v - rest_a
    c5 = 6 * rest - 3 * rest_v + rest_a / 2
    return x0 + v0 * t + a0 * t**2 / 2 + u**3 * (c3 + u * (c4 + u * c5))


def idle_sway(score: Score) -> None:
    """Return breathing and balance, under everything: sines of unequal periods; the body sways as one over its ankles.

    Source: sway of captured standing people (0.35 cm sideways, 0.54 cm fore and aft); a hand that is held drifts
    5 cm/s, and never stands still. On top a faint tremor, without which a scripted body is smoother than any muscle.
    """
    rng, t = score.rng, score.times

    def wander(amount: float, low: float = 0.12, high: float = 0.65, waves: int = 4) -> np.ndarray:
        frequency = rng.uniform(low, high, waves)
        phase = rng.uniform(0, 2 * np.pi, waves)
        size = rng.uniform(0.5, 1.0, waves) / (0.4 + frequency)
        size *= amount * score.style.idle * np.sqrt(2 / np.sum(size**2))
        return np.sin(2 * np.pi * frequency * t[:, None] + phase) @ size

    def unrest(amount: float, tremor: float) -> np.ndarray:
        return wander(amount) + wander(tremor, 1.1, 2.4)

    side, fore = wander(0.0035), wander(0.0054)
    breath = np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * t + rng.uniform(0, 2 * np.pi))
    score.add("root_x", side + wander(0.0005, 1.1, 2.4))
    score.add("root_z", fore + wander(0.0006, 1.1, 2.4))
    score.add("root_y", 0.0006 * breath + wander(0.0003, 1.1, 2.4))
    score.add("pelvis_yaw", unrest(1.2, 0.12))
    score.add("pelvis_tilt", unrest(0.4, 0.06))
    score.add("chest_lean", 60 * fore + 0.35 * breath + unrest(0.75, 0.14))
    score.add("chest_side", 40 * side + unrest(0.75, 0.12))
    score.add("chest_yaw", unrest(1.1, 0.12))
    score.add("head_yaw", wander(2.4, 0.15, 0.5) + wander(0.3, 1.1, 2.4))
    score.add("head_pitch", wander(1.6, 0.15, 0.5) + wander(0.25, 1.1, 2.4))
    for name in SIDES:
        score.add(f"{name}_arm_flex", unrest(2.2, 0.30) - 0.5 * breath)
        score.add(f"{name}_arm_abd", unrest(1.2, 0.20) + 0.5 * breath)
        score.add(f"{name}_arm_turn", wander(3.0, 0.2, 0.6))
        score.add(f"{name}_elbow", unrest(2.4, 0.35))
