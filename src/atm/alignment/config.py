"""Every choice of the alignment losses, with the paper's value as the default."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from atm.alignment.distances import Distance
from atm.alignment.negatives import Rule
from atm.base.config import Config

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Count = Annotated[int, Field(ge=1)]
Margin = Literal["adaptive"] | NonNegative

MINILM_EPSILON = 0.99
"""Epsilon where `minilm` gives the sentence embeddings. The paper's 0.85 belongs to a larger model: "left" for
"right" can leave a cosine of 0.98, a full stop one of 0.997, and of the scripted pairs above 0.85 three of four mean
different motions, which the space must learn to tell apart. See docs/results/epsilon.md."""


class InterConfig(Config):
    """The inter-motion loss (eq. 2, 3): a motion lies nearer to its text than a hard negative does."""

    weight: NonNegative = 0.01
    """Lambda, no unit; 0 turns the loss off (table 3)."""
    loss: Literal["hard_negative", "triplet", "contrastive"] = "hard_negative"
    """Table 5: the paper's; a plain triplet (random negative; margin 0.2 unless a fixed one is given); InfoNCE."""
    negatives: Count = 1
    """Negatives per motion; the loss is the mean over them (table 6: 1, 3, 5)."""
    rule: Rule = "ratio"
    """How hard negatives are chosen (table 7)."""
    margin: Margin = "adaptive"
    """`adaptive`: from the real motions (eq. 3); a number: fixed, in units of the distance (table 4)."""
    temperature: Positive = 0.1
    """Divisor of the cosines in the contrastive form, no unit."""
    detach: bool = False
    """Stop the gradient through the hard negative (the paper leaves it open)."""


class IntraConfig(Config):
    """The intra-motion loss (eq. 4 to 7): a motion's least aligned clip lies near to the clips that it resembles."""

    weight: NonNegative = 0.01
    """Lambda, no unit; 0 turns the loss off (table 3)."""
    gamma: Cosine = 0.8
    """Cosine of the generated to the real motion below which the loss acts (figure 7); 1 lets it act always."""
    clip_seconds: Positive = 2.0
    """Length of a clip (figure 6)."""
    min_clip_seconds: Positive = 1.0
    """A last clip shorter than this is left out; capped by `clip_seconds`."""
    proxy_pairs: Count = 1
    """Positive and negative proxies per clip; the loss is the mean over the pairs (table 6: 1, 3, 5)."""
    positive_rule: Rule = "ratio"
    """How positive proxies are chosen (table 7)."""
    negative_rule: Rule = "ratio"
    """How negative proxies are chosen (table 7)."""
    proxies_from: Literal["batch", "motion"] = "batch"
    """Proxies among all other clips of the batch, or among those of the same motion."""
    margin: Margin = "adaptive"
    """`adaptive`: from the real clips (eq. 7); a number: fixed, in units of the distance (table 4)."""
    detach: bool = False
    """Stop the gradient through the proxies (the paper leaves it open)."""


class CounterfactualConfig(Config):
    """The counterfactual loss (ours): a motion lies nearer to its caption than to the same caption with one number,
    side, direction, ... exchanged."""

    weight: NonNegative = 0.0
    """Weight, no unit; 0 turns the loss off, the paper."""
    margin: Margin = "adaptive"
    """`adaptive`: from the real motion; a number: fixed, in units of the distance."""


class AlignmentConfig(Config):
    """The alignment losses (the paper's eq. 2 to 8) and their variants (tables 3 to 7, figures 6 and 7)."""

    inter: InterConfig = InterConfig()
    """Motions against motions of other texts."""
    intra: IntraConfig = IntraConfig()
    """Clips against other clips."""
    counterfactual: CounterfactualConfig = CounterfactualConfig()
    """Captions against false copies of them."""
    space: str | None = None
    """Run folder or model file of the frozen space; None: the one that the preset or the package brings."""
    distance: Distance = "cosine"
    """D: 1 - cosine, or Euclidean. A weight does not carry over from one to the other."""
    epsilon: Cosine = 0.85
    """Texts more alike than this raw cosine are no negatives of each other (eq. 2, figure 7)."""
    sentence_encoder: str = "mpnet"
    """Language model of the sentence embeddings that epsilon is about; small presets take `minilm`."""
    similarity: Literal["sentence", "space", "meaning"] = "sentence"
    """Embeddings by which texts are compared: the language model's of sentences (the paper), or the space's of texts
    (ours: a small language model barely tells captions apart). `meaning` (ours): the language model, overruled where
    the captions' meanings are known: captions that contradict in a number, a side, a direction, ... are negatives
    however alike, captions of one meaning never."""
    gather: bool = False
    """Mining over all devices that train together (`--devices`): hard negatives and proxies are chosen among the
    motions and clips of all of them, as if their rows were one batch, and the gradient reaches them all. False: each
    device chooses among its own rows. On one device it changes nothing."""
    max_noise: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Rows noised above this share of the schedule take no part in the losses (ours; 1: all rows do, the paper)."""
    every: Count = 1
    """Steps from one on which the losses act to the next (ours; 1: they act on all, the paper). Their weights count so
    many times where they act, so that their share of the gradient stays, and what they cost is divided by it."""
    average: Literal["batch", "active"] = "batch"
    """Mean over all rows, or over the rows whose loss is not 0 (the paper leaves it open)."""
    floor: Positive = 1e-4
    """Smallest real distance in a ratio's denominator, in units of the distance."""

    former: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "inter_weight": ("inter.weight",),
        "inter_loss": ("inter.loss",),
        "negatives": ("inter.negatives",),
        "negative_rule": ("inter.rule",),
        "temperature": ("inter.temperature",),
        "detach_negative": ("inter.detach",),
        "intra_weight": ("intra.weight",),
        "gamma": ("intra.gamma",),
        "clip_seconds": ("intra.clip_seconds",),
        "min_clip_seconds": ("intra.min_clip_seconds",),
        "proxy_pairs": ("intra.proxy_pairs",),
        "positive_proxy_rule": ("intra.positive_rule",),
        "negative_proxy_rule": ("intra.negative_rule",),
        "proxies_from": ("intra.proxies_from",),
        "detach_proxies": ("intra.detach",),
        "counterfactual_weight": ("counterfactual.weight",),
        "margin": ("inter.margin", "intra.margin", "counterfactual.margin"),
    }
    """Flat keys of runs, files and studies made before the losses had groups."""

    @model_validator(mode="after")
    def _meanings_stay_on_their_device(self) -> "AlignmentConfig":
        if self.gather and self.similarity == "meaning":
            raise ValueError("gather compares texts of several devices, meanings are read on each: give one of them up")
        return self

    def weighs_anything(self) -> bool:
        """Tell whether any of the losses is on."""
        return any(part.weight > 0 for part in (self.inter, self.intra, self.counterfactual))

    def reads_meaning(self) -> bool:
        """Tell whether the batches must carry `Batch.meaning`."""
        return self.similarity == "meaning" or self.counterfactual.weight > 0
