"""Down and up: sitting on a seat that is not shown, lying down on the back over a squat and a seat on the floor."""

import numpy as np

from atm.motion.program import Action
from atm.scripted.motion.body import SIDES, TOE_AHEAD_OF_PELVIS
from atm.scripted.motion.cycles import move
from atm.scripted.motion.footfall import FLAT, Step, swing
from atm.scripted.motion.gestures import ARM, place_arm, rest_arm, resting_arm
from atm.scripted.motion.score import PACE, Score

_SEAT_BACK = 0.33
_LYING_HEIGHT = 0.115


def sit_down(score: Score, action: Action) -> None:
    """Sit down onto the seat and, where `count` says so, up and down again; stay seated."""
    for i in range(action.count or 1):
        if i > 0:
            _stand_up_once(score, action)
        _sit_down_once(score, action)


def stand_up(score: Score, action: Action) -> None:
    """Stand up from the seat and, where `count` says so, down and up again; stay standing."""
    for i in range(action.count or 1):
        if i > 0:
            _sit_down_once(score, action)
        _stand_up_once(score, action)


def lie_down(score: Score, action: Action) -> None:
    for i in range(action.count or 1):
        if i > 0:
            _get_up_once(score, action)
        _lie_down_once(score, action)


def get_up(score: Score, action: Action) -> None:
    for i in range(action.count or 1):
        if i > 0:
            _lie_down_once(score, action)
        _get_up_once(score, action)


def _mark(score: Score, done: float) -> None:
    """Add the moment when a way down or up is done; the first of an action also when it begins."""
    score.marks += [done] if score.marks else [score.now, done]


def _sit_down_once(score: Score, action: Action) -> None:
    rng = score.rng
    start, whole = score.now, 2.0 * rng.uniform(*PACE[action.speed])

    def at(u: float) -> float:
        return start + u * whole

    drop = rng.uniform(0.36, 0.42)
    score.seat = drop
    score.shift(0, -_SEAT_BACK, at(0.02), 0.76 * whole)
    score.by("root_y", -drop, at(0.16), 0.64 * whole)
    score.pulse("root_y", -0.008, at(0.78), 0.09 * whole, 0.14 * whole)
    score.unbalance(at(0.0), 0.5 * whole, 0.55 * whole)
    score.posture = "seated"
    _mark(score, at(1.0))
    _play_captured(score, "sit", [at(u) for u in (-0.12, 0.28, 0.68, 1.08)], at(0.0), at(1.05), 0.22 * whole)
    score.now = at(1.06)


def _stand_up_once(score: Score, action: Action) -> None:
    rng = score.rng
    start, whole = score.now, 1.8 * rng.uniform(*PACE[action.speed])

    def at(u: float) -> float:
        return start + u * whole

    score.shift(0, _SEAT_BACK, at(0.20), 0.78 * whole)
    score.by("root_y", score.seat, at(0.26), 0.66 * whole)
    score.unbalance(at(0.0), 0.4 * whole, 0.6 * whole)
    score.posture = "standing"
    _mark(score, at(1.0))
    _play_captured(score, "rise", [at(u) for u in (-0.03, 0.38, 0.80, 1.21)], at(-0.05), at(1.08), 0.20 * whole)
    score.now = at(1.02)


def _play_captured(score: Score, name: str, landmarks: list[float], start: float, end: float, ease: float) -> None:
    """Move trunk, head and arms as in a captured move, from the pose that is left to that of the posture reached."""
    style, times = score.style, score.times
    weight = score.window(start, end, ease, 1.6 * ease)
    middle, seconds = start + ease, max(end - start - 2.6 * ease, 0.1)
    curves = move(name, landmarks, times)
    seated = score.posture == "seated"
    after = {
        "pelvis_tilt": style.tilt - (16.0 if seated else 0.0),
        "chest_lean": style.lean + (6.0 if seated else 0.0),
        "head_pitch": style.head_pitch + score.rng.uniform(-2, 2),
    }
    for channel, value in after.items():
        calm = 0.5 * (score[channel] + value)
        size = style.vivid * (0.7 if channel == "head_pitch" else 1.0)
        score.play(channel, calm + size * (curves[channel] - calm), weight, (value, middle, seconds))
    for i, side in enumerate(SIDES):
        late = 0.04 * i * score.rng.uniform(0.3, 1.0)
        arm = move(name, [moment + late for moment in landmarks], times)
        for name_, value in zip(ARM, resting_arm(score, side), strict=True):
            # The two arms are never quite alike.
            mine = (1, -1)[i] * score.rng.uniform(0, 5)
            score.play(f"{side}_{name_}", arm[name_] + mine, weight, (value, middle, seconds))


def _lie_down_once(score: Score, action: Action) -> None:
    """Return squat, seat on the floor with a hand behind, roll the back down, stretch one leg and then the other."""
    rng = score.rng
    start, whole = score.now, 4.3 * rng.uniform(*PACE[action.speed])

    def at(u: float) -> float:
        return start + u * whole

    y0 = score["root_y"]
    home = np.array([score["root_x"], score["root_z"]])
    first = int(rng.integers(2))  # the hand that goes down first
    outward = (1, -1)[first]

    _gather_feet(score, home, at(0.0), 0.20 * whole)
    # Down into the squat.
    score.by("root_y", 0.43 - y0, at(0.01), 0.25 * whole)
    score.shift(0, -0.13, at(0.0), 0.22 * whole)
    score.bend(44, 0.5, at(0.0), 0.23 * whole)
    score.to("head_pitch", 24, at(0.0), 0.22 * whole)
    for i, side in enumerate(SIDES):
        score.pulse(f"{side}_foot_pitch", -14, at(0.10), 0.14 * whole, 0.16 * whole)
        place_arm(score, side, (60, 18, 20, 40), at(0.02) + 0.05 * i, 0.22 * whole)

    # One hand behind, the seat comes down beside it, the other hand follows.
    score.shift(outward * 0.03, -0.40, at(0.21), 0.25 * whole)
    score.shift(-outward * 0.03, 0, at(0.42), 0.20 * whole)
    score.to("root_y", _LYING_HEIGHT + 0.015, at(0.21), 0.24 * whole)
    score.pulse("chest_yaw", outward * 16, at(0.16), 0.16 * whole, 0.26 * whole)
    score.pulse("chest_side", outward * 7, at(0.18), 0.16 * whole, 0.24 * whole)
    score.bend(14, -1.2, at(0.24), 0.24 * whole)
    for i, side in enumerate(SIDES):
        late = 0.0 if i == first else 0.10
        away = (1, -1)[i] * rng.uniform(0.27, 0.33)
        point = home + score.local(away, -0.53 - rng.uniform(0.22, 0.28))
        weight = score.window(at(0.19 + late), at(0.80), 0.14 * whole, 0.20 * whole)
        score.hold(side, weight, np.array([point[0], 0.035, point[1]]))
        place_arm(score, side, (-34, 22, -10, 22), at(0.20 + late), 0.16 * whole)

    # The back rolls down, the head last; then the legs.
    score.to("pelvis_tilt", -86, at(0.45), 0.33 * whole)
    score.to("chest_lean", -88, at(0.48), 0.34 * whole)
    score.to("head_pitch", -62, at(0.50), 0.32 * whole)
    score.to("head_pitch", -98, at(0.72), 0.22 * whole)
    score.to("root_y", _LYING_HEIGHT, at(0.50), 0.25 * whole)
    score.posture = "lying"
    _mark(score, at(1.0))
    for i, side in enumerate(SIDES):
        pose = (-13 + rng.uniform(-2, 2), rng.uniform(18, 30), rng.uniform(35, 55), rng.uniform(18, 30))
        place_arm(score, side, pose, at(0.62) + 0.06 * i, 0.26 * whole)
        late = (0.0 if i == first else 0.10) * whole
        _stretch_leg(score, side, home + score.local(0, -0.53), at(0.60) + late, 0.32 * whole)
    score.now = at(1.03)


def _gather_feet(score: Score, home: np.ndarray, at: float, seconds: float) -> None:
    """Draw in a foot that stands far from its place under the body (after a single step)."""
    style = score.style
    for i, side in enumerate(SIDES):
        outward = (1, -1)[i]
        place = home + score.local(outward * style.stance_width / 2, TOE_AHEAD_OF_PELVIS)
        if np.hypot(place[0] - score[f"{side}_foot_x"], place[1] - score[f"{side}_foot_z"]) > 0.12:
            yaw = score.heading + outward * style.toe_out[i]
            start = at + (0.0 if i == 0 else 0.8 * seconds)
            step = Step(i, start, start + 0.8 * seconds, float(place[0]), float(place[1]), yaw, 0.7)
            swing(score, step, FLAT, seconds)


def _stretch_leg(score: Score, side: str, hips: np.ndarray, at: float, seconds: float) -> None:
    """Lift the foot a little and lay the leg down ahead of the hips, toes up and falling outward."""
    rng = score.rng
    outward = 1 if side == "left" else -1
    target = hips + score.local(outward * rng.uniform(0.11, 0.16), rng.uniform(1.095, 1.115))
    score.to(f"{side}_foot_x", target[0], at, seconds)
    score.to(f"{side}_foot_z", target[1], at, seconds)
    score.pulse(f"{side}_foot_y", 0.03, at, 0.45 * seconds, 0.55 * seconds)
    score.to(f"{side}_foot_pitch", rng.uniform(72, 84), at, seconds)
    score.to(f"{side}_foot_yaw", score.heading + outward * rng.uniform(10, 22), at, seconds)


def _get_up_once(score: Score, action: Action) -> None:
    """Draw the feet in, sit up over the hands, rock forward into the squat, and rise."""
    rng, style = score.rng, score.style
    start, whole = score.now, 4.2 * rng.uniform(*PACE[action.speed])

    def at(u: float) -> float:
        return start + u * whole

    hips = np.array([score["root_x"], score["root_z"]])
    first = int(rng.integers(2))
    outward = (1, -1)[first]
    feet_ahead = 0.53
    for i, side in enumerate(SIDES):
        late = 0.0 if i == first else 0.08
        side_way = (1, -1)[i]
        target = hips + score.local(side_way * style.stance_width / 2, feet_ahead + TOE_AHEAD_OF_PELVIS)
        seconds = 0.24 * whole
        score.to(f"{side}_foot_x", target[0], at(late), seconds)
        score.to(f"{side}_foot_z", target[1], at(late), seconds)
        score.pulse(f"{side}_foot_y", 0.035, at(late), 0.5 * seconds, 0.5 * seconds)
        score.to(f"{side}_foot_pitch", 0.0, at(late + 0.02), seconds)
        score.to(f"{side}_foot_yaw", score.heading + side_way * style.toe_out[i], at(late), seconds)

    # Up to sitting: head, chest, pelvis, one after the other, pushed by the hands.
    score.to("head_pitch", -30, at(0.06), 0.20 * whole)
    score.to("head_pitch", 12, at(0.22), 0.24 * whole)
    score.to("chest_lean", 18, at(0.13), 0.33 * whole)
    score.to("pelvis_tilt", -14, at(0.18), 0.30 * whole)
    score.pulse("chest_side", outward * 6, at(0.14), 0.16 * whole, 0.22 * whole)
    score.pulse("chest_yaw", outward * 10, at(0.14), 0.16 * whole, 0.22 * whole)
    for i, side in enumerate(SIDES):
        late = 0.0 if i == first else 0.04
        point = hips + score.local((1, -1)[i] * rng.uniform(0.27, 0.33), -rng.uniform(0.20, 0.26))
        leave = 0.64 if i == first else 0.55
        weight = score.window(at(0.10 + late), at(leave), 0.16 * whole, 0.12 * whole)
        score.hold(side, weight, np.array([point[0], 0.035, point[1]]))
        place_arm(score, side, (-34, 22, -10, 24), at(0.14 + late), 0.24 * whole)

    # Over the feet.
    score.bend(50, 0.5, at(0.42), 0.22 * whole)
    score.to("head_pitch", 18, at(0.44), 0.20 * whole)
    score.shift(0, feet_ahead - 0.13, at(0.44), 0.24 * whole)
    score.to("root_y", 0.42, at(0.47), 0.21 * whole)
    for i, side in enumerate(SIDES):
        score.pulse(f"{side}_foot_pitch", -16, at(0.50), 0.14 * whole, 0.18 * whole)
        # The chest leans over 60 degrees here: in its frame an arm that hangs points far forward.
        place_arm(score, side, (72, 12, 24, 40), at(0.42) + (0.0 if i != first else 0.05 * whole), 0.20 * whole)

    # And up.
    score.posture = "standing"
    _mark(score, at(0.98))
    score.shift(0, 0.13, at(0.68), 0.28 * whole)
    score.bend(0.0, 0.5, at(0.70), 0.30 * whole)
    score.stand_tall(at(0.66), 0.30 * whole)
    score.pulse("chest_lean", -2.0, at(0.94), 0.12 * whole, 0.16 * whole)
    score.to("head_pitch", score.style.head_pitch + rng.uniform(-2, 2), at(0.70), 0.28 * whole)
    for i, side in enumerate(SIDES):
        rest_arm(score, side, at(0.72) + 0.05 * i, 0.28 * whole)
    score.now = at(0.99)
