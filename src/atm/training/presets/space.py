"""Presets of the text-motion space that the losses measure in."""

from atm.embedding.presets import space_humanml3d, space_kit, space_small
from atm.training.config import TrainConfig
from atm.training.presets.row import Preset


def published(model) -> TrainConfig:
    """As published for TMR."""
    return TrainConfig(
        model=model, steps=370_000, batch_size=32, weight_decay=0.01, checkpoint_every=5000, validate_every=5000,
        log_every=100, gradient_log_every=0,
    )  # fmt: skip


def scripted() -> TrainConfig:
    """The small space, for scripted motions or any other data of that size."""
    return TrainConfig(
        model=space_small(), steps=4000, batch_size=64, learning_rate=3e-4, warmup_steps=100, weight_decay=0.01,
        ema=0.999, validate_every=500, gradient_log_every=0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


PRESETS = {
    "space_scripted": Preset(scripted, "the small space", "70 min on 1 core"),
    "space_humanml3d": Preset(lambda: published(space_humanml3d()), "TMR for HumanML3D", "hours on a GPU"),
    "space_kit": Preset(lambda: published(space_kit()), "TMR for KIT-ML", "hours on a GPU"),
}
