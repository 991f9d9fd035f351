"""The trained encoders of what was retrieved: a motion to every few of its frames, its text to one vector."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atm.generators.parts.linear_transformer import FeedForward, SelfAttention, text_layers
from atm.generators.parts.patches import PatchStem, whole_patches
from atm.generators.remodiffuse.config import ReMoDiffuseConfig


class RetrievalEncoder(nn.Module):
    """Stands under `database` in the published keys; the database itself is no part of the weights."""

    def __init__(self, config: ReMoDiffuseConfig, features: int, text_state_width: int):
        super().__init__()
        self.patch = config.frames_per_token
        self.stride = config.retrieval_stride // self.patch
        self.motion_proj = (
            nn.Linear(features, config.width)
            if self.patch == 1
            else PatchStem(features, config.width, config.frame_width, self.patch)
        )
        self.motion_pos_embedding = nn.Parameter(torch.randn(-(-config.max_frames // self.patch), config.width))
        self.motion_encoder_blocks = nn.ModuleList(MotionLayer(config) for _ in range(config.retrieval_layers))
        self.text_encoder = text_layers(
            text_state_width,
            config.retrieval_text_heads,
            config.feed_forward,
            config.retrieval_layers,
            config.dropout,
        )

    def encode_motions(
        self, motions: Float[Tensor, "N T D"], mask: Bool[Tensor, "N T"]
    ) -> tuple[Float[Tensor, "N F W"], Bool[Tensor, "N F"]]:
        """Return all frames are encoded first, and every few of them kept then."""
        if self.patch == 1:
            tokens = self.motion_proj(motions)
        else:
            motions, mask = whole_patches(motions, mask, self.patch)
            tokens, mask = self.motion_proj(motions, mask)[0], mask[:, :: self.patch]
        tokens = tokens + self.motion_pos_embedding[: tokens.shape[1]]
        for block in self.motion_encoder_blocks:
            tokens = block(tokens, mask)
        return tokens[:, :: self.stride], mask[:, :: self.stride]

    def encode_texts(self, states: Float[Tensor, "N L S"]) -> Float[Tensor, "N 1 S"]:
        """Return the state at the last place of the window, which is not the text's last token."""
        return self.text_encoder(states)[:, -1:]


class MotionLayer(nn.Module):
    """Linear self-attention and a feed-forward part, both added as they are: no style and no output layer."""

    def __init__(self, config: ReMoDiffuseConfig):
        super().__init__()
        self.sa_block = SelfAttention(config.width, config.heads)
        self.ffn = FeedForward(config.width, config.feed_forward, dropout=config.dropout)

    def forward(self, frames: Float[Tensor, "N T W"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T W"]:
        frames = frames + self.sa_block(frames, mask)
        return frames + self.ffn(frames)
