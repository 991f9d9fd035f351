"""Jumping and hopping: a dip, a push, true ballistic flight with both feet off the floor, a landing on the toes."""

import numpy as np

from atm.motion.program import Action
from atm.scripted.motion.body import SIDES, TOE_AHEAD_OF_PELVIS
from atm.scripted.motion.cycles import move
from atm.scripted.motion.gestures import ARM
from atm.scripted.motion.score import GRAVITY, PACE, Score, minimum_jerk

_TOE_OFF_PITCH = -46.0
_RISE_ON_TOES = 0.062
"""How much higher the pelvis is when the body leaves the ground from its toes, metres."""


def jump(score: Score, action: Action) -> None:
    """Jump off both feet and onto both feet, `count` times; upwards, or forward by more than half a metre each."""
    rng = score.rng
    pace = rng.uniform(*PACE[action.speed])
    forward = action.direction == "forward"
    count = action.count or 1
    start, y0 = score.now, score["root_y"]
    origin = np.array([score["root_x"], score["root_z"]])
    rise = rng.uniform(*{"slow": (0.14, 0.18), "normal": (0.20, 0.26), "fast": (0.23, 0.28)}[action.speed])
    if count > 3:
        rise *= 0.85
    depth = rng.uniform(0.19, 0.26) * (0.85 if forward else 1.0)
    if count == 1:
        # Who jumps once gathers for it.
        rise, depth = rise * rng.uniform(1.0, 1.5), depth * rng.uniform(1.0, 1.35)
    air = rng.uniform(0.45, 0.60) if forward else 0.0
    before, after = (0.17, 0.20) if forward else (0.045, -0.045)

    height = [(start, y0, 0.0, 0.0)]
    ahead = [(start, 0.0, 0.0, 0.0)]
    flights = []
    moment, place = start, 0.0
    down, push = 0.46 * pace, 0.27 * (0.45 + 0.55 * pace)
    for i in range(count):
        low = moment + (down if i == 0 else 0.30 * (0.1 + 0.9 * pace))
        off = low + push
        scale = score.jitter(0.04)
        y_off = y0 + _RISE_ON_TOES - (0.02 if forward else 0.0)
        y_land = y_off - 0.035
        speed = np.sqrt(2 * GRAVITY * rise * scale)
        flight = (speed + np.sqrt(speed**2 + 2 * GRAVITY * (y_off - y_land))) / GRAVITY
        land = off + flight
        height += [
            (low, y0 - depth * (1 if i == 0 else 0.75), 0.0, 6.0),
            (off, y_off, speed, -GRAVITY),
            (land, y_land, speed - GRAVITY * flight, -GRAVITY),
        ]
        travel = air / flight
        ahead += [
            (low, place - (0.03 if not forward else 0.0), 0.0 if not forward else 0.25, 0.0),
            (off, place + before, travel, 0.0),
            (land, place + before + air, travel, 0.0),
        ]
        flights.append((off, land, place + before + air + after))
        place += before + air + after
        moment = land
    dip = 0.20 * (0.6 + 0.4 * pace)
    recover = 0.55 * (0.3 + 0.7 * pace)
    landed = moment
    score.marks += [start, *(land for _, land, _ in flights)]
    height += [(landed + dip, y0 - rng.uniform(0.11, 0.19), 0.0, 4.0), (landed + dip + recover, y0, 0.0, 0.0)]
    ahead += [(landed + dip + recover, place, 0.0, 0.0)]

    score.unbalance(start, down, push + 0.3)
    score.unbalance(landed, dip, recover)
    body = score.curve(height)
    score.track("root_y", body - y0)
    way = score.curve(ahead)
    x, z = score.local(0.0, 1.0)
    score.track("root_x", way * x)
    score.track("root_z", way * z)
    for off, land, there in flights:
        _feet_in_flight(score, body, off, land, origin + score.local(0.0, there), push)
    _jump_trunk_and_arms(score, start, flights, down, push, dip, recover, forward)
    score.now = landed + dip + 0.55 * recover


def _feet_in_flight(
    score: Score, body: np.ndarray, off: float, land: float, spot: np.ndarray, push: float, land_pitch: float = -18.0
) -> None:
    """Lift both soles together, carry them with the body, knees a little bent, and land them side by side at a spot."""
    rng, style, t = score.rng, score.style, score.times
    u = np.clip((t - off) / (land - off), 0, 1)
    line = np.interp(off, t, body) * (1 - u) + np.interp(land, t, body) * u
    tuck = rng.uniform(0.07, 0.13)
    for i, side in enumerate(SIDES):
        outward = (1, -1)[i]
        bend = tuck * (1 + 0.06 * outward) * np.sin(np.pi * u) ** 2
        inside = (t > off) & (t < land)
        score.add(f"{side}_foot_y", np.where(inside, np.maximum(body - line, 0) + bend, 0.0))
        offset = score.local(outward * style.stance_width / 2, TOE_AHEAD_OF_PELVIS + rng.uniform(-0.012, 0.012))
        for axis, target in zip("xz", spot + offset, strict=True):
            channel = f"{side}_foot_{axis}"
            score.track(channel, (target - score[channel]) * (0.5 * u + 0.5 * u**2 * (3 - 2 * u)))
        score.to(f"{side}_foot_yaw", score.heading + outward * style.toe_out[i], off, land - off)
        score.to(f"{side}_foot_pitch", _TOE_OFF_PITCH, off - 0.75 * push, 0.85 * push)
        score.to(f"{side}_foot_pitch", land_pitch, off + 0.08, land - off - 0.1)
        score.to(f"{side}_foot_pitch", 0.0, land - 0.01, 0.11)


def _jump_trunk_and_arms(score, start, flights, down, push, dip, recover, forward) -> None:
    """Move trunk, head and arms as in a captured jump; each of several merges into the next while the body sinks."""
    rng, style, t = score.rng, score.style, score.times
    name = "leap" if forward else "jump"
    size = {"head_pitch": 0.8, "chest_lean": 0.9, "pelvis_tilt": 0.8}
    late = [rng.uniform(0.0, 0.03) for _ in SIDES]
    mine = {f"{side}_{joint}": rng.uniform(-4, 4) for side in SIDES for joint in ARM}
    total: dict[str, np.ndarray] = {}
    begin = start
    for i, (off, land, _) in enumerate(flights):
        last = i == len(flights) - 1
        next_low = land + dip if last else flights[i + 1][0] - push
        marks = [begin, off - push, off, land, next_low, next_low + recover]
        share = np.ones_like(t)
        if i:
            share = minimum_jerk((t - begin) / (off - push - begin))
        if not last:
            share = share - minimum_jerk((t - land) / (next_low - land))
        for k, side in enumerate(SIDES):
            for signal, values in move(name, [mark + late[k] for mark in marks], t).items():
                channel = f"{side}_{signal}" if signal in ARM else signal
                if signal in ARM or k == 0:
                    total[channel] = total.get(channel, 0.0) + share * values
        begin = land
    end = begin + dip + recover
    weight = score.window(start - 0.05, end + 0.15, 0.25, 0.6 * recover)
    for channel, values in total.items():
        calm = score[channel]
        share = style.vivid * size.get(channel, 1.0)
        score.play(channel, calm + share * (values - calm) + mine.get(channel, 0.0), weight)


def hop(score: Score, action: Action) -> None:
    """Hop on one leg, `count` times, on the spot or forward; the other foot stays off the floor all along."""
    rng, style, t = score.rng, score.style, score.times
    stance = SIDES.index(score.each_side(action.side)[0])
    free = 1 - stance
    outward = (1, -1)[stance]
    pace = rng.uniform(*PACE[action.speed])
    count = action.count or 1
    forward = action.direction == "forward"
    air = rng.uniform(0.26, 0.38) if forward else 0.0
    start, y0 = score.now, score["root_y"]
    origin = np.array([score["root_x"], score["root_z"]])

    # Onto the stance foot, and the other one up.
    settle = 0.50 * (0.4 + 0.6 * pace)
    side, other = SIDES[stance], SIDES[free]
    under = np.array([score[f"{side}_foot_x"], score[f"{side}_foot_z"]])
    over = under - score.local(outward * 0.030, TOE_AHEAD_OF_PELVIS) - origin
    score.by("root_x", over[0], start, settle)
    score.by("root_z", over[1], start, settle)
    score.by("pelvis_roll", -outward * 4, start, settle)
    score.by("chest_side", outward * 3, start, settle)
    lifted = start + 0.75 * settle
    raise_time = 0.36 * (0.4 + 0.6 * pace)
    height = rng.uniform(0.20, 0.30)
    score.by(f"{other}_foot_y", height, lifted, raise_time)
    score.by(f"{other}_foot_pitch", -48, lifted - 0.08, raise_time)
    score.shift(0.0, -0.12, lifted, raise_time, part=f"{other}_foot")
    spread = rng.uniform(16, 28)
    for i, arm in enumerate(SIDES):
        score.by(f"{arm}_arm_abd", spread * (1.0, 0.85)[i], lifted - 0.1, 0.45)
        score.by(f"{arm}_elbow", 28 * (0.9, 1.1)[i], lifted - 0.05, 0.45)

    # The hops themselves: dip, push, flight.
    rise = rng.uniform(*{"slow": (0.055, 0.07), "normal": (0.07, 0.10), "fast": (0.07, 0.09)}[action.speed])
    dip, y_off, y_land = rng.uniform(0.06, 0.09), y0 + 0.048, y0 + 0.020
    speed = float(np.sqrt(2 * GRAVITY * rise))
    flight = float((speed + np.sqrt(speed**2 + 2 * GRAVITY * (y_off - y_land))) / GRAVITY)
    ground = 0.30 * {"slow": 1.7, "normal": 1.0, "fast": 0.72}[action.speed] * score.jitter(0.04)
    travel = air / flight
    moment = lifted + raise_time
    knots, ahead, place, flights = [(moment, y0, 0.0, 0.0)], [(moment, 0.0, 0.0, 0.0)], 0.0, []
    for i in range(count):
        low = moment + (0.24 if i == 0 else 0.45 * ground)
        off = low + (0.17 if i == 0 else 0.55 * ground)
        lean_in, lean_out = (0.07, 0.06) if forward else (0.0, 0.0)
        knots += [(low, y0 - dip, 0.0, 5.0), (off, y_off, speed, -GRAVITY)]
        knots += [(off + flight, y_land, speed - GRAVITY * flight, -GRAVITY)]
        ahead += [(off, place + lean_in, travel, 0.0), (off + flight, place + lean_in + air, travel, 0.0)]
        place += lean_in + air + lean_out
        flights.append((off, off + flight, place))
        moment = off + flight
    score.marks += [lifted + raise_time, *(land for _, land, _ in flights)]
    end = moment + 0.16 + 0.32
    knots += [(moment + 0.15, y0 - 0.8 * dip, 0.0, 3.0), (end, y0, 0.0, 0.0)]
    ahead += [(end - 0.1, place, 0.0, 0.0)]
    body, way = score.curve(knots), score.curve(ahead)
    score.track("root_y", body - y0)
    x, z = score.local(0.0, 1.0)
    score.track("root_x", way * x)
    score.track("root_z", way * z)
    score.add(f"{other}_foot_y", body - y0)
    for off, land, there in flights:
        u = np.clip((t - off) / (land - off), 0, 1)
        line = y_off * (1 - u) + y_land * u
        inside = (t > off) & (t < land)
        lift = np.where(inside, np.maximum(body - line, 0) + 0.02 * np.sin(np.pi * u) ** 2, 0)
        score.add(f"{side}_foot_y", lift)
        for axis, target in zip("xz", under + score.local(0.0, there), strict=True):
            step = (target - score[f"{side}_foot_{axis}"]) * u
            score.track(f"{side}_foot_{axis}", step)
            # The free leg swings along, so that both feet travel in the flight.
            score.track(f"{other}_foot_{axis}", step)
        score.to(f"{side}_foot_pitch", -36, off - 0.12, 0.15)
        score.to(f"{side}_foot_pitch", -12, off + 0.06, land - off - 0.08)
        score.to(f"{side}_foot_pitch", 0, land - 0.01, 0.09)
        for i, arm in enumerate(SIDES):
            score.pulse(f"{arm}_arm_abd", 9 * (1.1, 0.8)[i], off - 0.12, 0.22, 0.32)
            score.pulse(f"{arm}_arm_flex", 8 * (0.7, 1.2)[i], off - 0.15, 0.22, 0.34)
        score.pulse("chest_lean", -4, off - 0.12, 0.2, 0.3)

    # The free foot comes down beside the other, and the body back between the two.
    put = moment + 0.12
    score.by(f"{other}_foot_y", -height, put, 0.40)
    score.by(f"{other}_foot_pitch", 48, put, 0.46)
    score.shift(0.0, 0.12, put, 0.36, part=f"{other}_foot")
    score.by("root_x", -over[0], put + 0.12, 0.5)
    score.by("root_z", -over[1], put + 0.12, 0.5)
    score.by("pelvis_roll", outward * 4, put, 0.5)
    score.by("chest_side", -outward * 3, put, 0.5)
    for i, arm in enumerate(SIDES):
        score.to(f"{arm}_arm_abd", style.arm_abd[i], put + 0.05, 0.55)
        score.to(f"{arm}_elbow", style.elbow[i], put, 0.55)
    score.now = put + 0.42 * (0.4 + 0.6 * pace)
