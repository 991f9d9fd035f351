"""What a space is built and trained with."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from atm.base.config import Config


class SpaceConfig(Config):
    """Defaults are the published TMR's, except `epsilon` (the paper's) and the crops (ours, see there)."""

    name: Literal["space"] = "space"
    width: PositiveInt = 256
    """Length E of an embedding, and the width of the transformers; a multiple of `heads`."""
    feed_forward: PositiveInt = 1024
    """Width inside the feed-forward parts."""
    layers: PositiveInt = 6
    """Layers of both encoders."""
    decoder_layers: PositiveInt = 6
    """Layers of the motion decoder, which only training needs."""
    heads: PositiveInt = 4
    """Attention heads."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of activations dropped in training."""
    frames_per_token: PositiveInt = 1
    """Frames that make one token of the motion transformers. 1 is the published model; more is ours, to be faster."""
    text_encoder: str = "distilbert"
    """Language model whose token states the text encoder reads."""
    sentence_encoder: str = "mpnet"
    """Language model of `Batch.sentence`, by which near-duplicate captions are told."""
    temperature: PositiveFloat = 0.1
    """Of the contrastive term, no unit; smaller looks harder at the closest negatives."""
    epsilon: float = Field(default=0.85, ge=-1, le=1)
    """Raw cosine of sentence embeddings above which two captions are no negatives of one another. It means something
    only together with `sentence_encoder`: print `similarity_table` of the data set before choosing another."""
    similarity: Literal["sentence", "meaning"] = "sentence"
    """What tells near-duplicates: the language model alone (the paper), or `meaning` (ours): captions that contradict
    in a number, a side, a direction, ... are negatives however alike, captions of one meaning never."""
    counterfactuals: bool = False
    """Whether each motion has one more negative text: its own caption with one number, side, direction, ... exchanged
    (ours)."""
    counterfactual_margin: NonNegativeFloat = 0.0
    """Cosine distance to which a caption and its counterfactual are pushed apart, 0 to 2 (ours). What lies at one place
    gives the contrastive term nothing to pull on: without this, the two captions of a number still lay together after
    600 steps (docs/results/2026-11-23_fine_grained.md)."""
    told_weight: NonNegativeFloat = 0.0
    """Weight of reading the number, side and direction that a caption tells off both latents, beside the contrastive
    term (ours); whole motions only. 0: they are not read."""
    lambda_kl: NonNegativeFloat = 1e-5
    """Weight of the KL terms (eq. 9: λ_KT)."""
    lambda_latent: NonNegativeFloat = 1e-5
    """Weight of the distance between text and motion latents (eq. 9: λ_E)."""
    lambda_nce: NonNegativeFloat = 0.1
    """Weight of the contrastive term (eq. 9: λ_NCE)."""
    sample_latents: bool = True
    """Train on random latents, as TMR does; False trains on the means, which is what a space is used with."""
    min_crop_seconds: PositiveFloat | None = 1.0
    """Shortest crop of a motion in training, in seconds; None trains on whole motions only. Without crops the space
    has never seen a 2 s clip, and distances between clips mean little."""
    time_warp: float = Field(default=0.0, ge=0, lt=1)
    """Largest relative change of a motion's pace in training (ours): numbers can then not be told by how long a motion
    takes, which is the same for a generated motion and its real one."""
    crop_probability: float = Field(default=0.5, ge=0, le=1)
    """Share of a training batch's motions that are cropped, to a length drawn evenly from those allowed."""

    @model_validator(mode="after")
    def _margins_are_of_counterfactuals(self) -> "SpaceConfig":
        if self.counterfactual_margin and not self.counterfactuals:
            raise ValueError("counterfactual_margin is a distance to counterfactuals: set counterfactuals=true, too")
        return self

    def reads_meaning(self) -> bool:
        """Return whether the batches must carry `Batch.meaning`."""
        return self.similarity == "meaning" or self.needs_whole_motions()

    def needs_whole_motions(self) -> bool:
        """Return whether something is learnt that a piece of a motion does not show: what its caption counts."""
        return self.counterfactuals or self.told_weight > 0
