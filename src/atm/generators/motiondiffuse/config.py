"""Options of a MotionDiffuse."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config


class MotionDiffuseConfig(Config):
    """Defaults are the published HumanML3D model. The feature width comes with the normaliser."""

    name: Literal["motiondiffuse"] = "motiondiffuse"
    """Which generator this configures."""
    width: PositiveInt = 512
    """Width of a frame's token."""
    heads: PositiveInt = 8
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    layers: PositiveInt = 8
    """Layers; each has self-attention, attention to the text, and a feed-forward part."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of activations set to zero in training."""
    attention: Literal["linear", "softmax"] = "linear"
    """`softmax` is the ordinary one (published as `no_eff`), which sees padding; the same keys and shapes."""
    frames_per_token: PositiveInt = 1
    """Frames that share a token. Over 1 a patch stem and head replace the published linear layers (ours)."""
    frame_width: PositiveInt = 128
    """Width per frame inside the patch stem and head; without effect at 1 frame per token."""
    max_frames: PositiveInt = 196
    """The longest motion: so many frames have a place in the learned position table."""

    text_encoder: str = "clip_b32_77_padded"
    """Name of the frozen text encoder."""
    text_window: PositiveInt = 77
    """Token states that are read. Shorter texts are padded to it, since attention sees the padding too (published)."""
    text_width: PositiveInt = 256
    """Width of the trained layers over the token states."""
    text_heads: PositiveInt = 4
    """Attention heads of those layers; divides their width."""
    text_feed_forward: PositiveInt = 2048
    """Width inside the feed-forward part of those layers."""
    text_layers: PositiveInt = 4
    """Trained layers over the token states."""

    root_weight: PositiveFloat = 25.0
    """Root columns and foot contacts are divided by their deviation over this, so they weigh more (published as
    `feat_bias`; the statistics of a published checkpoint have it in them already); 1: like the other columns."""
    diffusion_steps: int = Field(1000, gt=20)
    """Noise levels in training. Betas scale with 1000 over this: at 20 the last is 1, which leaves nothing of x0."""
    sampling_steps: PositiveInt | None = None
    """Noise levels that `sample` visits, evenly spread; None: all, as published."""
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    """`ddpm` adds fresh noise in each step; `ddim` is deterministic after the first noise."""
    least_signal: float = Field(0.1, gt=0, le=1)
    """Signal (the root of its share of the variance) below which a step's estimate of the clean motion fades to the
    mean pose; see `MotionDiffuse.estimate`."""

    @model_validator(mode="after")
    def _fits_together(self) -> "MotionDiffuseConfig":
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")
        if self.text_width % self.text_heads:
            raise ValueError(f"text_width {self.text_width} must be a multiple of text_heads {self.text_heads}")
        if self.sampling_steps is not None and self.sampling_steps > self.diffusion_steps:
            raise ValueError(f"sampling_steps {self.sampling_steps} exceed diffusion_steps {self.diffusion_steps}")
        return self
