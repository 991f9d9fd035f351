"""MLD's rows of the table of models: its VAE, and the diffusion on it."""

from atm.generators.mld.config import MLDConfig, MLDVAEConfig
from atm.generators.mld.model import MLD
from atm.generators.mld.stage import VAEStage
from atm.generators.mld.weights import RELEASE, begin
from atm.interface import ModelSpec, TextEncoder
from atm.motion.layers import Normaliser


def _vae(config: MLDVAEConfig, _text_encoder: TextEncoder, normaliser: Normaliser) -> VAEStage:
    return VAEStage(config, normaliser)


SPECS = (
    ModelSpec("generator", MLDConfig, MLD, begin=begin, release=RELEASE),
    ModelSpec("stage", MLDVAEConfig, _vae, hint="train an mld with model.vae=RUN"),
)
