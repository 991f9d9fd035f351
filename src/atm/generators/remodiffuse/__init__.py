"""ReMoDiffuse: Zhang et al. 2023, Retrieval-Augmented Motion Diffusion Model (arXiv:2304.01116)."""

from atm.generators.remodiffuse.config import ReMoDiffuseConfig

__all__ = ["ReMoDiffuseConfig"]
