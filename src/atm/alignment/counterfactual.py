"""The counterfactual loss of a batch (ours): each caption against the same one with a number, side, ... exchanged."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.config import AlignmentConfig
from atm.alignment.embed import Embedded, Embedder
from atm.alignment.losses import counterfactual_loss


@dataclass(frozen=True)
class CounterfactualResult:
    """Everything that the counterfactual loss compared."""

    loss: Float[Tensor, "B"]
    """Loss of each row of this process, with gradient; 0 where its caption has no false copy."""
    row: Int[Tensor, "R"]
    """The rows that have one."""
    z_false: Float[Tensor, "R E"]
    """Embeddings of their false copies."""


def counterfactual(
    config: AlignmentConfig, embed: Embedder, seen: Embedded, false: list[str | None], takes_part: Bool[Tensor, "B"]
) -> CounterfactualResult:
    """Compute the loss.

    Args:
        config: margin and distance.
        embed: of the false captions.
        seen: the embedded batch.
        false: each caption of this process's rows with one thing said otherwise; None: it has no such.
        takes_part: False makes a row's loss 0.
    """
    text, generated, real = (z[seen.own] for z in (seen.text, seen.generated, seen.real))
    rows = [row for row, caption in enumerate(false) if caption is not None]
    row = torch.tensor(rows, dtype=torch.long).to(text.device, non_blocking=True)
    nothing = generated.sum(1) * 0
    if not rows:
        return CounterfactualResult(nothing, row, text[:0])
    z_false = embed.text([false[row] for row in rows]).to(text.dtype)
    each = counterfactual_loss(
        text[row], z_false, generated[row], real[row],
        margin=None if config.counterfactual.margin == "adaptive" else config.counterfactual.margin,
        distance=config.distance,
    )  # fmt: skip
    return CounterfactualResult(nothing.index_put((row,), each * takes_part[row]), row, z_false)
