"""Options of BAMM: its own transformer, and the networks together. The others are MoMask's."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from atm.base.config import Config
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig, check_agreement


class TransformerConfig(Config):
    """The masked autoregressive transformer, which makes the tokens of the first level and says where they end."""

    name: Literal["bamm_transformer"] = "bamm_transformer"
    """Which stage this configures."""
    trunk: TrunkConfig = TrunkConfig()
    """Its transformer."""
    body: Literal["official", "t2mgpt"] = "official"
    """Layers between embeddings and head, by their published names: PyTorch's (norms behind), the released kind; or
    those of a GPT (norms in front, none at the end)."""
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
    """Longest motion of the data set in frames: what is trained on and the most that is made."""
    guidance_scale: NonNegativeFloat = 4.0
    """Classifier-free guidance of the first pass: 1 is none, 0 ignores the text."""
    second_guidance_scale: NonNegativeFloat = 3.0
    """Guidance of the second pass, and where a motion is completed."""


class BAMMConfig(Config):
    """The networks together, as they generate."""

    name: Literal["bamm"] = "bamm"
    """Which generator this configures."""
    rvq: RVQConfig = RVQConfig()
    """Tokens to motion and back."""
    transformer: TransformerConfig = TransformerConfig()
    """Text to tokens of the first level, and to their number."""
    residual: ResidualConfig = ResidualConfig()
    """Tokens of the first level to tokens of all."""
    residual_guidance_scale: NonNegativeFloat = 6.0
    """Guidance of the residual transformer, in place of its own (6 in the published evaluation, 5 in the demo)."""
    residual_levels: NonNegativeInt | None = None
    """How many levels the residual transformer adds; none: all. Levels left out add nothing to the motion."""

    @property
    def text_encoder(self) -> str:
        """Name of the frozen text encoder, the same for both token models."""
        return self.transformer.text_encoder

    @property
    def max_frames(self) -> int:
        """Longest motion that is made, in frames."""
        return self.transformer.max_frames

    @property
    def most_tokens(self) -> int:
        """The most tokens of a motion."""
        return self.max_frames // self.rvq.frames_per_token

    @model_validator(mode="after")
    def _fits_together(self) -> "BAMMConfig":
        check_agreement("BAMM", [self.rvq, self.transformer, self.residual])
        return self
