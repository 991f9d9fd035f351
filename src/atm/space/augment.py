"""Random crops and paces of training motions.

The space must have seen short motions before distances between clips mean anything; and four steps in the time of five,
so that it does not count by the clock.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from atm.motion import Motion

PER_FRAME = ("yaw_step", "root_step", "velocities")
"""Columns that are changes from frame to frame: at twice the pace they are twice as large."""


def random_crops(motion: Motion, rng: torch.Generator, *, probability: float, min_frames: int) -> Motion:
    """Return the same motions, some of them cut to a random span.

    Args:
        motion: what to cut from; no frame is copied from its padding.
        rng: decides which motions are cut, to what length (even from `min_frames` to whole), and where.
        probability: share of motions that are cut.
        min_frames: a motion this short or shorter stays whole.
    """
    whole = motion.lengths
    shortest = whole.clamp_max(min_frames)
    chosen, length, start = (_draw(motion, rng) for _ in range(3))
    cropped = shortest + (length * (whole - shortest + 1)).long()
    lengths = torch.where(chosen < probability, cropped, whole)
    first = (start * (whole - lengths + 1)).long()
    frame = torch.arange(int(lengths.max()), device=whole.device)
    index = torch.minimum(first[:, None] + frame[None, :], whole[:, None] - 1)
    rows = torch.arange(len(motion), device=whole.device)
    return Motion(motion.features[rows[:, None], index], lengths)


def random_warps(motion: Motion, rng: torch.Generator, *, most: float) -> Motion:
    """Return the same motions, each faster or slower throughout by a factor of its own.

    Between frames features are interpolated linearly, which shortens 6-d rotations a little; contacts take the nearer
    frame's. Source: ours.

    Args:
        motion: no frame is read from its padding.
        rng: draws the factors.
        most: largest relative change, > 0: factors lie between 1 / (1 + most) and 1 + most, evenly by their logarithm.
    """
    pace = torch.exp((2 * _draw(motion, rng) - 1) * math.log1p(most))
    last = motion.lengths - 1
    lengths = ((last / pace).round().long() + 1).clamp_min(2).where(last > 0, motion.lengths)
    step = last / (lengths - 1).clamp_min(1)
    frame = torch.arange(int(lengths.max()), device=last.device)
    place = torch.minimum(frame * step[:, None], last[:, None].double())
    before = place.floor().long()
    after = torch.minimum(before + 1, last[:, None])
    rows = torch.arange(len(motion), device=last.device)[:, None]
    share = (place - before)[..., None].to(motion.features.dtype)
    warped = torch.lerp(motion.features[rows, before], motion.features[rows, after], share)
    columns = motion.skeleton.columns
    for name in PER_FRAME:
        warped[..., columns[name]] *= step[:, None, None].to(warped.dtype)
    contacts = columns["contacts"]
    warped[..., contacts] = motion.features[rows, torch.where(share[..., 0] < 0.5, before, after)][..., contacts]
    return Motion(warped, lengths)


def _draw(motion: Motion, rng: torch.Generator) -> Float[Tensor, "B"]:
    """Return one number in [0, 1) per motion; drawn in double precision, so that times a length it stays below the
    length."""
    return torch.rand(len(motion), generator=rng, device=rng.device, dtype=torch.float64).to(motion.lengths.device)
