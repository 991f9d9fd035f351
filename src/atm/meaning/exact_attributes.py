"""What a caption says once and exactly: values that a space can be asked to hold."""

from atm.meaning.structure import Event, Meaning

MOST = 12
"""Largest number that has a value of its own."""
VALUES = {
    "count": tuple(str(number) for number in range(1, MOST + 1)),
    "side": ("left", "right"),
    "direction": ("forward", "backward", "left", "right", "up", "down", "place", "turns left", "turns right"),
}
"""The values that an attribute can have."""


def exact_attributes(meaning: Meaning) -> dict[str, str]:
    """Return what a caption says once and exactly: its number, the side of the body, the way it goes or turns."""
    found = {
        "count": [str(event.count.exact) for event in meaning.events if _is_counted(event)],
        "side": [event.side for event in meaning.events if event.side in ("left", "right")],
        "direction": [way for event in meaning.events if (way := _way(event))],
    }
    return {name: str(values[0]) for name, values in found.items() if len(values) == 1}


def _is_counted(event: Event) -> bool:
    """Return seconds and rounds are numbers of another kind."""
    return event.count is not None and event.count.exact is not None and event.count.unit in ("time", "step")


def _way(event: Event) -> str | None:
    if event.turning:
        return f"turns {event.turning}"
    return next(iter(event.direction)) if len(event.direction) == 1 else None
