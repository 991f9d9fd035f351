"""Options of an MLD and of the VAE whose latents it diffuses."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from atm.base.config import Config


def _check_transformer(*, width: int, heads: int, layers: int) -> None:
    if width % heads:
        raise ValueError(f"width {width} must be a multiple of heads {heads}")
    if layers % 2 == 0:
        raise ValueError(f"layers must be odd, got {layers}: the first half is paired with the last")


class MLDVAEConfig(Config):
    """First stage: the VAE. Defaults are the published model. The feature width comes with the normaliser."""

    name: Literal["mld_vae"] = "mld_vae"
    """Which model this configures."""
    latent_tokens: PositiveInt = 1
    """Tokens that a motion of any length becomes (the paper's n; 1 for generation, 7 reconstructs better)."""
    width: PositiveInt = 256
    """Width of a token, of latents too."""
    heads: PositiveInt = 4
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    layers: PositiveInt = 9
    """Layers of the encoder and of the decoder each; odd, for the skips pair all but the middle one."""
    frames_per_token: PositiveInt = 1
    """Frames that share a token. Over 1 a patch stem and head replace the published linear layers (ours)."""
    frame_width: PositiveInt = 128
    """Width per frame inside the patch stem and head; without effect at 1 frame per token."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations set to zero in training."""
    joint_weight: NonNegativeFloat = 1.0
    """Weight of the joint positions in the loss, no unit (the features have 1)."""
    kl_weight: NonNegativeFloat = 1e-4
    """Weight of the distance of latents from the standard normal, no unit."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MLDVAEConfig":
        _check_transformer(width=self.width, heads=self.heads, layers=self.layers)
        return self


class MLDConfig(Config):
    """Second stage: diffusion of latents. Defaults are the published HumanML3D model."""

    name: Literal["mld"] = "mld"
    """Which generator this configures."""
    vae: str | None = None
    """Run folder or model file of the trained first stage, read once when training begins: its weights then travel
    in this model's own file."""
    autoencoder: MLDVAEConfig | None = MLDVAEConfig()
    """The first stage's config; its architecture must be that of `vae`. None: no VAE, noise goes on the frames (a
    published variant)."""
    max_frames: PositiveInt = 196
    """Without VAE only: the window of frames that the model sees, padding included, whatever a motion's length."""
    width: PositiveInt = 256
    """Width of a token; with a VAE, that of its latents."""
    heads: PositiveInt = 4
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    layers: PositiveInt = 9
    """Transformer layers; odd, for the skips pair all but the middle one."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations set to zero in training."""
    encoder_dropout: bool = True
    """Dropout stays on in the frozen VAE encoder that gives the latents to learn. Published so, though by accident."""

    text_encoder: str = "clip_l14_77"
    """Name of the frozen text encoder, whose sentence vector is the condition."""
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see the empty text; 0 leaves the model without guidance."""
    guidance_scale: NonNegativeFloat = 7.5
    """Classifier-free guidance in `sample`: 1 is none, 0 ignores the text."""

    diffusion_steps: PositiveInt = 1000
    """Noise levels in training."""
    sampling_steps: PositiveInt = 50
    """Noise levels that `sample` visits; at most half of them all."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MLDConfig":
        _check_transformer(width=self.width, heads=self.heads, layers=self.layers)
        if self.autoencoder is not None and self.autoencoder.width != self.width:
            raise ValueError(
                f"width {self.width} must be that of the latents, autoencoder.width {self.autoencoder.width}"
            )
        if 2 * self.sampling_steps > self.diffusion_steps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} must be at most half of diffusion_steps {self.diffusion_steps}"
            )
        return self
