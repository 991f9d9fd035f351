"""Presets of MoMask's four trainings: the tokeniser, then on it (`model.tokeniser=RUN`) the two transformers, and the
length estimator, which needs none of them.

The losses act on the tokeniser's reconstruction (eq. 10 and 11 of the ATM paper); the rest trains unchanged. A window
of 64 frames is measured against the caption of the whole motion.
"""

from atm.config import Config
from atm.generators.momask.config import LengthConfig, MaskConfig, ResidualConfig, RVQConfig
from atm.generators.momask.presets import (
    momask_length_humanml3d,
    momask_length_kit,
    momask_length_small,
    momask_mask_humanml3d,
    momask_mask_kit,
    momask_mask_small,
    momask_residual_humanml3d,
    momask_residual_kit,
    momask_residual_small,
    momask_rvq_humanml3d,
    momask_rvq_humanml3d_l1,
    momask_rvq_kit,
    momask_rvq_kit_l1,
    momask_rvq_small,
)
from atm.training.config import TrainConfig
from atm.training.presets.row import HUMANML3D, KIT, Preset, aligned, epochs, small_aligned

WINDOW = 64
"""Frames that the tokeniser trains on (published)."""
BETAS = (0.9, 0.99)
"""Of AdamW, in all but the length estimator (published)."""


def tokeniser(model: RVQConfig, steps: int) -> TrainConfig:
    """As released: the milestones count from the end of the warm-up.

    50 epochs over all windows of a data set are 350,000 steps for HumanML3D and 60,000 for KIT. Ours draws a window
    of each motion in turn; the published data set holds every window, so that long motions come more often.
    """
    return TrainConfig(
        model=model, steps=steps, batch_size=256, window=WINDOW, learning_rate=2e-4, warmup_steps=2000, betas=BETAS,
        milestones=(152_000, 252_000), checkpoint_every=10_000, log_every=100,
    )  # fmt: skip


def transformer(model: MaskConfig | ResidualConfig, motions: int, batch: int) -> TrainConfig:
    """Either transformer as released."""
    return TrainConfig(
        model=model, steps=epochs(500, motions=motions, batch=batch), batch_size=batch, learning_rate=2e-4,
        warmup_steps=2000, betas=BETAS, milestones=(50_000,), weight_decay=1e-5, checkpoint_every=10_000,
        log_every=100, gradient_log_every=0,
    )  # fmt: skip


def length(model: LengthConfig, motions: int) -> TrainConfig:
    """The length estimator as released."""
    return TrainConfig(
        model=model, steps=epochs(300, motions=motions, batch=64), batch_size=64, learning_rate=1e-4,
        gradient_clip=0.5, checkpoint_every=10_000, log_every=100, gradient_log_every=0,
    )  # fmt: skip


def tokeniser_scripted() -> TrainConfig:
    """The small tokeniser, with the plain L1 loss, without the alignment losses: the baseline."""
    return TrainConfig(
        model=momask_rvq_small(), steps=3000, batch_size=64, window=WINDOW, learning_rate=5e-4, warmup_steps=100,
        betas=BETAS,
    )  # fmt: skip


def transformer_scripted(model: Config) -> TrainConfig:
    """A small transformer of tokens, whichever."""
    return TrainConfig(
        model=model, steps=3000, batch_size=64, learning_rate=5e-4, warmup_steps=100, betas=BETAS, weight_decay=1e-5,
        ema=0.999, sort_over=8, precision="bf16-mixed", gradient_log_every=0,
    )  # fmt: skip


def length_scripted() -> TrainConfig:
    """The small length estimator."""
    return TrainConfig(
        model=momask_length_small(), steps=2000, batch_size=64, learning_rate=1e-3, gradient_clip=0.5,
        gradient_log_every=0,
    )  # fmt: skip


def _rvq_humanml3d() -> TrainConfig:
    return tokeniser(momask_rvq_humanml3d(), 350_000)


def _rvq_humanml3d_l1() -> TrainConfig:
    return tokeniser(momask_rvq_humanml3d_l1(), 350_000)


def _rvq_kit() -> TrainConfig:
    return tokeniser(momask_rvq_kit(), 60_000)


def _rvq_kit_l1() -> TrainConfig:
    return tokeniser(momask_rvq_kit_l1(), 60_000)


_BOTH = "with both losses"
_SMALL = {
    "momask_rvq_small": Preset(tokeniser_scripted, "the small MoMask's tokeniser, baseline", "20 min on 1 core"),
    "momask_rvq_small_atm": Preset(
        lambda: small_aligned(tokeniser_scripted()), f"the small MoMask's tokeniser {_BOTH}", "30 min on 1 core"
    ),
    "momask_mask_small": Preset(
        lambda: transformer_scripted(momask_mask_small()), "the small MoMask's masked transformer", "40 min on 1 core"
    ),
    "momask_residual_small": Preset(
        lambda: transformer_scripted(momask_residual_small()), "the small MoMask's residual transformer",
        "40 min on 1 core",
    ),
    "momask_length_small": Preset(length_scripted, "the small MoMask's length estimator", "1 min on 1 core"),
}  # fmt: skip
_HUMANML3D = {
    "momask_rvq_humanml3d": Preset(_rvq_humanml3d, "MoMask's tokeniser as released", "a day on a GPU"),
    "momask_rvq_humanml3d_atm": Preset(
        lambda: aligned(_rvq_humanml3d()), f"MoMask's tokeniser {_BOTH}", "days on a GPU"
    ),
    "momask_rvq_humanml3d_l1": Preset(
        _rvq_humanml3d_l1, "MoMask's tokeniser, plain L1 (eq. 10)", "a day on a GPU"
    ),
    "momask_rvq_humanml3d_l1_atm": Preset(
        lambda: aligned(_rvq_humanml3d_l1()), f"MoMask's tokeniser, plain L1, {_BOTH} (eq. 11)", "days on a GPU"
    ),
    "momask_mask_humanml3d": Preset(
        lambda: transformer(momask_mask_humanml3d(), HUMANML3D, 64), "MoMask's masked transformer", "a day on a GPU"
    ),
    "momask_residual_humanml3d": Preset(
        lambda: transformer(momask_residual_humanml3d(), HUMANML3D, 64), "MoMask's residual transformer",
        "a day on a GPU",
    ),
    "momask_length_humanml3d": Preset(
        lambda: length(momask_length_humanml3d(), HUMANML3D), "MoMask's length estimator", "an hour on a GPU"
    ),
}  # fmt: skip
_KIT = {
    "momask_rvq_kit": Preset(_rvq_kit, "MoMask's tokeniser for KIT-ML", "hours on a GPU"),
    "momask_rvq_kit_atm": Preset(
        lambda: aligned(_rvq_kit()), f"MoMask's tokeniser for KIT-ML {_BOTH}", "hours on a GPU"
    ),
    "momask_rvq_kit_l1": Preset(_rvq_kit_l1, "MoMask's tokeniser for KIT-ML, plain L1", "hours on a GPU"),
    "momask_rvq_kit_l1_atm": Preset(
        lambda: aligned(_rvq_kit_l1()), f"MoMask's tokeniser for KIT-ML, plain L1, {_BOTH}", "hours on a GPU"
    ),
    "momask_mask_kit": Preset(
        lambda: transformer(momask_mask_kit(), KIT, 16), "MoMask's masked transformer for KIT-ML", "a day on a GPU"
    ),
    "momask_residual_kit": Preset(
        lambda: transformer(momask_residual_kit(), KIT, 16), "MoMask's residual transformer for KIT-ML",
        "a day on a GPU",
    ),
    "momask_length_kit": Preset(
        lambda: length(momask_length_kit(), KIT), "MoMask's length estimator for KIT-ML", "minutes on a GPU"
    ),
}  # fmt: skip
PRESETS = _SMALL | _HUMANML3D | _KIT
