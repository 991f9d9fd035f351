"""The published MLDs, and a small one for two CPU cores; for each the VAE that it is built on."""

from atm.generators.mld.config import MLDConfig, MLDVAEConfig
from atm.generators.parts.recipes import HUMANML3D, KIT, SMALL, epochs
from atm.interface import Preset


def mld_vae_humanml3d() -> MLDVAEConfig:
    """Return the paper's VAE: one latent token."""
    return MLDVAEConfig()


def mld_vae_kit() -> MLDVAEConfig:
    """Return the same, on 251 features at 12.5 fps; joints in its loss are in metres (see `VAEStage.losses`)."""
    return mld_vae_humanml3d()


def mld_vae_small() -> MLDVAEConfig:
    """Ours, for two CPU cores: narrower, fewer layers, 4 frames per token, no dropout (short runs under-fit), and four
    latent tokens in place of one.
    """
    return mld_vae_humanml3d().model_copy(
        update={
            "latent_tokens": 4,
            "width": 128,
            "feed_forward": 256,
            "layers": 3,
            "frames_per_token": 4,
            "frame_width": 96,
            "dropout": 0.0,
        }
    )


def mld_humanml3d() -> MLDConfig:
    """Return the paper's model: 1000 levels, CLIP's large text tower, 50 DDIM steps, guidance 7.5."""
    return MLDConfig()


def mld_humanml3d_frames() -> MLDConfig:
    """Return the paper's comparison without VAE: noise goes on the frames themselves."""
    return mld_humanml3d().model_copy(update={"autoencoder": None})


def mld_kit() -> MLDConfig:
    """Return the paper's KIT model: the same, on 251 features at 12.5 fps."""
    return mld_humanml3d().model_copy(update={"autoencoder": mld_vae_kit()})


def mld_small() -> MLDConfig:
    """Ours, for two CPU cores: on the small VAE, with the language model that is always there."""
    return mld_humanml3d().model_copy(
        update={
            "autoencoder": mld_vae_small(),
            "width": 128,
            "text_encoder": "minilm",
            "feed_forward": 512,
            "dropout": 0.0,
            "encoder_dropout": False,
        }
    )


USABLE = 0.93
"""Largest noise level, of 1, at which the losses look at the estimate. Beyond it an error of the predicted noise comes
out more than ten times as large in the latent (ours; the same bound as for MotionDiffuse)."""
PUBLISHED = {"learning_rate": 1e-4, "weight_decay": 0.01, "checkpoint_every": 10_000, "log_every": 100}
"""What both published stages share. The losses act in the second, on the decoded estimate of the clean latent."""


def _vae(motions: int) -> dict[str, float]:
    """Return the published recipe of the first stage; of the 1500 to 3000 epochs that its authors advise, 3000."""
    return PUBLISHED | {"batch_size": 128, "steps": epochs(3000, motions=motions, batch=128)}


def _diffusion(motions: int) -> dict[str, float]:
    """Return the published recipe of the second stage."""
    return PUBLISHED | {"batch_size": 64, "steps": epochs(2000, motions=motions, batch=64)}


PRESETS = {
    "mld_vae_small": Preset(
        mld_vae_small,
        {
            "steps": 4000, "batch_size": 64, "learning_rate": 1e-3, "warmup_steps": 100, "weight_decay": 0.01,
            "ema": 0.999, "gradient_clip": 1.0, "sort_over": 8, "gradient_log_every": 0,
        },
        "the small MLD's VAE", "40 min on 1 core", small=True,
    ),
    "mld_small": Preset(
        mld_small, SMALL | {"steps": 10_000, "weight_decay": 0.01, "gradient_clip": 1.0},
        "the small MLD on its VAE, baseline", "1 h on 1 core", small=True, losses={"max_noise": USABLE},
        losses_time="2 h on 1 core",
    ),
    "mld_vae_humanml3d": Preset(mld_vae_humanml3d, _vae(HUMANML3D), "MLD's VAE as published", "days on a GPU"),
    "mld_humanml3d": Preset(
        mld_humanml3d, _diffusion(HUMANML3D), "MLD as published", "days on a GPU", losses={"max_noise": USABLE},
        losses_time="days on a GPU",
    ),
    "mld_vae_kit": Preset(mld_vae_kit, _vae(KIT), "MLD's VAE for KIT-ML", "a day on a GPU"),
    "mld_kit": Preset(
        mld_kit, _diffusion(KIT), "MLD for KIT-ML", "a day on a GPU", losses={"max_noise": USABLE},
        losses_time="a day on a GPU",
    ),
}  # fmt: skip
