"""The published MoMasks, and a small one for two CPU cores."""

from atm.generators.momask.config import (
    LengthConfig,
    MaskConfig,
    MoMaskConfig,
    ResidualConfig,
    RVQConfig,
    TrunkConfig,
)


def momask_rvq_humanml3d() -> RVQConfig:
    """The released tokeniser: smooth L1, and half as much again on joint positions."""
    return RVQConfig()


def momask_rvq_humanml3d_l1() -> RVQConfig:
    """The tokeniser with the plain L1 loss of eq. 10 of the ATM paper. The commitment loss stays."""
    return momask_rvq_humanml3d().model_copy(update={"criterion": "l1", "positions_weight": 0.0})


def momask_mask_humanml3d() -> MaskConfig:
    """The released masked transformer."""
    return MaskConfig()


def momask_residual_humanml3d() -> ResidualConfig:
    """The released residual transformer."""
    return ResidualConfig()


def momask_length_humanml3d() -> LengthConfig:
    """The released length estimator."""
    return LengthConfig()


def momask_humanml3d() -> MoMaskConfig:
    """The released networks together."""
    return MoMaskConfig()


def momask_rvq_kit() -> RVQConfig:
    """KIT: the same on 251 features at 12.5 fps."""
    return momask_rvq_humanml3d()


def momask_rvq_kit_l1() -> RVQConfig:
    """KIT with the plain L1 loss."""
    return momask_rvq_humanml3d_l1()


def momask_mask_kit() -> MaskConfig:
    """KIT: guidance 2 instead of 4."""
    return momask_mask_humanml3d().model_copy(update={"guidance_scale": 2.0})


def momask_residual_kit() -> ResidualConfig:
    """KIT: the same."""
    return momask_residual_humanml3d()


def momask_length_kit() -> LengthConfig:
    """KIT: the same."""
    return momask_length_humanml3d()


def momask_kit() -> MoMaskConfig:
    """The KIT networks together."""
    return momask_humanml3d().model_copy(update={"mask": momask_mask_kit()})


_SMALL_TRUNK = TrunkConfig(width=192, layers=4, heads=4, feed_forward=384, dropout=0.1)


def momask_rvq_small() -> RVQConfig:
    """Ours, for two CPU cores: narrower, fewer blocks, levels and codes. The loss is the plain L1 of eq. 10.

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
    """Ours, for two CPU cores: narrower, fewer layers, the small language model."""
    return momask_mask_humanml3d().model_copy(
        update={"trunk": _SMALL_TRUNK, "codes": 256, "code_width": 128, "text_encoder": "minilm"}
    )


def momask_residual_small() -> ResidualConfig:
    """Ours, for two CPU cores, like the masked transformer."""
    return momask_residual_humanml3d().model_copy(
        update={"trunk": _SMALL_TRUNK, "levels": 4, "codes": 256, "code_width": 128, "text_encoder": "minilm"}
    )


def momask_length_small() -> LengthConfig:
    """Ours: the released estimator on the small language model, narrower."""
    return momask_length_humanml3d().model_copy(update={"text_encoder": "minilm", "widths": (128, 128, 128)})


def momask_small() -> MoMaskConfig:
    """The small networks together."""
    return MoMaskConfig(
        rvq=momask_rvq_small(), mask=momask_mask_small(), residual=momask_residual_small(), length=momask_length_small()
    )
