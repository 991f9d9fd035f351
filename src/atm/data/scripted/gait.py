"""Walking and running in any direction, and turning on the spot: first the footfalls, then the body above them.

The pelvis path is a smooth profile of speed. A foot lands where the pelvis will pass over it in the middle of its
stance, and is then held; the cycle curves of captured walks and runs (means over 24 and 46 clips, `docs/data.md`) are
laid over the path at the phase that the footfalls define. Everything counted is exact: `count` swings, no more.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from atm.data.scripted.body import SIDES, STANDING_HEIGHT, TOE_AHEAD_OF_PELVIS
from atm.data.scripted.program import Action
from atm.data.scripted.score import GRAVITY, Score, minimum_jerk, minimum_jerk_integral

# Fourier series over the left leg's cycle, phase 0 = left foot furthest forward: (a0, a1, b1, a2, b2, ...).
# Degrees and centimetres; the right side is half a cycle later.
_WALK = {
    "arm_flex": (0, -21.7, 0.8, 0.2, -0.7, -0.5, 0.5, 0.4, 0.2),
    "elbow": (0, -16.1, -0.6, 3.4, 0.4, -0.1, -2.3, -0.6, -0.2),
    "arm_abd": (0, -4.6, -0.3, 1.2, 0, 0.1, -0.5, 0, 0.1),
    "pelvis_yaw": (0, -7.33, -3.17, 0, 0, 0.69, 0.35, 0.03, 0),
    "pelvis_roll": (0, 1.42, 2.37, 0.03, 0.02, -1.64, -0.08, 0.01, 0.03),
    "shoulder_yaw": (0, 3.06, -0.79, 0, 0.04, -0.28, 0.31),
    "shoulder_roll": (0, -0.42, -1.43, 0, 0, 0.46, 0.08),
    "trunk_lean": (0, 0, 0.17, 1.56, -0.07, 0.02, 0.06, 0.25, 0.18),
    "up": (0, 0, 0, -0.49, -1.77, 0, 0, -0.17, 0),
    "left": (0, -1.26, 2.57, 0, 0, -0.26, -0.03),
    "forward": (0, 0.07, 0, -2.09, 1.38, 0, 0, -0.36, -0.04),
}
_RUN = {
    "arm_flex": (-27.0, -27.0, 16.6, -4.1, -0.7, -0.3, -2.3, 0.1, -0.8),
    "elbow": (72.0, -6.7, 12.1, 4.9, -6.7, -1.6, -0.8, 0.1, 1.1),
    "arm_abd": (4.0, -1.7, -2.2, -1.9, 1.4, -0.9, 0.2),
    "pelvis_yaw": (0, -6.25, 4.20, -0.20, -0.09, 0.22, 0.05),
    "pelvis_roll": (0, 2.22, -0.33, 0, 0.18, -3.56, 0.06, 0.10, 0.08),
    "shoulder_yaw": (0, 11.28, -2.18, -0.14, -0.12, -0.99, -0.41),
    "shoulder_roll": (0, -0.42, -1.43, 0, 0, 0.46, 0.08),
    "trunk_lean": (0, 0, 1.15, 0.17, 0, 0.13, 0.44, 0.16, 0.35),
    "up": (0, 0, -0.18, 4.26, -3.85, 0, 0, -0.22, 0.30),
    "left": (0, -0.6, 1.2),
    "forward": (0, 0.64, -0.21, 1.26, 0.09, 0, 0, 0, 0.36),
}
_BACKWARD = {
    **_WALK,
    "arm_flex": (0, 6.6, 13.2, 0.2, 0.7, -0.7, 0.5, -0.1, 0),
    "elbow": (0, 4.0, 3.0),
    "arm_abd": (0, 1.0, 1.0),
    "pelvis_yaw": (0, 1.09, 2.79, 0, 0.06, -0.33, 0.79, 0, 0.07),
    "pelvis_roll": (0, 1.0, 1.6),
    "up": (0, 0, 0, -1.02, -1.55, 0, 0, 0.09, -0.08),
    "left": (0, -0.35, 2.97, 0, 0, 0, 0.08),
    "forward": (0, 0, 0, -0.8, 0.5),
}

_STRIDES = (0.0, 1.09, 1.29, 1.39, 1.49, 1.64)
_PELVIS_HEIGHTS = (STANDING_HEIGHT, 0.942, 0.925, 0.913, 0.903, 0.884)
"""The highest mean pelvis from which no leg is over-stretched, by length of stride (two steps), metres."""


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
FORWARD = SwingShape(
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


def series(coefficients: tuple[float, ...], phase: np.ndarray) -> np.ndarray:
    """The Fourier series (a0, a1, b1, a2, b2, ...) at a phase in cycles."""
    total = np.full_like(phase, coefficients[0], dtype=float)
    pairs = np.reshape(coefficients[1:], (-1, 2))
    for k, (a, b) in enumerate(pairs, start=1):
        if a:
            total += a * np.cos(2 * np.pi * k * phase)
        if b:
            total += b * np.sin(2 * np.pi * k * phase)
    return total


SPEEDS = {
    ("walk", "forward"): {"slow": (0.65, 0.85), "normal": (1.15, 1.40), "fast": (1.65, 1.90)},
    ("walk", "backward"): {"slow": (0.40, 0.52), "normal": (0.70, 0.90), "fast": (1.05, 1.25)},
    ("run", "forward"): {"slow": (1.9, 2.2), "normal": (2.6, 3.0), "fast": (3.4, 3.8)},
    ("run", "backward"): {"slow": (1.2, 1.4), "normal": (1.6, 1.8), "fast": (2.0, 2.2)},
}
"""Metres per second; the ranges of one kind do not overlap."""
DEFAULT_STEPS = 4


def locomotion(score: Score, action: Action) -> None:
    """Walk or run as the action says."""
    count = action.count or DEFAULT_STEPS
    if action.direction in ("left", "right"):
        _sideways(score, count, action)
    else:
        _along_path(score, count, action)


def _along_path(score: Score, count: int, action: Action) -> None:
    rng, style, t = score.rng, score.style, score.times
    running = action.verb == "run"
    sign = -1 if action.direction == "backward" else 1
    turn = 0.0 if action.path in (None, "straight") else float(action.degrees or 0) * _turn_sign(action.side)
    speed = rng.uniform(*SPEEDS[action.verb, action.direction or "forward"][action.speed])
    step_time = _step_time(speed, running, sign) * score.jitter(0.015)
    if turn:
        speed *= 0.87
    length = speed * step_time

    # Footfall times. Before the first lift the body shifts onto the other foot.
    shift = (0.24 if running else 0.30) * (0.7 + 0.3 * step_time / 0.54)
    start = score.now
    first = start + shift + 0.8 * max(step_time, 0.42)
    gaps = step_time * (1 + 0.02 * np.clip(rng.normal(size=count - 1), -2, 2))
    land = first + np.concatenate([[0.0], np.cumsum(gaps)])
    # How far the cycle is a run: no flight in the first and the last step.
    flight = np.full(count, 0.2)
    if running:
        flight[1:] = -0.40
        flight[-1] = min(0.2, 0.2 - 0.3 * (count > 2))
        if count > 2:
            flight[1] = -0.25
    lift = np.concatenate([[first - 0.8 * max(step_time, 0.42)], land[:-1] + flight[1:] * step_time])
    if running and count > 2:
        # In flight both feet are off the ground: a foot leaves well before the other one lands.
        lift[1] = land[0] - 0.18 * step_time

    # Pelvis path: speed rises and falls by minimum jerk.
    begin, end = start + 0.10, land[-1] + 0.38
    span = end - begin
    if running:
        # Braking begins about four steps before the end, else the last feet are left behind.
        rise, fall = min(0.80, 0.40 * span), min(1.5, 0.58 * span)
    else:
        rise, fall = (min(part, 0.5 * span) for part in (max(2.0 * step_time, 0.75), max(1.9 * step_time, 0.75)))
    travelled = speed * (span - (rise + fall) / 2)
    longest = length * (count - 0.7) if count > 1 else 0.42 * length
    speed *= min(1.0, longest / travelled)

    def way(at: np.ndarray | float) -> np.ndarray | float:
        at = np.asarray(at, dtype=float)
        return speed * (
            rise * minimum_jerk_integral((at - begin) / rise) - fall * minimum_jerk_integral((at - end + fall) / fall)
        )

    total = float(way(end))
    pelvis_way = way(t)
    origin = np.array([score["root_x"], score["root_z"]])
    heading = np.radians(score.heading)

    def place(along: np.ndarray | float, left: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """World x, z and heading in radians of a point beside the path; the path is an arc of constant curvature."""
        along = np.asarray(along, dtype=float)
        curve = np.radians(turn) / total
        angle = curve * np.clip(along, 0, total)
        beyond = along - np.clip(along, 0, total)
        if turn:
            side_way, ahead = (1 - np.cos(angle)) / curve, np.sin(angle) / curve
        else:
            side_way, ahead = np.zeros_like(along), np.clip(along, 0, total)
        side_way = side_way + beyond * np.sin(angle) + left * np.cos(angle)
        ahead = ahead + beyond * np.cos(angle) - left * np.sin(angle)
        ahead = sign * ahead if sign < 0 else ahead
        x = origin[0] + side_way * np.cos(heading) + ahead * np.sin(heading)
        z = origin[1] - side_way * np.sin(heading) + ahead * np.cos(heading)
        return np.stack([x, z], axis=-1), np.asarray(angle + heading)

    # Footfalls: the sole lands so that the pelvis passes over it half a step later.
    foot = _first_foot(score, sign)
    phase_offset = 0.0 if foot == 0 else 0.5
    width = 0.5 * (0.02 if running else rng.uniform(0.06, 0.10)) + 0.014
    over_sole = 0.10 if running else 0.05 if sign < 0 else 0.144
    vigour = _vigour(speed, running, sign)
    shape = BACKWARD if sign < 0 else RUNNING if running else FORWARD
    steps = []
    for i in range(count):
        last = i == count - 1
        passed = float(way(land[i] + (0.5 if not running else 0.3) * step_time))
        # Distance along the path of the pelvis point that the sole belongs to.
        reach = sign * over_sole
        along = min(passed + reach, total + sign * TOE_AHEAD_OF_PELVIS)
        if i == count - 2:
            # The last but one foot stays under the body until it stands.
            along = max(along, total + sign * TOE_AHEAD_OF_PELVIS - 0.22)
        outward = (1, -1)[foot]
        lateral = outward * (style.stance_width / 2 if last or (i == count - 2 and not running) else width)
        if last:
            ahead = sign * TOE_AHEAD_OF_PELVIS + (total if count == 1 else 0) * 0.9
            point, angle = place(total + ahead, lateral)
        else:
            point, angle = place(along, lateral)
        previous = np.array([score[f"{SIDES[foot]}_foot_x"], score[f"{SIDES[foot]}_foot_z"]])
        went = float(np.linalg.norm(point - previous)) if i < 2 else 2 * length
        steps.append(
            Step(
                foot,
                float(lift[i]),
                float(land[i]),
                float(point[0]),
                float(point[1]),
                float(np.degrees(angle)) + outward * style.toe_out[foot],
                vigour * float(np.clip(went / (2 * length), 0.35, 1.0)) * (0.75 if last else 1.0),
            )
        )
        foot = 1 - foot
    for step in steps:
        swing(score, step, _shape_of(shape, step, running), step_time)

    # The pelvis along the path, with the cycle laid over it.
    centre, angle = place(pelvis_way)
    liveliness = np.clip(np.gradient(pelvis_way, t) / speed, 0, 1)
    phase = phase_offset + np.interp(t, land, np.arange(count) / 2) if count > 1 else np.full_like(t, phase_offset)
    phase = phase + np.minimum(t - land[0], 0) / (2 * step_time) + np.maximum(t - land[-1], 0) / (2 * step_time)
    cycle = _RUN if running else _BACKWARD if sign < 0 else _WALK
    curve = {name: liveliness * series(coefficients, phase) for name, coefficients in cycle.items()}

    bounce = style.bounce * (1.0 if running else np.clip((-2.9 + 6.9 * speed) / 5.2, 0.45, 1.5))
    left_way = 0.01 * style.sway * curve["left"]
    ahead = 0.01 * curve["forward"] * (min(1.0, speed / 1.2) if not running else 1.0)
    x = centre[:, 0] - origin[0] + left_way * np.cos(angle) + ahead * np.sin(angle)
    z = centre[:, 1] - origin[1] - left_way * np.sin(angle) + ahead * np.cos(angle)
    score.track("root_x", x)
    score.track("root_z", z)
    height = 0.919 if running else float(np.interp(2 * length, _STRIDES, _PELVIS_HEIGHTS))
    score.add("root_y", 0.01 * bounce * curve["up"] - liveliness * (STANDING_HEIGHT - height))
    _shift_weight(score, steps[0], start, shift)

    swing_yaw = np.clip((0.5 + 12.9 * speed) / 15.7, 0.5, 1.5) if not running else 1.0
    score.add("pelvis_yaw", swing_yaw * curve["pelvis_yaw"])
    score.add("chest_yaw", 1.3 * curve["shoulder_yaw"])
    score.add("pelvis_roll", curve["pelvis_roll"])
    score.add("chest_side", -curve["shoulder_roll"])
    score.add("chest_lean", 1.6 * curve["trunk_lean"])
    score.add("head_yaw", liveliness * (9.0 if running else 2.6) * np.cos(2 * np.pi * (phase - 0.05)))
    score.add("head_pitch", liveliness * 1.5 * np.cos(4 * np.pi * (phase - 0.42)))
    _carry_arms(score, cycle, phase, np.clip(np.gradient(way(t - 0.08), t) / speed, 0, 1), speed, running, sign)
    _lean_with_speed(score, way, speed, running, sign)

    # Heading: the head looks ahead into the curve, shoulders and pelvis follow the path.
    if turn:
        curve_radius = total / abs(np.radians(turn))
        into = np.degrees(np.arctan(speed**2 / (GRAVITY * curve_radius))) * 0.55 * np.sign(turn)
        score.add("chest_side", into * liveliness)
        score.add("pelvis_roll", -0.5 * into * liveliness)
        for channel, early in (("head_yaw", 0.28), ("chest_yaw", 0.08), ("pelvis_yaw", 0.03)):
            score.track(channel, turn * way(t + early) / total)
        score.heading += turn
    score.now = float(land[-1]) + 0.22


def _turn_sign(side: str | None) -> int:
    return -1 if side == "right" else 1


def _step_time(speed: float, running: bool, sign: int) -> float:
    if running:
        return 60 / (157 + 6 * (speed - 2.9))
    # Constant walk ratio: step length over cadence hardly changes with speed. Backward steps are shorter.
    step = np.sqrt(0.372 * speed) * (1 if sign > 0 else 0.8)
    return float(step / speed)


def _vigour(speed: float, running: bool, sign: int) -> float:
    if running:
        return float(np.clip(speed / 2.94, 0.7, 1.1))
    if sign < 0:
        return float(np.clip(0.6 + 0.5 * speed, 0.7, 1.2))
    return float(np.clip((17 + 62 * speed) / 92, 0.62, 1.15))


def _shape_of(shape: SwingShape, step: Step, running: bool) -> SwingShape:
    """A short step of a run is walked."""
    return FORWARD if running and step.vigour < 0.5 else shape


def _first_foot(score: Score, sign: int) -> int:
    """The foot that has further to go; either where both stand side by side."""
    yaw = np.radians(score.heading)
    ahead = [score[f"{side}_foot_x"] * np.sin(yaw) + score[f"{side}_foot_z"] * np.cos(yaw) for side in SIDES]
    if abs(ahead[0] - ahead[1]) < 0.08:
        return int(score.rng.integers(2))
    return int(np.argmin(ahead) if sign > 0 else np.argmax(ahead))


def _shift_weight(score: Score, step: Step, start: float, seconds: float, amount: float = 0.032) -> None:
    """Before a foot leaves the ground the body goes over the other one."""
    to_stance = (-1, 1)[step.foot] * amount * score.style.sway
    x, z = score.local(to_stance, 0.0)
    back = max(step.land - start - seconds, 0.2)
    score.pulse("root_x", x, start, seconds, back)
    score.pulse("root_z", z, start, seconds, back)
    score.pulse("chest_side", (-1, 1)[step.foot] * 1.2, start, seconds, back)


def _carry_arms(score: Score, cycle, phase, liveliness, speed: float, running: bool, sign: int) -> None:
    style = score.style
    size = style.arm_swing * (
        np.clip((speed - 0.1) / 1.15, 0.4, 1.5) if not running else np.clip(speed / 2.9, 0.8, 1.2)
    )
    lag = score.rng.uniform(0.0, 0.03)
    for i, side in enumerate(SIDES):
        arm_phase = phase + 0.5 * i - lag * (1 + 0.5 * i)
        mine = size * (1 + (1, -1)[i] * style.uneven)
        for name in ("arm_flex", "elbow", "arm_abd"):
            mean, *waves = cycle[name]
            score.add(f"{side}_{name}", liveliness * (mean + mine * series((0.0, *waves), arm_phase)))
        if running:
            score.add(f"{side}_arm_turn", liveliness * 14)
        else:
            score.add(f"{side}_elbow", liveliness * max(0.0, 6 * (mine - 0.8)))


def _lean_with_speed(score: Score, way, speed: float, running: bool, sign: int) -> None:
    """Forward when it gets faster, back when it brakes, forward all along in a run."""
    t = score.times
    pace = np.gradient(way(t), t)
    force = np.gradient(np.gradient(way(t + 0.12), t), t)
    lean = sign * np.clip(force, -6, 6) * (1.6 if running else 1.5) + (pace * 2.6 if running else pace * 1.0)
    score.add("chest_lean", 1.5 * lean)
    score.add("pelvis_tilt", 0.45 * lean)
    score.add("head_pitch", 0.25 * lean)


def _sideways(score: Score, count: int, action: Action) -> None:
    """The foot on that side leads, the other one closes; feet do not cross."""
    rng, style = score.rng, score.style
    leftward = 1 if action.direction == "left" else -1
    lead = 0 if leftward > 0 else 1
    quick = action.verb == "run"
    length = rng.uniform(0.30, 0.40) * (1.25 if quick else 1.0)
    low, high = {"slow": (0.74, 0.84), "normal": (0.48, 0.56), "fast": (0.32, 0.37)}[action.speed]
    step_time = rng.uniform(low, high) * (0.72 if quick else 1.0)
    shift = 0.6 * step_time
    start = score.now
    gather = _foot_gap(score, leftward)
    moment = start + shift
    pelvis = 0.0
    foot_at = {0: style.stance_width / 2, 1: -style.stance_width / 2}
    origin = np.array([score["root_x"], score["root_z"]])
    if gather > 0.1:
        lead = 1 - lead
    for i in range(count):
        foot = lead if i % 2 == 0 else 1 - lead
        duration = 0.78 * step_time * score.jitter(0.03)
        other = foot_at[1 - foot]
        leading = (1, -1)[foot] == leftward
        if leading:
            foot_at[foot] = other + leftward * (style.stance_width + length)
        else:
            foot_at[foot] = other - leftward * style.stance_width
        target = np.array(score.local(foot_at[foot], TOE_AHEAD_OF_PELVIS)) + origin
        toe_out = (1, -1)[foot] * style.toe_out[foot]
        step = Step(foot, moment, moment + duration, *target, score.heading + toe_out, 1.0)
        swing(score, step, FLAT, step_time)
        # Over the standing foot first, then between the two.
        middle = 0.5 * (foot_at[0] + foot_at[1])
        toward_stance = 0.22 * (foot_at[1 - foot] - pelvis) if not leading else -leftward * 0.02
        score.shift(toward_stance, 0, moment - 0.35 * step_time, 0.6 * step_time)
        score.shift(middle - pelvis - toward_stance, 0, moment + 0.05 * step_time, 1.05 * step_time)
        pelvis = middle
        stance_side = (-1, 1)[foot]
        score.pulse("chest_side", stance_side * rng.uniform(1.5, 3.0), moment - 0.2, 0.6 * step_time, 0.6 * step_time)
        score.pulse("pelvis_roll", -stance_side * 2.0, moment, 0.5 * step_time, 0.6 * step_time)
        drop = 0.028 if leading else 0.010
        score.pulse("root_y", -drop, moment, 0.8 * step_time, 0.7 * step_time)
        for arm, side in enumerate(SIDES):
            out = 5.0 if leading else -2.0
            score.pulse(f"{side}_arm_abd", out * (1.2, 0.8)[arm], moment + 0.05, 0.6 * step_time, 0.8 * step_time)
            score.pulse(f"{side}_elbow", 5 * (0.8, 1.3)[arm], moment + 0.1, 0.6 * step_time, 0.7 * step_time)
        moment += step_time
    look = leftward * rng.uniform(5, 14)
    score.pulse("head_yaw", look, start - 0.1, 0.4, max(moment - start, 0.6))
    score.now = moment + 0.15


def _foot_gap(score: Score, leftward: int) -> float:
    """How much wider than a normal stance the feet stand."""
    gap = np.hypot(score["left_foot_x"] - score["right_foot_x"], score["left_foot_z"] - score["right_foot_z"])
    return float(gap - score.style.stance_width)


def turn(score: Score, action: Action) -> None:
    """Turn on the spot in small steps, the foot on the turning side first; head, then shoulders, then pelvis."""
    rng, style = score.rng, score.style
    sign = _turn_sign(action.direction)
    degrees = float(action.degrees or 90)
    count = 1 + int(np.ceil(degrees / 46))
    step_time = rng.uniform(*{"slow": (0.62, 0.70), "normal": (0.42, 0.48), "fast": (0.29, 0.33)}[action.speed])
    start = score.now
    first_lift = start + 0.65 * step_time
    foot = 0 if sign > 0 else 1
    centre = np.array([score["root_x"], score["root_z"]])
    for i in range(count):
        share = min(1.0, (i + 1) / (count - 1))
        yaw = score.heading + sign * degrees * share
        outward = (1, -1)[foot]
        left, ahead = outward * style.stance_width / 2, TOE_AHEAD_OF_PELVIS
        radians = np.radians(yaw)
        x = centre[0] + left * np.cos(radians) + ahead * np.sin(radians)
        z = centre[1] - left * np.sin(radians) + ahead * np.cos(radians)
        moment = first_lift + i * step_time * score.jitter(0.01)
        step = Step(foot, moment, moment + 0.72 * step_time, x, z, yaw + outward * style.toe_out[foot], 0.8)
        swing(score, step, FLAT, step_time)
        # Onto the other foot while this one swings; left and right of where the body faces by then.
        lean = -outward * rng.uniform(0.024, 0.034) * style.sway
        for channel, part in (("root_x", np.cos(radians)), ("root_z", -np.sin(radians))):
            score.pulse(channel, lean * part, moment - 0.4 * step_time, 0.55 * step_time, 0.75 * step_time)
        score.pulse("chest_side", -outward * 1.3, moment - 0.3 * step_time, 0.55 * step_time, 0.7 * step_time)
        score.pulse("root_y", -0.008, moment, 0.5 * step_time, 0.5 * step_time)
        foot = 1 - foot
    # Constant turning rate in the middle, smooth at both ends.
    seconds = (count + 0.1) * step_time
    ease = min(0.5 * seconds, 0.55 + 0.3 * step_time)
    for channel, delay in (("head_yaw", -0.12), ("chest_yaw", 0.02), ("pelvis_yaw", 0.08)):
        u = score.times - (start + delay + 0.12)
        ramp = minimum_jerk_integral(u / ease) - minimum_jerk_integral((u - seconds + ease) / ease)
        score.track(channel, sign * degrees * ramp * ease / (seconds - ease))
    for arm, side in enumerate(SIDES):
        outward = (1, -1)[arm]
        score.pulse(f"{side}_arm_flex", -sign * outward * rng.uniform(6, 11), start + 0.1, 0.5, 0.6 * seconds + 0.3)
        score.pulse(f"{side}_arm_abd", rng.uniform(3, 6), start + 0.15, 0.4, 0.6 * seconds + 0.3)
    score.heading += sign * degrees
    score.now = first_lift + (count - 1) * step_time + 0.72 * step_time + 0.12
