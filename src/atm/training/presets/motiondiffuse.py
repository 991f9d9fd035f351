"""Presets of MotionDiffuse. It predicts the noise: the losses act on the clean motion that follows from it."""

from atm.generators.motiondiffuse.presets import motiondiffuse_humanml3d, motiondiffuse_kit, motiondiffuse_small
from atm.training.config import TrainConfig
from atm.training.presets.row import HUMANML3D, KIT, Preset, aligned, epochs, small_aligned

USABLE = 0.67
"""Largest noise level, of 1, at which the losses look at the estimate of the clean motion (ours). Up to it an error of
the predicted noise comes out at most ten times as large in the estimate, beyond it up to 157 times: rows with no motion
in them would drown the others. `MotionDiffuse.estimate` bounds that by fading to the mean pose, in which there is
nothing to align either. A lower limit leaves L_intra nothing to do: the small model's estimates are as near to the real
motions as gamma asks for up to 0.6 after 500 steps, and worse than the mean pose from 0.77 on."""


def published(model, motions: int) -> TrainConfig:
    """As published for one GPU: 50 epochs over the data repeated 25 times. (With 8 GPUs: as many steps of 1024.)"""
    return TrainConfig(
        model=model, steps=epochs(50 * 25, motions=motions, batch=128), batch_size=128, learning_rate=2e-4,
        gradient_clip=0.5, checkpoint_every=10_000, log_every=100,
    )  # fmt: skip


def scripted() -> TrainConfig:
    """The small MotionDiffuse without the losses: the baseline."""
    return TrainConfig(
        model=motiondiffuse_small(), steps=10_000, batch_size=64, learning_rate=5e-4, warmup_steps=200, ema=0.9995,
        gradient_clip=0.5, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def scripted_atm() -> TrainConfig:
    """The small MotionDiffuse with both losses; everything else as in `motiondiffuse_small`."""
    return small_aligned(scripted(), max_noise=USABLE)


PRESETS = {
    "motiondiffuse_small": Preset(scripted, "the small MotionDiffuse, baseline", "2 h on 1 core"),
    "motiondiffuse_small_atm": Preset(scripted_atm, "the small MotionDiffuse with both losses", "3 h on 1 core"),
    "motiondiffuse_humanml3d": Preset(
        lambda: published(motiondiffuse_humanml3d(), HUMANML3D), "MotionDiffuse as published", "days on a GPU"
    ),
    "motiondiffuse_humanml3d_atm": Preset(
        lambda: aligned(published(motiondiffuse_humanml3d(), HUMANML3D), max_noise=USABLE),
        "MotionDiffuse with both losses", "days on a GPU",
    ),
    "motiondiffuse_kit": Preset(
        lambda: published(motiondiffuse_kit(), KIT), "MotionDiffuse for KIT-ML", "a day on a GPU"
    ),
    "motiondiffuse_kit_atm": Preset(
        lambda: aligned(published(motiondiffuse_kit(), KIT), max_noise=USABLE),
        "MotionDiffuse for KIT-ML with both losses", "a day on a GPU",
    ),
}  # fmt: skip
