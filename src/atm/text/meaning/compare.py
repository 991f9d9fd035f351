"""Where two meanings contradict, and where they are the same."""

import functools
from itertools import pairwise
from typing import Literal, NamedTuple

from atm.text.meaning.structure import Event, Meaning
from atm.text.meaning.vocabulary import ALIKE, UNDEMANDING

MeaningAttribute = Literal["action", "count", "side", "direction", "path", "degrees", "speed", "part", "order"]

_OPPOSITE_ENOUGH = 30.0
"""Turns by degrees that differ by this much are two turns; annotators do not measure."""
_PARTS_MATTER = {"raise", "lower", "lean", "bend"}
"""Actions that several parts of the body can do; a kick is a leg's however it is told."""


class Difference(NamedTuple):
    """One thing in which two captions contradict."""

    attribute: MeaningAttribute
    action: str
    """Of which action; "" where the order or the actions themselves differ."""
    first: str
    second: str

    def __str__(self) -> str:
        of = f" of {self.action}" if self.action else ""
        return f"{self.attribute}{of}: {self.first} against {self.second}"


def differs(a: Meaning, b: Meaning) -> tuple[Difference, ...]:
    """In what two captions contradict: no one motion is truly described by both.

    What one says and the other leaves open is no contradiction, nor is what people call by one another's names.
    Verbs of no known action, objects and styles are not compared: they are left to the language model.
    """
    return _differs(a.events, b.events)


def same_meaning(a: Meaning, b: Meaning) -> bool:
    """Whether two captions say the same in other words: the same events in the same order, nothing more in either.

    Of two that say nothing that is understood this is False.
    """
    if not a.events or a.rest != b.rest or len(a.events) != len(b.events):
        return False
    return all(_same_event(one, other) for one, other in zip(a.events, b.events, strict=True))


def _same_event(a: Event, b: Event) -> bool:
    together = (a.link == "while") == (b.link == "while")
    fields = ("action", "known", "count", "side", "direction", "turning", "path", "degrees", "speed")
    parts = a.part == b.part or a.action not in _PARTS_MATTER
    return together and parts and all(getattr(a, name) == getattr(b, name) for name in fields)


@functools.lru_cache(maxsize=1 << 16)
def _differs(a: tuple[Event, ...], b: tuple[Event, ...]) -> tuple[Difference, ...]:
    pairs = _aligned(tuple(event.action for event in a), tuple(event.action for event in b))
    found = [difference for i, j in pairs for difference in _attributes(a[i], b[j])]
    left_a = [event for i, event in enumerate(a) if i not in {i for i, _ in pairs}]
    left_b = [event for j, event in enumerate(b) if j not in {j for _, j in pairs}]
    structure = _structure(a, b, left_a, left_b)
    # Where whole actions are missing or in another order, the rest was matched by guess.
    return (structure,) if structure else tuple(found)


def _structure(
    a: tuple[Event, ...], b: tuple[Event, ...], left_a: list[Event], left_b: list[Event]
) -> Difference | None:
    """Other actions, or another order of them."""
    if left_a and left_b:
        alone_a, alone_b = _without_like(left_a, b), _without_like(left_b, a)
        if alone_a and alone_b:
            return Difference("action", "", _names(alone_a), _names(alone_b))
        same = sorted(event.action for event in a) == sorted(event.action for event in b)
        if same and _in_sequence(a) and _in_sequence(b):
            return Difference("order", "", ", ".join(e.action for e in a), ", ".join(e.action for e in b))
    return None


def _names(events: list[Event]) -> str:
    return ", ".join(event.action for event in events)


def _without_like(events: list[Event], others: tuple[Event, ...]) -> list[Event]:
    """Those that are done for sure, and to which nothing of the others comes near."""
    if not all(other.known for other in others):
        return []
    return [
        event
        for event in events
        if event.known
        and event.action not in UNDEMANDING
        and not any(_alike(event.action, other.action) for other in others)
    ]


def _in_sequence(events: tuple[Event, ...]) -> bool:
    """Whether the order is said: arms may move while the body does something else."""
    arms = {"wave", "raise", "clap", "punch", "lower", "throw", "catch"}
    return all(
        after.link == "then" or (after.link == "and" and not {before.action, after.action} & arms)
        for before, after in pairwise(events)
    )


def _alike(a: str, b: str) -> bool:
    return a == b or any(a in group and b in group for group in ALIKE)


@functools.lru_cache(maxsize=1 << 14)
def _aligned(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """The best matching that keeps the order (dynamic programming): the same action counts twice what a like one does.

    An action that one caption has more often than the other is not matched: which one it is cannot be known.
    """
    score = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            gain = 2 if a[i] == b[j] else 1 if _alike(a[i], b[j]) else 0
            score[i][j] = max(score[i + 1][j], score[i][j + 1], score[i + 1][j + 1] + gain if gain else 0)
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        gain = 2 if a[i] == b[j] else 1 if _alike(a[i], b[j]) else 0
        if gain and score[i][j] == score[i + 1][j + 1] + gain:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif score[i][j] == score[i + 1][j]:
            i += 1
        else:
            j += 1
    return tuple(pair for pair in pairs if a.count(a[pair[0]]) == b.count(a[pair[0]]) or a[pair[0]] != b[pair[1]])


def _attributes(a: Event, b: Event) -> list[Difference]:
    """Contradictions of two events that stand for one another."""
    found = []

    def add(attribute: MeaningAttribute, first: object, second: object) -> None:
        found.append(Difference(attribute, a.action, str(first), str(second)))

    if a.count and b.count and a.count.excludes(b.count):
        add("count", a.count, b.count)
    if a.side and b.side and a.side != b.side and not (a.part and b.part and a.part != b.part):
        add("side", a.side, b.side)
    if a.direction and b.direction and not a.direction & b.direction:
        add("direction", "/".join(sorted(a.direction)), "/".join(sorted(b.direction)))
    elif a.turning and b.turning and a.turning != b.turning:
        add("direction", a.turning, b.turning)
    if a.path and b.path and a.path != b.path and "straight" in (a.path, b.path):
        add("path", a.path, b.path)
    if a.degrees and b.degrees and abs(a.degrees - b.degrees) >= _OPPOSITE_ENOUGH:
        add("degrees", f"{a.degrees:g}", f"{b.degrees:g}")
    if a.speed and b.speed and a.speed != b.speed:
        add("speed", a.speed, b.speed)
    if a.part and b.part and a.part != b.part and a.action in _PARTS_MATTER:
        add("part", a.part, b.part)
    return found
