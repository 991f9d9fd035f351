"""D(a, b): how far apart two embeddings are. Small is alike."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Distance = Literal["cosine", "euclidean"]


def row_distance(a: Float[Tensor, "*n E"], b: Float[Tensor, "*n E"], distance: Distance) -> Float[Tensor, "*n"]:
    """Return the distance of each row of `a` to the same row of `b`: 1 - cosine (0 to 2), or Euclidean."""
    if distance == "cosine":
        return 1 - F.cosine_similarity(a, b, dim=-1)
    # A root of exactly zero has no gradient: two equal embeddings must not make NaN.
    return (a - b).square().sum(-1).clamp_min(1e-12).sqrt()


def pair_distances(a: Float[Tensor, "N E"], b: Float[Tensor, "M E"], distance: Distance) -> Float[Tensor, "N M"]:
    """Return the distance of every row of `a` to every row of `b`."""
    if distance == "cosine":
        return 1 - F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    return torch.cdist(a, b)
