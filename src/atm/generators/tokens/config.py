"""Configs of the networks that MoMask and BAMM share."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config


class RVQConfig(Config):
    """The residual VQ-VAE. Defaults are the released model and its loss; the feature width comes with the data."""

    name: Literal["momask_rvq"] = "momask_rvq"
    """Which stage this configures."""
    width: PositiveInt = 512
    """Channels of the convolutions."""
    depth: PositiveInt = 3
    """Residual blocks per resolution; their dilations are powers of `dilation_growth`, the widest first."""
    dilation_growth: PositiveInt = 3
    """Ratio of the dilations of neighbouring blocks."""
    halvings: PositiveInt = 2
    """How often the encoder halves the frame rate: a token stands for 2^halvings frames."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Inside the residual blocks."""
    levels: PositiveInt = 6
    """Quantisers; each takes what those before it left."""
    codes: PositiveInt = 512
    """Rows of a codebook."""
    code_width: PositiveInt = 512
    """Numbers per code."""
    decay: float = Field(0.99, ge=0, lt=1)
    """Decay of the moving averages that the codebooks are made of."""
    level_dropout: float = Field(0.2, ge=0, le=1)
    """Chance of a training step to leave out the last levels, from a random one on."""
    code_temperature: NonNegativeFloat = 0.5
    """In training, codes are drawn by distance / temperature with Gumbel noise; 0 takes the nearest."""
    criterion: Literal["l1", "l1_smooth"] = "l1_smooth"
    """`l1`: absolute error, eq. 10 of the ATM paper. `l1_smooth`: quadratic below 1, as released."""
    positions_weight: NonNegativeFloat = 0.5
    """Weight of a second reconstruction loss, on the joint positions alone; 0 turns it off."""
    commitment_weight: NonNegativeFloat = 0.02
    """Weight of the distance between encoder output and codes."""
    root_weight: PositiveFloat = 25.0
    """Root columns and foot contacts are divided by their deviation over this, so they weigh more (published as a
    `feat_bias` of 5, applied twice; the statistics of published checkpoints have it in them); 1: like the others."""

    @property
    def frames_per_token(self) -> int:
        return 2**self.halvings


class TrunkConfig(Config):
    """The transformer that both token models have."""

    width: PositiveInt = 384
    """Width of a token inside the transformer."""
    layers: PositiveInt = 8
    """Transformer layers."""
    heads: PositiveInt = 6
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations set to zero in training."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "TrunkConfig":
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")
        return self


class ResidualConfig(Config):
    """The residual transformer, which makes the tokens of the other levels."""

    name: Literal["momask_residual"] = "momask_residual"
    """Which stage this configures."""
    trunk: TrunkConfig = TrunkConfig()
    """Its transformer."""
    levels: int = Field(6, ge=2)
    """Number of levels of the tokeniser, the first one included."""
    codes: PositiveInt = 512
    """Number of codes of the tokeniser."""
    code_width: PositiveInt = 512
    """Width of a token's embedding."""
    share_weights: bool = True
    """A level's table of output weights is the next level's table of token embeddings (the released kind)."""
    text_encoder: str = "clip_b32_77"
    """Name of the frozen text encoder."""
    condition_dropout: float = Field(0.2, ge=0, lt=1)
    """Share of training rows that see no text; 0 leaves the model without guidance."""
    tokeniser: str | None = None
    """Run folder or model file of the residual VQ-VAE whose tokens are learned; needed to train."""
    max_frames: PositiveInt = 196
    """Longest motion of the data set in frames; training pads to it."""
    guidance_scale: NonNegativeFloat = 5.0
    """Classifier-free guidance: 1 is none, 0 ignores the text."""
    temperature: NonNegativeFloat = 1.0
    """Temperature of the draws, no unit; 0 takes the likeliest token."""
    kept_share: float = Field(0.1, gt=0, le=1)
    """Tokens are drawn among the likeliest of this share of all codes."""


def check_agreement(model: str, parts: Sequence[Config | None]) -> None:
    """Refuse networks that speak of different tokens or texts.

    Args:
        model: that they are to become, for the message.
        parts: configs; each field is compared among those that have it.
    """
    for field in ("codes", "levels", "frames_per_token", "text_encoder"):
        values = {getattr(part, field) for part in parts if hasattr(part, field)}
        if len(values) > 1:
            raise ValueError(f"the networks of one {model} must agree on {field}, but have {sorted(values)}")
