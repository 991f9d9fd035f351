"""Noise levels, and the way back through them: the schedulers of `diffusers`, driven the way motion models need it.

Two things stand between us and plain `scheduler.step` calls. Noise is drawn per row from the row's own seed, so that
a motion does not depend on its neighbours in the batch; and a shortened run keeps evenly spread levels that are no
multiple of one stride, which `DDIMScheduler` can only walk as a chain of its own (as Nichol and Dhariwal 2021 do it).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.base.progress import progress

if TYPE_CHECKING:
    from diffusers import DDIMScheduler

NoiseSchedule = Literal["cosine", "linear"]
Prediction = Literal["sample", "epsilon"]
Draw = Callable[[], Tensor]


class Chain(NamedTuple):
    """The noise levels that a run visits."""

    scheduler: "DDIMScheduler"
    """Counts levels 0, 1, 2, ... within the chain, from clean to noise."""
    levels: list[int]
    """The level of the full schedule that each stands for: what the network is told."""

    @property
    def alphas_cumprod(self) -> Float[Tensor, "steps"]:
        """Share of the clean signal's variance at each level."""
        return self.scheduler.alphas_cumprod


def noise_chain(
    steps: int,
    schedule: NoiseSchedule = "cosine",
    *,
    kept: int | list[int] | None = None,
    predicts: Prediction = "sample",
) -> Chain:
    """The chain of a schedule, whole or shortened.

    Args:
        steps: noise levels of the full schedule N, as trained.
        schedule: "cosine" is Nichol and Dhariwal 2021 with betas up to 0.999; "linear" goes from 1e-4 to 0.02, both
            times 1000 / N (Ho et al. 2020).
        kept: visit this many levels, evenly spread from the first to the last; or these, in rising order; None: all.
        predicts: what the network puts out, the clean motion or the noise.
    """
    from diffusers import DDIMScheduler

    options = {"clip_sample": False, "prediction_type": predicts}
    if schedule == "cosine":
        scheduler = DDIMScheduler(steps, beta_schedule="squaredcos_cap_v2", **options)
    else:
        start, end = (beta * 1000 / steps for beta in (1e-4, 0.02))
        scheduler = DDIMScheduler(steps, beta_start=start, beta_end=end, beta_schedule="linear", **options)
    # In float32, one minus a product close to one keeps three digits at the cleanest levels.
    alphas_cumprod = torch.cumprod(1 - scheduler.betas.double(), dim=0)

    if isinstance(kept, int):
        kept = kept_levels(steps, kept)
    levels = list(range(steps)) if kept is None else kept
    if len(levels) < steps:
        alphas_cumprod = alphas_cumprod[levels]
        previous = torch.cat([alphas_cumprod.new_ones(1), alphas_cumprod[:-1]])
        scheduler = DDIMScheduler(len(levels), trained_betas=(1 - alphas_cumprod / previous).tolist(), **options)
    scheduler.alphas_cumprod = alphas_cumprod
    scheduler.set_timesteps(len(levels))
    return Chain(scheduler, levels)


def kept_levels(steps: int, count: int) -> list[int]:
    """`count` of `steps` levels, evenly spread, the first and the last among them (1000 to 10: 0, 111, ... 999)."""
    if not 1 <= count <= steps:
        raise ValueError(f"a run visits 1 to {steps} noise levels, got {count}")
    return np.linspace(0, steps - 1, count).round().astype(int).tolist()


def section_levels(steps: int, counts: Sequence[int]) -> list[int]:
    """Levels of a chain that is denser in some parts: `counts[i]` of the i-th equal part, its ends among them."""
    size, levels = steps // len(counts), []
    for part, count in enumerate(counts):
        if not 1 <= count <= size:
            raise ValueError(f"a part of {size} noise levels has 1 to {size} to visit, got {count}")
        # Strides are summed up one by one, as published: the rounding error decides where a level lies halfway.
        strides = [(size - 1) / max(count - 1, 1)] * (count - 1)
        levels += [part * size + round(place) for place in accumulate(strides, initial=0.0)]
    return levels


def row_noise(seeds: list[int], frames: list[int], shape: tuple[int, int], device: torch.device) -> Draw:
    """A function that draws (B, T, D) noise, row i from `seeds[i]` alone.

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
        predict: (x_t, level of the full schedule) to what the chain's scheduler expects: x0 or noise.
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
        x_t = chain.scheduler.step(prediction, step, x_t, eta=eta, variance_noise=noise).prev_sample
    return x_t
