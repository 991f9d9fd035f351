"""Presets of MLD: first the VAE, then, with `model.vae=RUN` of it, the diffusion of its latents.

The losses act in the second stage, on the decoded estimate of the clean latent; the VAE trains unchanged.
"""

from atm.generators.mld.presets import (
    mld_humanml3d,
    mld_kit,
    mld_small,
    mld_vae_humanml3d,
    mld_vae_kit,
    mld_vae_small,
)
from atm.training.config import TrainConfig
from atm.training.presets.row import HUMANML3D, KIT, Preset, aligned, epochs, small_aligned

USABLE = 0.93
"""Largest noise level, of 1, at which the losses look at the estimate. Beyond it an error of the predicted noise comes
out more than ten times as large in the latent (ours; the same bound as for MotionDiffuse)."""


def published_vae(model, motions: int) -> TrainConfig:
    """First stage as published; of the 1500 to 3000 epochs that its authors advise, 3000."""
    return _published(model, batch_size=128, steps=epochs(3000, motions=motions, batch=128))


def published(model, motions: int) -> TrainConfig:
    """Second stage as published."""
    return _published(model, batch_size=64, steps=epochs(2000, motions=motions, batch=64))


def scripted_vae() -> TrainConfig:
    """The small VAE."""
    return TrainConfig(
        model=mld_vae_small(), steps=4000, batch_size=64, learning_rate=1e-3, warmup_steps=100, weight_decay=0.01,
        ema=0.999, gradient_clip=1.0, sort_over=8, precision="bf16-mixed", gradient_log_every=0,
    )  # fmt: skip


def scripted() -> TrainConfig:
    """The small diffusion without the losses: the baseline."""
    return TrainConfig(
        model=mld_small(), steps=10_000, batch_size=64, learning_rate=5e-4, warmup_steps=200, weight_decay=0.01,
        ema=0.9995, gradient_clip=1.0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def scripted_atm() -> TrainConfig:
    """The small diffusion with both losses; everything else as in `mld_small`."""
    return small_aligned(scripted(), max_noise=USABLE)


def _published(model, **changes) -> TrainConfig:
    return TrainConfig(
        model=model, learning_rate=1e-4, weight_decay=0.01, checkpoint_every=10_000, log_every=100, **changes
    )


PRESETS = {
    "mld_vae_small": Preset(scripted_vae, "the small MLD's VAE", "40 min on 1 core"),
    "mld_small": Preset(scripted, "the small MLD on its VAE, baseline", "1 h on 1 core"),
    "mld_small_atm": Preset(scripted_atm, "the small MLD with both losses", "2 h on 1 core"),
    "mld_vae_humanml3d": Preset(
        lambda: published_vae(mld_vae_humanml3d(), HUMANML3D), "MLD's VAE as published", "days on a GPU"
    ),
    "mld_humanml3d": Preset(lambda: published(mld_humanml3d(), HUMANML3D), "MLD as published", "days on a GPU"),
    "mld_humanml3d_atm": Preset(
        lambda: aligned(published(mld_humanml3d(), HUMANML3D), max_noise=USABLE), "MLD with both losses",
        "days on a GPU",
    ),
    "mld_vae_kit": Preset(lambda: published_vae(mld_vae_kit(), KIT), "MLD's VAE for KIT-ML", "a day on a GPU"),
    "mld_kit": Preset(lambda: published(mld_kit(), KIT), "MLD for KIT-ML", "a day on a GPU"),
    "mld_kit_atm": Preset(
        lambda: aligned(published(mld_kit(), KIT), max_noise=USABLE), "MLD for KIT-ML with both losses",
        "a day on a GPU",
    ),
}  # fmt: skip
