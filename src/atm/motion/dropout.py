"""Dropout whose masks cost less: torch draws them one number after another on a CPU.

With that, a fifth of a training step of the published MDM went into random numbers (docs/results/2026-11-30_speed.md).
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 2**16
"""Values of one draw: a rate is rounded to one of so many parts, and the scale of what is kept is that of the rounded
one."""


class Dropout(nn.Dropout):
    """Dropout as torch has it, but for the way in which masks are drawn on a CPU."""

    def forward(self, input: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return dropped(input, self.p) if self.training else input


def dropped(x: Float[Tensor, "*any"], rate: float) -> Float[Tensor, "*any"]:
    """Return numbers of which a share was set to 0, the others scaled so that the mean stays.

    The mask follows from torch's random state, which moves on by one draw, so that a seed means a mask.

    Args:
        x: of any shape.
        rate: share that is dropped, 0 to 1 without 1.
    """
    if rate == 0.0 or x.device.type != "cpu":
        return F.dropout(x, rate)
    least = max(1, round(rate * _LEVELS))
    rng = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, (1,)))))
    # Four draws of 16 bits from each number of 64.
    draws = rng.integers(0, 2**64, -(-x.numel() // 4), dtype=np.uint64).view(np.int16)[: x.numel()]
    kept = torch.from_numpy(draws).view(x.shape) >= least - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - least))
