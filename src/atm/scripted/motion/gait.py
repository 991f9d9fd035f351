"""Walking and running forward and backward, straight or along an arc: path first, then footfalls, then the body.

The pelvis follows a smooth profile of speed. A foot lands where the pelvis will pass over it in the middle of its
stance and is then held; captured cycles are laid over the path at the phase that the footfalls define. What is counted
is exact: `count` swings, the last of which brings the feet together (after a single step they stay apart).
"""

from dataclasses import dataclass

import numpy as np

from atm.scripted.motion.body import SIDES, STANDING_HEIGHT, TOE_AHEAD_OF_PELVIS
from atm.scripted.motion.cycles import BACKWARD as BACKWARD_CYCLE
from atm.scripted.motion.cycles import RUN, WALK, Cycle, series
from atm.scripted.motion.footfall import BACKWARD, RUNNING, WALKING, Step, SwingShape, swing
from atm.scripted.motion.score import GRAVITY, Score, minimum_jerk_integral
from atm.scripted.motion.stepping import sideways
from atm.scripted.program import Action

SPEEDS = {
    ("walk", "forward"): {"slow": (0.65, 0.85), "normal": (1.15, 1.40), "fast": (1.65, 1.90)},
    ("walk", "backward"): {"slow": (0.40, 0.52), "normal": (0.70, 0.90), "fast": (1.05, 1.25)},
    ("run", "forward"): {"slow": (1.9, 2.2), "normal": (2.6, 3.0), "fast": (3.4, 3.8)},
    ("run", "backward"): {"slow": (1.2, 1.4), "normal": (1.6, 1.8), "fast": (2.0, 2.2)},
}
"""Metres per second at full speed; the ranges of one kind do not overlap. Few steps do not reach full speed."""
DEFAULT_STEPS = 4

_STRIDES = (0.0, 1.09, 1.29, 1.39, 1.49, 1.64)
_PELVIS_HEIGHTS = (STANDING_HEIGHT, 0.942, 0.925, 0.913, 0.903, 0.884)
"""The highest mean pelvis from which no leg is over-stretched, by length of stride (two steps), metres."""
_RUNNING_HEIGHT = 0.919
_STOPPING_REACH = 0.45
"""The body may go on by so much after the last but one foot has landed, metres; a leg reaches no further."""


@dataclass(frozen=True)
class Gait:
    """What kind of step this is, and how large."""

    running: bool
    sign: int
    """1 forward, -1 backward."""
    speed: float
    """Metres per second at full speed."""
    step_time: float
    """Seconds from one landing to the next."""

    @property
    def step_length(self) -> float:
        return self.speed * self.step_time

    @property
    def cycle(self) -> Cycle:
        return RUN if self.running else WALK if self.sign > 0 else BACKWARD_CYCLE

    @property
    def shape(self) -> SwingShape:
        return BACKWARD if self.sign < 0 else RUNNING if self.running else WALKING

    @property
    def sole_ahead(self) -> float:
        """How far ahead of the mean pelvis the sole is in the middle of a stance, metres."""
        return 0.10 if self.running else 0.144 if self.sign > 0 else 0.05

    @property
    def mid_stance(self) -> float:
        """Time from landing to the middle of the stance, in step times."""
        return 0.3 if self.running else 0.5

    @property
    def vigour(self) -> float:
        """How much of the measured lift and pitch of the foot a step of this speed has."""
        if self.sign < 0:
            return float(np.clip(0.6 + 0.5 * self.speed, 0.7, 1.2))
        if self.running:
            return float(np.clip(self.speed / 2.94, 0.7, 1.1))
        return float(np.clip((17 + 62 * self.speed) / 92, 0.62, 1.15))


@dataclass(frozen=True)
class Path:
    """The way of the pelvis over the ground: an arc of constant curvature, taken at a speed that rises and falls."""

    origin: np.ndarray
    """World x, z in metres."""
    heading: float
    """Radians at the start."""
    turn: float
    """Radians, + to the left, over the whole path."""
    sign: int
    speed: float
    begin: float
    end: float
    rise: float
    fall: float

    @property
    def total(self) -> float:
        return float(self.way(self.end))

    def way(self, at: np.ndarray | float) -> np.ndarray | float:
        """Metres travelled at a time; both ramps of the speed are minimum-jerk."""
        at = np.asarray(at, dtype=float)
        up = self.rise * minimum_jerk_integral((at - self.begin) / self.rise)
        return self.speed * (up - self.fall * minimum_jerk_integral((at - self.end + self.fall) / self.fall))

    def liveliness(self, times: np.ndarray, early: float = 0.0) -> np.ndarray:
        """Share of the full speed, 0 to 1."""
        return np.clip(np.gradient(self.way(times + early), times) / self.speed, 0, 1)

    def place(self, along: np.ndarray | float, left: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """World x, z (..., 2) and heading in radians beside the path; beyond its ends it goes on straight."""
        along = np.asarray(along, dtype=float)
        inside = np.clip(along, 0, self.total)
        beyond = along - inside
        curvature = self.turn / self.total
        angle = curvature * inside
        side_way = (1 - np.cos(angle)) / curvature if self.turn else 0.0 * inside
        ahead = np.sin(angle) / curvature if self.turn else inside
        side_way = side_way + beyond * np.sin(angle) + left * np.cos(angle)
        ahead = self.sign * (ahead + beyond * np.cos(angle)) - left * np.sin(angle)
        sine, cosine = np.sin(self.heading), np.cos(self.heading)
        x = self.origin[0] + side_way * cosine + ahead * sine
        z = self.origin[1] - side_way * sine + ahead * cosine
        return np.stack([x, z], axis=-1), np.asarray(angle + self.heading)


def locomotion(score: Score, action: Action) -> None:
    """Walk or run as the action says."""
    if action.direction in ("left", "right"):
        sideways(score, action)
        return
    count = action.count or DEFAULT_STEPS
    turn = 0.0
    if action.path in ("curve", "circle"):
        turn = (-1 if action.side == "right" else 1) * float(action.degrees or 0)
    gait = _draw_gait(score, action, turn)
    start = score.now
    lift, land, shift = _timetable(score, gait, count)
    path = _draw_path(score, gait, turn, land)
    steps = _footfalls(score, gait, path, lift, land)
    for step in steps:
        # A short step of a run is walked.
        shape = WALKING if gait.running and gait.sign > 0 and step.vigour < 0.5 else gait.shape
        swing(score, step, shape, gait.step_time)
    phase = _phase(score, gait, land, steps[0].foot)
    _pelvis(score, gait, path, phase)
    _shift_weight(score, steps[0], start, shift)
    _trunk(score, gait, path, phase)
    _arms(score, gait, path, phase)
    _follow_the_curve(score, path)
    score.now = float(land[-1]) + 0.22


def _draw_gait(score: Score, action: Action, turn: float) -> Gait:
    direction = "backward" if action.direction == "backward" else "forward"
    running, sign = action.verb == "run", -1 if direction == "backward" else 1
    speed = score.rng.uniform(*SPEEDS[action.verb, direction][action.speed]) * (0.87 if turn else 1.0)
    # Walking: step length over cadence hardly changes with speed, and backward steps are shorter. Running: the cadence
    # hardly changes.
    walking_time = np.sqrt(0.372 / speed) * (1.0 if sign > 0 else 0.8)
    step_time = 60 / (157 + 6 * (speed - 2.9)) if running else walking_time
    return Gait(running, sign, float(speed), float(step_time) * score.jitter(0.015))


def _timetable(score: Score, gait: Gait, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """When each foot lifts and lands, and the seconds that the body takes before, to shift its weight."""
    shift = (0.24 if gait.running else 0.30) * (0.7 + 0.3 * gait.step_time / 0.54)
    first_swing = 0.8 * max(gait.step_time, 0.42)
    gaps = gait.step_time * (1 + 0.02 * np.clip(score.rng.normal(size=count - 1), -2, 2))
    land = score.now + shift + first_swing + np.concatenate([[0.0], np.cumsum(gaps)])
    # Both feet are down for a while in walking; in running a foot leaves before the other one lands.
    both_down = np.full(count - 1, 0.2)
    if gait.running:
        both_down[:] = -0.40
        both_down[:1] = both_down[-1:] = -0.28
    lift = np.concatenate([[land[0] - first_swing], land[:-1] + both_down * gait.step_time])
    return lift, land, shift


def _draw_path(score: Score, gait: Gait, turn: float, land: np.ndarray) -> Path:
    count = len(land)
    begin, end = score.now + 0.10, float(land[-1]) + 0.38
    span = end - begin
    rise = min(0.80 if gait.running else max(2.0 * gait.step_time, 0.75), 0.45 * span)
    origin = np.array([score["root_x"], score["root_z"]])

    def path(speed: float, fall: float) -> Path:
        heading = np.radians(score.heading)
        return Path(origin, float(heading), float(np.radians(turn)), gait.sign, speed, begin, end, rise, fall)

    if count == 1:
        drawn = path(1.0, 0.5 * span)
        return path(0.42 * gait.step_length / drawn.total, 0.5 * span)
    # Brake early enough: where the last but one foot lands, it carries the body until it stands.
    least = min(max(1.9 * gait.step_time, 0.75), 0.5 * span)
    for fall in np.linspace(least, max(least, min(1.6, 0.55 * span)), 6):
        drawn = path(gait.speed, float(fall))
        left_over = drawn.total - float(drawn.way(land[-2]))
        if left_over <= _STOPPING_REACH:
            break
    longest = gait.step_length * (count - (1.1 if gait.running else 0.7))
    slower = min(1.0, _STOPPING_REACH / left_over, longest / drawn.total)
    return path(gait.speed * slower, drawn.fall)


def _footfalls(score: Score, gait: Gait, path: Path, lift: np.ndarray, land: np.ndarray) -> list[Step]:
    """Where each foot lands: the pelvis passes over it in the middle of its stance."""
    rng, style, count = score.rng, score.style, len(land)
    foot = _first_foot(score, gait.sign)
    half_width = 0.024 if gait.running else 0.5 * rng.uniform(0.06, 0.10) + 0.014
    finish = path.total + gait.sign * TOE_AHEAD_OF_PELVIS
    steps = []
    for i in range(count):
        outward, last = (1, -1)[foot], i == count - 1
        passed = float(path.way(land[i] + gait.mid_stance * gait.step_time))
        along = min(passed + gait.sign * gait.sole_ahead, finish)
        if last:
            along = finish + (0.9 * path.total if count == 1 else 0.0)
        elif i == count - 2:
            along = max(along, finish - 0.10)
        closing = last or i == count - 2
        point, angle = path.place(along, outward * (style.stance_width / 2 if closing else half_width))
        side = SIDES[foot]
        was = np.array([score[f"{side}_foot_x"], score[f"{side}_foot_z"]])
        travel = float(np.linalg.norm(point - was)) if i < 2 else 2 * gait.step_length
        vigour = gait.vigour * float(np.clip(travel / (2 * gait.step_length), 0.35, 1.0)) * (0.75 if last else 1.0)
        yaw = float(np.degrees(angle)) + outward * style.toe_out[foot]
        steps.append(Step(foot, float(lift[i]), float(land[i]), float(point[0]), float(point[1]), yaw, vigour))
        foot = 1 - foot
    return steps


def _first_foot(score: Score, sign: int) -> int:
    """The foot that has further to go; either where both stand side by side."""
    yaw = np.radians(score.heading)
    ahead = [score[f"{side}_foot_x"] * np.sin(yaw) + score[f"{side}_foot_z"] * np.cos(yaw) for side in SIDES]
    if abs(ahead[0] - ahead[1]) < 0.08:
        return int(score.rng.integers(2))
    return int(np.argmin(ahead) if sign > 0 else np.argmax(ahead))


def _phase(score: Score, gait: Gait, land: np.ndarray, first_foot: int) -> np.ndarray:
    """Phase of the left leg's cycle over the score's times, in cycles; 0 where the left foot lands."""
    before, after = land[0] - 2 * gait.step_time, land[-1] + 2 * gait.step_time
    times = np.concatenate([[before], land, [after]])
    phases = np.concatenate([[-1.0], np.arange(len(land)) / 2, [(len(land) - 1) / 2 + 1.0]])
    return 0.5 * first_foot + np.interp(score.times, times, phases)


def _pelvis(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Along the path, with the measured sway, bounce and surge of the cycle."""
    style, lively = score.style, path.liveliness(score.times)
    centre, angle = path.place(path.way(score.times))
    surge = 1.0 if gait.running else min(1.0, path.speed / 1.2)
    left = 0.01 * style.sway * lively * series(gait.cycle["left"], phase)
    ahead = 0.01 * surge * lively * series(gait.cycle["forward"], phase)
    score.track("root_x", centre[:, 0] - path.origin[0] + left * np.cos(angle) + ahead * np.sin(angle))
    score.track("root_z", centre[:, 1] - path.origin[1] - left * np.sin(angle) + ahead * np.cos(angle))
    stride = 2 * path.speed * gait.step_time
    height = _RUNNING_HEIGHT if gait.running else float(np.interp(stride, _STRIDES, _PELVIS_HEIGHTS))
    bounce = style.bounce * (1.0 if gait.running else np.clip((6.9 * path.speed - 2.9) / 5.2, 0.45, 1.5))
    up = 0.01 * bounce * series(gait.cycle["up"], phase)
    score.add("root_y", lively * (up + height - STANDING_HEIGHT))


def _shift_weight(score: Score, step: Step, start: float, seconds: float) -> None:
    """Before the first foot leaves the ground the body goes over the other one."""
    to_stance = (-1, 1)[step.foot] * 0.032 * score.style.sway
    back = max(step.land - start - seconds, 0.2)
    for channel, amount in zip(("root_x", "root_z"), score.local(to_stance, 0.0), strict=True):
        score.pulse(channel, amount, start, seconds, back)
    score.pulse("chest_side", (-1, 1)[step.foot] * 1.2, start, seconds, back)


def _trunk(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Hips and shoulders turn against each other; the trunk leans with speed, and against its change."""
    times, lively, cycle = score.times, path.liveliness(score.times), gait.cycle
    hips = 1.0 if gait.running else np.clip((0.5 + 12.9 * path.speed) / 15.7, 0.5, 1.5)
    score.add("pelvis_yaw", hips * lively * series(cycle["pelvis_yaw"], phase))
    score.add("chest_yaw", 1.3 * lively * series(cycle["shoulder_yaw"], phase))
    score.add("pelvis_roll", lively * series(cycle["pelvis_roll"], phase))
    score.add("chest_side", -lively * series(cycle["shoulder_roll"], phase))
    score.add("head_yaw", lively * (9.0 if gait.running else 2.6) * np.cos(2 * np.pi * (phase - 0.05)))
    score.add("head_pitch", lively * 1.5 * np.cos(4 * np.pi * (phase - 0.42)))

    pace = np.gradient(path.way(times), times)
    force = np.gradient(np.gradient(path.way(times + 0.12), times), times)
    lean = gait.sign * (1.5 * np.clip(force, -6, 6) + (3.4 if gait.running else 1.0) * pace)
    score.add("chest_lean", 1.5 * lean + 1.6 * lively * series(cycle["trunk_lean"], phase))
    score.add("pelvis_tilt", 0.45 * lean)
    score.add("head_pitch", 0.25 * lean)


def _arms(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Each arm with the other leg, a little late, the two not quite alike."""
    style, lively = score.style, path.liveliness(score.times, early=-0.08)
    with_speed = np.clip(path.speed / 2.9, 0.8, 1.2) if gait.running else np.clip((path.speed - 0.1) / 1.15, 0.4, 1.5)
    lag = score.rng.uniform(0.0, 0.03)
    for i, side in enumerate(SIDES):
        size = style.arm_swing * with_speed * (1 + (1, -1)[i] * style.uneven)
        for name in ("arm_flex", "elbow", "arm_abd"):
            mean, *waves = gait.cycle[name]
            wave = series((0.0, *waves), phase + 0.5 * i - lag * (1 + 0.5 * i))
            score.add(f"{side}_{name}", lively * (mean + size * wave))
        if gait.running:
            score.add(f"{side}_arm_turn", 14 * lively)
        else:
            # Wide swings bend the elbow; it never opens beyond straight.
            score.add(f"{side}_elbow", lively * max(0.0, 6 * (size - 0.8)))


def _follow_the_curve(score: Score, path: Path) -> None:
    """The head looks ahead into the curve, shoulders and pelvis follow the path, the body leans inward."""
    if not path.turn:
        return
    turn = float(np.degrees(path.turn))
    radius = path.total / abs(path.turn)
    inward = min(18.0, 0.55 * np.degrees(np.arctan(path.speed**2 / (GRAVITY * radius)))) * np.sign(turn)
    lively = path.liveliness(score.times)
    score.add("chest_side", inward * lively)
    score.add("pelvis_roll", -0.5 * inward * lively)
    for channel, early in (("head_yaw", 0.28), ("chest_yaw", 0.08), ("pelvis_yaw", 0.03)):
        score.track(channel, turn * path.way(score.times + early) / path.total)
    score.heading += turn
