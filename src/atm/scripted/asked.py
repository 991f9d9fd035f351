"""Requests in a free sentence, as far as the oracles can judge them: its meaning as a program of actions."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from atm.meaning import Event, parse_meaning
from atm.motion.program import Action, Program, Verb
from atm.scripted.oracles.verdict import UNDOING

_VERBS: dict[str, Verb] = {
    "walk": "walk",
    "run": "run",
    "jump": "jump",
    "hop": "hop",
    "turn": "turn",
    "sit": "sit_down",
    "stand_up": "stand_up",
    "lie": "lie_down",
    "crouch": "crouch",
    "kick": "kick",
    "punch": "punch",
    "wave": "wave",
    "raise": "raise_arms",
    "bow": "bow",
    "clap": "clap",
    "stand": "stand",
}
"""Name that the oracles have for an action of a caption."""
_TRAVELS = ("walk", "run")
_LEAPS = ("jump", "hop")
_SIDED = ("hop", "kick", "punch", "wave", "raise_arms")
_COUNTED_IN = {"walk": "step", "run": "step"}
"""The unit of a verb's count, where it is not times: "walks twice" says nothing of steps."""


_LIES_DOWN = re.compile(r"\b(?:lies?|lying|lays?|laying) (?:back )?(?:down|on)\b")


class Asked(NamedTuple):
    """Requests of one sentence."""

    program: Program | None
    """Actions in their order, repetitions written out; None: nothing that the oracles know."""
    unread: tuple[str, ...] = ()
    """Actions that the oracles do not know; they are not judged."""
    ordered: bool = True
    """False: some actions are done at the same time, so that their order is not judged."""


@lru_cache(maxsize=20_000)  # an evaluation asks for the same captions in every replication
def asked_of(sentence: str) -> Asked:
    """Return the sentence as a program.

    What it leaves open stays open: no count, side or direction is guessed. "Sits down and stands up twice" and "...
    and repeats twice" are read as two times in all.
    """
    actions: list[Action] = []
    unread: list[str] = []
    together = False
    for event in parse_meaning(sentence).events:
        action = _action(event, actions, sentence)
        if action is None:
            unread.append(event.action.replace("_", " "))
        else:
            actions.append(action)
            together = together or (event.link == "while" and len(actions) > 1)
    program = Program(tuple(_written_out(actions))) if actions else None
    return Asked(program, tuple(unread), not together)


def _action(event: Event, before: Sequence[Action], sentence: str) -> Action | None:
    """Return one event for the oracles; None: they cannot judge it."""
    verb = _VERBS.get(event.action) if event.known else None
    if verb is None or (verb == "raise_arms" and event.part not in (None, "arm")):
        return None
    if verb in _TRAVELS and "place" in event.direction:
        return None  # feet that plant where they stood are no steps to the oracles
    if verb == "stand_up" and _is_low(before, sentence):
        verb = "get_up"
    unit = _COUNTED_IN.get(verb, "time")
    counted = event.count is not None and event.count.unit == unit and verb not in ("turn", "stand")
    return Action(
        verb,
        count=event.count.exact if counted else None,
        side=event.turning if event.path in ("curve", "circle") else event.side if verb in _SIDED else None,
        direction=_direction(verb, event),
        path=event.path if verb in _TRAVELS else None,
        degrees=event.degrees if verb == "turn" else None,
        speed="normal" if event.speed is None or verb == "stand" else event.speed,
    )


def _direction(verb: Verb, event: Event) -> str | None:
    if verb == "turn":
        return event.turning
    if verb in _TRAVELS:
        # Along a curve every way is forward; of "forward and to the left" neither is the one.
        known = event.direction & {"forward", "backward", "left", "right"}
        return next(iter(known)) if len(known) == 1 and event.path not in ("curve", "circle") else None
    if verb in _LEAPS:
        if "forward" in event.direction:
            return "forward"
        return "up" if event.direction & {"up", "place"} else None
    return None


def _is_low(before: Sequence[Action], sentence: str) -> bool:
    """Return whether who stands up lay before: the oracles tell getting up from the floor from rising from a seat."""
    postures = [action.verb for action in before if action.verb in UNDOING]
    if postures:
        return postures[-1] == "lie_down"
    # The floor on which somebody lies down later is not where they are.
    until = _LIES_DOWN.split(sentence.lower())[0]
    return any(word in until for word in ("floor", "ground", "lying", "laying"))


def _written_out(actions: Sequence[Action]) -> list[Action]:
    """Return a pair that undoes itself, whose count stands with its second half, as many times over."""
    result: list[Action] = []
    for action in actions:
        before = result[-1] if result else None
        pair = before is not None and UNDOING.get(before.verb) == action.verb
        if pair and (action.count or 1) > 1 and before.count in (None, action.count):
            result[-1:] = [replace(before, count=None), replace(action, count=None)] * action.count
        else:
            result.append(action)
    return result
