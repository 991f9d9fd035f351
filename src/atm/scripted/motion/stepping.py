"""Steps that are planned foot by foot: to the side, and turning on the spot."""

import numpy as np

from atm.motion.program import Action
from atm.scripted.motion.body import SIDES, TOE_AHEAD_OF_PELVIS
from atm.scripted.motion.footfall import FLAT, Step, swing
from atm.scripted.motion.score import Score, minimum_jerk_integral


def sideways(score: Score, action: Action) -> None:
    """Step to that side: its foot leads, the other one closes; feet do not cross."""
    rng, style = score.rng, score.style
    count = action.count or 4
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
    score.marks.append(moment)
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
        score.marks.append(moment + duration)
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
    """Return how much wider than in a normal stance the feet stand, from left to right."""
    apart = np.array([score[f"left_foot_{axis}"] - score[f"right_foot_{axis}"] for axis in "xz"])
    return float(abs(apart @ score.local(1.0, 0.0)) - score.style.stance_width)


def turn(score: Score, action: Action) -> None:
    """Turn on the spot in small steps, the foot on the turning side first; head, then shoulders, then pelvis."""
    rng, style = score.rng, score.style
    sign = -1 if action.direction == "right" else 1
    degrees = float(action.degrees or 90)
    count = 1 + int(np.ceil(degrees / 46))
    step_time = rng.uniform(*{"slow": (0.62, 0.70), "normal": (0.42, 0.48), "fast": (0.27, 0.31)}[action.speed])
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
    seconds = (count + (-0.3 if count == 2 and action.speed == "fast" else 0.1)) * step_time
    score.marks += [start + 0.12, start + 0.12 + seconds]
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
