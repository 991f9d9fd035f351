r"""The flow head: draws one latent from what the transformer knows, by flow matching (Lipman et al. 2023).

On the line :math:`x_\tau = (1 - \tau)\,\epsilon + \tau z` from noise to a latent, the head estimates the latent,
:math:`\hat z = g \cdot x_\tau + h`, with a gain and a shift of each number; the velocity follows,
:math:`v = (\hat z - x_\tau) / (1 - \tau)`. A small perceptron on each token alone, modulated by token and time, as in
MAR (Li et al. 2024, arXiv:2406.11838). Ours differs: MAR denoises by 100 steps of a diffusion and estimates noise.
Were latents Gaussian, the best estimate would have the form of gain and shift, so what is left of noise is small after
few steps.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.motion.layers import sinusoid

_TIMES = 1000
"""Steps of the table of times."""
_TIME_WIDTH = 64
"""Width of a time in it."""
MOST_STEPS = 100
"""Euler steps of a latent, at most: as many as MAR's; what is left of noise is small after few."""
NEAREST = 0.9
"""Time beyond which the velocity's error is weighted as at this time: it is divided by 1 - tau."""


class FlowHead(nn.Module):
    """Network that estimates the clean latent from the known past, a noisy latent and a time."""

    def __init__(self, latent: int, known: int, width: int, layers: int):
        super().__init__()
        self.width, self.blocks = width, layers
        self.into = nn.Linear(latent, width)
        # For all blocks at once, and once for all times: the times then cost little more.
        self.of_known = nn.Linear(known, (2 * layers + 1) * width)
        self.of_time = nn.Linear(_TIME_WIDTH, 2 * width, bias=False)
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.out = nn.Linear(width, 2 * latent)
        self.register_buffer("times", sinusoid(_TIMES + 1, _TIME_WIDTH), persistent=False)
        for weight in (self.of_known.weight, self.out.weight):
            nn.init.normal_(weight, std=0.02)

    def modulation(self, known: Float[Tensor, "*b W"]) -> tuple[Float[Tensor, "*b H"], ...]:
        """Return what is known, as the blocks want it: a start, a factor and a shift of each. Once for all times."""
        parts = self.of_known(known).split(self.width, dim=-1)
        return tuple(part + 1 if place % 2 else part for place, part in enumerate(parts))

    def time(self, tau: Float[Tensor, "*b"]) -> tuple[Float[Tensor, "*b H"], ...]:
        """Return a time, as the blocks want it."""
        return self.of_time(self.times[(tau * _TIMES).round().long()]).split(self.width, dim=-1)

    def forward(
        self, x_tau: Float[Tensor, "*b L"], modulation: tuple[Tensor, ...], time: tuple[Tensor, ...]
    ) -> Float[Tensor, "*b L"]:
        """Return the estimate of the clean latent; `modulation` and `time` from the functions of these names."""
        start, end = time
        hidden = self.into(x_tau) + (modulation[0] + start)
        for block in range(self.blocks):
            factor, shift = modulation[1 + 2 * block : 3 + 2 * block]
            read = torch.addcmul(shift, F.layer_norm(hidden, (self.width,)), factor)
            hidden = hidden + self.down[block](F.silu(self.up[block](read)))
        gain, add = self.out(F.layer_norm(hidden, (self.width,)) * (1 + end)).chunk(2, dim=-1)
        return gain * x_tau + add


def draw_times(shape: tuple[int, ...], rng: torch.Generator) -> Float[Tensor, "*shape"]:
    """Return times of the flow, logit-normal: most in the middle (Esser et al. 2024, arXiv:2403.03206, section 3.1)."""
    return torch.randn(shape, generator=rng, device=rng.device).sigmoid()


def velocity_error(
    z_hat: Float[Tensor, "*b L"], z: Float[Tensor, "*#b L"], tau: Float[Tensor, "*b"]
) -> Float[Tensor, "*b L"]:
    """Return squared error of the velocity that follows from an estimate of the latent."""
    return ((z_hat - z) / (1 - tau.clamp(max=NEAREST))[..., None]).square()


def euler(estimate: Callable[[Tensor, int], Tensor], x: Float[Tensor, "*b L"], steps: int) -> Float[Tensor, "*b L"]:
    """Integrate from noise to a latent; the last of the equal steps ends on the estimate itself.

    Args:
        estimate: of the clean latent, from where it is and the number of the step, at time step / steps.
        x: noise.
        steps: how many.
    """
    for step in range(steps):
        x = x + (estimate(x, step) - x) / (steps - step)
    return x
