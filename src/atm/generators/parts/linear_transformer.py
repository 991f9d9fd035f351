"""Layers of MotionDiffuse and its successor ReMoDiffuse: attention whose cost grows linearly, and stylisation.

Names of submodules are the keys of the published checkpoints.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.interface import TextEmbedding
from atm.motion.dropout import Dropout
from atm.motion.layers import quicker


def linear_attention(
    query: Float[Tensor, "B N W"],
    key: Float[Tensor, "B M W"],
    value: Float[Tensor, "B M W"],
    mask: Bool[Tensor, "B M"] | None,
    heads: int,
) -> Float[Tensor, "B N W"]:
    """Return attention through one small matrix per head, in time linear in N and M.

    Each query is a distribution over the channels of its head, each channel of the keys one over the tokens. There is
    no 1 / sqrt(width). Where `mask` is False a token is not seen; None: all are seen.

    Source: Shen et al. 2021, Efficient Attention (arXiv:1812.01243), eq. 2 with softmax scaling, as in MotionDiffuse.
    """
    if mask is not None:
        # Finite, so that a row in which nothing may be seen still gives numbers.
        key = key + torch.zeros_like(key).masked_fill(~mask[..., None], -1e6)
        value = value * mask[..., None]
    query, key, value = (rearrange(part, "b n (h c) -> b h n c", h=heads) for part in (query, key, value))
    memory = key.softmax(dim=2).transpose(2, 3) @ value  # (B, H, C, C)
    return rearrange(query.softmax(dim=3) @ memory, "b h n c -> b n (h c)")


def softmax_attention(
    query: Float[Tensor, "B N W"],
    key: Float[Tensor, "B M W"],
    value: Float[Tensor, "B M W"],
    mask: Bool[Tensor, "B M"] | None,
    heads: int,
) -> Float[Tensor, "B N W"]:
    """Return ordinary attention under the signature of `linear_attention`, as MotionDiffuse publishes it beside that
    one.

    Its mask hides nothing: published, it lies on the scores of the masked QUERIES, where a constant leaves a softmax
    as it is. It is kept because so large a constant rounds the scores, which shows in the published outputs.
    """
    query, key, value = (rearrange(part, "b n (h c) -> b h n c", h=heads) for part in (query, key, value))
    score = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
    if mask is not None:
        score = score + torch.zeros_like(score).masked_fill(~mask[:, None, :, None], -1e5)
    return rearrange(score.softmax(dim=3) @ value, "b h n c -> b n (h c)")


class Stylisation(nn.Module):
    """How a block's output meets the time (and the text, in MotionDiffuse): scaled and shifted channel by channel.

    The last layer starts at zero, so that a fresh block adds nothing to its input.
    """

    def __init__(self, width: int, style_width: int, dropout: float):
        super().__init__()
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(style_width, 2 * width))
        self.norm = nn.LayerNorm(width)
        self.out_layers = nn.Sequential(nn.SiLU(), Dropout(dropout), zeroed(nn.Linear(width, width)))

    def forward(self, features: Float[Tensor, "B T W"], style: Float[Tensor, "B S"]) -> Float[Tensor, "B T W"]:
        scale, shift = self.emb_layers(style)[:, None].chunk(2, dim=2)
        return self.out_layers(self.norm(features) * (1 + scale) + shift)


class SelfAttention(nn.Module):
    """Self-attention whose result is added to its input: stylised if there is a style, bare if there is none."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        style_width: int | None = None,
        dropout: float = 0.0,
        attend: Callable[..., Tensor] = linear_attention,
    ):
        super().__init__()
        self.heads = heads
        self.attend = attend
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        if style_width is not None:
            self.proj_out = Stylisation(width, style_width, dropout)

    def forward(
        self, frames: Float[Tensor, "B T W"], mask: Bool[Tensor, "B T"], style: Float[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B T W"]:
        normed = self.norm(frames)
        added = self.attend(self.query(normed), self.key(normed), self.value(normed), mask, self.heads)
        return added if style is None else self.proj_out(added, style)


class FeedForward(nn.Module):
    """Two layers whose result is added to their input, taken as it is: the only norm is in the stylisation."""

    def __init__(self, width: int, inner_width: int, *, style_width: int | None = None, dropout: float = 0.0):
        super().__init__()
        self.linear1 = nn.Linear(width, inner_width)
        self.activation = nn.GELU()
        self.dropout = Dropout(dropout)
        self.linear2 = nn.Linear(inner_width, width)
        if style_width is not None:
            self.proj_out = Stylisation(width, style_width, dropout)

    def forward(
        self, frames: Float[Tensor, "B T W"], style: Float[Tensor, "B S"] | None = None
    ) -> Float[Tensor, "B T W"]:
        added = self.linear2(self.dropout(self.activation(self.linear1(frames))))
        return added if style is None else self.proj_out(added, style)


def level_features(t: Int[Tensor, "B"], width: int) -> Float[Tensor, "B width"]:
    """Return a noise level as cosines, then sines, of `width / 2` frequencies from 1 down towards 1 / 10000."""
    half = width // 2
    rate = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000.0) / half))
    angle = t[:, None] * rate
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def text_layers(width: int, heads: int, inner_width: int, layers: int, dropout: float) -> nn.TransformerEncoder:
    """Return trained layers over the states of a frozen language model."""
    layer = nn.TransformerEncoderLayer(width, heads, inner_width, dropout, activation="gelu", batch_first=True)
    return nn.TransformerEncoder(quicker(layer), layers, enable_nested_tensor=False)


def text_window(text: TextEmbedding, window: int) -> Float[Tensor, "B window W"]:
    """Return token states, padded or cut to `window`: these models see the padding of a text as well."""
    missing = window - text.tokens.shape[1]
    return nn.functional.pad(text.tokens, (0, 0, 0, missing))


def zeroed(layer: nn.Linear) -> nn.Linear:
    """Return the same layer with weights and bias of zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
