"""Where two meanings contradict, and where they are the same."""

from collections.abc import Hashable
from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

from atm.meaning.structure import Event, Link, Meaning
from atm.meaning.vocabulary import ALIKE, UNDEMANDING

MeaningAttribute = Literal["action", "count", "side", "direction", "path", "degrees", "speed", "part", "order"]

_OPPOSITE_ENOUGH = 30.0
"""Turns by degrees that differ by this much are two turns; annotators do not measure."""
_SIDEWAYS = frozenset({"left", "right"})
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


class Frame(NamedTuple):
    """What is done in a caption, without how: what decides which events of two captions stand for one another."""

    actions: tuple[str, ...]
    known: tuple[bool, ...]
    links: tuple[Link, ...]
    sides: frozenset[str]
    """The ways to a side that are gone or turned, by any event."""

    @staticmethod
    def of(meaning: Meaning) -> "Frame":
        events = meaning.events
        return Frame(
            tuple(event.action for event in events),
            tuple(event.known for event in events),
            tuple(event.link for event in events),
            frozenset(way for event in events for way in (*event.direction, event.turning) if way in _SIDEWAYS),
        )


class Match(NamedTuple):
    """Two frames against one another."""

    pairs: tuple[tuple[int, int], ...]
    """Places of the events that stand for one another; none where the actions contradict."""
    difference: Difference | None
    """Other actions, or another order of them."""
    same_side: bool
    """Both go or turn to one side somewhere."""


def differs(a: Meaning, b: Meaning) -> tuple[Difference, ...]:
    """In what two captions contradict: no one motion is truly described by both.

    What one says and the other leaves open is no contradiction, nor is what people call by one another's names.
    Verbs of no known action, objects and styles are not compared: they are left to the language model.
    """
    match = match_frames(Frame.of(a), Frame.of(b))
    if match.difference:
        return (match.difference,)
    return tuple(
        found
        for i, j in match.pairs
        for found in event_differences(a.events[i], b.events[j], same_side=match.same_side)
    )


def same_meaning(a: Meaning, b: Meaning) -> bool:
    """Return whether two captions say the same in other words: the same events in the same order, nothing more in
    either.

    Of two that say nothing that is understood this is False.
    """
    return bool(a.events) and sameness(a) == sameness(b)


def sameness(meaning: Meaning) -> Hashable:
    """Return what two captions of one meaning have in common."""
    events = [
        replace(
            event,
            # "waves", "waves the arm"; "and" and "then" tell the same order.
            part=event.part if event.action in _PARTS_MATTER else None,
            link="while" if event.link == "while" else "first",
        )
        for event in meaning.events
    ]
    return tuple(events), meaning.rest


def match_frames(a: Frame, b: Frame) -> Match:
    """Return which events of two captions stand for one another, and whether the actions themselves contradict."""
    pairs = _aligned(a.actions, b.actions)
    left_a = [i for i in range(len(a.actions)) if i not in {i for i, _ in pairs}]
    left_b = [j for j in range(len(b.actions)) if j not in {j for _, j in pairs}]
    difference = None
    if left_a and left_b:
        alone_a, alone_b = _without_like(a, left_a, b), _without_like(b, left_b, a)
        if alone_a and alone_b:
            difference = Difference("action", "", ", ".join(alone_a), ", ".join(alone_b))
        elif sorted(a.actions) == sorted(b.actions) and _in_sequence(a) and _in_sequence(b):
            difference = Difference("order", "", ", ".join(a.actions), ", ".join(b.actions))
    # Where whole actions are others or in another order, the rest would be matched by guess.
    return Match(() if difference else pairs, difference, bool(a.sides & b.sides))


def _without_like(frame: Frame, places: list[int], other: Frame) -> list[str]:
    """Return the actions at these places that are done for sure, and to which nothing of the other caption comes
    near."""
    if not all(other.known):
        return []
    return [
        action
        for action in (frame.actions[place] for place in places if frame.known[place])
        if action not in UNDEMANDING and not any(_alike(action, one) for one in other.actions)
    ]


def _in_sequence(frame: Frame) -> bool:
    """Return whether the order is said: arms may move while the body does something else."""
    arms = {"wave", "raise", "clap", "punch", "lower", "throw", "catch"}
    return all(
        link == "then" or (link == "and" and not {before, after} & arms)
        for (before, after), link in zip(pairwise(frame.actions), frame.links[1:], strict=True)
    )


def _alike(a: str, b: str) -> bool:
    return a == b or any(a in group and b in group for group in ALIKE)


def _aligned(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return the best matching that keeps the order (dynamic programming): the same action counts twice what a like one
    does.

    An action that one caption has more often than the other is not matched: which one it is cannot be known.
    """
    if b < a:
        # Of matchings that are equally good the same one is taken whichever caption comes first.
        return tuple((i, j) for j, i in _aligned(b, a))
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


def event_differences(a: Event, b: Event, *, same_side: bool = False) -> list[Difference]:
    """Return contradictions of two events that stand for one another.

    Args:
        a, b: the events.
        same_side: both captions go or turn to one side somewhere: "walks to the left" may then be the other's "walks
            forward and turns left".
    """
    found = []

    def add(attribute: MeaningAttribute, first: object, second: object) -> None:
        found.append(Difference(attribute, a.action, str(first), str(second)))

    if a.count and b.count and a.count.excludes(b.count):
        add("count", a.count, b.count)
    if a.side and b.side and a.side != b.side and not (a.part and b.part and a.part != b.part):
        add("side", a.side, b.side)
    turned_for_gone = (
        same_side and (a.direction | b.direction) & {"forward"} and (a.direction | b.direction) & _SIDEWAYS
    )
    if a.direction and b.direction and not a.direction & b.direction and not turned_for_gone:
        add("direction", "/".join(sorted(a.direction)), "/".join(sorted(b.direction)))
    elif a.turning and b.turning and a.turning != b.turning:
        add("direction", a.turning, b.turning)
    if a.path and b.path and a.path != b.path and "straight" in (a.path, b.path):
        add("path", a.path, b.path)
    if a.degrees and b.degrees and abs(a.degrees - b.degrees) >= _OPPOSITE_ENOUGH:
        add("degrees", f"{a.degrees:g}", f"{b.degrees:g}")
    if a.speed and b.speed and a.speed != b.speed:
        add("speed", a.speed, b.speed)
    if a.part and b.part and a.part != b.part and a.action == b.action in _PARTS_MATTER:
        add("part", a.part, b.part)
    return found
