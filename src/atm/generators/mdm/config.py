"""Options of an MDM."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from atm.base.config import Config


class MDMConfig(Config):
    """Defaults are the published HumanML3D model of 2022. The feature width comes with the normaliser."""

    name: Literal["mdm"] = "mdm"
    """Which generator this configures."""
    architecture: Literal["trans_enc", "trans_dec"] = "trans_enc"
    """`trans_enc`: text and time are one token in front of the frames. `trans_dec`: frames attend to the text."""
    width: PositiveInt = 512
    """Width of a token."""
    heads: PositiveInt = 4
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    layers: PositiveInt = 8
    """Transformer layers."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations set to zero in training."""
    norm_first: bool = False
    """Normalise before each part of a layer, not behind it (published: behind)."""
    frames_per_token: PositiveInt = 1
    """Frames that share a token. Over 1 a patch stem and head replace the published linear layers (ours)."""
    frame_width: PositiveInt = 128
    """Width per frame inside the patch stem and head; without effect at 1 frame per token."""
    time_token: bool = False
    """`trans_dec` only: the time embedding stands in front of the frames as well (published as `emb_trans_dec`)."""
    mask_frames: bool = False
    """Attention does not see padding. Published models of 2022 see it and are always given `max_frames`."""
    max_frames: PositiveInt = 196
    """Longest motion of the data set in frames; the window of models without `mask_frames`."""
    context_frames: NonNegativeInt = 0
    """Clean frames before the motion that the network sees and continues, as in the authors' DiP model; 0: none."""

    text_encoder: str = "clip_b32_22"
    """Name of the frozen text encoder."""
    condition: Literal["sentence", "tokens"] = "sentence"
    """One vector per text, or all its token states (`trans_dec` only)."""
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see no text; 0 leaves the model without guidance."""
    guidance_scale: NonNegativeFloat = 2.5
    """Classifier-free guidance in `sample`: 1 is none, 0 ignores the text."""

    foot_weight: NonNegativeFloat = 0.0
    """Weight of the foot contact loss (MDM's eq. 4; published: 0), in 1 / (cm per frame)^2."""
    velocity_weight: NonNegativeFloat = 0.0
    """Weight of the error in the steps of the normalised features from frame to frame (MDM's eq. 5; published: 0)."""

    diffusion_steps: PositiveInt = 1000
    """Noise levels in training."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How noise grows over the levels."""
    sampling_steps: PositiveInt | None = None
    """Noise levels that `sample` visits, evenly spread; None: all."""
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    """`ddpm` adds fresh noise in each step; `ddim` is deterministic after the first noise."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MDMConfig":
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")
        if self.architecture == "trans_enc" and (self.condition == "tokens" or self.time_token):
            raise ValueError("condition 'tokens' and time_token need architecture 'trans_dec'")
        if self.context_frames % self.frames_per_token:
            raise ValueError(f"context_frames {self.context_frames} must be whole tokens of {self.frames_per_token}")
        if self.sampling_steps is not None and self.sampling_steps > self.diffusion_steps:
            raise ValueError(f"sampling_steps {self.sampling_steps} exceed diffusion_steps {self.diffusion_steps}")
        return self
