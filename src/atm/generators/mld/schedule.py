"""MLD's noise levels: those of Stable Diffusion (Rombach et al. 2022), by `diffusers`."""

from atm.generators.diffusion.steps import Chain


def latent_chain(steps: int, *, kept: int | None = None) -> Chain:
    """The chain of the schedule, whole or shortened; the network predicts noise.

    The roots of the betas rise evenly from 0.00085's to 0.012's, times 1000 / N for N steps as published chains have
    1000. A shortened chain visits 1, 1 + N // kept, ... and ends at level 0, which still holds a little noise: not at
    the clean latent.

    Args:
        steps: noise levels of the full schedule N, as trained.
        kept: visit this many levels; None: all.
    """
    from diffusers import DDIMScheduler

    options = {"clip_sample": False, "set_alpha_to_one": False, "prediction_type": "epsilon"}
    start, end = (beta * 1000 / steps for beta in (0.00085, 0.012))
    whole = DDIMScheduler(
        steps, beta_start=start, beta_end=end, beta_schedule="scaled_linear", steps_offset=1, **options
    )
    if kept is None:
        whole.set_timesteps(steps)
        return Chain(whole, list(range(steps)))
    whole.set_timesteps(kept)
    levels = whole.timesteps.flip(0).tolist()
    # A chain's scheduler counts its own levels, so it has these alone, and level 0 behind the last of them.
    short = DDIMScheduler(len(levels), **options)
    short.alphas_cumprod, short.final_alpha_cumprod = whole.alphas_cumprod[levels], whole.final_alpha_cumprod
    short.set_timesteps(len(levels))
    return Chain(short, levels)
