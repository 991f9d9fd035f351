"""MLD's denoiser says which noise is in a noisy latent; in the variant without VAE, in noisy frames."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.generators.mld.config import MLDConfig
from atm.generators.mld.transformer import LearnedPositions, SkipTransformer, draw_matrices, make_layer

TIME_WIDTH = 768
"""Width of the sinusoid that a noise level becomes."""


class LatentDenoiser(nn.Module):
    """Latent tokens, a token for the noise level and one for the text, in one sequence."""

    def __init__(self, config: MLDConfig, text_width: int):
        super().__init__()
        # Published keys, hence the names.
        self.time_embedding = TimeEmbedding(config.width)
        self.emb_proj = text_projection(text_width, config.width)
        self.query_pos = LearnedPositions(config.width)
        self.mem_pos = LearnedPositions(config.width)
        """In every published file, but without effect where the text stands in the sequence itself."""
        self.encoder = SkipTransformer("encoder", config, config.width)

    def forward(
        self,
        z_t: Float[Tensor, "B N W"],
        t: Int[Tensor, "B"],
        text: Float[Tensor, "B L S"],
        mask: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B N W"]:
        """Return the noise in `z_t`.

        Args:
            z_t: noisy latents.
            t: noise levels of the full schedule.
            text: text features as the encoder gave them.
            mask: not needed: latents are as many whatever a motion's length.
        """
        sequence = torch.cat([z_t, self.time_embedding(t)[:, None], self.emb_proj(text)], dim=1)
        return self.encoder(self.query_pos(sequence))[:, : z_t.shape[1]].float()


class FrameDenoiser(nn.Module):
    """Frames that attend to a token for the noise level and one for the text: the published variant without VAE."""

    def __init__(self, config: MLDConfig, text_width: int, features: int):
        super().__init__()
        # Published keys, hence the names.
        self.pose_embd = nn.Linear(features, config.width)
        self.pose_proj = nn.Linear(config.width, features)
        self.time_embedding = TimeEmbedding(config.width)
        self.emb_proj = text_projection(text_width, config.width)
        self.query_pos = LearnedPositions(config.width)
        self.mem_pos = LearnedPositions(config.width)
        layer = make_layer("decoder", config, config.width)
        self.decoder = nn.TransformerDecoder(layer, config.layers, norm=nn.LayerNorm(config.width))
        draw_matrices(self.decoder)

    def forward(
        self,
        x_t: Float[Tensor, "B T D"],
        t: Int[Tensor, "B"],
        text: Float[Tensor, "B L S"],
        mask: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B T D"]:
        """Return the noise in `x_t`, zero where `mask` is False; frames see padding all the same.

        Arguments as for `LatentDenoiser`, but noisy frames instead of latents, and where they are inside a motion.
        """
        memory = self.mem_pos(torch.cat([self.time_embedding(t)[:, None], self.emb_proj(text)], dim=1))
        frames = self.decoder(self.query_pos(self.pose_embd(x_t)), memory)
        return self.pose_proj(frames).float().masked_fill(~mask[..., None], 0.0)


class TimeEmbedding(nn.Module):
    """A noise level as a token."""

    def __init__(self, width: int):
        super().__init__()
        self.linear_1 = nn.Linear(TIME_WIDTH, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, t: Int[Tensor, "B"]) -> Float[Tensor, "B W"]:
        return self.linear_2(nn.functional.silu(self.linear_1(time_sinusoid(t))))


def time_sinusoid(t: Int[Tensor, "B"]) -> Float[Tensor, "B 768"]:
    """Return all cosines first, then all sines; unlike `atm.motion.layers.sinusoid`, where they alternate."""
    half = TIME_WIDTH // 2
    rate = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000.0) / half))
    angle = t[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def text_projection(text_width: int, width: int) -> nn.Sequential:
    """Return negative text features are cut off BEFORE the linear layer, as published."""
    return nn.Sequential(nn.ReLU(), nn.Linear(text_width, width))
