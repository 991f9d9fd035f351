"""Random crops: the space must have seen short motions before distances between clips mean anything."""

import torch
from jaxtyping import Float
from torch import Tensor

from atm.motion import Motion


def random_crops(motion: Motion, rng: torch.Generator, *, probability: float, min_frames: int) -> Motion:
    """The same motions, some of them cut to a random span.

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


def _draw(motion: Motion, rng: torch.Generator) -> Float[Tensor, "B"]:
    """One number in [0, 1) per motion; drawn in double precision, so that times a length it stays below the length."""
    return torch.rand(len(motion), generator=rng, device=rng.device, dtype=torch.float64).to(motion.lengths.device)
