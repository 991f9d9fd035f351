"""Every choice of the alignment losses, with the paper's value as the default."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from atm.alignment.distances import Distance
from atm.alignment.negatives import Rule
from atm.base.config import Config

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Count = Annotated[int, Field(ge=1)]

MINILM_EPSILON = 0.99
"""Epsilon where `minilm` gives the sentence embeddings. The paper's 0.85 belongs to a larger model: "left" for
"right" can leave a cosine of 0.98, a full stop one of 0.997, and of the scripted pairs above 0.85 three of four mean
different motions, which the space must learn to tell apart. See docs/results/epsilon.md."""


class AlignmentConfig(Config):
    """The two alignment losses (the paper's eq. 2 to 8) and their variants (tables 3 to 7, figures 6 and 7)."""

    space: str | None = None
    """Run folder or model file of the frozen space; None: the one that the preset or the package brings."""
    inter_weight: NonNegative = 0.01
    """Lambda of the inter-motion loss, no unit; 0 turns it off (table 3)."""
    intra_weight: NonNegative = 0.01
    """Lambda of the intra-motion loss, no unit; 0 turns it off (table 3)."""
    distance: Distance = "cosine"
    """D: 1 - cosine, or Euclidean. A weight does not carry over from one to the other."""
    epsilon: Cosine = 0.85
    """Texts more alike than this raw cosine are no negatives of each other (eq. 2, figure 7)."""
    sentence_encoder: str = "mpnet"
    """Language model of the sentence embeddings that epsilon is about; small presets take `minilm`."""
    similarity: Literal["sentence", "space", "meaning"] = "sentence"
    """Where texts are compared: the language model's sentence embeddings (the paper), or the space's text embeddings
    (ours: a small language model barely tells captions apart). `meaning` (ours): the language model, overruled where
    the captions' meanings are known: captions that contradict in a number, a side, a direction, ... are negatives
    however alike, captions of one meaning never."""
    counterfactual_weight: NonNegative = 0.0
    """Weight of the counterfactual loss, no unit (ours): a motion is nearer to its caption than to the same caption
    with one number, side, direction, ... exchanged. 0 turns it off, the paper."""
    gamma: Cosine = 0.8
    """The intra-motion loss acts where cos(generated, real) is below this (figure 7); 1 lets it act always."""
    margin: Literal["adaptive"] | NonNegative = "adaptive"
    """`adaptive`: from the real motions (eq. 3, 7); a number: fixed, in units of the distance (table 4)."""
    inter_loss: Literal["hard_negative", "triplet", "contrastive"] = "hard_negative"
    """Table 5: the paper's; a plain triplet (random negative; margin 0.2 unless a fixed one is given); InfoNCE."""
    temperature: Positive = 0.1
    """Of the contrastive form, no unit."""
    negatives: Count = 1
    """Hard negatives per motion (table 6: 1, 3, 5)."""
    proxy_pairs: Count = 1
    """Positive and negative proxies per clip (table 6: 1, 3, 5)."""
    negative_rule: Rule = "ratio"
    """How hard negatives are chosen (table 7)."""
    positive_proxy_rule: Rule = "ratio"
    """How positive proxies are chosen (table 7)."""
    negative_proxy_rule: Rule = "ratio"
    """How negative proxies are chosen (table 7)."""
    proxies_from: Literal["batch", "motion"] = "batch"
    """Proxies among all other clips of the batch, or among those of the same motion."""
    gather: bool = False
    """Where several devices train together (`--devices`): hard negatives and proxies are chosen among the motions and
    clips of all of them, as if their rows were one batch, and the gradient reaches them all. False: each device
    chooses among its own rows. On one device it changes nothing."""
    clip_seconds: Positive = 2.0
    """Length of a clip (figure 6)."""
    min_clip_seconds: Positive = 1.0
    """A last clip shorter than this is left out; capped by `clip_seconds`."""
    max_noise: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Rows noised above this share of the schedule take no part in the losses (ours; 1: all rows do, the paper)."""
    detach_negative: bool = False
    """Stop the gradient through the hard negative (the paper leaves it open)."""
    detach_proxies: bool = False
    """Stop the gradient through the proxies (the paper leaves it open)."""
    average: Literal["batch", "active"] = "batch"
    """Mean over all rows, or over the rows whose loss is not 0 (the paper leaves it open)."""
    floor: Positive = 1e-4
    """Smallest real distance in a ratio's denominator, in units of the distance."""

    @model_validator(mode="after")
    def _meanings_stay_on_their_device(self) -> "AlignmentConfig":
        if self.gather and self.similarity == "meaning":
            raise ValueError("gather compares texts of several devices, meanings are read on each: give one of them up")
        return self

    def weighs_anything(self) -> bool:
        """Whether any of the losses is on."""
        return self.inter_weight > 0 or self.intra_weight > 0 or self.counterfactual_weight > 0

    def reads_meaning(self) -> bool:
        """Whether the batches must carry `Batch.meaning`."""
        return self.similarity == "meaning" or self.counterfactual_weight > 0
