"""BAMM: Pinyoanuntapong et al. 2024, Bidirectional Autoregressive Motion Model (arXiv:2403.19435)."""

from atm.generators.bamm.config import BAMMConfig, TransformerConfig

__all__ = ["BAMMConfig", "TransformerConfig"]
