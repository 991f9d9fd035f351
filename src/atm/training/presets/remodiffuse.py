"""Presets of ReMoDiffuse: `atm retrieval build` first, then `model.database=FILE`.

It estimates the clean motion: the losses act on that estimate, at every noise level.
"""

from atm.generators.remodiffuse.presets import remodiffuse_humanml3d, remodiffuse_kit, remodiffuse_small
from atm.training.config import TrainConfig
from atm.training.presets.row import HUMANML3D, KIT, Preset, aligned, epochs, small_aligned


def published(model, passes: int, motions: int) -> TrainConfig:
    """As published for one GPU; `passes` are epochs times repetitions of the data, a quarter of those for 8 GPUs."""
    return TrainConfig(
        model=model, steps=epochs(passes, motions=motions, batch=128), batch_size=128, learning_rate=2e-4,
        cosine_to=2e-5, checkpoint_every=10_000, log_every=100,
    )  # fmt: skip


def humanml3d() -> TrainConfig:
    """The paper's run: 40 epochs over the data repeated 200 times, on 8 GPUs."""
    return published(remodiffuse_humanml3d(), 40 * 200 // 4, HUMANML3D)


def kit() -> TrainConfig:
    """The paper's run: 20 epochs over the data repeated 100 times, on 8 GPUs."""
    return published(remodiffuse_kit(), 20 * 100 // 4, KIT)


def scripted() -> TrainConfig:
    """The small ReMoDiffuse without the losses: the baseline."""
    return TrainConfig(
        model=remodiffuse_small(), steps=10_000, batch_size=64, learning_rate=5e-4, warmup_steps=200, ema=0.9995,
        gradient_clip=1.0, sort_over=8, precision="bf16-mixed",
    )  # fmt: skip


def scripted_atm() -> TrainConfig:
    """The small ReMoDiffuse with both losses; everything else as in `remodiffuse_small`."""
    return small_aligned(scripted())


PRESETS = {
    "remodiffuse_small": Preset(scripted, "the small ReMoDiffuse, baseline", "3 h on 1 core"),
    "remodiffuse_small_atm": Preset(scripted_atm, "the small ReMoDiffuse with both losses", "6 h on 1 core"),
    "remodiffuse_humanml3d": Preset(humanml3d, "ReMoDiffuse as published", "days on a GPU"),
    "remodiffuse_humanml3d_atm": Preset(
        lambda: aligned(humanml3d()), "ReMoDiffuse with both losses", "days on a GPU"
    ),
    "remodiffuse_kit": Preset(kit, "ReMoDiffuse for KIT-ML", "hours on a GPU"),
    "remodiffuse_kit_atm": Preset(
        lambda: aligned(kit()), "ReMoDiffuse for KIT-ML with both losses", "hours on a GPU"
    ),
}  # fmt: skip
