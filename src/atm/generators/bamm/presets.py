"""The published BAMMs, and a small one for two CPU cores. Tokeniser and residual transformer are MoMask's presets."""

from atm.generators.bamm.config import BAMMConfig, TransformerConfig
from atm.generators.momask.presets import (
    momask_mask_small,
    momask_residual_humanml3d,
    momask_residual_kit,
    momask_residual_small,
    momask_rvq_humanml3d,
    momask_rvq_kit,
    momask_rvq_small,
)
from atm.generators.parts.recipes import HUMANML3D, KIT, epochs
from atm.generators.tokens.recipes import BETAS, SMALL_TRANSFORMER
from atm.interface import Preset


def bamm_transformer_humanml3d() -> TransformerConfig:
    """Return the released transformer."""
    return TransformerConfig()


def bamm_transformer_kit() -> TransformerConfig:
    """Return KIT: the first pass at guidance 2; the second stays at 3."""
    return bamm_transformer_humanml3d().model_copy(update={"guidance_scale": 2.0})


def bamm_transformer_small() -> TransformerConfig:
    """Return our config for two CPU cores: as small as MoMask's small masked transformer, on the same tokens."""
    like = momask_mask_small()
    shared = {name: getattr(like, name) for name in ("trunk", "codes", "code_width", "text_encoder", "max_frames")}
    return bamm_transformer_humanml3d().model_copy(update=shared)


def bamm_humanml3d() -> BAMMConfig:
    """Return the released networks together."""
    return BAMMConfig(
        rvq=momask_rvq_humanml3d(), transformer=bamm_transformer_humanml3d(), residual=momask_residual_humanml3d()
    )


def bamm_kit() -> BAMMConfig:
    """Return the KIT networks together."""
    return BAMMConfig(rvq=momask_rvq_kit(), transformer=bamm_transformer_kit(), residual=momask_residual_kit())


def bamm_small() -> BAMMConfig:
    """Return the small networks together."""
    return BAMMConfig(rvq=momask_rvq_small(), transformer=bamm_transformer_small(), residual=momask_residual_small())


def _transformer(motions: int, batch: int) -> dict[str, object]:
    """Return the recipe of the published scripts.

    The batch for HumanML3D is that of the published script, which trains a later variant with another codebook; the
    settings of the released checkpoint are not known.
    """
    return {
        "steps": epochs(2000, motions=motions, batch=batch),
        "batch_size": batch,
        "learning_rate": 2e-4,
        "warmup_steps": 2000,
        "betas": BETAS,
        "milestones": (50_000, 80_000),
        "weight_decay": 1e-5,
        "checkpoint_every": 10_000,
        "log_every": 100,
        "gradient_log_every": 0,
    }


# Tokeniser and residual transformer are MoMask's: `momask_rvq_...`, on which the losses act, and `momask_residual_...`.
PRESETS = {
    "bamm_transformer_small": Preset(
        bamm_transformer_small, SMALL_TRANSFORMER, "the small BAMM's transformer", "40 min on 1 core", small=True
    ),
    "bamm_transformer_humanml3d": Preset(
        bamm_transformer_humanml3d, _transformer(HUMANML3D, 512), "BAMM's transformer", "days on a GPU"
    ),
    "bamm_transformer_kit": Preset(
        bamm_transformer_kit, _transformer(KIT, 64), "BAMM's transformer for KIT-ML", "a day on a GPU"
    ),
}
