"""THE IDEA, as two pure functions of embeddings: the inter-motion and the intra-motion loss.

Both are hinges on the distance to what should be near minus the distance to what should be far; both take their
margin from the real motions, so that a generated motion is asked to be as much apart as the real ones are, no more.
Which motions and clips are compared is mined in `negatives.py` and `clips.py`. Beside them stand the two plain
metric losses that the paper compares with (table 5).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.distances import Distance, pair_distances, row_distance


def inter_motion_loss(
    z_text: Float[Tensor, "B E"],
    z_generated: Float[Tensor, "B E"],
    z_real: Float[Tensor, "B E"],
    negative: Int[Tensor, "B K"],
    *,
    margin: float | None = None,
    distance: Distance = "cosine",
    detach_negative: bool = False,
    check: bool = True,
) -> Float[Tensor, "B K"]:
    r"""Penalise a motion that is not nearer to its text than its hard negatives are, by the real motions' margin.

    .. math:: \ell_{ik} = \max\{0, D(t_i, \hat m_i) - D(t_i, \hat m_{j}) + \varphi_{ik}\}, \quad
              \varphi_{ik} = D(t_i, m_{j}) - D(t_i, m_i), \quad j = \text{negative}_{ik}

    Source: the paper's eq. 3.

    Args:
        z_text: text embeddings t; row i is the sentence that motion i was generated from.
        z_generated: embeddings of the generated motions m-hat; the gradient goes to these.
        z_real: embeddings of the real motions m; only the margin comes from them, and it carries no gradient.
        negative: row numbers of each row's hard negatives, from `mine_hard_negatives`.
        margin: a fixed margin in units of the distance; None: the adaptive one of eq. 3 (can be negative where the
            real motion lies nearer to the other text).
        distance: what D is.
        detach_negative: stops the gradient through the hard negative (our option; the paper leaves it open).
        check: whether to refuse a row as its own negative, which waits for the device. What was mined never holds one.

    Returns:
        Loss of each row against each of its negatives, >= 0. The caller masks, weighs and averages.

    Raises:
        ValueError: a negative is its own row.
    """
    own = torch.arange(len(z_text), device=z_text.device)[:, None]
    if check and (negative == own).any():
        raise ValueError("a motion cannot be its own hard negative: `negative` holds its own row number")
    candidates = z_generated.detach() if detach_negative else z_generated
    text = z_text[:, None].expand(-1, negative.shape[1], -1)
    to_own = row_distance(z_text, z_generated, distance)[:, None]
    to_negative = row_distance(text, candidates[negative], distance)
    if margin is None:
        with torch.no_grad():
            phi = row_distance(text, z_real[negative], distance) - row_distance(z_text, z_real, distance)[:, None]
    else:
        phi = torch.full_like(to_negative, margin)
    return F.relu(to_own - to_negative + phi)


def counterfactual_loss(
    z_text: Float[Tensor, "B E"],
    z_counterfactual: Float[Tensor, "B E"],
    z_generated: Float[Tensor, "B E"],
    z_real: Float[Tensor, "B E"],
    *,
    margin: float | None = None,
    distance: Distance = "cosine",
) -> Float[Tensor, "B"]:
    r"""Penalise a motion that is not nearer to its text than to a false copy of it, by the real motion's margin.

    .. math:: \ell_i = \max\{0, D(t_i, \hat m_i) - D(t'_i, \hat m_i) + \varphi_i\}, \quad
              \varphi_i = D(t'_i, m_i) - D(t_i, m_i)

    Source: ours, after the paper's eq. 3: there the text stands and the motion is exchanged, here the motion stands and
    the text is exchanged, so that a number or a side is the only thing that differs. A space that does not hear it puts
    both texts at one place, and then nothing is asked.

    Args:
        z_text: text embeddings t; row i is the sentence that motion i was generated from.
        z_counterfactual: embeddings t' of the sentences with one thing said otherwise.
        z_generated, z_real, margin, distance: as in `inter_motion_loss`.

    Returns:
        Loss of each row, >= 0. The caller masks, weighs and averages.
    """
    to_own = row_distance(z_text, z_generated, distance)
    to_other = row_distance(z_counterfactual, z_generated, distance)
    if margin is None:
        with torch.no_grad():
            phi = row_distance(z_counterfactual, z_real, distance) - row_distance(z_text, z_real, distance)
    else:
        phi = torch.full_like(to_own, margin)
    return F.relu(to_own - to_other + phi)


def intra_motion_loss(
    z_generated: Float[Tensor, "N E"],
    z_real: Float[Tensor, "N E"],
    anchor: Int[Tensor, "A"],
    positive: Int[Tensor, "A K"],
    negative: Int[Tensor, "A K"],
    *,
    margin: float | None = None,
    distance: Distance = "cosine",
    detach_proxies: bool = False,
    check: bool = True,
) -> Float[Tensor, "A K"]:
    r"""Penalise a clip that is not nearer to the clip it should resemble than to the one it should not.

    .. math:: \ell_{ak} = \max\{0, D(\hat c, \hat c_{pos}) - D(\hat c, \hat c_{neg}) + \varphi'_{ak}\}, \quad
              \varphi'_{ak} = D(c, c_{neg}) - D(c, c_{pos})

    Source: the paper's eq. 7.

    Args:
        z_generated: embeddings of all generated clips of the batch; the gradient goes to these.
        z_real: embeddings of the real clips at the same places; margin only, no gradient.
        anchor: number of each motion's least aligned clip (eq. 4), into the N clips.
        positive, negative: clip numbers of the anchor's proxies (eq. 5, 6), from `mine_proxies`.
        margin, distance: as in `inter_motion_loss`.
        check: whether to refuse a clip as its own proxy, which waits for the device.
        detach_proxies: stops the gradient through the proxies, so that only the anchor moves (our option).

    Returns:
        Loss of each anchor for each proxy pair, >= 0. The caller masks, weighs and averages.

    Raises:
        ValueError: a proxy is its own anchor.
    """
    if check and ((positive == anchor[:, None]) | (negative == anchor[:, None])).any():
        raise ValueError("a clip cannot be its own proxy: `positive` or `negative` holds the anchor's number")
    candidates = z_generated.detach() if detach_proxies else z_generated
    clip = z_generated[anchor][:, None].expand(-1, positive.shape[1], -1)
    to_positive = row_distance(clip, candidates[positive], distance)
    to_negative = row_distance(clip, candidates[negative], distance)
    if margin is None:
        with torch.no_grad():
            real = z_real[anchor][:, None].expand(-1, positive.shape[1], -1)
            phi = row_distance(real, z_real[negative], distance) - row_distance(real, z_real[positive], distance)
    else:
        phi = torch.full_like(to_positive, margin)
    return F.relu(to_positive - to_negative + phi)


def mean_of_valid(each: Float[Tensor, "A K"], valid: Bool[Tensor, "A K"]) -> Float[Tensor, "A"]:
    """Return the mean over the valid choices of each row; 0 where there is none."""
    return (each * valid).sum(1) / valid.sum(1).clamp_min(1)


def contrastive_loss(
    z_text: Float[Tensor, "B E"],
    z_generated: Float[Tensor, "B E"],
    admissible: Bool[Tensor, "B B"],
    *,
    temperature: float,
) -> Float[Tensor, "B"]:
    r"""Compute InfoNCE of each text over the generated motions: what table 5 calls the contrastive loss.

    Source: van den Oord et al. 2018 (arXiv:1807.03748), eq. 4, with cosines; our reading of table 5.

    Args:
        z_text, z_generated: as in `inter_motion_loss`.
        admissible: True where motion j may serve as a negative of text i.
        temperature: no unit, > 0.

    Returns:
        Loss of each row, in nats, >= 0; 0 where a row has no negative.

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    score = (1 - pair_distances(z_text, z_generated, "cosine")) / temperature
    own = torch.eye(len(score), dtype=torch.bool, device=score.device)
    score = score.masked_fill(~(admissible | own), -torch.inf)
    return F.cross_entropy(score, torch.arange(len(score), device=score.device), reduction="none")
