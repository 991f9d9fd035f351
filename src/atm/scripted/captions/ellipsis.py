"""Two actions that are said with one verb: "waves with the left hand, then with the right"."""

import numpy as np

from atm.motion.program import Action
from atm.scripted.captions.phrases import steps, way
from atm.scripted.captions.words import Detail, Words

_PARTS = {
    "kick": ("foot", "leg"),
    "hop": ("foot", "leg"),
    "punch": ("hand", "fist"),
    "raise_arms": ("arm", "hand"),
    "wave": ("hand", "hand", "arm"),
}
_VERBS = {"raise_arms": ("[raise]", ""), "hop": ("[hop]", "on ")}
"""Verb and preposition, where they are not the action's name and "with"."""


def elliptic(first: Action, second: Action) -> bool:
    """Return whether both can be said with one verb: the same towards another side, equally fast."""
    alike = first.verb == second.verb and first.speed == second.speed and first.path == second.path
    if not alike or first.path in ("curve", "circle"):
        return False
    if first.verb in _PARTS:
        return first.direction == second.direction and {first.side, second.side} == {"left", "right"}
    return first.verb in ("walk", "turn") and first.direction != second.direction


def both_ways(first: Action, second: Action, detail: Detail, rng: np.random.Generator) -> str:
    """Return two actions that are `elliptic` with one verb: "[wave] with the left hand, then with the right"."""
    a, b = Words(first, rng), Words(second, rng, (first,))
    then = a.one_of(", then ", " and then ", " then ")
    if first.verb == "walk":
        one, other = way(a), way(b)
        if not detail.number:
            return f"[walk] {one}{then}{other}"
        step = b.one_of(" step" if second.count == 1 else " steps", "")
        again = f"{b.n}{step} {other}"
        return a.one_of(f"[take] {steps(a)} {one}{then}{again}", f"[walk] {steps(a)} {one}{then}{again}")
    if first.verb == "turn":
        one, other = str(first.direction), str(second.direction)
        if not detail.number:
            return a.one_of(f"[turn] {one}{then}{other}", f"[turn] to the {one}{then}to the {other}")
        return f"[turn] {first.degrees:g} degrees to the {one}{then}{second.degrees:g} degrees to the {other}"
    part = a.one_of(*_PARTS[first.verb])
    verb, hold = _VERBS.get(first.verb, (f"[{first.verb}]", "with "))
    if first.verb == "hop" and first.direction == "forward":
        verb += " forward"
    said, again = (f" {a.times}", f" {b.times}") if detail.number else ("", "")
    return f"{verb} {hold}{{their}} {a.side} {part}{said}{then}{hold}the {b.side} {b.one_of(part, part, 'one')}{again}"
