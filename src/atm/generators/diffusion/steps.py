"""Noise levels, noising, and the way back through them: DDPM and DDIM steps on a chain of levels.

Noise is drawn per row from the row's own seed, so that a motion does not depend on its neighbours in the batch; and a
shortened run is a chain of its own over the levels that it keeps (as Nichol and Dhariwal 2021 do it), which need be no
multiples of one stride.

Ours and not a library's, because importing the library's scheduler took as long as importing torch; golden files of
the published systems hold every number.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.base.progress import progress

NoiseSchedule = Literal["cosine", "linear"]
Prediction = Literal["sample", "epsilon"]
Draw = Callable[[], Tensor]


@dataclass(frozen=True)
class Chain:
    """The noise levels that a run visits, from clean to noise."""

    alphas_cumprod: Float[Tensor, "steps"]
    """Share of the clean signal's variance at each level."""
    levels: list[int]
    """The level of the full schedule that each stands for: what the network is told."""
    predicts: Prediction
    """What the network puts out, the clean sample or the noise."""
    final_alpha_cumprod: float | Float[Tensor, ""] = 1.0
    """Share of the signal behind the cleanest level: 1 ends at the clean sample."""

    @property
    def betas(self) -> Float[Tensor, "steps"]:
        """Variance of the noise that each level adds to the one before."""
        before = torch.cat([self.alphas_cumprod.new_ones(1), self.alphas_cumprod[:-1]])
        return 1 - self.alphas_cumprod / before

    def add_noise(self, x0: Tensor, noise: Tensor, t: Int[Tensor, "B"]) -> Tensor:
        r"""Return noise clean samples to levels of the chain.

        .. math:: x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \epsilon

        Source: Ho et al. 2020, eq. 4.
        """
        share = self.alphas_cumprod.to(x0.device, x0.dtype)[t].reshape(-1, *[1] * (x0.dim() - 1))
        return share**0.5 * x0 + (1 - share) ** 0.5 * noise

    def step(self, prediction: Tensor, level: int, x_t: Tensor, *, eta: float, noise: Tensor | None = None) -> Tensor:
        """Go from one level of the chain to the one before.

        Source: Song et al. 2021 (DDIM), eq. 12 and 16; eta 1 is DDPM's posterior with its small variance.

        Args:
            prediction: of the network, as `predicts` says.
            level: place in the chain, 0 is the cleanest.
            x_t: sample at that level.
            eta: share of the posterior's noise, 0 to 1; 0 is deterministic.
            noise: standard normal, of x_t's shape; needed where eta > 0.
        """
        share = self.alphas_cumprod[level]
        before = self.alphas_cumprod[level - 1] if level > 0 else torch.as_tensor(self.final_alpha_cumprod)
        if self.predicts == "epsilon":
            eps, x0 = prediction, (x_t - (1 - share) ** 0.5 * prediction) / share**0.5
        else:
            eps, x0 = (x_t - share**0.5 * prediction) / (1 - share) ** 0.5, prediction
        std = eta * ((1 - before) / (1 - share) * (1 - share / before)) ** 0.5
        x = before**0.5 * x0 + (1 - before - std**2) ** 0.5 * eps
        return x if noise is None or eta == 0 else x + std * noise


def noise_chain(
    steps: int,
    schedule: NoiseSchedule = "cosine",
    *,
    kept: int | list[int] | None = None,
    predicts: Prediction = "sample",
) -> Chain:
    """Return the chain of a schedule, whole or shortened.

    Args:
        steps: noise levels of the full schedule N, as trained.
        schedule: "cosine" is Nichol and Dhariwal 2021 with betas up to 0.999; "linear" goes from 1e-4 to 0.02, both
            times 1000 / N (Ho et al. 2020).
        kept: visit this many levels, evenly spread from the first to the last; or these, in rising order; None: all.
        predicts: what the network puts out, the clean motion or the noise.
    """
    if schedule == "cosine":
        betas = torch.tensor([min(1 - _cosine((i + 1) / steps) / _cosine(i / steps), 0.999) for i in range(steps)])
    else:
        start, end = (beta * 1000 / steps for beta in (1e-4, 0.02))
        betas = torch.linspace(start, end, steps)
    # In float32, one minus a product close to one keeps three digits at the cleanest levels.
    alphas_cumprod = torch.cumprod(1 - betas.double(), dim=0)
    if isinstance(kept, int):
        kept = kept_levels(steps, kept)
    levels = list(range(steps)) if kept is None else kept
    return Chain(alphas_cumprod if len(levels) == steps else alphas_cumprod[levels], levels, predicts)


def _cosine(time: float) -> float:
    """Return the share of the signal's variance at a time from 0 to 1 (Nichol and Dhariwal 2021, eq. 17)."""
    return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2


def kept_levels(steps: int, count: int) -> list[int]:
    """`count` of `steps` levels, evenly spread, the first and the last among them (1000 to 10: 0, 111, ... 999)."""
    if not 1 <= count <= steps:
        raise ValueError(f"a run visits 1 to {steps} noise levels, got {count}")
    return np.linspace(0, steps - 1, count).round().astype(int).tolist()


def section_levels(steps: int, counts: Sequence[int]) -> list[int]:
    """Return levels of a chain that is denser in some parts: `counts[i]` of the i-th equal part, its ends among
    them."""
    size, levels = steps // len(counts), []
    for part, count in enumerate(counts):
        if not 1 <= count <= size:
            raise ValueError(f"a part of {size} noise levels has 1 to {size} to visit, got {count}")
        # Strides are summed up one by one, as published: the rounding error decides where a level lies halfway.
        strides = [(size - 1) / max(count - 1, 1)] * (count - 1)
        levels += [part * size + round(place) for place in accumulate(strides, initial=0.0)]
    return levels


def row_noise(seeds: list[int], frames: list[int], shape: tuple[int, int], device: torch.device) -> Draw:
    """Return a function that draws (B, T, D) noise, row i from `seeds[i]` alone.

    Drawn on the CPU, so that a seed gives the same motion on every device; and `frames[i]` rows at a time whatever
    the batch's length T, so that it gives the same motion in every batch. Behind `frames[i]` stand zeros.

    Args:
        seeds: one per row.
        frames: frames that row i draws each time; what exceeds T is cut.
        shape: (T, D).
        device: where the noise goes.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw() -> Float[Tensor, "B T D"]:
        noise = torch.zeros(len(seeds), *shape)
        for row, (generator, count) in enumerate(zip(generators, frames, strict=True)):
            drawn = torch.randn(count, shape[1], generator=generator)[: shape[0]]
            noise[row, : len(drawn)] = drawn
        return noise.to(device)

    return draw


def reverse(
    predict: Callable[[Tensor, int], Tensor],
    draw: Draw,
    chain: Chain,
    *,
    eta: float,
    variance: Literal["small", "large"] = "small",
    show_progress: bool = False,
) -> Tensor:
    """From noise to a clean sample.

    Args:
        predict: (x_t, level of the full schedule) to what the chain says that the network predicts: x0 or noise.
        draw: gives noise; called once for the start and, unless eta is 0, once in every step.
        chain: the levels to visit.
        eta: 1 draws from the posterior (DDPM, variance "fixed small"), 0 is deterministic (DDIM); Song et al. 2021,
            eq. 12 and 16.
        variance: of the noise in a step at eta 1: that of the posterior, or beta itself (Ho et al. 2020, section 3.2).
        show_progress: show a bar.
    """
    x_t = draw()
    steps = range(len(chain.levels) - 1, -1, -1)
    for step in progress(steps, "sampling", show=show_progress):
        prediction = predict(x_t, chain.levels[step])
        noise = draw() if eta > 0 else None
        if noise is not None and variance == "large" and step > 0:
            level, before = chain.alphas_cumprod[step], chain.alphas_cumprod[step - 1]
            noise = noise * ((1 - level) / (1 - before)).sqrt()  # the root of beta over the posterior's variance
        x_t = chain.step(prediction, step, x_t, eta=eta, noise=noise)
    return x_t
