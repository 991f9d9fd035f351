"""Options of a CausalFlow."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config


class CausalFlowConfig(Config):
    """Defaults are the small model. The feature width comes with the normaliser, the skeleton with that."""

    name: Literal["causal_flow"] = "causal_flow"
    """Which generator this configures."""
    frames_per_latent: PositiveInt = 4
    """Frames that share a latent."""
    latent_width: PositiveInt = 96
    """Numbers of a latent: principal components of a patch of frames that are kept."""
    decoder_noise: NonNegativeFloat = 0.05
    """Error of a generated latent that the decoder is fitted for, where latents have a variance of 1 on average: more
    takes more from the neighbours and trembles less. 0: the decoder of exact latents."""
    width: PositiveInt = 224
    """Width of a token."""
    heads: PositiveInt = 4
    """Attention heads; the width is a multiple of twice their number."""
    front_layers: PositiveInt = 2
    """Transformer layers of what stands in front: the text, and the end of an earlier motion."""
    layers: PositiveInt = 6
    """Transformer layers of the motion."""
    feed_forward: PositiveInt = 592
    """Width inside a layer's gated feed-forward part."""
    head_width: PositiveInt = 320
    """Width of the flow head."""
    head_layers: PositiveInt = 3
    """Residual blocks of the flow head."""
    planner_width: PositiveInt = 160
    """Width of a token of the planner, which turns a text into a plan."""
    planner_heads: PositiveInt = 4
    """Attention heads of the planner."""
    planner_front_layers: PositiveInt = 3
    """Layers of the planner that read the text."""
    planner_layers: PositiveInt = 2
    """Layers of the planner that write the plan."""
    max_frames: PositiveInt = 196
    """Longest motion in frames; longer ones go on from a prefix."""
    prefix_latents: NonNegativeInt = 5
    """Most latents of an earlier motion that a motion can go on from; 0: none."""

    text_encoder: str = "minilm"
    """Name of the frozen text encoder, whose token states stand in front."""
    condition_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see no text, and of those with a plan also none of it in half of these rows; 0 leaves
    the model without guidance."""
    text_dropout: float = Field(0.4, ge=0, lt=1)
    """Share of training rows with a plan that see no text."""
    length_dropout: float = Field(0.3, ge=0, lt=1)
    """Share of training rows whose planner is not told how long the motion is; 0: it must be told."""
    prefix_rate: float = Field(0.2, ge=0, lt=1)
    """Share of training rows that see the end of another motion of the batch before their own begins."""
    blur: NonNegativeFloat = 0.3
    """Most noise on the latents that the transformer reads in training; each row draws its own amount, so that errors
    of its own are nothing new when it generates."""
    flow_times: PositiveInt = 3
    """Times of the flow at which each latent is learned in a step."""
    learn: Literal["all", "plan"] = "all"
    """Part that a training step teaches: all, or the planner alone, which reads captions and needs no motion: many more
    of them cost little then (ours)."""
    plan_weight: NonNegativeFloat = 0.05
    """Weight of the planner's loss, in 1 / nat."""

    guidance_scale: NonNegativeFloat = 1.5
    """Classifier-free guidance in `sample`: 1 is none, 0 ignores the text."""
    sampling_steps: PositiveInt = 4
    """Euler steps of the flow for each latent."""
    noise_scale: PositiveFloat = 0.5
    """Deviation of the noise that a latent is made from; under 1 there is less variety and less trembling."""

    @property
    def max_latents(self) -> int:
        """Latents of the longest motion."""
        return -(-self.max_frames // self.frames_per_latent)

    @model_validator(mode="after")
    def _fits_together(self) -> "CausalFlowConfig":
        for part in ("", "planner_"):
            width, heads = getattr(self, f"{part}width"), getattr(self, f"{part}heads")
            if width % (2 * heads):
                raise ValueError(f"{part}width {width} must be a multiple of twice the {part}heads, {2 * heads}")
        if self.prefix_rate and not self.prefix_latents:
            raise ValueError("prefix_rate > 0 needs prefix_latents > 0")
        return self
