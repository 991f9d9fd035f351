"""MLD's noise levels: those of Stable Diffusion (Rombach et al. 2022)."""

import torch

from atm.generators.diffusion.steps import Chain


def latent_chain(steps: int, *, kept: int | None = None) -> Chain:
    """Return the chain of the schedule, whole or shortened; the network predicts noise.

    The roots of the betas rise evenly from 0.00085's to 0.012's, times 1000 / N for N steps as published chains have
    1000. A shortened chain visits 1, 1 + N // kept, ... and ends at level 0, which still holds a little noise: not at
    the clean latent.

    Args:
        steps: noise levels of the full schedule N, as trained.
        kept: visit this many levels; None: all.
    """
    start, end = ((beta * 1000 / steps) ** 0.5 for beta in (0.00085, 0.012))
    alphas_cumprod = torch.cumprod(1 - torch.linspace(start, end, steps) ** 2, dim=0)
    levels = list(range(steps)) if kept is None else [1 + step * (steps // kept) for step in range(kept)]
    return Chain(alphas_cumprod[levels], levels, "epsilon", final_alpha_cumprod=alphas_cumprod[0])
