"""Sizes of the evaluator. Its vocabulary and its statistics come from the data: see `trainable`."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from atm.data.humanml3d import MotionDataset
from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.words import SPECIAL, build_vocabulary
from atm.interface import Preset, TextEncoder
from atm.motion.layers import Normaliser, root_weighted

FEATURE_BIAS = 25.0
"""How much smaller than the data set's the published std of root and contact columns is: a factor 5, applied twice."""


def evaluator_humanml3d() -> EvaluatorConfig:
    """Return the published evaluator of HumanML3D."""
    return EvaluatorConfig()


def evaluator_kit() -> EvaluatorConfig:
    """Return the published evaluator of KIT-ML."""
    return evaluator_humanml3d().model_copy(update={"features": 251})


def evaluator_small() -> EvaluatorConfig:
    """Return the same architecture for small data and two cores. Its numbers compare only with its own."""
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
    """Return a new evaluator for captions at hand.

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


def fitted(config: EvaluatorConfig, dataset: MotionDataset) -> EvaluatorConfig:
    """Return the config with the data set's feature width and the words of its captions, unless it has words already:
    those are of a model to go on from, and row i of its table belongs to word i."""
    if config.vocabulary != SPECIAL:
        return config
    words = build_vocabulary(list(caption.words) for item in dataset.items for caption in item.captions)
    return config.model_copy(update={"features": dataset.skeleton.feature_width, "vocabulary": words})


def from_data_statistics(config: EvaluatorConfig, _text_encoder: TextEncoder, normaliser: Normaliser) -> Evaluator:
    """Return a new evaluator on the statistics of a data set. It reads words, and so no text encoder."""
    return Evaluator(config, evaluator_normaliser(normaliser.mean.numpy(), normaliser.std.numpy()))


def evaluator_normaliser(
    mean: Float[np.ndarray, "D"], std: Float[np.ndarray, "D"], feature_bias: float = FEATURE_BIAS
) -> Normaliser:
    """Return statistics of a data set with the evaluator's weight on root and contact columns.

    Not a way to the published statistics: those come from an earlier state of the data and must be read from file.
    """
    mean_row, std_row = (torch.from_numpy(np.array(row, dtype=np.float32)) for row in (mean, std))
    return root_weighted(Normaliser(mean_row, std_row), feature_bias)


PUBLISHED = {
    "steps": 220_000,
    "batch_size": 32,
    "gradient_clip": 0.5,
    "keep": "best",
    "validate_every": 1000,
    "checkpoint_every": 5000,
    "log_every": 100,
    "gradient_log_every": 0,
}
"""The published recipe of Guo et al."""
PRESETS = {
    # Another architecture, other word vectors and another seed than the space's.
    "evaluator_scripted": Preset(
        evaluator_small,
        {
            "seed": 1000,
            "steps": 3000,
            "batch_size": 64,
            "learning_rate": 5e-4,
            "warmup_steps": 100,
            "gradient_clip": 0.5,
            "keep": "best",
            "validate_every": 250,
            "gradient_log_every": 0,
            "sort_over": 8,
        },
        "the small evaluator",
        "30 min on 1 core",
        small=True,
    ),
    "evaluator_humanml3d": Preset(evaluator_humanml3d, PUBLISHED, "the field's evaluator, HumanML3D", "hours on a GPU"),
    "evaluator_kit": Preset(evaluator_kit, PUBLISHED, "the field's evaluator, KIT-ML", "hours on a GPU"),
}
