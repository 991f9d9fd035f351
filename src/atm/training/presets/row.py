"""What the presets of all systems share: the form of a row, the losses on top, and steps from epochs."""

from collections.abc import Callable
from typing import NamedTuple

from atm.alignment import AlignmentConfig
from atm.embedding.presets import MINILM_EPSILON
from atm.training.config import TrainConfig

SMALL_WEIGHT = 0.1
"""Lambda of the small presets, if nothing else is said: their own loss is a mean over elements, and at the paper's
0.01 the gain of the losses lies within the noise of the seed at this scale (docs/paper.md)."""
HUMANML3D = 23_384
"""Motions of the published training split."""
KIT = 4_888
"""Motions of the published training split."""


class Preset(NamedTuple):
    """A row of the table."""

    config: Callable[[], TrainConfig]
    what: str
    time: str
    """What to expect, and on which class of machine."""


def aligned(config: TrainConfig, weight: float = 0.01, **choices) -> TrainConfig:
    """The same run with both losses, each at `weight` (the paper's lambda); `choices` are further alignment fields."""
    alignment = AlignmentConfig(inter_weight=weight, intra_weight=weight, **choices)
    return config.model_copy(update={"alignment": alignment})


def small_aligned(config: TrainConfig, weight: float = SMALL_WEIGHT, **choices) -> TrainConfig:
    """`aligned` for scripted motions, whose captions the small language model reads."""
    return aligned(config, weight, epsilon=MINILM_EPSILON, sentence_encoder="minilm", **choices)


def epochs(count: int, *, motions: int, batch: int) -> int:
    """Optimiser steps of so many passes over a training split."""
    return round(count * motions / batch)
