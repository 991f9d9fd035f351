"""Options of a ReMoDiffuse."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config


class Mixture(Config):
    """How `sample` mixes the four estimates: with text and retrieval, with one of them, with none."""

    coarse: PositiveFloat = 6.5
    """Above `fine_below`, a coin chooses the pair (both, retrieval) or (text, none); the first of the pair weighs
    1 + coarse * t / steps, the second makes the sum 1."""
    fine_below: NonNegativeInt = 100
    """Up to this noise level of the full schedule the four fixed weights hold instead."""
    both: float = 0.52351
    """Weight of the estimate with text and retrieval."""
    text: float = -0.28419
    """Weight of the estimate with text alone."""
    retrieval: float = 2.39872
    """Weight of the estimate with retrieval alone; what the three leave of 1 is that of none."""


class ReMoDiffuseConfig(Config):
    """Defaults are the published HumanML3D model. The feature width comes with the normaliser."""

    name: Literal["remodiffuse"] = "remodiffuse"
    """Which generator this configures."""
    width: PositiveInt = 512
    """Width of a frame's token."""
    heads: PositiveInt = 8
    """Attention heads; divides the width."""
    feed_forward: PositiveInt = 1024
    """Width inside a layer's feed-forward part."""
    layers: PositiveInt = 4
    """Layers; each has one attention over text, retrieved motions and frames, and a feed-forward part."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of activations set to zero in training."""
    frames_per_token: PositiveInt = 1
    """Frames that share a token. Over 1 a patch stem and head replace the published linear layers (ours)."""
    frame_width: PositiveInt = 128
    """Width per frame inside the patch stem and head; without effect at 1 frame per token."""
    max_frames: PositiveInt = 196
    """The longest motion: so many frames have a place in the learned position tables."""

    text_encoder: str = "clip_b32_77_padded"
    """Name of the frozen text encoder; its sentence embedding is what the database is searched by."""
    text_window: PositiveInt = 77
    """Token states that are read. Shorter texts are padded to it, since attention sees the padding too (published)."""
    text_width: PositiveInt = 256
    """Width of the trained layers over the token states."""
    text_heads: PositiveInt = 4
    """Attention heads of those layers; divides their width."""
    text_feed_forward: PositiveInt = 2048
    """Width inside the feed-forward part of those layers."""
    text_layers: PositiveInt = 2
    """Trained layers over the token states."""

    database: str | None = None
    """File of the retrieval database (of `atm retrieval build`, or a published .npz); the model cannot run without."""
    retrieved: PositiveInt = 2
    """Motions that are retrieved for a text."""
    length_penalty: PositiveFloat = 0.1
    """A candidate's similarity falls by exp(-this * relative difference of the lengths)."""
    retrieval_layers: PositiveInt = 2
    """Trained layers over a retrieved motion, and over its text."""
    retrieval_stride: PositiveInt = 4
    """Every how many frames of an encoded motion are attended to."""
    retrieval_text_heads: PositiveInt = 8
    """Attention heads of the layers over a retrieved motion's text; divides the text encoder's token width."""
    text_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see no text."""
    retrieval_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of training rows that see no retrieved motion, independently of the text (1 % see neither)."""
    mixture: Mixture = Mixture()
    """How `sample` mixes the four estimates."""

    diffusion_steps: int = Field(1000, ge=20)
    """Noise levels in training. Betas scale with 1000 over this, and would pass 1 below 20."""
    sampling_sections: tuple[PositiveInt, ...] = (15, 15, 8, 6, 6)
    """The levels in equal parts from clean to noise, and how many `sample` visits in each."""
    sampler: Literal["ddim", "ddpm"] = "ddim"
    """`ddim` is deterministic after the first noise; `ddpm` adds fresh noise of variance beta in each step."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ReMoDiffuseConfig":
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")
        if self.text_width % self.text_heads:
            raise ValueError(f"text_width {self.text_width} must be a multiple of text_heads {self.text_heads}")
        if self.retrieval_stride % self.frames_per_token:
            raise ValueError(
                f"retrieval_stride {self.retrieval_stride} must be whole tokens of {self.frames_per_token} frames"
            )
        parts = len(self.sampling_sections)
        if not parts or max(self.sampling_sections) > self.diffusion_steps // parts:
            raise ValueError(
                f"sampling_sections {self.sampling_sections} ask for more levels than a part of the "
                f"{self.diffusion_steps} diffusion_steps has"
            )
        return self
