"""Actions of a body on the spot: kicks, punches, waves, raised arms, bows, claps, crouches, and standing still."""

from itertools import pairwise

import numpy as np

from atm.motion.program import Action
from atm.scripted.motion.body import FLAT_FOOT_DEGREES, SIDES
from atm.scripted.motion.cycles import blow
from atm.scripted.motion.score import PACE, Score, minimum_jerk

ARM = ("arm_flex", "arm_abd", "arm_turn", "elbow")


def rest_arm(score: Score, side: str, at: float, seconds: float, turn_late: float = 0.0) -> None:
    """Let an arm sink to where it hangs (or lies on the thigh) in the present posture."""
    place_arm(score, side, resting_arm(score, side), at, seconds, turn_late)


def resting_arm(score: Score, side: str) -> tuple[float, float, float, float]:
    """Return where an arm rests in the present posture: (flex, abd, turn, elbow)."""
    i = SIDES.index(side)
    style = score.style
    if score.posture == "seated":
        return 14.0 + 0.5 * style.arm_flex[i], 8.0 + 0.5 * style.arm_abd[i], 22.0, 56.0 + 0.4 * style.elbow[i]
    return style.arm_flex[i], style.arm_abd[i], style.arm_turn[i], style.elbow[i]


def place_arm(
    score: Score, side: str, pose: tuple[float, ...], at: float, seconds: float, turn_late: float = 0.0
) -> None:
    """Bring an arm to (flex, abd, turn, elbow); the elbow bends first, the turn comes last."""
    lags = [lag * min(seconds, 0.8) for lag in (0.06, 0.05, 0.09, 0.0)]
    lags[2] += turn_late
    for name, value, lag in zip(ARM, pose, lags, strict=True):
        score.to(f"{side}_{name}", value, at + lag, seconds)


def wave(score: Score, action: Action) -> None:
    """Swing a raised hand out and back `count` times."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    count = action.count or 3
    rate = rng.uniform(*{"slow": (0.85, 1.0), "normal": (1.45, 1.75), "fast": (2.2, 2.5)}[action.speed])
    rise, fall = 0.70 * pace, 0.72 * pace
    start = score.now
    begin = start + 0.92 * rise
    end = begin + count / rate
    score.marks += [begin + done / rate for done in range(count + 1)]
    t = score.times
    for hand, side in enumerate(score.each_side(action.side or "right")):
        outward = 1 if side == "left" else -1
        sweep = rng.uniform(60, 82)
        # Raised with the forearm inward: each stroke goes out and comes back.
        up = (rng.uniform(120, 138), rng.uniform(32, 42), 0.5 * sweep + rng.uniform(-8, 6), rng.uniform(66, 80))
        late = hand * rng.uniform(0, 0.05)
        # The forearm turns in while the hand is still low, and back only when it is low again: no stroke too many.
        score.to(f"{side}_arm_turn", up[2], start + late, 0.6 * rise)
        place_arm(score, side, up, start + late, rise)
        forearm, upper_arm = (_strokes((t - begin - lag) * rate, count) for lag in (0.03, 0.0))
        score.add(f"{side}_arm_turn", -sweep * forearm)
        score.add(f"{side}_arm_abd", 0.20 * sweep * upper_arm)
        score.add(f"{side}_elbow", -0.32 * sweep * forearm)
        score.pulse("chest_side", -outward * rng.uniform(1.2, 3.6), start, rise, end - begin + fall)
        score.pulse("chest_yaw", outward * rng.uniform(-3, 4), start, rise, end - begin + fall)
        score.shift(-outward * rng.uniform(0.010, 0.030), rng.uniform(-0.01, 0.01), start, rise)
        score.to(f"{side}_arm_turn", up[2] - 2, end + 0.02, 0.5 * fall)
        rest_arm(score, side, end + 0.02 + late, fall, turn_late=0.45 * fall)
    score.pulse("head_pitch", -rng.uniform(2, 5), start - 0.1, rise, end - begin + fall)
    _come_back_over_feet(score, end, fall)
    score.now = end + 0.80 * fall


def _strokes(cycles: np.ndarray, count: int) -> np.ndarray:
    """Return 0 to 1 and back `count` times; of several strokes the first and the last are a little smaller."""
    cycles = np.clip(cycles, 0, count)
    first_or_last = (cycles < 1) | (cycles > count - 1)
    size = np.where(first_or_last & (count > 2), 0.82, 1.0)
    return size * (0.5 - 0.5 * np.cos(2 * np.pi * cycles))


def raise_arms(score: Score, action: Action) -> None:
    """Raise one hand or both up over the head and take them down again, `count` times."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    rise, hold, fall = 0.80 * pace, rng.uniform(0.40, 0.70) * pace, 0.75 * pace
    moment = score.now
    sides = score.each_side(action.side or "both")
    raised = {
        side: (rng.uniform(158, 170), rng.uniform(8, 22), rng.uniform(-5, 15), rng.uniform(16, 34)) for side in sides
    }
    score.marks.append(moment)
    for _ in range(action.count or 1):
        for hand, side in enumerate(sides):
            late = hand * rng.uniform(0.0, 0.04)
            pose = tuple(value + rng.uniform(-2, 2) for value in raised[side])
            place_arm(score, side, pose, moment + late, rise)
            score.by(f"{side}_arm_flex", rng.uniform(-5, -2), moment + rise + 0.05, hold + 0.2)
            rest_arm(score, side, moment + rise + hold + late, fall)
        away = 0.0 if len(sides) == 2 else (-1 if sides[0] == "left" else 1) * rng.uniform(1.5, 3.0)
        score.pulse("chest_side", away, moment, rise, hold + fall)
        score.pulse("chest_lean", -rng.uniform(2.0, 4.0), moment + 0.05, rise, hold + fall)
        score.pulse("head_pitch", -rng.uniform(3, 9), moment - 0.05, rise, hold + fall)
        score.pulse("root_y", 0.004, moment, rise, hold + fall)
        moment += rise + hold + 1.05 * fall
        score.marks.append(moment)
    score.now = moment


def clap(score: Score, action: Action) -> None:
    """Clap the hands `count` times in front of the chest; one moves further than the other."""
    rng, t = score.rng, score.times
    rate = rng.uniform(*{"slow": (1.15, 1.4), "normal": (1.9, 2.4), "fast": (3.0, 3.4)}[action.speed])
    pace = rng.uniform(*PACE[action.speed])
    count = action.count or 3
    start = score.now
    rise, fall = 0.55 * pace, 0.65 * pace
    begin = start + 0.85 * rise
    end = begin + count / rate
    score.marks += [begin + done / rate for done in range(count + 1)]
    wide = rng.uniform(0.24, 0.30) if action.speed != "fast" else rng.uniform(0.18, 0.23)
    closed = rng.uniform(0.085, 0.110)
    cycles = np.clip((t - begin) * rate, 0, count)
    apart = 0.5 + 0.5 * np.cos(2 * np.pi * cycles)
    first = np.where((cycles < 0.5) | (cycles > count - 0.5), 1.15, 1.0)
    gap = closed + (wide * first - closed) * apart
    height = score["root_y"] + rng.uniform(0.17, 0.25)
    # Who sits leans back: the hands meet nearer to the hips.
    forward = rng.uniform(0.33, 0.40) - (0.11 if score.posture == "seated" else 0.0)
    busier = rng.choice([0.38, 0.62])
    for i, side in enumerate(SIDES):
        outward = (1, -1)[i]
        place_arm(score, side, (rng.uniform(17, 24), 16.0, 36.0, rng.uniform(84, 92)), start + 0.03 * i, rise)
        share = busier if i == 0 else 1 - busier
        off_middle = rng.uniform(-0.01, 0.01)
        along = outward * (closed / 2 + (gap - closed) * share) + off_middle
        x = score["root_x"] + along * np.cos(np.radians(score.heading)) + score.local(0, forward)[0]
        z = score["root_z"] - along * np.sin(np.radians(score.heading)) + score.local(0, forward)[1]
        y = height + outward * rng.uniform(0.004, 0.015) + 0.02 * apart
        weight = score.window(start + 0.02, end + 0.75 * fall, 0.85 * rise, 0.70 * fall)
        score.hold(side, weight, np.stack([x, y, z], axis=-1))
        rest_arm(score, side, end + 0.03 * i, fall)
    for i in range(count):
        score.pulse("chest_lean", 0.8, begin + i / rate, 0.5 / rate, 0.5 / rate)
    score.pulse("head_pitch", rng.uniform(3, 8), start, rise, end - begin + fall)
    score.now = end + 0.75 * fall


def punch(score: Score, action: Action) -> None:
    """Punch straight from a guard: hip, shoulder, fist, and back; the other hand stays up."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    count = action.count or 1
    sides = score.each_side(action.side or "right")
    first = int(rng.integers(2)) if len(sides) == 2 else 0
    start = score.now
    up = 0.50 * pace
    sink = rng.uniform(0.05, 0.08)
    score.by("root_y", -sink, start, up + 0.1)
    moment = start + up + 0.04
    score.marks.append(moment)
    wind, out, back = 0.20 * pace, 0.19 * (0.35 + 0.65 * pace), 0.34 * pace
    hits = []
    for i in range(count):
        side = sides[(first + i) % len(sides)]
        hit = moment + wind
        hits.append((hit + out, side))
        # The weight goes over onto the front of the blow's side.
        x, z = score.local((1 if side == "left" else -1) * rng.uniform(0.0, 0.03), rng.uniform(0.03, 0.07))
        score.pulse("root_x", x, hit - 0.03, out, back + 0.1)
        score.pulse("root_z", z, hit - 0.03, out, back + 0.1)
        score.pulse("root_y", -rng.uniform(0.02, 0.06), hit - 0.04, out, back + 0.1)
        score.pulse(f"{side}_foot_pitch", -16, hit - 0.08, out, back + 0.1)
        moment = hit + out + 0.05 * pace + 0.80 * back
        score.marks.append(moment)
    down = moment + 0.10
    _strike(score, hits, start, up, down, 0.62 * pace, wind + out + 0.05 * pace + 0.80 * back)
    score.by("root_y", sink, down, 0.55)
    score.now = down + 0.42 * pace


def _strike(
    score: Score, hits: list[tuple[float, str]], start: float, up: float, down: float, fall: float, period: float
) -> None:
    """Move trunk, head and arms as in captured blows, each going over into the next halfway between the two."""
    rng, t = score.rng, score.times
    out, back = float(np.clip(period / 0.78, 0.7, 1.5)), float(np.clip(period / 0.95, 0.45, 1.5))
    borders = [0.5 * (one + other) for (one, _), (other, _) in pairwise(hits)]
    starts = [minimum_jerk((t - border) / (0.4 * period) + 0.5) for border in borders]
    shares = np.array([np.ones_like(t), *starts]) - np.array([*starts, np.zeros_like(t)])
    total: dict[str, np.ndarray] = {}
    for (peak, side), share in zip(hits, shares, strict=True):
        # The blow itself is as quick as captured; what is before and after takes its time.
        away = (t - peak) / np.where(t < peak, out, back)
        curves = blow(away)
        sign = 1 if side == "right" else -1
        other = "left" if side == "right" else "right"
        twist = rng.uniform(0.9, 1.3)
        for signal, values in curves.items():
            channel = signal.replace("strike", side).replace("guard", other)
            if signal.endswith(("yaw", "side")):
                values = sign * twist * values + (score.heading if signal.endswith("yaw") else 0.0)
            if signal == "strike_elbow":
                # The mean of many blows is not quite straight at any moment; each blow is.
                values = np.maximum(values - 45 * np.exp(-(((t - peak) / 0.095) ** 2)), 8.0)
            total[channel] = total.get(channel, 0.0) + share * values
    guard = {side: rng.uniform(-12, 10) for side in SIDES}
    for channel, values in total.items():
        lift = 0.0
        if channel.endswith(("elbow", "arm_flex")):
            side = channel.split("_")[0]
            quiet = np.clip((values - 40) / 40, 0, 1) if channel.endswith("elbow") else 1.0
            lift = guard[side] * (quiet if channel.endswith("elbow") else 0.4)
        elbow_first = 0.03 if channel.endswith("elbow") else 0.06
        weight = score.window(start + elbow_first, down + fall, up, fall)
        score.play(channel, values + lift, weight)


def kick(score: Score, action: Action) -> None:
    """Kick to the front: weight over, knee up, leg out, back to the knee, down beside; `count` times."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    side = score.each_side(action.side or "right")[0]
    leg = SIDES.index(side)
    outward = (1, -1)[leg]
    standing = SIDES[1 - leg]
    moment = score.now
    home = np.array([score[f"{side}_foot_x"], score[f"{side}_foot_z"]])
    centre = np.array([score["root_x"], score["root_z"]])
    support = np.array([score[f"{standing}_foot_x"], score[f"{standing}_foot_z"]])
    left_axis = np.array(score.local(1.0, 0.0))
    over = float((support - centre) @ left_axis) + outward * 0.035
    height = rng.uniform(0.62, 0.84)
    score.marks.append(moment)
    for _ in range(action.count or 1):
        shift, up, out = 0.34 * pace, 0.28 * (0.5 + 0.5 * pace), 0.16 * (0.4 + 0.6 * pace)
        back, down = 0.20 * (0.5 + 0.5 * pace), 0.34 * pace
        lift = moment + 0.75 * shift
        strike = lift + 0.92 * up
        withdraw = strike + out + 0.04 * pace
        lower = withdraw + 0.85 * back
        end = lower + down
        score.shift(over, 0, moment, shift)
        score.shift(0, rng.uniform(0.01, 0.03), strike - 0.05, out)
        # (ankle ahead of the pelvis, ankle height, foot pitch): chambered, then out.
        chamber = _sole_from_ankle(rng.uniform(0.20, 0.26), rng.uniform(0.38, 0.44), 2.0)
        reach = np.sqrt(max(0.78**2 - (0.87 - height) ** 2, 0.1))
        kicked = _sole_from_ankle(reach, height, 42.0)
        for (ahead, above, pitch), at, seconds in (
            (chamber, lift, up),
            (kicked, strike, out),
            (chamber, withdraw, back),
        ):
            target = centre + score.local(outward * 0.085, ahead)
            score.to(f"{side}_foot_x", target[0], at, seconds)
            score.to(f"{side}_foot_z", target[1], at, seconds)
            score.to(f"{side}_foot_y", above, at, seconds)
            score.to(f"{side}_foot_pitch", pitch, at, seconds)
        score.to(f"{side}_foot_x", home[0], lower, down)
        score.to(f"{side}_foot_z", home[1], lower, down)
        score.to(f"{side}_foot_y", 0.0, lower + 0.02, down)
        score.to(f"{side}_foot_pitch", 0.0, lower, down)
        score.pulse(f"{side}_foot_pitch", -30, lift - 0.16, 0.16, 0.16)
        _kick_trunk_and_arms(score, outward, lift, up, strike, out, withdraw, back + down)
        score.to("root_x", centre[0], lower + 0.12, 0.8 * down + 0.15)
        score.to("root_z", centre[1], lower + 0.12, 0.8 * down + 0.15)
        moment = end + 0.04
        score.marks.append(moment)
    for arm in SIDES:
        rest_arm(score, arm, moment - 0.2, 0.6)
    score.now = moment + 0.05


def _kick_trunk_and_arms(score: Score, outward: int, lift, up, strike, out, withdraw, home) -> None:
    rng = score.rng
    back = rng.uniform(9, 18)
    settle = withdraw - strike - out + home
    score.pulse("pelvis_tilt", -back, lift, up + out, settle)
    score.pulse("chest_lean", -back, lift + 0.04, up + out, settle)
    score.pulse("head_pitch", 4, lift, up, out + settle)
    # Down on the supporting leg before, over it to the side, and the hip goes with the blow.
    score.pulse("root_y", -rng.uniform(0.02, 0.055), lift - 0.25, up + 0.25, out + settle)
    score.pulse("chest_side", -outward * rng.uniform(2, 7), lift - 0.1, up, out + settle)
    score.pulse("pelvis_yaw", -outward * rng.uniform(12, 22), strike - 0.06, out, settle)
    score.pulse("pelvis_roll", outward * rng.uniform(3, 8), strike - 0.10, out, settle)
    score.pulse("chest_yaw", outward * rng.uniform(6, 16), strike - 0.04, out, settle)
    score.pulse("chest_lean", rng.uniform(4, 10), lift - 0.05, 0.6 * up, out + 0.4 * up)
    for i, side in enumerate(SIDES):
        same = (1, -1)[i] == outward
        # The arm on the kicking side goes back, the other one comes up in front.
        score.to(f"{side}_arm_flex", rng.uniform(-26, -8) if same else rng.uniform(8, 28), lift - 0.1, up + out)
        score.to(f"{side}_arm_abd", rng.uniform(10, 22), lift - 0.1, up)
        score.to(f"{side}_arm_turn", rng.uniform(20, 45), lift - 0.1, up + out)
        score.to(f"{side}_elbow", rng.uniform(70, 105), lift - 0.14, up + 0.1)
        score.to(f"{side}_arm_flex", rng.uniform(-5, 6), withdraw + 0.05, home)


def _sole_from_ankle(ahead: float, above: float, pitch: float) -> tuple[float, float, float]:
    """Return the sole channels (ahead, height, pitch) that put the ankle there; the inverse of the foot in `body`."""
    bone = np.radians(pitch - FLAT_FOOT_DEGREES)
    up = np.radians(pitch)
    about_heel = up**2 / (up + np.radians(2)) if up > 0 else 0.0
    toe_ahead, toe_above = ahead + 0.1463 * np.cos(bone), above + 0.1463 * np.sin(bone)
    return toe_ahead + 0.18 * (1 - np.cos(about_heel)), toe_above - 0.18 * np.sin(about_heel), pitch


def bow(score: Score, action: Action) -> None:
    """Bow from the hips, back rounding, hips going back to keep the balance; `count` times."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    moment = score.now
    score.marks.append(moment)
    for _ in range(action.count or 1):
        lean = rng.uniform(38, 56)
        down, hold, up = 1.05 * pace, rng.uniform(0.35, 0.65) * pace, 1.0 * pace
        score.bend(lean, 0.80, moment + 0.05, down)
        score.to("head_pitch", lean * rng.uniform(1.25, 1.5), moment, down)
        back = rng.uniform(0.10, 0.15)
        score.shift(0, -back, moment, down)
        score.by("root_y", -0.022, moment, down)
        for side in SIDES:
            score.pulse(f"{side}_arm_flex", rng.uniform(6, 16), moment + 0.1, down, hold + up)
            score.pulse(f"{side}_elbow", rng.uniform(0, 8), moment + 0.1, down, hold + up)
        score.unbalance(moment, down, hold + up)
        moment += down + hold
        score.bend(0.0, 0.6, moment, up)
        score.to("head_pitch", score.style.head_pitch + rng.uniform(-2, 2), moment + 0.10, up)
        score.shift(0, back, moment, up)
        score.by("root_y", 0.022, moment, up)
        score.pulse("chest_lean", -1.6, moment + 0.75 * up, 0.3, 0.4)
        moment += up + 0.12
        score.marks.append(moment)
    score.now = moment


def crouch(score: Score, action: Action) -> None:
    """Crouch down into the knees and rise again, heels lifting a little; `count` times."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    moment = score.now
    deep = rng.uniform(0.42, 0.52)
    score.marks.append(moment)
    for _ in range(action.count or 1):
        down, hold, up = 0.80 * pace, rng.uniform(0.35, 0.75) * pace, 0.85 * pace
        lean = rng.uniform(34, 44)
        drop = score["root_y"] - deep
        score.by("root_y", -drop, moment + 0.05, down)
        back = rng.uniform(0.10, 0.14)
        score.shift(0, -back, moment, down)
        score.bend(lean, 0.5, moment, 0.9 * down)
        score.to("head_pitch", rng.uniform(4, 12), moment + 0.05, down)
        for i, side in enumerate(SIDES):
            heel = rng.uniform(-18, -12)
            score.by(f"{side}_foot_pitch", heel, moment + 0.4 * down, 0.6 * down)
            score.by(f"{side}_foot_pitch", -heel, moment + down + hold + 0.05, 0.55 * up)
            place_arm(score, side, (rng.uniform(62, 74), 12, 26, rng.uniform(48, 66)), moment + 0.06 + 0.03 * i, down)
            rest_arm(score, side, moment + down + hold + 0.08 + 0.03 * i, up)
        score.unbalance(moment, down, hold + up)
        moment += down + hold
        score.by("root_y", drop, moment, up)
        score.shift(0, back, moment + 0.05, up)
        score.bend(0.0, 0.5, moment + 0.06, up)
        score.to("head_pitch", score.style.head_pitch + rng.uniform(-2, 2), moment + 0.06, up)
        moment += 0.97 * up
        score.marks.append(moment)
    score.now = moment + 0.05


def stand(score: Score, action: Action) -> None:
    """Stand with nothing but breath, balance, a shift of weight and a look around."""
    rng = score.rng
    seconds = action.seconds or rng.uniform(1.8, 3.2) * {"slow": 1.3, "normal": 1.0, "fast": 0.75}[action.speed]
    start = score.now
    move = min(0.45 * seconds, 1.2)
    way = rng.choice([-1, 1]) * rng.uniform(0.015, 0.035)
    score.shift(way, 0, start + 0.1 * seconds, move)
    score.by("chest_side", 25 * way, start + 0.1 * seconds, move)
    score.shift(-way, 0, start + seconds - move, move)
    score.by("chest_side", -25 * way, start + seconds - move, move)
    look = rng.choice([-1, 1]) * rng.uniform(5, 15)
    score.pulse("head_yaw", look, start + 0.15 * seconds, 0.35 * seconds, 0.4 * seconds)
    score.pulse("chest_yaw", 0.2 * look, start + 0.2 * seconds, 0.35 * seconds, 0.4 * seconds)
    score.now = start + seconds


def _come_back_over_feet(score: Score, at: float, seconds: float) -> None:
    """Move the pelvis back to the middle between the feet, if it stands."""
    if score.posture != "standing":
        return
    left = [0.5 * (score[f"left_foot_{axis}"] + score[f"right_foot_{axis}"]) - score[f"root_{axis}"] for axis in "xz"]
    to_left = float(np.dot(left, score.local(1.0, 0.0)))
    score.shift(to_left, 0, at, seconds)
