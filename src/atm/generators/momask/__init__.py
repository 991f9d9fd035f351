"""MoMask: Guo et al. 2024, Generative Masked Modeling of 3D Human Motions (arXiv:2312.00063)."""

from atm.generators.momask.config import LengthConfig, MaskConfig, MoMaskConfig
from atm.generators.tokens.config import ResidualConfig, RVQConfig

__all__ = ["LengthConfig", "MaskConfig", "MoMaskConfig", "RVQConfig", "ResidualConfig"]
