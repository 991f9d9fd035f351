"""The published MLDs, and a small one for two CPU cores; for each the VAE that it is built on."""

from atm.generators.mld.config import MLDConfig, MLDVAEConfig


def mld_vae_humanml3d() -> MLDVAEConfig:
    """The paper's VAE: one latent token."""
    return MLDVAEConfig()


def mld_vae_kit() -> MLDVAEConfig:
    """The same, on 251 features at 12.5 fps; joints in its loss are in metres (see `VAEStage.losses`)."""
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
    """The paper's model: 1000 levels, CLIP's large text tower, 50 DDIM steps, guidance 7.5."""
    return MLDConfig()


def mld_humanml3d_frames() -> MLDConfig:
    """The paper's comparison without VAE: noise goes on the frames themselves."""
    return mld_humanml3d().model_copy(update={"autoencoder": None})


def mld_kit() -> MLDConfig:
    """The paper's KIT model: the same, on 251 features at 12.5 fps."""
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
