"""The published MoMasks, and a small one for two CPU cores."""

from atm.generators.momask.config import LengthConfig, MaskConfig, MoMaskConfig
from atm.generators.parts.recipes import HUMANML3D, KIT, epochs
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.recipes import BETAS, SMALL_TRANSFORMER
from atm.interface import Preset


def momask_rvq_humanml3d() -> RVQConfig:
    """Return the released tokeniser: smooth L1, and half as much again on joint positions."""
    return RVQConfig()


def momask_rvq_humanml3d_l1() -> RVQConfig:
    """Return the tokeniser with the plain L1 loss of eq. 10 of the ATM paper. The commitment loss stays."""
    return momask_rvq_humanml3d().model_copy(update={"criterion": "l1", "positions_weight": 0.0})


def momask_mask_humanml3d() -> MaskConfig:
    """Return the released masked transformer."""
    return MaskConfig()


def momask_residual_humanml3d() -> ResidualConfig:
    """Return the released residual transformer."""
    return ResidualConfig()


def momask_length_humanml3d() -> LengthConfig:
    """Return the released length estimator."""
    return LengthConfig()


def momask_humanml3d() -> MoMaskConfig:
    """Return the released networks together."""
    return MoMaskConfig()


def momask_rvq_kit() -> RVQConfig:
    """Return KIT: the same on 251 features at 12.5 fps."""
    return momask_rvq_humanml3d()


def momask_rvq_kit_l1() -> RVQConfig:
    """Return KIT with the plain L1 loss."""
    return momask_rvq_humanml3d_l1()


def momask_mask_kit() -> MaskConfig:
    """Return KIT: guidance 2 instead of 4."""
    return momask_mask_humanml3d().model_copy(update={"guidance_scale": 2.0})


def momask_residual_kit() -> ResidualConfig:
    """Return KIT: the same."""
    return momask_residual_humanml3d()


def momask_length_kit() -> LengthConfig:
    """Return KIT: the same."""
    return momask_length_humanml3d()


def momask_kit() -> MoMaskConfig:
    """Return the KIT networks together."""
    return momask_humanml3d().model_copy(update={"mask": momask_mask_kit()})


_SMALL_TRUNK = TrunkConfig(width=192, layers=4, heads=4, feed_forward=384, dropout=0.1)


def momask_rvq_small() -> RVQConfig:
    """Return our config for two CPU cores: narrower, fewer blocks, levels and codes. The loss is plain L1 (eq. 10).

    Root and contacts weigh less than published: at 25 half of a short training goes to those eight columns.
    """
    return momask_rvq_humanml3d_l1().model_copy(
        update={
            "width": 192,
            "depth": 2,
            "dropout": 0.0,
            "levels": 4,
            "codes": 256,
            "code_width": 128,
            "root_weight": 5.0,
        }
    )


def momask_mask_small() -> MaskConfig:
    """Return our config for two CPU cores: narrower, fewer layers, the small language model."""
    return momask_mask_humanml3d().model_copy(
        update={"trunk": _SMALL_TRUNK, "codes": 256, "code_width": 128, "text_encoder": "minilm"}
    )


def momask_mask_small_motion() -> MaskConfig:
    """Return the same with a motion in its step, so that the alignment losses act on the tokens that it chooses."""
    return momask_mask_small().model_copy(update={"motion": "straight_through"})


def momask_residual_small() -> ResidualConfig:
    """Return our config for two CPU cores, like the masked transformer."""
    return momask_residual_humanml3d().model_copy(
        update={"trunk": _SMALL_TRUNK, "levels": 4, "codes": 256, "code_width": 128, "text_encoder": "minilm"}
    )


def momask_length_small() -> LengthConfig:
    """Return our config: the released estimator on the small language model, narrower."""
    return momask_length_humanml3d().model_copy(update={"text_encoder": "minilm", "widths": (128, 128, 128)})


def momask_small() -> MoMaskConfig:
    """Return the small networks together."""
    return MoMaskConfig(
        rvq=momask_rvq_small(), mask=momask_mask_small(), residual=momask_residual_small(), length=momask_length_small()
    )


WINDOW = 64
"""Frames that the tokeniser trains on (published); a window is measured against the caption of the whole motion."""


def _tokeniser(steps: int) -> dict[str, object]:
    """Return the recipe of the training command that its README gives: batches of 256, decays by 0.05.

    The milestones count from the end of the warm-up. The README notes a batch of 512 for the released weights, beside
    this command; `batch_size=512` is that run. The decay's option has a default of 0.1, which the command overrides.
    50 epochs over all windows of a data set are 350,000 steps for HumanML3D and 60,000 for KIT. Ours draws a window
    of each motion in turn; the published data set holds every window, so that long motions come more often.
    """
    return {
        "steps": steps,
        "batch_size": 256,
        "window": WINDOW,
        "learning_rate": 2e-4,
        "warmup_steps": 2000,
        "betas": BETAS,
        "milestones": (152_000, 252_000),
        "milestone_factor": 0.05,
        "checkpoint_every": 10_000,
        "log_every": 100,
    }


def _transformer(motions: int, batch: int) -> dict[str, object]:
    """Return the released recipe of either transformer."""
    return {
        "steps": epochs(500, motions=motions, batch=batch),
        "batch_size": batch,
        "learning_rate": 2e-4,
        "warmup_steps": 2000,
        "betas": BETAS,
        "milestones": (50_000,),
        "weight_decay": 1e-5,
        "checkpoint_every": 10_000,
        "log_every": 100,
        "gradient_log_every": 0,
    }


def _length(motions: int) -> dict[str, object]:
    """Return the released recipe of the length estimator."""
    return {
        "steps": epochs(300, motions=motions, batch=64),
        "batch_size": 64,
        "learning_rate": 1e-4,
        "gradient_clip": 0.5,
        "checkpoint_every": 10_000,
        "log_every": 100,
        "gradient_log_every": 0,
    }


# The tokeniser first, then on it (`model.tokeniser=RUN`) the two transformers; the length estimator needs none of them.
# The losses act on the tokeniser's reconstruction (eq. 10 and 11 of the ATM paper); the rest trains unchanged.
_SMALL = {
    "momask_rvq_small": Preset(
        momask_rvq_small,
        {
            "steps": 3000,
            "batch_size": 64,
            "window": WINDOW,
            "learning_rate": 5e-4,
            "warmup_steps": 100,
            "betas": BETAS,
        },
        "the small MoMask's tokeniser, baseline",
        "20 min on 1 core",
        small=True,
        losses={},
        losses_time="30 min on 1 core",
    ),
    "momask_mask_small": Preset(
        momask_mask_small, SMALL_TRANSFORMER, "the small MoMask's masked transformer", "40 min on 1 core", small=True
    ),
    "momask_mask_small_motion": Preset(
        momask_mask_small_motion,
        SMALL_TRANSFORMER,
        "the same, with a motion in its step (ours)",
        "40 min on 1 core",
        small=True,
        losses={},
        losses_time="2 h on 1 core",
    ),
    "momask_residual_small": Preset(
        momask_residual_small,
        SMALL_TRANSFORMER,
        "the small MoMask's residual transformer",
        "40 min on 1 core",
        small=True,
    ),
    "momask_length_small": Preset(
        momask_length_small,
        {"steps": 2000, "batch_size": 64, "learning_rate": 1e-3, "gradient_clip": 0.5, "gradient_log_every": 0},
        "the small MoMask's length estimator",
        "1 min on 1 core",
        small=True,
    ),
}
_HUMANML3D = {
    "momask_rvq_humanml3d": Preset(
        momask_rvq_humanml3d,
        _tokeniser(350_000),
        "MoMask's tokeniser as released",
        "a day on a GPU",
        losses={},
        losses_time="days on a GPU",
    ),
    "momask_rvq_humanml3d_l1": Preset(
        momask_rvq_humanml3d_l1,
        _tokeniser(350_000),
        "MoMask's tokeniser, plain L1 (eq. 10)",
        "a day on a GPU",
        losses={},
        losses_time="days on a GPU",
    ),
    "momask_mask_humanml3d": Preset(
        momask_mask_humanml3d, _transformer(HUMANML3D, 64), "MoMask's masked transformer", "a day on a GPU"
    ),
    "momask_residual_humanml3d": Preset(
        momask_residual_humanml3d, _transformer(HUMANML3D, 64), "MoMask's residual transformer", "a day on a GPU"
    ),
    "momask_length_humanml3d": Preset(
        momask_length_humanml3d, _length(HUMANML3D), "MoMask's length estimator", "an hour on a GPU"
    ),
}
_KIT = {
    "momask_rvq_kit": Preset(
        momask_rvq_kit,
        _tokeniser(60_000),
        "MoMask's tokeniser for KIT-ML",
        "hours on a GPU",
        losses={},
        losses_time="hours on a GPU",
    ),
    "momask_rvq_kit_l1": Preset(
        momask_rvq_kit_l1,
        _tokeniser(60_000),
        "MoMask's tokeniser for KIT-ML, plain L1",
        "hours on a GPU",
        losses={},
        losses_time="hours on a GPU",
    ),
    "momask_mask_kit": Preset(
        momask_mask_kit, _transformer(KIT, 16), "MoMask's masked transformer for KIT-ML", "a day on a GPU"
    ),
    "momask_residual_kit": Preset(
        momask_residual_kit, _transformer(KIT, 16), "MoMask's residual transformer for KIT-ML", "a day on a GPU"
    ),
    "momask_length_kit": Preset(
        momask_length_kit, _length(KIT), "MoMask's length estimator for KIT-ML", "minutes on a GPU"
    ),
}
PRESETS = _SMALL | _HUMANML3D | _KIT
