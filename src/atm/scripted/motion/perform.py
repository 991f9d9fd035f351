"""From a program to a motion: the actions written one after the other into a score, and the body posed once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from atm.base.errors import InputError
from atm.motion.program import Action, Program, TimedAction, Timeline
from atm.scripted.motion import airborne, floor, gait, gestures, stepping
from atm.scripted.motion.body import FPS, HIP, SHOULDER, joints_from_channels
from atm.scripted.motion.score import Score, idle_sway

SHORTEST_FRAMES = 40
LONGEST_FRAMES = 196
"""A clip of HumanML3D at 20 fps: 2 to 9.8 seconds."""

PERFORMERS: dict[str, Callable[[Score, Action], None]] = {
    "walk": gait.locomotion,
    "run": gait.locomotion,
    "turn": stepping.turn,
    "jump": airborne.jump,
    "hop": airborne.hop,
    "sit_down": floor.sit_down,
    "stand_up": floor.stand_up,
    "lie_down": floor.lie_down,
    "get_up": floor.get_up,
    "crouch": gestures.crouch,
    "kick": gestures.kick,
    "punch": gestures.punch,
    "wave": gestures.wave,
    "raise_arms": gestures.raise_arms,
    "bow": gestures.bow,
    "clap": gestures.clap,
    "stand": gestures.stand,
}

_NEEDS = {"stand_up": "seated", "get_up": "lying"}
_LEAVES = {"sit_down": "seated", "lie_down": "lying", "stand_up": "standing", "get_up": "standing"}
_ALSO_SEATED = {"wave", "raise_arms", "clap"}


def perform(program: Program, rng: np.random.Generator) -> np.ndarray:
    """Return a person doing what the program says.

    Tempo, amplitude, bearing, asymmetry and sway come from `rng`; what the program says comes out exactly.

    Args:
        program: the actions. One that starts with `stand_up` starts seated, one with `get_up` lying.
        rng: the same state gives the same motion.

    Returns:
        (T, 22, 3) float32 joint positions in metres at 20 fps, y up, floor at 0; the first frame's pelvis is over the
        origin and faces +Z. 40 <= T <= 196.

    Raises:
        InputError: the program needs longer than 9.8 seconds.
        ValueError: an action does not fit the posture that the body is in (it walks while seated).
    """
    return perform_timed(program, rng)[0]


def perform_timed(program: Program, rng: np.random.Generator) -> tuple[np.ndarray, Timeline]:
    """Return what `perform` does, and when each action and each of its repetitions is done."""
    score, seconds, timeline = _write(program, rng)
    frames = max(SHORTEST_FRAMES, round(seconds * FPS))
    if frames > LONGEST_FRAMES:
        raise InputError(
            f"the program needs {seconds:.1f} s, but a clip lasts at most {LONGEST_FRAMES / FPS:.1f} s: "
            "use fewer or faster actions, or smaller counts"
        )
    return _at_origin(joints_from_channels(score.values[:frames])).astype(np.float32), timeline


def duration(program: Program, rng: np.random.Generator) -> float:
    """Return seconds that `perform` needs with this rng, without posing the body; raises only ValueError."""
    return _write(program, rng)[1]


def _write(program: Program, rng: np.random.Generator) -> tuple[Score, float, Timeline]:
    score = Score.standing(rng)
    _take_first_posture(score, program)
    idle_sway(score)
    score.now = rng.uniform(0.15, 0.45)
    done: list[TimedAction] = []
    for action in program.actions:
        _check_posture(score, action)
        score.marks = []
        PERFORMERS[action.verb](score, action)
        done.append(TimedAction(action, done[-1].end if done else 0.0, tuple(map(float, score.marks)), score.now))
    seconds = score.now + rng.uniform(0.35, 0.65)
    done[-1] = replace(done[-1], end=seconds)
    return score, seconds, tuple(done)


def _take_first_posture(score: Score, program: Program) -> None:
    """Do before the clip begins what a body that stands up has done by then."""
    for action in program.actions:
        if action.verb in _LEAVES:
            before = {"stand_up": "sit_down", "get_up": "lie_down"}.get(action.verb)
            if before:
                score.now = -30.0
                PERFORMERS[before](score, Action(before))
            return


def _check_posture(score: Score, action: Action) -> None:
    needed = _NEEDS.get(action.verb, "standing")
    if score.posture == needed or (score.posture == "seated" and action.verb in _ALSO_SEATED):
        return
    raise ValueError(f"{action.verb} starts {needed}, but the body is {score.posture}: stand up (or sit, or lie) first")


def _at_origin(joints: np.ndarray) -> np.ndarray:
    """Return first frame over the origin, facing +Z; lowest joint of the clip on the floor if it would be under it."""
    across = joints[0, HIP[0]] - joints[0, HIP[1]] + joints[0, SHOULDER[0]] - joints[0, SHOULDER[1]]
    angle = np.arctan2(-across[2], across[0])
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    start = joints[0, 0] * [1, 0, 1]
    return (joints - start) @ turn.T
