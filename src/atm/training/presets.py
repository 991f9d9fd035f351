"""What can be trained, by name: `atm presets` prints this table, `atm train NAME` takes a row of it."""

from collections.abc import Callable
from typing import NamedTuple

from atm.alignment import AlignmentConfig
from atm.embedding.presets import MINILM_EPSILON, space_humanml3d, space_kit, space_small
from atm.errors import unknown
from atm.evaluation.presets import evaluator_humanml3d, evaluator_kit, evaluator_small
from atm.generators.mdm.presets import mdm_humanml3d, mdm_humanml3d_50, mdm_kit, mdm_small
from atm.training.config import TrainConfig

SMALL_WEIGHT = 0.1
"""Lambda of the small presets: their L_mse is a mean over elements, and at the paper's 0.01 the gain of the losses
lies within the noise of the seed at this scale (docs/paper.md)."""


class Preset(NamedTuple):
    """A row of the table."""

    config: Callable[[], TrainConfig]
    what: str
    time: str
    """What to expect, and on which class of machine."""


def _mdm_published(model) -> TrainConfig:
    return TrainConfig(model=model, steps=400_000, batch_size=64, pad_to=196, checkpoint_every=10_000, log_every=100)


def _aligned(config: TrainConfig, weight: float, **choices) -> TrainConfig:
    alignment = AlignmentConfig(inter_weight=weight, intra_weight=weight, **choices)
    return config.model_copy(update={"alignment": alignment})


def _space_published(model) -> TrainConfig:
    return TrainConfig(
        model=model, steps=370_000, batch_size=32, weight_decay=0.01, checkpoint_every=5000, validate_every=5000,
        log_every=100, gradient_log_every=0,
    )  # fmt: skip


def _evaluator_published(model) -> TrainConfig:
    return TrainConfig(
        model=model, steps=220_000, batch_size=32, gradient_clip=0.5, keep="best", validate_every=1000,
        checkpoint_every=5000, log_every=100, gradient_log_every=0,
    )  # fmt: skip


def space_scripted() -> TrainConfig:
    """The small space, for scripted motions or any other data of that size."""
    return TrainConfig(
        model=space_small(), steps=4000, batch_size=64, learning_rate=3e-4, warmup_steps=100, weight_decay=0.01,
        ema=0.999, validate_every=500, gradient_log_every=0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def evaluator_scripted() -> TrainConfig:
    """The small evaluator. Another architecture, other word vectors and another seed than the space's."""
    return TrainConfig(
        model=evaluator_small(), seed=1000, steps=3000, batch_size=64, learning_rate=5e-4, warmup_steps=100,
        gradient_clip=0.5, keep="best", validate_every=250, gradient_log_every=0, sort_over=8,
    )  # fmt: skip


def mdm_scripted() -> TrainConfig:
    """The small MDM without the losses: the baseline."""
    return TrainConfig(
        model=mdm_small(), steps=20_000, batch_size=64, learning_rate=5e-4, warmup_steps=200, ema=0.9995,
        gradient_clip=1.0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def mdm_scripted_atm() -> TrainConfig:
    """The small MDM with both losses; everything else as in `mdm_small`."""
    return _aligned(mdm_scripted(), SMALL_WEIGHT, epsilon=MINILM_EPSILON, sentence_encoder="minilm")


PRESETS: dict[str, Preset] = {
    "space_scripted": Preset(space_scripted, "the small space", "15 min on 2 cores"),
    "evaluator_scripted": Preset(evaluator_scripted, "the small evaluator", "5 min on 2 cores"),
    "mdm_small": Preset(mdm_scripted, "the small MDM, baseline", "2 h on 2 cores"),
    "mdm_small_atm": Preset(mdm_scripted_atm, "the small MDM with both losses", "3 h on 2 cores"),
    "space_humanml3d": Preset(lambda: _space_published(space_humanml3d()), "TMR for HumanML3D", "hours on a GPU"),
    "space_kit": Preset(lambda: _space_published(space_kit()), "TMR for KIT-ML", "hours on a GPU"),
    "evaluator_humanml3d": Preset(
        lambda: _evaluator_published(evaluator_humanml3d()), "the field's evaluator, HumanML3D", "hours on a GPU"
    ),
    "evaluator_kit": Preset(
        lambda: _evaluator_published(evaluator_kit()), "the field's evaluator, KIT-ML", "hours on a GPU"
    ),
    "mdm_humanml3d": Preset(lambda: _mdm_published(mdm_humanml3d()), "MDM as published, baseline", "days on a GPU"),
    "mdm_humanml3d_atm": Preset(
        lambda: _aligned(_mdm_published(mdm_humanml3d()), 0.01), "MDM with both losses (the paper)", "days on a GPU"
    ),
    "mdm_humanml3d_50": Preset(
        lambda: _mdm_published(mdm_humanml3d_50()).model_copy(update={"ema": 0.9999}),
        "MDM with 50 steps, masked, EMA", "days on a GPU",
    ),
    "mdm_kit": Preset(lambda: _mdm_published(mdm_kit()), "MDM for KIT-ML, baseline", "half a day on a GPU"),
    "mdm_kit_atm": Preset(
        lambda: _aligned(_mdm_published(mdm_kit()), 0.01), "MDM for KIT-ML with both losses", "half a day on a GPU"
    ),
}  # fmt: skip


def preset(name: str) -> TrainConfig:
    """The config of a row; an InputError names the nearest rows otherwise."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name].config()
