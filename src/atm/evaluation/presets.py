"""Sizes of the evaluator. Its vocabulary and its statistics come from the data: see `trainable`."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.words import build_vocabulary
from atm.layers import Normaliser
from atm.motion import skeleton_of_width

FEATURE_BIAS = 25.0
"""How much smaller than the data set's the published std of root and contact columns is: a factor 5, applied twice."""


def evaluator_humanml3d() -> EvaluatorConfig:
    """The published evaluator of HumanML3D."""
    return EvaluatorConfig()


def evaluator_kit() -> EvaluatorConfig:
    """The published evaluator of KIT-ML."""
    return evaluator_humanml3d().model_copy(update={"features": 251})


def evaluator_small() -> EvaluatorConfig:
    """The same architecture for small data and two cores. Its numbers compare only with its own."""
    return EvaluatorConfig(
        movement_width=128, motion_width=256, text_width=128, word_width=64, embedding=128, negatives=0
    )


def trainable(
    config: EvaluatorConfig,
    mean: Float[np.ndarray, "D"],
    std: Float[np.ndarray, "D"],
    captions: Iterable[Sequence[str]],
    *,
    feature_bias: float = FEATURE_BIAS,
) -> Evaluator:
    """A new evaluator for a data set.

    Args:
        config: sizes; the vocabulary in it is replaced.
        mean, std: statistics of the training features, in published units.
        captions: `word/CLASS` tokens of the training captions.
        feature_bias: the std of root and contact columns is divided by this, so that they weigh more.
    """
    vocabulary = build_vocabulary(captions)
    return Evaluator(
        config.model_copy(update={"vocabulary": vocabulary}), evaluator_normaliser(mean, std, feature_bias)
    )


def evaluator_normaliser(
    mean: Float[np.ndarray, "D"], std: Float[np.ndarray, "D"], feature_bias: float = FEATURE_BIAS
) -> Normaliser:
    """Statistics of a data set with the evaluator's weight on root and contact columns.

    Not a way to the published statistics: those come from an earlier state of the data and must be read from file.
    """
    columns = skeleton_of_width(len(mean)).columns
    weighed = torch.from_numpy(np.array(std, dtype=np.float32))
    for name in ("yaw_step", "root_step", "root_height", "contacts"):
        weighed[columns[name]] /= feature_bias
    return Normaliser(torch.from_numpy(np.array(mean, dtype=np.float32)), weighed)
