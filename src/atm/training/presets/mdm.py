"""Presets of MDM. It estimates the clean motion: the losses act on that estimate, at every noise level."""

from atm.generators.mdm.presets import mdm_humanml3d, mdm_humanml3d_50, mdm_kit, mdm_small
from atm.training.config import TrainConfig
from atm.training.presets.row import Preset, aligned, small_aligned


def published(model, **changes) -> TrainConfig:
    """As published."""
    recipe = {"steps": 400_000, "batch_size": 64, "pad_to": 196, "checkpoint_every": 10_000, "log_every": 100}
    return TrainConfig(model=model, **(recipe | changes))


def scripted() -> TrainConfig:
    """The small MDM without the losses: the baseline."""
    return TrainConfig(
        model=mdm_small(), steps=7500, batch_size=64, learning_rate=5e-4, warmup_steps=200, cosine_to=0.02, ema=0.9995,
        gradient_clip=1.0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def scripted_atm() -> TrainConfig:
    """The small MDM with both losses; everything else as in `mdm_small`."""
    return small_aligned(scripted())


PRESETS = {
    "mdm_small": Preset(scripted, "the small MDM, baseline", "2 h on 1 core"),
    "mdm_small_atm": Preset(scripted_atm, "the small MDM with both losses", "3 h on 1 core"),
    "mdm_humanml3d": Preset(lambda: published(mdm_humanml3d()), "MDM as published, baseline", "days on a GPU"),
    "mdm_humanml3d_atm": Preset(
        lambda: aligned(published(mdm_humanml3d())), "MDM with both losses (the paper)", "days on a GPU"
    ),
    "mdm_humanml3d_50": Preset(
        lambda: published(mdm_humanml3d_50(), ema=0.9999), "MDM with 50 steps, masked, EMA", "days on a GPU"
    ),
    "mdm_kit": Preset(lambda: published(mdm_kit()), "MDM for KIT-ML, baseline", "half a day on a GPU"),
    "mdm_kit_atm": Preset(
        lambda: aligned(published(mdm_kit())), "MDM for KIT-ML with both losses", "half a day on a GPU"
    ),
}
