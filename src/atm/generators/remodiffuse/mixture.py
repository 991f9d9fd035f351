"""Which of the four estimates a step of `sample` needs, and how much of each (paper, section 3.4)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from atm.generators.remodiffuse.config import Mixture

WITH_TEXT = (True, True, False, False)
WITH_RETRIEVAL = (True, False, True, False)
"""Both, text alone, retrieval alone, none: the order of the weights everywhere."""


class Pass(NamedTuple):
    """One run of the network over the batch."""

    text_on: Bool[Tensor, "B"]
    retrieval_on: Bool[Tensor, "B"]
    weight: Float[Tensor, "B"]


def mix_weights(mixture: Mixture, level: int, steps: int, heads: Bool[Tensor, "B"]) -> Float[Tensor, "B 4"]:
    """Return weights of the four estimates in each row; they sum to 1.

    Args:
        mixture: the model's.
        level: noise level of the full schedule, not the number of the sampling step.
        steps: noise levels of the full schedule.
        heads: the row's coin; without effect at fine levels.
    """
    if level <= mixture.fine_below:
        fine = (mixture.both, mixture.text, mixture.retrieval)
        return torch.tensor([*fine, 1 - sum(fine)], device=heads.device).expand(len(heads), 4)
    first = 1 + level / steps * mixture.coarse
    pairs = torch.tensor([[0.0, first, 0.0, 1 - first], [first, 0.0, 1 - first, 0.0]], device=heads.device)
    return pairs[heads.long()]


def guidance(scale: float, rows: int, device: torch.device) -> Float[Tensor, "B 4"]:
    """Plain classifier-free guidance between both and none, in place of the mixture (ours)."""
    return torch.tensor([scale, 0.0, 0.0, 1 - scale], device=device).expand(rows, 4)


def passes(mixed: Float[Tensor, "B 4"]) -> list[Pass]:
    """Return the runs that these weights need: as many as the row with most of them has weights other than 0."""
    used = mixed != 0
    kinds = used.int().argsort(dim=1, descending=True, stable=True)[:, : int(used.sum(dim=1).max())]
    text, retrieval = (torch.tensor(on, device=mixed.device) for on in (WITH_TEXT, WITH_RETRIEVAL))
    return [Pass(text[kind], retrieval[kind], mixed.gather(1, kind[:, None])[:, 0]) for kind in kinds.T]
