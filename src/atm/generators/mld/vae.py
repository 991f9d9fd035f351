"""MLD's VAE: a motion of any length becomes n latent tokens, and n tokens and a length become a motion.

Everything here is normalised; batches come first, where the published code has tokens first.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.mld.config import MLDVAEConfig
from atm.generators.mld.transformer import POSITIONS, LearnedPositions, SkipTransformer
from atm.generators.parts.patches import PatchHead, PatchStem, whole_patches


class Posterior(NamedTuple):
    """Diagonal Gaussians that the encoder says a motion's latents are from."""

    mean: Float[Tensor, "B N W"]
    logvar: Float[Tensor, "B N W"]

    @property
    def std(self) -> Float[Tensor, "B N W"]:
        return (self.logvar / 2).exp()

    def at(self, eps: Float[Tensor, "B N W"]) -> Float[Tensor, "B N W"]:
        """Return the latents that standard normal noise stands for."""
        return self.mean + self.std * eps


class MotionVAE(nn.Module):
    """Encoder and decoder. Latents are used as they are: no factor scales them for the diffusion."""

    def __init__(self, config: MLDVAEConfig, features: int):
        super().__init__()
        self.latent_shape = (config.latent_tokens, config.width)
        self.patch = config.frames_per_token
        self.longest = self.patch * (POSITIONS - 2 * config.latent_tokens)
        """Frames of the longest motion: the position table has no more rows."""
        # Published keys, hence the names.
        self.global_motion_token = nn.Parameter(torch.randn(2 * config.latent_tokens, config.width))
        self.query_pos_encoder = LearnedPositions(config.width)
        self.query_pos_decoder = LearnedPositions(config.width)
        self.encoder = SkipTransformer("encoder", config, config.width)
        self.decoder = SkipTransformer("decoder", config, config.width)
        if self.patch == 1:
            self.skel_embedding = nn.Linear(features, config.width)
            self.final_layer = nn.Linear(config.width, features)
        else:
            sizes = (features, config.width, config.frame_width, self.patch)
            self.skel_embedding = PatchStem(*sizes)
            self.final_layer = PatchHead(*sizes, time_width=None)

    def encode(self, features: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Posterior:
        """Return the posterior of each motion.

        Args:
            features: anything finite where `mask` is False.
            mask: True inside a motion.
        """
        tokens = self.global_motion_token.expand(len(features), -1, -1)
        if self.patch == 1:
            frames = self.skel_embedding(features)
        else:
            features, mask = whole_patches(features, mask, self.patch)
            frames, mask = self.skel_embedding(features, mask)[0], mask[:, :: self.patch]
        # One table for both: frame k has row k + 2n, while in the decoder it has row k.
        sequence = self.query_pos_encoder(torch.cat([tokens, frames], dim=1))
        seen = torch.cat([mask.new_ones(tokens.shape[:2]), mask], dim=1)
        mean, logvar = self.encoder(sequence, seen)[:, : tokens.shape[1]].float().chunk(2, dim=1)
        return Posterior(mean, logvar)

    def decode(self, z: Float[Tensor, "B N W"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Return motions as long as `mask` says, zero behind their ends."""
        seen = mask[:, :: self.patch]
        frames = self.decoder(self.query_pos_decoder(z.new_zeros(*seen.shape, z.shape[2])), seen, z)
        if self.patch == 1:
            features = self.final_layer(frames)
        else:
            inside = F.pad(mask, (0, -mask.shape[1] % self.patch))
            features = self.final_layer(frames, None, inside, None)[:, : mask.shape[1]]
        return features.float().masked_fill(~mask[..., None], 0.0)


def kl_to_standard(posterior: Posterior) -> Float[Tensor, "B"]:
    """Return KL(posterior, standard normal) in nats, as a mean over tokens and dimensions (not their sum)."""
    mean, logvar = posterior
    return 0.5 * (logvar.exp() + mean.square() - 1 - logvar).mean(dim=(1, 2))
