"""MLD: Chen et al. 2023, Executing your Commands via Motion Diffusion in Latent Space (arXiv:2212.04048)."""

from atm.generators.mld.config import MLDConfig, MLDVAEConfig

__all__ = ["MLDConfig", "MLDVAEConfig"]
