"""What a threshold epsilon means for a given language model on a given data set: how alike its captions are."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)
EPSILONS = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)
MOST_CAPTIONS = 3000


class SimilarityDistribution(NamedTuple):
    """Raw cosines of the sentence embeddings of all pairs of captions, a caption with itself left out."""

    captions: int
    """Captions compared: all, or `MOST_CAPTIONS` spread evenly over them."""
    quantiles: dict[float, float]
    """Share of pairs -> the cosine below which that share lies."""
    above: dict[float, float]
    """Epsilon -> share of pairs above it: what the filter of false negatives would drop."""


def similarity_distribution(
    sentence: Float[Tensor, "N S"],
    *,
    quantiles: tuple[float, ...] = QUANTILES,
    epsilons: tuple[float, ...] = EPSILONS,
) -> SimilarityDistribution:
    """Return how alike captions are.

    Raises:
        ValueError: fewer than two captions.
    """
    if len(sentence) < 2:
        raise ValueError(f"a distribution of pairs needs at least 2 captions, got {len(sentence)}")
    rows = torch.linspace(0, len(sentence) - 1, min(len(sentence), MOST_CAPTIONS), dtype=torch.float64).long()
    direction = F.normalize(sentence[rows.to(sentence.device)].float(), dim=-1)
    first, second = torch.triu_indices(len(direction), len(direction), offset=1, device=direction.device)
    cosine = (direction @ direction.T)[first, second].sort().values
    at = [round(share * (len(cosine) - 1)) for share in quantiles]
    above = [(cosine > epsilon).double().mean().item() for epsilon in epsilons]
    return SimilarityDistribution(
        captions=len(direction),
        quantiles=dict(zip(quantiles, cosine[at].tolist(), strict=True)),
        above=dict(zip(epsilons, above, strict=True)),
    )


def similarity_table(distribution: SimilarityDistribution) -> str:
    """Return the distribution as lines of text."""
    captions, quantiles, above = distribution
    lines = [f"cosine of two captions' sentence embeddings ({captions} captions)"]
    lines += [f"  {100 * share:5.1f} % of pairs below {cosine:6.3f}" for share, cosine in quantiles.items()]
    lines += [f"  epsilon {epsilon:.2f} drops {100 * share:6.2f} % of pairs" for epsilon, share in above.items()]
    return "\n".join(lines)
