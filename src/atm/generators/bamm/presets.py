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


def bamm_transformer_humanml3d() -> TransformerConfig:
    """The released transformer."""
    return TransformerConfig()


def bamm_transformer_kit() -> TransformerConfig:
    """KIT: the first pass at guidance 2; the second stays at 3."""
    return bamm_transformer_humanml3d().model_copy(update={"guidance_scale": 2.0})


def bamm_transformer_small() -> TransformerConfig:
    """Ours, for two CPU cores: as small as MoMask's small masked transformer, on the same tokens."""
    like = momask_mask_small()
    shared = {name: getattr(like, name) for name in ("trunk", "codes", "code_width", "text_encoder", "max_frames")}
    return bamm_transformer_humanml3d().model_copy(update=shared)


def bamm_humanml3d() -> BAMMConfig:
    """The released networks together."""
    return BAMMConfig(
        rvq=momask_rvq_humanml3d(), transformer=bamm_transformer_humanml3d(), residual=momask_residual_humanml3d()
    )


def bamm_kit() -> BAMMConfig:
    """The KIT networks together."""
    return BAMMConfig(rvq=momask_rvq_kit(), transformer=bamm_transformer_kit(), residual=momask_residual_kit())


def bamm_small() -> BAMMConfig:
    """The small networks together."""
    return BAMMConfig(rvq=momask_rvq_small(), transformer=bamm_transformer_small(), residual=momask_residual_small())
