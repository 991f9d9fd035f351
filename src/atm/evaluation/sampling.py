"""Which real motions an evaluation sees: entries, captions and crops, drawn as the field does.

Source: data set classes of Guo et al. 2022 and MDM; the same calls of the same two random generators in the same order,
so that a seed gives the published draw.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from atm.data.humanml3d import FRAMES_LIMIT, SUB_CAPTION_RATE

UNIT = 4
"""Lengths are multiples of this many frames."""
_PREFIXES = "ABCDEFGHIJKLMNOPQRSTUVW"


@dataclass(frozen=True)
class Span:
    """An entry of the published data set: a motion, or the part of one that has a caption of its own."""

    name: str
    """The motion's name; a part has a letter and an underscore before it, as published."""
    motion: str
    start: int
    """First frame."""
    frames: int
    captions: tuple[int, ...]
    """Lines of the motion's text file."""


class Crop(NamedTuple):
    """One draw from an entry."""

    caption: int
    """Which of the entry's captions."""
    start: int
    """First frame, inside the entry."""
    frames: int
    """A multiple of 4."""


def published_entries(
    motions: Iterable[tuple[str, int, Sequence[tuple[float, float]]]], *, minimum: int, rng: random.Random = random
) -> list[Span]:
    """The entries of a split in published order: by length, equals in file order.

    Args:
        motions: name, frames, and the times (from, to, in seconds) of each caption line, in file order.
        minimum: frames of the shortest entry: 40 (HumanML3D) or 24 (KIT).
        rng: draws the letters before the names of parts.
    """
    entries: dict[str, Span] = {}
    for name, frames, times in motions:
        if not minimum <= frames < FRAMES_LIMIT:
            continue
        whole = []
        for line, (begin, end) in enumerate(times):
            begin, end = (0.0 if np.isnan(time) else time for time in (begin, end))
            if begin == 0 and end == 0:
                whole.append(line)
                continue
            first, last = int(begin * SUB_CAPTION_RATE), min(int(end * SUB_CAPTION_RATE), frames)
            if minimum <= last - first < FRAMES_LIMIT:
                part = _new_name(name, entries, rng)
                entries[part] = Span(part, name, first, last - first, (line,))
        if whole:
            entries[name] = Span(name, name, 0, frames, tuple(whole))
    return sorted(entries.values(), key=lambda entry: entry.frames)


def draw(frames: int, captions: int, *, rng: random.Random, np_rng: np.random.RandomState) -> Crop:
    """One caption and one crop of an entry, in the published order of random calls.

    Two draws of three take the length down to a multiple of 4, the third takes 4 frames more away.

    Args:
        frames: of the entry, at least 8.
        captions: how many it has.
        rng: draws caption and start.
        np_rng: draws the kind of crop.
    """
    caption = rng.choice(range(captions))
    kind = np_rng.choice(["single", "single", "double"])
    length = (frames // UNIT - (kind == "double")) * UNIT
    return Crop(caption, rng.randint(0, frames - length), int(length))


def _new_name(name: str, taken: dict[str, Span], rng: random.Random) -> str:
    part = f"{rng.choice(_PREFIXES)}_{name}"
    while part in taken:
        part = f"{rng.choice(_PREFIXES)}_{name}"
    return part
