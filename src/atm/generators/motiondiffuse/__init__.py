"""MotionDiffuse: Zhang et al. 2022, Text-Driven Human Motion Generation with Diffusion Model (arXiv:2208.15001)."""

from atm.generators.motiondiffuse.config import MotionDiffuseConfig

__all__ = ["MotionDiffuseConfig"]
