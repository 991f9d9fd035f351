"""The inter-motion loss of a batch (the paper's eq. 2 and 3): mine hard negatives, compare with them."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.config import AlignmentConfig
from atm.alignment.embed import Embedded
from atm.alignment.losses import contrastive_loss, inter_motion_loss, mean_of_valid
from atm.alignment.negatives import (
    Mined,
    admissible_negatives,
    mine_hard_negatives,
    random_negatives,
    text_similarity,
)

TRIPLET_MARGIN = 0.2
"""Margin of the plain triplet loss of table 5, where the config names none (our reading)."""


@dataclass(frozen=True)
class InterResult:
    """Everything that the inter-motion loss compared, for each row of this process."""

    loss: Float[Tensor, "B"]
    """Mean over the row's negatives; with gradient."""
    admissible: Int[Tensor, "M"]
    """How many rows of the batch may be its negative; with `gather`, of every process's rows."""
    takes_part: Bool[Tensor, "B"]
    """False where the row is noised too much."""
    mined: Mined | None
    """Its negatives, as rows of the embedded batch; None: the contrastive form, which takes all."""

    @property
    def counts(self) -> Bool[Tensor, "B K"]:
        """True for the negatives that the loss is the mean over."""
        return self.mined.valid & self.takes_part[:, None]


def inter_motion(
    config: AlignmentConfig, seen: Embedded, takes_part: Bool[Tensor, "B"], rng: torch.Generator | None
) -> InterResult:
    """Compute the loss, in the form that the config asks for (table 5).

    Args:
        config: rules, margins, epsilon.
        seen: the embedded batch.
        takes_part: of this process's rows; False makes a row's loss 0. It is a negative of others all the same.
        rng: of the triplet form's random negatives; None: torch's own.
    """
    inter = config.inter
    admissible = admissible_pairs(config, seen)
    if inter.loss == "contrastive":
        loss = contrastive_loss(seen.text, seen.generated, admissible, temperature=inter.temperature)
        return InterResult(loss[seen.own] * takes_part, admissible.sum(1), takes_part, None)
    margin = None if inter.margin == "adaptive" else inter.margin
    chosen_by = {"count": inter.negatives, "floor": config.floor, "distance": config.distance}
    if inter.loss == "triplet":
        margin = TRIPLET_MARGIN if margin is None else margin
        mined = random_negatives(seen.generated, seen.real, admissible, rng, **chosen_by)
    else:
        mined = mine_hard_negatives(seen.generated, seen.real, admissible, rule=inter.rule, **chosen_by)
    each = inter_motion_loss(
        seen.text, seen.generated, seen.real, mined.index,
        margin=margin, distance=config.distance, detach_negative=inter.detach, check=False,
    )  # fmt: skip
    mined = Mined(*(part[seen.own] for part in mined))
    loss = mean_of_valid(each[seen.own], mined.valid & takes_part[:, None])
    return InterResult(loss, admissible.sum(1), takes_part, mined)


def similarity(config: AlignmentConfig, seen: Embedded) -> Float[Tensor, "B B"]:
    """Return the raw cosine of every pair of texts, where the config says that they are compared."""
    return text_similarity(seen.text if config.similarity == "space" else seen.sentence).float()


def admissible_pairs(config: AlignmentConfig, seen: Embedded) -> Bool[Tensor, "B B"]:
    """Return which motions of the batch may be negatives of which."""
    meaning = seen.meaning if config.similarity == "meaning" else None
    return admissible_negatives(similarity(config, seen), seen.caption, epsilon=config.epsilon, meaning=meaning)
