"""The terms of the space's objective (the paper's eq. 9, and ours): pure functions, one value per row.

Reconstruction and the latent term are both `smooth_l1`; eq. 9's L_KT is `kl_to_each_other_and_standard`.
Source of the forms: TMR (Petrovich et al. 2023, arXiv:2305.00976), after TEMOS (arXiv:2204.14109).
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.base.errors import InputError
from atm.interface import FineMeaning

IDENTICAL = 0.9999
"""Cosine from which two sentence embeddings are of the same caption. Rounding alone stays above it; a full
stop more or less lies below it, at 0.997 (minilm)."""


def smooth_l1(a: Float[Tensor, "B *any"], b: Float[Tensor, "B *any"]) -> Float[Tensor, "B"]:
    """Return the mean over a row's elements of d²/2 where the difference d is below 1, else of |d| - 1/2."""
    return F.smooth_l1_loss(a, b, reduction="none").flatten(1).mean(dim=1)


def kl_divergence(
    mean_q: Float[Tensor, "B E"],
    logvar_q: Float[Tensor, "B E"],
    mean_p: Float[Tensor, "B E"],
    logvar_p: Float[Tensor, "B E"],
) -> Float[Tensor, "B"]:
    r"""Return KL(q, p) of diagonal Gaussians, in nats, as a mean over dimensions (not their sum).

    .. math:: \frac{1}{2E} \sum_e \log\frac{\sigma_p^2}{\sigma_q^2} - 1
              + \frac{\sigma_q^2 + (\mu_q - \mu_p)^2}{\sigma_p^2}
    """
    spread = torch.exp(logvar_q - logvar_p) - 1 - logvar_q + logvar_p
    return 0.5 * (spread + (mean_p - mean_q).square() * torch.exp(-logvar_p)).mean(dim=1)


def kl_to_each_other_and_standard(
    mean_text: Float[Tensor, "B E"],
    logvar_text: Float[Tensor, "B E"],
    mean_motion: Float[Tensor, "B E"],
    logvar_motion: Float[Tensor, "B E"],
) -> Float[Tensor, "B"]:
    """Return KL of text to motion, of motion to text, and of both to the standard normal, summed."""
    zero = torch.zeros_like(mean_text)
    return (
        kl_divergence(mean_text, logvar_text, mean_motion, logvar_motion)
        + kl_divergence(mean_motion, logvar_motion, mean_text, logvar_text)
        + kl_divergence(mean_motion, logvar_motion, zero, zero)
        + kl_divergence(mean_text, logvar_text, zero, zero)
    )


def near_duplicates(
    sentence: Float[Tensor, "B S"], *, epsilon: float, meaning: FineMeaning | None = None
) -> Bool[Tensor, "B B"]:
    """Return true where two captions say so much the same that neither may be the other's negative; False on the
    diagonal.

    Args:
        sentence: sentence embeddings of any length.
        epsilon: raw cosine above which captions count as the same. (TMR's published threshold is of a cosine that
            was squeezed into 0 to 1: its 0.8 is our 0.6.) Identical captions count at any epsilon.
        meaning: what the captions say in detail; it overrules the language model (ours): what contradicts is no
            duplicate, what says the same is one. None: the language model alone decides.
    """
    direction = F.normalize(sentence, dim=-1)
    same = direction @ direction.T > min(epsilon, IDENTICAL)
    if meaning is not None:
        same = (same | meaning.same.to(same.device)) & ~meaning.contradicts.to(same.device)
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)


def info_nce(
    z_text: Float[Tensor, "B E"],
    z_motion: Float[Tensor, "B E"],
    duplicate: Bool[Tensor, "B B"],
    *,
    temperature: float,
    z_counterfactual: Float[Tensor, "B E"] | None = None,
    has_counterfactual: Bool[Tensor, "B"] | None = None,
) -> Float[Tensor, "B"]:
    r"""Return small when text i lies closer to motion i than to the other motions, and motion i closer to text i.

    .. math:: \ell_i = -\frac{1}{2} \log \frac{\exp(s_{ii}/\tau)}{\sum_{j \in N_i} \exp(s_{ij}/\tau)}
              -\frac{1}{2} \log \frac{\exp(s_{ii}/\tau)}{\sum_{j \in N_i} \exp(s_{ji}/\tau)}, \quad
              s_{ij} = \cos(z^t_i, z^m_j)

    where N_i holds i and all rows that are no near-duplicates of it. With counterfactuals (ours) the second sum, over
    the texts that motion i chooses among, has one more: cos(counterfactual i, motion i).

    Source: the paper's eq. 9 and TMR, section 3.2.

    Args:
        z_text, z_motion: embeddings of any length; row i of both belong together.
        duplicate: pairs that are left out, from `near_duplicates`; the diagonal is never left out.
        temperature: no unit, > 0; smaller looks harder at the closest negatives.
        z_counterfactual: embeddings of texts that are false of the row's motion; None: there are none.
        has_counterfactual: rows that have one; the others' embeddings do not matter. None: all have.

    Returns:
        Loss of each row, in nats, >= 0; 0 where a row has no negative (as in a batch of one).

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    motion = F.normalize(z_motion, dim=-1)
    score = F.normalize(z_text, dim=-1) @ motion.T / temperature  # (text, motion)
    own = torch.arange(len(score), device=score.device)
    score = score.masked_fill(duplicate & (own[:, None] != own[None, :]), -torch.inf)
    from_text = F.cross_entropy(score, own, reduction="none")
    to_choose = score.T  # (motion, text)
    if z_counterfactual is not None:
        false = (motion * F.normalize(z_counterfactual, dim=-1)).sum(1, keepdim=True) / temperature
        if has_counterfactual is not None:
            false = false.masked_fill(~has_counterfactual[:, None], -torch.inf)
        to_choose = torch.cat([to_choose, false], dim=1)
    from_motion = F.cross_entropy(to_choose, own, reduction="none")
    return (from_text + from_motion) / 2


def counterfactual_margin_loss(
    z_text: Float[Tensor, "B E"],
    z_counterfactual: Float[Tensor, "B E"],
    has_counterfactual: Bool[Tensor, "B"],
    *,
    margin: float,
) -> Float[Tensor, "B"]:
    """Return how much is missing to a cosine distance of `margin` between a caption and its false copy; 0 without one.

    Source: ours. A language model puts the two nearly at one place; as long as the space does so too, no motion can be
    nearer to one than to the other, and the contrastive term has no gradient that would part them.
    """
    distance = 1 - F.cosine_similarity(z_text, z_counterfactual, dim=-1)
    return F.relu(margin - distance) * has_counterfactual


def value_directions(values: int, width: int) -> Float[Tensor, "V E"]:
    """Return fixed orthonormal directions of an embedding, one for each value; the same in every process and version.

    Raises:
        InputError: there are more values than dimensions.
    """
    if values > width:
        raise InputError(
            f"{values} values need embeddings of at least that width, got {width}: raise width, or set told_weight=0"
        )
    # Waves of the cosine transform: no random numbers, whose stream might change one day.
    place = torch.arange(width, dtype=torch.float64)[None, :] + 0.5
    wave = torch.arange(values, dtype=torch.float64)[:, None]
    return F.normalize(torch.cos(math.pi * wave * place / width), dim=1).float()


def attribute_cross_entropy(
    z: Float[Tensor, "B E"],
    direction: Float[Tensor, "V E"],
    value: Int[Tensor, "B"],
    *,
    temperature: float,
) -> Float[Tensor, "B"]:
    """Return cross-entropy, in nats, of reading a value off an embedding by the direction that it points to most; 0
    where `value` is -1 (nothing is told).

    Source: ours. Texts and motions are read by the same fixed directions, so that a number moves both the same way and
    far enough for a cosine to see.
    """
    score = F.normalize(z, dim=-1) @ direction.T / temperature
    return F.cross_entropy(score, value, ignore_index=-1, reduction="none")
