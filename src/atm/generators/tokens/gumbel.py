"""Random choices of tokens: by seed and row, and in the Gumbel form of Maddison et al. 2017."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

Uniform = Callable[[tuple[int, ...]], Tensor]
"""(shape) to numbers in (0, 1)."""
GumbelDraw = Callable[[], Tensor]
"""To (B, N, K) standard Gumbel noise, fresh at each call."""
SETTLED = 1e5
"""Score of a token that is not to be drawn again; probabilities are below it."""


def gumbel(uniform: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return standard Gumbel noise from numbers in [0, 1); argmax(logits + noise) is a draw from softmax(logits)."""
    exponential = -torch.log(uniform.clamp_min(1e-20))
    return -torch.log(exponential.clamp_min(1e-20))


def row_gumbel(
    generators: list[torch.Generator], tokens: list[int], shape: tuple[int, int], device: torch.device
) -> GumbelDraw:
    """Return a function that draws (B, N, K) Gumbel noise, row i from `generators[i]` alone.

    Drawn on the CPU, and `tokens[i]` rows at a time whatever the batch's N: a seed gives the same motion on every
    device and in every batch. Behind them stand zeros.

    Args:
        generators: one per row.
        tokens: how many tokens row i has.
        shape: (N, K).
        device: where the noise goes.
    """

    def draw() -> Float[Tensor, "B N K"]:
        noise = torch.zeros(len(generators), *shape)
        for row, (generator, count) in enumerate(zip(generators, tokens, strict=True)):
            noise[row, :count] = gumbel(torch.rand(count, shape[1], generator=generator))
        return noise.to(device)

    return draw


def choose(
    logits: Float[Tensor, "B N K"], noise: Float[Tensor, "B N K"], *, kept_share: float, temperature: float
) -> Int[Tensor, "B N"]:
    """Return one of the likeliest classes of each token: argmax(logits / temperature + noise) among them.

    With Gumbel noise this is a draw from softmax(logits / temperature) over the classes that are kept.

    Args:
        logits: scores of the classes.
        noise: standard Gumbel noise.
        kept_share: share of the classes that stay in the draw, rounded up to a whole number.
        temperature: below 1 prefers likely classes more; 0 takes the likeliest.
    """
    # The published share is 1 - 0.9 in floating point, a hair below 0.1; both round up to 52 of 512 and of 513.
    kept = math.ceil(kept_share * logits.shape[-1])
    threshold = logits.topk(kept, dim=-1)
    filtered = torch.full_like(logits, -torch.inf).scatter(-1, threshold.indices, threshold.values)
    return (filtered / max(temperature, 1e-10) + noise).argmax(-1)


def straight_through(
    logits: Float[Tensor, "B N K"], noise: Float[Tensor, "B N K"], temperature: float
) -> Float[Tensor, "B N K"]:
    """Return one class of each token as a row of zeros and a one, whose gradient is that of softmax((logits + noise) /
    temperature).

    With Gumbel noise the class is a draw from softmax(logits). Source: Jang et al. 2017, arXiv:1611.01144, sec. 2.2.
    """
    likely = ((logits + noise) / temperature).softmax(-1)
    chosen = F.one_hot(likely.argmax(-1), logits.shape[-1]).to(likely.dtype)
    return chosen + (likely - likely.detach())


def lowest(scores: Float[Tensor, "B N"], count: Float[Tensor, "B"]) -> Bool[Tensor, "B N"]:
    """Return the `count` lowest scores of each row; of equal ones the first, so that a row does not depend on its
    batch."""
    rank = scores.argsort(dim=-1, stable=True).argsort(dim=-1, stable=True)
    return rank < count[:, None]
