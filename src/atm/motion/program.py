"""Actions of a motion as structured data, which captions put into words and oracles read off; and their times."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from atm.base.errors import InputError

Verb = Literal[
    "walk", "run", "jump", "hop", "turn", "sit_down", "stand_up", "lie_down", "get_up", "crouch", "kick", "punch",
    "wave", "raise_arms", "bow", "clap", "stand",
]  # fmt: skip
Side = Literal["left", "right", "both"]
Direction = Literal["forward", "backward", "left", "right", "up"]
Path = Literal["straight", "curve", "circle"]
Speed = Literal["slow", "normal", "fast"]


@dataclass(frozen=True)
class Action:
    """One thing that the body does. A field that does not apply to the verb is None.

    | verb | count | side | direction | path | degrees |
    | --- | --- | --- | --- | --- | --- |
    | walk, run | steps (footfalls that travel) | - | forward, backward, left, right (sideways) | straight, curve, \
circle | with curve, circle: heading change, > 0 |
    | jump | jumps | - | up, forward | - | - |
    | hop | hops | left, right (the foot hopped on) | up, forward | - | - |
    | turn | - | - | left, right | - | 45 to 360, > 0 |
    | sit_down, stand_up, lie_down, get_up, crouch, bow | repetitions | - | - | - | - |
    | kick, punch | blows | left, right (both: in turn, punch only) | forward | - | - |
    | wave | strokes out and back of the hand | left, right, both | - | - | - |
    | raise_arms | repetitions | left, right, both | - | - | - |
    | clap | claps | - | - | - | - |
    | stand | - | - | - | - | - |

    `curve` and `circle` have `direction` forward and turn to `side` (left or right). A `sit_down` with count 2 sits
    down, stands up, sits down (and stays seated); "sits down and stands back up twice" is the two actions
    (sit_down, stand_up) twice over.
    """

    verb: Verb
    count: int | None = None
    side: Side | None = None
    direction: Direction | None = None
    path: Path | None = None
    degrees: float | None = None
    speed: Speed = "normal"
    seconds: float | None = None
    """Duration where the verb has no count of its own (stand); None: follows from the action."""


@dataclass(frozen=True)
class Program:
    """One to several actions, one after the other."""

    actions: tuple[Action, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Return plain data, without the fields that are None."""
        return [{k: v for k, v in asdict(action).items() if v is not None} for action in self.actions]

    @staticmethod
    def from_json(data: list[dict[str, Any]]) -> "Program":
        """Read what `to_json` gave, as `programs.json` holds it.

        Raises:
            InputError: something that is no action.
        """
        try:
            return Program(tuple(_action(done) for done in data))
        except TypeError as error:
            raise InputError(f"no list of actions as in programs.json ({error})") from None


@dataclass(frozen=True)
class TimedAction:
    """An action, and when a motion does it."""

    action: Action
    begin: float
    """Seconds from the motion's first frame; where the action before ends."""
    marks: tuple[float, ...]
    """Seconds at which its first repetition begins, and at which each is done: a step when the foot lands, a jump
    likewise. Empty: nothing in it is repeated (it stands)."""
    end: float
    """Seconds; the last action of a motion ends with it."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the action's fields and, in hundredths of a second, the times."""
        times = {"begin": round(self.begin, 2), "marks": [round(mark, 2) for mark in self.marks]}
        return Program((self.action,)).to_json()[0] | times | {"end": round(self.end, 2)}


Timeline = tuple[TimedAction, ...]
"""All that a motion does, without a gap."""


def timeline_from_json(data: Sequence[dict[str, Any]], first: float = 0.0) -> Timeline | None:
    """Read what `TimedAction.to_json` gave for each action; None where times are missing, as in older files.

    Args:
        data: the actions of a clip.
        first: seconds at which the part of the clip begins from which times are counted.
    """
    if not all(done.keys() >= _TIMES for done in data):
        return None
    return tuple(
        TimedAction(
            _action(done), done["begin"] - first, tuple(mark - first for mark in done["marks"]), done["end"] - first
        )
        for done in data
    )


_TIMES = {"begin", "marks", "end"}


def _action(done: dict[str, Any]) -> Action:
    return Action(**{name: value for name, value in done.items() if name not in _TIMES})
