"""Presets of the evaluator."""

from atm.evaluation.presets import evaluator_humanml3d, evaluator_kit, evaluator_small
from atm.training.config import TrainConfig
from atm.training.presets.row import Preset


def published(model) -> TrainConfig:
    """As published by Guo et al."""
    return TrainConfig(
        model=model, steps=220_000, batch_size=32, gradient_clip=0.5, keep="best", validate_every=1000,
        checkpoint_every=5000, log_every=100, gradient_log_every=0,
    )  # fmt: skip


def scripted() -> TrainConfig:
    """The small evaluator. Another architecture, other word vectors and another seed than the space's."""
    return TrainConfig(
        model=evaluator_small(), seed=1000, steps=3000, batch_size=64, learning_rate=5e-4, warmup_steps=100,
        gradient_clip=0.5, keep="best", validate_every=250, gradient_log_every=0, sort_over=8,
    )  # fmt: skip


PRESETS = {
    "evaluator_scripted": Preset(scripted, "the small evaluator", "30 min on 1 core"),
    "evaluator_humanml3d": Preset(
        lambda: published(evaluator_humanml3d()), "the field's evaluator, HumanML3D", "hours on a GPU"
    ),
    "evaluator_kit": Preset(lambda: published(evaluator_kit()), "the field's evaluator, KIT-ML", "hours on a GPU"),
}
