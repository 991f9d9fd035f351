"""Options of MoMask: one config per network, and one for the four together."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig, check_agreement


class MaskConfig(Config):
    """The masked transformer, which makes the tokens of the first level."""

    name: Literal["momask_mask"] = "momask_mask"
    """Which stage this configures."""
    trunk: TrunkConfig = TrunkConfig()
    """Its transformer."""
    codes: PositiveInt = 512
    """Number of codes of the tokeniser."""
    code_width: PositiveInt = 512
    """Width of a token's embedding."""
    text_encoder: str = "clip_b32_77"
    """Name of the frozen text encoder."""
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see no text; 0 leaves the model without guidance."""
    tokeniser: str | None = None
    """Run folder or model file of the residual VQ-VAE whose tokens are learned; needed to train."""
    max_frames: PositiveInt = 196
    """Longest motion of the data set in frames; training pads to it."""
    motion: Literal["none", "straight_through"] = "none"
    """Motion of a training step: none, as published, or what the frozen tokeniser makes of the tokens that are guessed,
    drawn by Gumbel noise with the gradient of their probabilities, so that the alignment losses reach the transformer
    (ours; the ATM paper leaves losses through discrete tokens open)."""
    choice_temperature: PositiveFloat = 1.0
    """Temperature of these probabilities: lower is nearer to the one code that is chosen, with a steeper gradient."""
    guidance_scale: NonNegativeFloat = 4.0
    """Classifier-free guidance: 1 is none, 0 ignores the text."""
    steps: PositiveInt = 10
    """Rounds of unmasking (10 in the published evaluation, 18 in the published demo)."""
    temperature: NonNegativeFloat = 1.0
    """Temperature of the draws, no unit; 0 takes the likeliest token."""
    kept_share: float = Field(0.1, gt=0, le=1)
    """Tokens are drawn among the likeliest of this share of all codes."""


class LengthConfig(Config):
    """The length estimator."""

    name: Literal["momask_length"] = "momask_length"
    """Which stage this configures."""
    text_encoder: str = "clip_b32_77"
    """Name of the frozen text encoder."""
    widths: tuple[PositiveInt, PositiveInt, PositiveInt] = (512, 256, 128)
    """Widths of the hidden layers."""
    classes: PositiveInt = 50
    """Lengths from 0 tokens to one below this."""
    frames_per_token: PositiveInt = 4
    """Frames of one token of the tokeniser, which are the frames of one class."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Behind the first two hidden layers."""


class MoMaskConfig(Config):
    """The networks together, as they generate."""

    name: Literal["momask"] = "momask"
    """Which generator this configures."""
    rvq: RVQConfig = RVQConfig()
    """Tokens to motion and back."""
    mask: MaskConfig = MaskConfig()
    """Text to tokens of the first level."""
    residual: ResidualConfig = ResidualConfig()
    """Tokens of the first level to tokens of all."""
    length: LengthConfig | None = LengthConfig()
    """Text to length; none: every call says how long its motions are."""
    residual_levels: NonNegativeInt | None = None
    """How many levels the residual transformer adds; none: all. Levels left out add nothing to the motion."""

    @property
    def text_encoder(self) -> str:
        """Name of the frozen text encoder, the same for all networks."""
        return self.mask.text_encoder

    @property
    def max_frames(self) -> int:
        """Longest motion of the data set in frames."""
        return self.mask.max_frames

    @model_validator(mode="after")
    def _fits_together(self) -> "MoMaskConfig":
        check_agreement("MoMask", [self.rvq, self.mask, self.residual, self.length])
        return self
