"""Walking and running forward and backward, straight or along an arc: path first, then footfalls, then the body.

The pelvis follows a smooth profile of speed. A foot lands where the pelvis will pass over it in the middle of its
stance and is then held; captured cycles are laid over the path at the phase that the footfalls define. What is counted
is exact: `count` swings, the last of which brings the feet together (after a single step they stay apart).
"""

from dataclasses import dataclass

import numpy as np

from atm.motion.program import Action
from atm.scripted.motion.body import CHANNELS, COLUMN, SIDES, TOE_AHEAD_OF_PELVIS, heights_over_feet
from atm.scripted.motion.cycles import Cycle, running, walking
from atm.scripted.motion.footfall import BACKWARD, Step, SwingShape, captured_swing, standing_yaw, swing
from atm.scripted.motion.score import GRAVITY, Score, Style, minimum_jerk_integral
from atm.scripted.motion.stepping import sideways

SPEEDS = {
    ("walk", "forward"): {"slow": (0.65, 0.85), "normal": (1.15, 1.40), "fast": (1.65, 1.90)},
    ("walk", "backward"): {"slow": (0.40, 0.52), "normal": (0.70, 0.90), "fast": (1.05, 1.25)},
    ("run", "forward"): {"slow": (1.9, 2.2), "normal": (2.6, 3.0), "fast": (3.4, 3.8)},
    ("run", "backward"): {"slow": (1.2, 1.4), "normal": (1.6, 1.8), "fast": (2.0, 2.2)},
}
"""Metres per second at full speed; the ranges of one kind do not overlap. Few steps do not reach full speed."""
DEFAULT_STEPS = 4

_STANCE_KNEE = 4.0
"""The pelvis is carried as high as leaves this bend in the most stretched standing leg, degrees."""
_RUNNING_HEIGHT = 0.925
"""Who runs bends the knees more than that, metres."""
_FURTHER_AHEAD = 0.02
"""Walking feet land so much further ahead than captured ones, metres: stances are then as far behind as ahead, and the
pelvis is carried as high as captured ones are."""
_STOPPING_REACH = 0.45
"""The body may go on by so much after the last but one foot has landed, metres; a leg reaches no further."""


@dataclass(frozen=True)
class Gait:
    """Kind and size of a step."""

    running: bool
    sign: int
    """1 forward, -1 backward."""
    speed: float
    """Metres per second at full speed."""
    step_time: float
    """Seconds from one landing to the next."""
    cycle: Cycle
    """The person's own at this speed."""
    shapes: tuple[SwingShape, SwingShape]
    """How the left and the right foot swing."""

    @property
    def step_length(self) -> float:
        return self.speed * self.step_time

    @property
    def stance(self) -> float:
        """Time that a foot stands, in step times."""
        return 2 * (1 - self.cycle.swing)

    @property
    def mid_stance(self) -> float:
        """Time from landing to the middle of the stance, in step times."""
        return 0.5 if self.sign < 0 else 0.5 * self.stance

    def sole_ahead(self, foot: int) -> float:
        """Return how far ahead of the mean pelvis the sole is in the middle of a stance, metres."""
        if self.sign < 0:
            return 0.05
        # As the ankle goes over it: the middle part of the captured stance, without the travel of the pelvis.
        phase = np.linspace(0.3, 0.7, 5) * 0.5 * self.stance
        place = self.cycle(f"{SIDES[foot]}_foot_ahead", phase) + self.cycle("forward", phase + 0.5 * foot)
        travel = 2 * self.step_length * (phase - 0.5 * self.mid_stance)
        return float(np.mean(0.01 * place + travel)) + (0.0 if self.running else _FURTHER_AHEAD)

    def half_width(self, foot: int) -> float:
        """Return how far beside the path the foot stands, metres."""
        phase = np.linspace(0.3, 0.7, 5) * 0.5 * self.stance
        sway = (1, -1)[foot] * self.cycle("left", phase + 0.5 * foot)
        return float(np.clip(0.01 * np.mean(self.cycle(f"{SIDES[foot]}_foot_out", phase) + sway), 0.004, 0.07))

    @property
    def vigour(self) -> float:
        """How much of the shape's lift and pitch of the foot a step of this speed has."""
        if self.sign < 0:
            return float(np.clip(0.6 + 0.5 * self.speed, 0.7, 1.2))
        return float(np.clip(0.45 + 0.55 * self.speed / 3.2, 0.65, 1.1)) if self.running else 1.0


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
        """Return metres travelled at a time; both ramps of the speed are minimum-jerk."""
        at = np.asarray(at, dtype=float)
        up = self.rise * minimum_jerk_integral((at - self.begin) / self.rise)
        return self.speed * (up - self.fall * minimum_jerk_integral((at - self.end + self.fall) / self.fall))

    def liveliness(self, times: np.ndarray, early: float = 0.0) -> np.ndarray:
        """Return share of the full speed, 0 to 1."""
        return np.clip(np.gradient(self.way(times + early), times) / self.speed, 0, 1)

    def place(self, along: np.ndarray | float, left: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return world x, z (..., 2) and heading in radians beside the path; beyond its ends it goes on straight."""
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
        swing(score, step, gait.shapes[step.foot], gait.step_time)
    phase = _phase(score, gait, land, steps[0].foot)
    _pelvis(score, gait, path, phase)
    _shift_weight(score, steps[0], start, shift)
    _trunk(score, gait, path, phase)
    _arms(score, gait, path, phase)
    _follow_the_curve(score, path)
    score.marks += [float(lift[0]), *land.tolist()]
    score.now = float(land[-1]) + 0.22


def _draw_gait(score: Score, action: Action, turn: float) -> Gait:
    direction = "backward" if action.direction == "backward" else "forward"
    running_, sign = action.verb == "run", -1 if direction == "backward" else 1
    speed = score.rng.uniform(*SPEEDS[action.verb, direction][action.speed]) * (0.87 if turn else 1.0)
    # Walking: step length over cadence hardly changes with speed, and backward steps are shorter. Running: the cadence
    # hardly changes.
    walking_time = np.sqrt(0.372 / speed) * (1.0 if sign > 0 else 0.8)
    step_time = 60 / (157 + 6 * (speed - 2.9)) if running_ else walking_time
    step_time = float(step_time) * score.jitter(0.015)
    return _gait(score.style, running_, sign, float(speed), step_time)


def _gait(style: Style, runs: bool, sign: int, speed: float, step_time: float) -> Gait:
    cycle = running(speed, style.runs) if runs else walking(speed, style.walks, backward=sign < 0)
    if sign < 0:
        shapes = (BACKWARD, BACKWARD)
    else:
        before, after = (0.34, 0.16) if runs else (0.58, 0.24)
        stride = 2 * speed * step_time
        shapes = tuple(captured_swing(cycle, side, stride, before, after) for side in SIDES)
    return Gait(runs, sign, speed, step_time, cycle, shapes)


def _timetable(score: Score, gait: Gait, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return when each foot lifts and lands, and the seconds that the body takes before, to shift its weight."""
    shift = (0.24 if gait.running else 0.30) * (0.7 + 0.3 * gait.step_time / 0.54)
    first_swing = 0.8 * max(gait.step_time, 0.42)
    gaps = gait.step_time * (1 + 0.02 * np.clip(score.rng.normal(size=count - 1), -2, 2))
    land = score.now + shift + first_swing + np.concatenate([[0.0], np.cumsum(gaps)])
    # Both feet are down for a while in walking; in running a foot leaves before the other one lands.
    both_down = np.full(count - 1, gait.stance - 1 if gait.sign > 0 else 0.2)
    if gait.running:
        both_down[:] = -0.44
        both_down[:1] = both_down[-1:] = -0.36
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
    """Return where each foot lands: the pelvis passes over it in the middle of its stance."""
    style, count = score.style, len(land)
    foot = _first_foot(score, gait.sign)
    finish = path.total + gait.sign * TOE_AHEAD_OF_PELVIS
    steps = []
    for i in range(count):
        outward, last = (1, -1)[foot], i == count - 1
        passed = float(path.way(land[i] + gait.mid_stance * gait.step_time))
        along = min(passed + gait.sign * gait.sole_ahead(foot), finish)
        if last:
            along = finish + (0.9 * path.total if count == 1 else 0.0)
        elif i == count - 2:
            along = max(along, finish - 0.10)
        closing = last or i == count - 2
        point, angle = path.place(along, outward * (style.stance_width / 2 if closing else gait.half_width(foot)))
        side = SIDES[foot]
        was = np.array([score[f"{side}_foot_x"], score[f"{side}_foot_z"]])
        travel = float(np.linalg.norm(point - was)) if i < 2 else 2 * gait.step_length
        vigour = gait.vigour * float(np.clip(travel / (2 * gait.step_length), 0.35, 1.0)) * (0.75 if last else 1.0)
        heading = float(np.degrees(angle))
        toe_out = style.toe_out[foot] if closing or gait.sign < 0 else standing_yaw(gait.cycle, SIDES[foot])
        where = float(point[0]), float(point[1])
        yaw = heading + outward * toe_out
        steps.append(Step(foot, float(lift[i]), float(land[i]), *where, yaw, vigour, heading))
        foot = 1 - foot
    return steps


def _first_foot(score: Score, sign: int) -> int:
    """Return the foot that has further to go; either where both stand side by side."""
    yaw = np.radians(score.heading)
    ahead = [score[f"{side}_foot_x"] * np.sin(yaw) + score[f"{side}_foot_z"] * np.cos(yaw) for side in SIDES]
    if abs(ahead[0] - ahead[1]) < 0.08:
        return int(score.rng.integers(2))
    return int(np.argmin(ahead) if sign > 0 else np.argmax(ahead))


def _phase(score: Score, gait: Gait, land: np.ndarray, first_foot: int) -> np.ndarray:
    """Return phase of the left leg's cycle over the score's times, in cycles; 0 where the left foot lands."""
    before, after = land[0] - 2 * gait.step_time, land[-1] + 2 * gait.step_time
    times = np.concatenate([[before], land, [after]])
    phases = np.concatenate([[-1.0], np.arange(len(land)) / 2, [(len(land) - 1) / 2 + 1.0]])
    return 0.5 * first_foot + np.interp(score.times, times, phases)


def _pelvis(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Move the pelvis along the path, with the sway, bounce and surge of the cycle."""
    style, cycle, lively = score.style, gait.cycle, path.liveliness(score.times)
    centre, angle = path.place(path.way(score.times))
    left = 0.01 * style.sway * lively * cycle("left", phase)
    ahead = 0.01 * lively * cycle("forward", phase)
    score.track("root_x", centre[:, 0] - path.origin[0] + left * np.cos(angle) + ahead * np.sin(angle))
    score.track("root_z", centre[:, 1] - path.origin[1] - left * np.sin(angle) + ahead * np.cos(angle))
    up = 0.01 * (cycle("up", phase) - cycle.mean("up"))
    score.add("root_y", lively * (up + _height(gait, path.speed) - score["root_y"]))


def _height(gait: Gait, speed: float) -> float:
    """Return the highest mean pelvis from which no standing leg is over-stretched, metres."""
    cycle = gait.cycle
    pose = np.zeros((24, len(CHANNELS)))
    phase = np.linspace(0.02, 0.5 * gait.stance - 0.06, len(pose))
    for name in ("pelvis_yaw", "pelvis_tilt", "pelvis_roll"):
        pose[:, COLUMN[name]] = cycle(name, phase)
    heights = []
    for i, side in enumerate(SIDES):
        if i:
            for name in ("pelvis_yaw", "pelvis_tilt", "pelvis_roll"):
                pose[:, COLUMN[name]] = cycle(name, phase + 0.5)
        travel = 2 * speed * gait.step_time * (phase - 0.5 * gait.mid_stance) * gait.sign
        ahead = gait.sole_ahead(i) - travel - 0.01 * cycle("forward", phase + 0.5 * i)
        pose[:, COLUMN[f"{side}_foot_z"]] = ahead
        pose[:, COLUMN[f"{side}_foot_x"]] = (1, -1)[i] * gait.half_width(i)
        pose[:, COLUMN[f"{side}_foot_pitch"]] = gait.shapes[i].standing_pitch(phase, 0.5 * gait.stance)
        up = 0.01 * (cycle("up", phase + 0.5 * i) - cycle.mean("up"))
        heights.append(heights_over_feet(pose, i, _STANCE_KNEE) - up)
    highest = _RUNNING_HEIGHT if gait.running else 0.97
    return float(np.clip(np.min(heights), 0.80, highest))


def _shift_weight(score: Score, step: Step, start: float, seconds: float) -> None:
    """Move the body over the standing foot before the other one leaves the ground."""
    to_stance = (-1, 1)[step.foot] * 0.032 * score.style.sway
    back = max(step.land - start - seconds, 0.2)
    for channel, amount in zip(("root_x", "root_z"), score.local(to_stance, 0.0), strict=True):
        score.pulse(channel, amount, start, seconds, back)
    score.pulse("chest_side", (-1, 1)[step.foot] * 1.2, start, seconds, back)


def _trunk(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Turn hips and shoulders against each other; lean the trunk as the person does, and against changes of speed."""
    times, lively, cycle = score.times, path.liveliness(score.times), gait.cycle
    for channel in ("pelvis_yaw", "chest_yaw", "head_yaw"):
        score.add(channel, lively * (cycle(channel, phase) - (score[channel] - score.heading)))
    for channel in ("pelvis_tilt", "pelvis_roll", "chest_lean", "chest_side", "head_pitch"):
        score.add(channel, lively * (cycle(channel, phase) - score[channel]))
    force = np.gradient(np.gradient(path.way(times + 0.12), times), times)
    lean = gait.sign * 1.6 * np.clip(force, -5, 5)
    if gait.running:
        lean = lean + 2.0 * lively * (gait.sign * path.speed - 2.6)
    score.add("chest_lean", lean)
    score.add("pelvis_tilt", 0.4 * lean)


def _arms(score: Score, gait: Gait, path: Path, phase: np.ndarray) -> None:
    """Swing each arm as the person does at this speed."""
    style, cycle, lively = score.style, gait.cycle, path.liveliness(score.times, early=-0.08)
    for i, side in enumerate(SIDES):
        own = phase + 0.5 * i
        for name in ("arm_flex", "arm_abd", "arm_turn", "elbow", "knee_out"):
            channel = f"{side}_{name}"
            size = style.arm_swing if name != "knee_out" else 1.0
            mean = cycle.mean(channel)
            curve = mean + size * (cycle(channel, own) - mean)
            if name == "elbow":
                # It never opens beyond straight.
                curve = 8 + 4 * np.logaddexp(0, (curve - 8) / 4)
            score.add(channel, lively * (curve - score[channel]))


def _follow_the_curve(score: Score, path: Path) -> None:
    """Turn the head ahead into the curve, shoulders and pelvis along the path, and lean the body inward."""
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
