"""Which caption and which crop of an entry an evaluation sees, drawn as the field does.

Entries are those of `atm.data.humanml3d`. Source: data set classes of Guo et al. 2022 and MDM; the same calls of the
same two random generators in the same order, so that a seed gives the published draw.
"""

import random
from typing import NamedTuple

import numpy as np

UNIT = 4
"""Lengths are multiples of this many frames."""


class Crop(NamedTuple):
    """One draw from an entry."""

    caption: int
    """Which of the entry's captions."""
    start: int
    """First frame, inside the entry."""
    frames: int
    """A multiple of 4."""


def draw(frames: int, captions: int, *, rng: random.Random, np_rng: np.random.RandomState) -> Crop:
    """Return one caption and one crop of an entry, in the published order of random calls.

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
