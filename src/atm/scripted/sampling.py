"""Draw programs: one to four things that a body can do one after the other, in 2 to 9.8 seconds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np

from atm.base.errors import InputError, unknown
from atm.base.reading import read_json
from atm.motion.program import Action, Program, Speed, Verb

V = TypeVar("V")

SHORTEST_SECONDS, LONGEST_SECONDS = 2.0, 9.8
"""HumanML3D's readers leave out clips under 40 frames, and models see at most 196."""

Combination = dict[str, Any]
"""Fields of an action and their values, at least its verb."""

HELD_OUT: tuple[Combination, ...] = (
    {"verb": "walk", "direction": "backward", "count": 4},
    {"verb": "walk", "direction": "forward", "count": 7},
    {"verb": "run", "direction": "forward", "count": 8},
    {"verb": "jump", "direction": "up", "count": 3},
    {"verb": "hop", "side": "right", "count": 4},
    {"verb": "kick", "side": "left", "count": 3},
    {"verb": "punch", "side": "right", "count": 4},
    {"verb": "wave", "side": "left", "count": 3},
    {"verb": "clap", "count": 6},
    {"verb": "turn", "direction": "right", "degrees": 135.0},
)
"""Combinations that no training clip has, though each number and each side is in training with other verbs: whether
a model has learnt what "three" means shows here."""

_VERBS: tuple[Verb, ...] = get_args(Verb)
_WEIGHT: dict[Verb, float] = {"walk": 3.0, "run": 1.5, "turn": 1.5, "lie_down": 0.8}
"""How often a verb is drawn; 1 where not given. Walking has four directions and three paths to learn."""
_SEATED: tuple[Verb, ...] = ("stand_up", "wave", "raise_arms", "clap")
_LYING: tuple[Verb, ...] = ("get_up",)
_RISES: tuple[Verb, ...] = ("stand_up", "get_up")
# Seconds at normal speed: of getting ready and settling, and of each repetition. Turns: of each degree.
_DURATION: dict[Verb, tuple[float, float]] = {
    "walk": (0.54, 0.53),
    "run": (0.32, 0.42),
    "jump": (0.9, 0.96),
    "hop": (1.5, 0.58),
    "turn": (0.8, 0.0096),
    "sit_down": (-1.7, 3.8),
    "stand_up": (-2.1, 3.8),
    "lie_down": (0.0, 4.4),
    "get_up": (0.0, 4.1),
    "crouch": (0.1, 2.2),
    "kick": (0.1, 1.28),
    "punch": (1.1, 0.72),
    "wave": (1.25, 0.64),
    "raise_arms": (0.0, 2.05),
    "bow": (0.05, 2.5),
    "clap": (1.0, 0.48),
    "stand": (0.0, 0.0),
}
_OTHER_WAY: tuple[Verb, ...] = ("walk", "turn", "hop", "kick", "punch", "wave", "raise_arms")
_OTHER_WAY_SHARE = 0.15
"""How often what can be done to another side is done to it next: "turns left, then right"."""
_PACE: dict[Speed, float] = {"slow": 1.45, "normal": 1.0, "fast": 0.7}


MOST_ACTIONS = 4
"""Actions of a clip, at most, where nothing else is asked for."""
_SIZES = {1: 0.38, 2: 0.36, 3: 0.2, 4: 0.06}
"""How many actions a clip has, and how often."""
_SIT_STAND_SIT = 3
"""Actions of the shortest that repeats sitting and standing."""


def sample_program(rng: np.random.Generator, most: int = MOST_ACTIONS) -> Program:
    """Return a program that makes sense: no walk while seated, no action twice in a row; some clips begin seated or
    lying; at most `most` actions, 1 to 4.

    A verb is drawn first, and then programs until one fits that has it, so that verbs which few sequences allow are
    as frequent as the others.
    """
    reason = _verb(rng, _VERBS)
    again = reason in ("sit_down", "stand_up") and rng.random() < 0.3 and most >= _SIT_STAND_SIT
    sizes = {size: often for size, often in _SIZES.items() if size <= most}
    while True:
        size = _weighted(rng, sizes)
        actions = _sit_and_stand(rng) if again else tuple(_sequence(rng, size))
        wanted = any(action.verb == reason for action in actions) and len(actions) <= most
        if wanted and _varied(actions) and SHORTEST_SECONDS <= about_seconds(actions) <= LONGEST_SECONDS:
            return Program(actions)


def held_out(program: Program, combinations: Sequence[Combination] = HELD_OUT) -> bool:
    """Return whether an action of the program is one of the combinations."""
    return any(
        all(getattr(action, key) == value for key, value in combination.items())
        for action in program.actions
        for combination in combinations
    )


def read_combinations(file: Path) -> tuple[Combination, ...]:
    """Return combinations to hold out: a JSON list of objects like those of `HELD_OUT`; an empty list holds nothing
    out.

    Raises:
        InputError: no such file, or one that holds something else; a verb or field that actions do not have.
    """
    try:
        found = read_json(file)
    except InputError as error:
        raise InputError(f"cannot read the combinations to hold out: {file} {error}") from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f'{file} must hold a JSON list of objects like {{"verb": "walk", "count": 7}}')
    for combination in found:
        for key in combination:
            if key not in Action.__annotations__:
                raise unknown("field of an action", key, Action.__annotations__)
        if any(isinstance(value, list | dict) for value in combination.values()):
            raise InputError(f"{file}: expected words and numbers as values of an action, got {combination}")
        if combination.get("verb") not in _VERBS:
            raise unknown("verb", str(combination.get("verb")), _VERBS)
    return tuple(found)


def about_seconds(actions: tuple[Action, ...]) -> float:
    """Return rough duration, for drawing only; performing an action gives the real one."""
    total = 0.8
    for action in actions:
        fixed, each = _DURATION[action.verb]
        times = action.degrees if action.verb == "turn" else action.count
        # Who runs slower makes shorter steps, not longer-lasting ones.
        pace = 1.0 if action.verb == "run" else _PACE[action.speed]
        total += action.seconds or pace * (fixed + each * (times or 0))
    return total


def _sequence(rng: np.random.Generator, size: int) -> list[Action]:
    # Who is seated or lying when the clip begins gets up in it.
    posture = _weighted(rng, {"standing": 0.86, "seated": 0.08, "lying": 0.06})
    actions: list[Action] = []
    for _ in range(size):
        standing = tuple(verb for verb in _VERBS if verb not in _RISES)
        possible = {"standing": standing, "seated": _SEATED, "lying": _LYING}[posture]
        last = actions[-1] if actions else None
        if last and last.verb in _OTHER_WAY and rng.random() < _OTHER_WAY_SHARE:
            verb = last.verb
            actions.append(_the_other_way(rng, last))
        else:
            verb = _verb(rng, possible)
            actions.append(_action(rng, verb, alone=size == 1))
        posture = {"sit_down": "seated", "lie_down": "lying", "stand_up": "standing", "get_up": "standing"}.get(
            verb, posture
        )
    return actions


def _the_other_way(rng: np.random.Generator, action: Action) -> Action:
    """Return the action towards another side, as often or not."""
    other = {"left": "right", "right": "left", "forward": "backward", "backward": "forward"}
    again = _action(rng, action.verb, alone=False)
    count = action.count if rng.random() < 0.6 else again.count
    if action.verb == "walk" and action.path != "straight":
        return again
    if action.verb in ("walk", "turn"):
        degrees = action.degrees if rng.random() < 0.6 else again.degrees
        return replace(action, direction=other[str(action.direction)], count=count, degrees=degrees)
    return replace(action, side=other.get(str(action.side), "left"), count=count)


def _sit_and_stand(rng: np.random.Generator) -> tuple[Action, ...]:
    speed = _speed(rng)
    pair = (Action("sit_down", count=1, speed=speed), Action("stand_up", count=1, speed=speed))
    return _one_of(rng, pair * 2, pair * 3, pair + pair[:1])


def _varied(actions: tuple[Action, ...]) -> bool:
    """Return True if no action follows its like: the same verb only towards another side or in another direction."""
    return all(
        first.verb != second.verb
        or (first.verb != "stand" and (first.side, first.direction) != (second.side, second.direction))
        for first, second in pairwise(actions)
    )


def _action(rng: np.random.Generator, verb: Verb, *, alone: bool) -> Action:
    draw: dict[Verb, Callable[[], dict[str, Any]]] = {
        "walk": lambda: _walk(rng, alone),
        "run": lambda: _run(rng, alone),
        "jump": lambda: {"count": _count(rng, 5), "direction": _one_of(rng, "up", "forward")},
        "hop": lambda: {"count": _count(rng, 8), "side": _side(rng), "direction": _one_of(rng, "up", "forward")},
        "turn": lambda: {
            "direction": _side(rng),
            "degrees": _weighted(rng, {45.0: 2, 90.0: 6, 135.0: 2, 180.0: 6, 270.0: 1, 360.0: 3}),
        },
        "sit_down": lambda: {"count": 2 if alone and rng.random() < 0.25 else 1},
        "stand_up": lambda: {"count": 1},
        "lie_down": lambda: {"count": 1},
        "get_up": lambda: {"count": 1},
        "crouch": lambda: {"count": _count(rng, 4)},
        "bow": lambda: {"count": _count(rng, 3)},
        "kick": lambda: {"count": _count(rng, 5), "side": _side(rng), "direction": "forward"},
        "punch": lambda: _punch(rng),
        "wave": lambda: {"count": _count(rng, 6), "side": _one_of(rng, "left", "right", "both")},
        "raise_arms": lambda: {"count": _count(rng, 4), "side": _one_of(rng, "left", "right", "both")},
        "clap": lambda: {"count": _count(rng, 10)},
        "stand": lambda: {"seconds": float(rng.integers(2, 9) if alone else rng.integers(1, 4))},
    }
    return Action(verb, **draw[verb](), speed="normal" if verb == "stand" else _speed(rng))


def _walk(rng: np.random.Generator, alone: bool) -> dict[str, Any]:
    direction = _weighted(rng, {"forward": 0.5, "backward": 0.2, "left": 0.15, "right": 0.15})
    if direction in ("left", "right"):
        # A single side step ends with the feet wide apart, which no caption says.
        return {"direction": direction, "count": int(rng.integers(2, 9)), "path": "straight"}
    if direction == "backward":
        return {"direction": direction, "count": int(rng.integers(1, 10)), "path": "straight"}
    return _forward(rng, alone, steps=(1, 13), circle=(8, 13))


def _run(rng: np.random.Generator, alone: bool) -> dict[str, Any]:
    if rng.random() < 0.1:
        return {"direction": "backward", "count": int(rng.integers(3, 11)), "path": "straight"}
    return _forward(rng, alone, steps=(3, 17), circle=(9, 17))  # two running steps read as a walk


def _forward(
    rng: np.random.Generator, alone: bool, *, steps: tuple[int, int], circle: tuple[int, int]
) -> dict[str, Any]:
    path = _weighted(rng, {"straight": 11, "curve": 5, "circle": 4} if alone else {"straight": 3, "curve": 1})
    if path == "straight":
        return {"direction": "forward", "path": path, "count": int(rng.integers(*steps))}
    count = int(rng.integers(4, steps[1]) if path == "curve" else rng.integers(*circle))
    degrees = float(rng.choice([60, 90, 120])) if path == "curve" else 360.0
    return {"direction": "forward", "path": path, "count": count, "side": _side(rng), "degrees": degrees}


def _punch(rng: np.random.Generator) -> dict[str, Any]:
    side = _one_of(rng, "left", "right", "both")
    least = 2 if side == "both" else 1
    return {"count": int(rng.integers(least, 9)), "side": side, "direction": "forward"}


def _verb(rng: np.random.Generator, verbs: tuple[Verb, ...]) -> Verb:
    return _weighted(rng, {verb: _WEIGHT.get(verb, 1.0) for verb in verbs})


def _count(rng: np.random.Generator, most: int) -> int:
    return int(rng.integers(1, most + 1))


def _side(rng: np.random.Generator) -> str:
    return _one_of(rng, "left", "right")


def _one_of(rng: np.random.Generator, *values: V) -> V:
    return values[rng.integers(len(values))]


def _speed(rng: np.random.Generator) -> Speed:
    return _weighted(rng, {"slow": 0.2, "normal": 0.6, "fast": 0.2})


def _weighted(rng: np.random.Generator, weights: dict[V, float]) -> V:
    # A choice with probabilities by the library is many times slower, and most draws are thrown away.
    left = rng.random() * sum(weights.values())
    for value, weight in weights.items():
        left -= weight
        if left < 0:
            return value
    return value
