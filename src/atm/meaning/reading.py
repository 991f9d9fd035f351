"""The state of one pass over a caption: what has been said, and what still waits for its verb or noun."""

from dataclasses import dataclass, field
from typing import Any

from atm.meaning.structure import Count, Event

TRAVEL = {"walk", "run", "move", "jump", "hop", "skip", "crawl"}
"""Actions that go somewhere, or on the spot."""


@dataclass
class Draft:
    """An event while its words are still coming in."""

    action: str
    known: bool = True
    link: str = "first"
    clause: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    """Fields of the event."""

    def event(self) -> Event:
        return Event(self.action, self.known, link=self.link, **self.said)  # type: ignore[arg-type]

    @property
    def faces_back(self) -> bool:
        """Return whether this turn may end the other way round, so that "back" behind it is a way home."""
        return self.said.get("degrees", 180.0) == 180.0


class CaptionReader:
    """The state of one pass. Words that come before their verb or noun wait in `ahead` and `number`."""

    def __init__(self, tokens: list[tuple[str, str]]):
        self.words = [word for word, _ in tokens] + [""] * 4
        self.classes = [name for _, name in tokens] + [""] * 4
        self.size = len(tokens)
        self.drafts: list[Draft] = []
        self.rest: set[str] = set()
        self.ahead: dict[str, Any] = {}
        """Properties of an event that has not come yet."""
        self.number: Count | None = None
        """A number that waits for its noun."""
        self.light: str | None = None
        """A light verb that waits for its noun."""
        self.link = "first"
        self.clause = 0
        self.late: int | None = None
        """The clause that happens before the event that was said before it ("sits after walking")."""
        self.opening: int | None = None
        """The clause of an "after" or "before" at the sentence's start, which a pause ends."""
        self.early: int | None = None
        """The clause at the sentence's start that happens after the next one ("before walking, sits")."""

    @property
    def current(self) -> Draft | None:
        """The event that words are about: the last one, unless another one is announced."""
        return self.drafts[-1] if self.drafts and self.link not in ("then", "while") else None

    def say(self, name: str, value: Any, *, ahead: bool = False) -> None:
        """Add a property to the event being told, or to the coming one; the first of two values stands, ways add up."""
        said = self.ahead if ahead or self.light or self.current is None else self.current.said
        if name == "direction":
            said[name] = said.get(name, frozenset()) | {value}
        elif name == "side" and said.get("side", value) != value:
            said["side"] = "both"
        else:
            said.setdefault(name, value)

    def begin(self, action: str, *, known: bool = True, count: Count | None = None, merge: bool = False) -> None:
        """Begin another event, with what was said of it ahead; `merge`: it may be the one that is being told."""
        last = self.drafts[-1] if self.drafts else None
        same = {last.action, action} <= {"bend", "bow"} if last else False
        if merge and last and self.light is None and self.link == "first" and (last.action == action or same):
            last.action = action
            return
        draft = Draft(action, known, self.link if self.drafts else "first", self.clause)
        if self.drafts and draft.link == "first":
            # Participles and pauses: "walks forward, turning left".
            draft.link = "and"
        draft.said, self.ahead = self.ahead, {}
        if count:
            draft.said.setdefault("count", count)
        self.number = None
        self.drafts.append(draft)
        self.link = "first"

    def resolve_light(self) -> None:
        """Take a light verb whose noun never came as a verb of its own."""
        if self.light is None:
            return
        light, self.light = self.light, None
        if light in ("throw", "take", "give"):
            self.begin(light, known=light == "throw")
        else:
            self.rest.add(light)

    def repeat_elliptic(self) -> None:
        """Repeat the verb of "jumps forward, then backward": the second one is a jump as well."""
        if self.drafts and self.link == "then" and self.ahead.keys() & {"side", "direction", "turning"}:
            last = self.drafts[-1]
            self.begin(last.action, known=last.known)
            if last.said.get("part"):
                self.drafts[-1].said.setdefault("part", last.said["part"])

    def ordered(self) -> list[Event]:
        """Return the events as they happen, with what their fields mean together."""
        drafts = self.drafts
        if self.late is not None:
            first = next((k for k, draft in enumerate(drafts) if draft.clause >= self.late), None)
            if first:
                drafts = [*drafts[first:], *drafts[:first]]
        if self.early is not None:
            own = [draft for draft in drafts if draft.clause == self.early]
            drafts = [draft for draft in drafts if draft.clause != self.early]
            drafts[1:1] = own
        events = []
        for k, draft in enumerate(drafts):
            if k == 0:
                draft.link = "first"
            elif draft.link == "first" or self.late is not None or self.early is not None:
                draft.link = "then"
            events.append(_settled(draft))
        return events


def _settled(draft: Draft) -> Event:
    """Return directions in the form that the action takes; helper fields dropped."""
    said = draft.said
    said.pop("verb", None)
    around = said.pop("around", False)
    direction = said.get("direction", frozenset())
    if draft.action == "turn":
        # "a quarter turn" is no more a count than "turns".
        if said.get("count") == Count(1, 1):
            del said["count"]
        sides = direction & {"left", "right"}
        if len(sides) == 1:
            said.setdefault("turning", next(iter(sides)))
        said["direction"] = frozenset()
        if around and "count" not in said:
            said.setdefault("degrees", 180.0)
    elif said.get("path") in ("curve", "circle"):
        sides = direction & {"left", "right"}
        if len(sides) == 1:
            said.setdefault("turning", next(iter(sides)))
            said["direction"] = direction - sides
    elif draft.action in ("jump", "hop", "jumping_jack") and direction & {"up", "down"}:
        said["direction"] = direction - {"up", "down"} | {"place"}
    return draft.event()
