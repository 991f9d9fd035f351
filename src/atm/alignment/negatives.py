"""Mining: which generated motion or clip is confused with which. Indices only, without gradient."""

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.distances import Distance, pair_distances, row_distance
from atm.interface import FineMeaning

Rule = Literal["ratio", "numerator", "denominator"]


class Mined(NamedTuple):
    """K choices for each of A anchors, best first."""

    index: Int[Tensor, "A K"]
    """Rows that were chosen; where `valid` is False, some other row, never the anchor itself."""
    valid: Bool[Tensor, "A K"]
    """False where fewer than K candidates are admissible."""
    ratio: Float[Tensor, "A K"]
    """D(generated, generated) / D(real, real) of each choice, whatever the rule was."""


def admissible_negatives(
    similarity: Float[Tensor, "B B"], caption: Int[Tensor, "B"], *, epsilon: float, meaning: FineMeaning | None = None
) -> Bool[Tensor, "B B"]:
    """Return True where text j differs enough from text i that motion j may be a negative of motion i.

    Source: the paper's eq. 2 (similarity in a pre-trained language model at most epsilon, a raw cosine). The same
    words are never a negative, whatever the language model says (ours). Where the meaning is given, it overrules the
    language model (ours): texts that contradict are negatives, texts that say the same are none.

    Args:
        similarity: raw cosine of every pair of texts, -1 to 1.
        caption: which caption each text is, from `caption_ids`.
        epsilon: largest similarity that still counts as different.
        meaning: what the captions say in detail; None: the language model alone decides, as in the paper.
    """
    different = caption[:, None] != caption[None, :]
    if meaning is None:
        return (similarity <= epsilon) & different
    contradicts, same = (
        pairs.to(similarity.device, non_blocking=True) for pairs in (meaning.contradicts, meaning.same)
    )
    return ((similarity <= epsilon) & ~same & different) | contradicts


def caption_ids(text: Sequence[str]) -> Int[Tensor, "B"]:
    """Return a number for each caption, on the CPU: the same for the same words, in every process and on every machine.

    63 bits of a hash: among a million captions two share one with a chance of one in twenty million.
    """
    numbers = [int.from_bytes(hashlib.blake2b(one.encode(), digest_size=8).digest(), "big") >> 1 for one in text]
    return torch.tensor(numbers, dtype=torch.long)


def text_similarity(sentence: Float[Tensor, "B S"]) -> Float[Tensor, "B B"]:
    """Return the raw cosine of every pair of sentence embeddings."""
    unit = F.normalize(sentence, dim=-1)
    return unit @ unit.T


@torch.no_grad()
def mine_hard_negatives(
    z_generated: Float[Tensor, "B E"],
    z_real: Float[Tensor, "B E"],
    admissible: Bool[Tensor, "B B"],
    *,
    rule: Rule = "ratio",
    count: int = 1,
    floor: float = 1e-4,
    distance: Distance = "cosine",
) -> Mined:
    """Find the generated motions that look like motion i although their real motions do not.

    Source: the paper's eq. 2: argmin over j of D(generated i, generated j) / D(real i, real j); table 7 for the rules
    "numerator" (argmin of the generated distance) and "denominator" (argmax of the real one).

    Args:
        z_generated, z_real: embeddings of the generated and of the real motions.
        admissible: True where j may be a negative of i; the diagonal does not matter.
        rule: what is compared.
        count: how many per row (1 in the paper; table 6 has 3 and 5).
        floor: smallest denominator, in units of the distance: real motions of one label can coincide.
        distance: what D is.
    """
    anchors = torch.arange(len(z_generated), device=z_generated.device)
    return _mine(z_generated, z_real, anchors, admissible, rule, count, floor, distance, confused=True)


@torch.no_grad()
def random_negatives(
    z_generated: Float[Tensor, "B E"],
    z_real: Float[Tensor, "B E"],
    admissible: Bool[Tensor, "B B"],
    rng: torch.Generator | None,
    *,
    count: int = 1,
    floor: float = 1e-4,
    distance: Distance = "cosine",
) -> Mined:
    """Draw admissible rows at random, as the plain triplet of table 5 has them.

    Args:
        rng: on the CPU; None: torch's own.
        z_generated, z_real, admissible, count, floor, distance: as in `mine_hard_negatives`.
    """
    chance = torch.rand(admissible.shape, generator=rng).to(admissible.device, non_blocking=True)
    itself = torch.eye(len(admissible), dtype=torch.bool, device=admissible.device)
    chance = chance.masked_fill(~admissible, 2.0).masked_fill(itself, 3.0)
    index = chance.argsort(dim=1)[:, : min(count, len(chance) - 1)]
    own = torch.arange(len(admissible), device=admissible.device)[:, None].expand_as(index)
    generated, real = (row_distance(z[own], z[index], distance) for z in (z_generated, z_real))
    return Mined(index, (admissible & ~itself).gather(1, index), generated / real.clamp_min(floor))


@torch.no_grad()
def mine_proxies(
    z_generated: Float[Tensor, "N E"],
    z_real: Float[Tensor, "N E"],
    anchor: Int[Tensor, "A"],
    candidate: Bool[Tensor, "A N"],
    *,
    positive_rule: Rule = "ratio",
    negative_rule: Rule = "ratio",
    count: int = 1,
    floor: float = 1e-4,
    distance: Distance = "cosine",
) -> tuple[Mined, Mined]:
    """Find clips that should be close to an anchor clip and are far, and clips that should be far and are close.

    Source: the paper's eq. 5 (positive: argmax of the ratio) and eq. 6 (negative: argmin); table 7 for the rules:
    "numerator" takes argmax / argmin of the generated distance, "denominator" argmin / argmax of the real one. The
    real motions stand in the denominator; the printed form of table 7 has hats everywhere, see docs/paper.md.

    Args:
        z_generated, z_real: embeddings of all clips of the batch, generated and real, at the same places.
        anchor: number of each anchor among the N clips.
        candidate: True where clip n may be a proxy of the anchor; the anchor itself is never one.
        positive_rule, negative_rule, count, floor, distance: as in `mine_hard_negatives`.

    Returns:
        Positive proxies, negative proxies.
    """
    mine = (z_generated, z_real, anchor, candidate)
    positive = _mine(*mine, positive_rule, count, floor, distance, confused=False)
    negative = _mine(*mine, negative_rule, count, floor, distance, confused=True)
    return positive, negative


def _mine(
    z_generated: Float[Tensor, "N E"],
    z_real: Float[Tensor, "N E"],
    anchor: Int[Tensor, "A"],
    candidate: Bool[Tensor, "A N"],
    rule: Rule,
    count: int,
    floor: float,
    distance: Distance,
    *,
    confused: bool,
) -> Mined:
    """Mine rows; `confused`: close although the real ones are far; otherwise far although the real ones are close."""
    generated = pair_distances(z_generated[anchor], z_generated, distance)
    real = pair_distances(z_real[anchor], z_real, distance)
    ratio = generated / real.clamp_min(floor)
    score = {"ratio": ratio, "numerator": generated, "denominator": -real}[rule]
    score = score if confused else -score
    itself = anchor[:, None] == torch.arange(len(z_generated), device=anchor.device)
    # Inadmissible rows come last, the anchor after them: an index is always usable, `valid` says whether it counts.
    score = score.masked_fill(~candidate, torch.finfo(score.dtype).max / 2).masked_fill(itself, torch.inf)
    index = score.argsort(dim=1, stable=True)[:, : min(count, max(len(z_generated) - 1, 0))]
    valid = (candidate & ~itself).gather(1, index)
    return Mined(index, valid, ratio.gather(1, index))
