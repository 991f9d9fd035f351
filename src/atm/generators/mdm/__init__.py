"""MDM: Tevet et al. 2023, Human Motion Diffusion Model (arXiv:2209.14916)."""

from atm.generators.mdm.config import MDMConfig

__all__ = ["MDMConfig"]
