"""What a caption says that a language model barely hears: how often, which side, which way, how fast, what order."""

from dataclasses import dataclass, field
from typing import Literal

Side = Literal["left", "right", "both"]
Direction = Literal["forward", "backward", "left", "right", "up", "down", "place"]
Path = Literal["straight", "curve", "circle"]
Speed = Literal["slow", "fast"]
Part = Literal["arm", "leg", "head", "torso"]
Unit = Literal["time", "step", "second", "circle"]
Link = Literal["first", "then", "and", "while"]


@dataclass(frozen=True)
class Count:
    """How often: a range, for who says "a few" did not count."""

    low: int
    high: int | None
    """None: no upper end ("many")."""
    unit: Unit = "time"

    @property
    def exact(self) -> int | None:
        """The number, where one was said."""
        return self.low if self.low == self.high else None

    def excludes(self, other: "Count") -> bool:
        """Return whether no number fits both. What is counted in other units is not compared."""
        if self.unit != other.unit:
            return False
        return (self.high is not None and self.high < other.low) or (other.high is not None and other.high < self.low)

    def __str__(self) -> str:
        if self.low == self.high:
            return str(self.low)
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class Event:
    """One thing that is done. What the caption leaves open is None or empty."""

    action: str
    """One name for all words of one action (`walk`: walks, strolls, takes steps); a verb of no known action by its
    base form."""
    known: bool = True
    """Whether the action is one of the named ones, which can be told from one another."""
    count: Count | None = None
    side: Side | None = None
    """Of the body: the hand that waves, the foot that is hopped on. `both`: together or in turn."""
    direction: frozenset[Direction] = frozenset()
    """Where it goes; several for "up and down", "forward and to the left". `place`: on the spot."""
    turning: Literal["left", "right"] | None = None
    """Which way turns, curves and circles go round, seen by who turns: counterclockwise (from above) is left."""
    path: Path | None = None
    degrees: float | None = None
    speed: Speed | None = None
    part: Part | None = None
    """What part of the body does it, coarsely: a hand is an arm, a foot is a leg."""
    link: Link = "first"
    """How it follows the event before it."""


@dataclass(frozen=True)
class Meaning:
    """A caption as a list of events, in the order in which they happen."""

    events: tuple[Event, ...] = ()
    rest: frozenset[str] = field(default=frozenset())
    """Words with content that no event holds: objects, styles, places."""
