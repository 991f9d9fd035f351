"""Layers that the space, the evaluator and the generators share."""

import math
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.motion import skeleton_of_width
from atm.motion.dropout import Dropout, dropped

Layer = TypeVar("Layer", bound=nn.Module)


class Normaliser(nn.Module):
    """Features to zero mean and unit deviation and back, by statistics that travel in the checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Float[Tensor, "D"], std: Float[Tensor, "D"]):
        super().__init__()
        if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise InputError("mean and std must be finite and std > 0; check Mean.npy and Std.npy of the data set")
        self.register_buffer("mean", mean.clone().float())
        self.register_buffer("std", std.clone().float())

    @staticmethod
    def identity(width: int) -> "Normaliser":
        """Return changes nothing: a place for the statistics that a checkpoint brings."""
        return Normaliser(torch.zeros(width), torch.ones(width))

    def forward(self, features: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        return (features - self.mean) / self.std

    def inverse(self, normalised: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        return normalised * self.std + self.mean


def root_weighted(normaliser: Normaliser, weight: float) -> Normaliser:
    """Return the statistics with the deviations of root columns and foot contacts divided by `weight`: those count
    more.

    Published as `feat_bias`. The statistics of published checkpoints have it in them already.
    """
    columns = skeleton_of_width(len(normaliser.std)).columns
    std = normaliser.std.clone()
    for group in ("yaw_step", "root_step", "root_height", "contacts"):
        std[columns[group]] /= weight
    return Normaliser(normaliser.mean, std)


class Attention(nn.MultiheadAttention):
    """Attention of torch, with its weights, keys and results, but without its copies of queries, keys and values.

    The copies are a fifth of the time of a transformer layer with its backward pass on a CPU
    (docs/results/2026-11-30_speed.md).
    """

    def forward(
        self,
        query: Float[Tensor, "B N W"],
        key: Float[Tensor, "B L W"],
        value: Float[Tensor, "B L W"],
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as `nn.MultiheadAttention` does; what is not asked for in our layers is left to it."""
        if need_weights or attn_mask is not None or is_causal or key is not value:
            return super().forward(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )
        if query is key:
            q, k, v = self._heads(query, slice(None))
        else:
            q, k, v = *self._heads(query, slice(self.embed_dim)), *self._heads(key, slice(self.embed_dim, None))
        seen = key_padding_mask
        if seen is not None:
            # True, or minus infinity, at what is not seen.
            seen = (~seen if seen.dtype == torch.bool else seen.to(q.dtype))[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        read = attend(q, k, v, seen, dropout)
        return self.out_proj(read.transpose(1, 2).flatten(2)), None

    def _heads(self, x: Float[Tensor, "B N W"], part: slice) -> Float[Tensor, "P B H N d"]:
        """Return the projections of one part of the input weights: queries, keys and values, or some of the three."""
        projected = F.linear(x, self.in_proj_weight[part], self.in_proj_bias[part])
        return projected.unflatten(2, (-1, self.num_heads, self.head_dim)).permute(2, 0, 3, 1, 4)


def attend(
    q: Float[Tensor, "B H N d"], k: Tensor, v: Tensor, seen: Tensor | None, dropout: float
) -> Float[Tensor, "B H N d"]:
    """Return what queries read from keys and values, where `seen` is True (or what is added to scores), some of the
    weights dropped, on a CPU by the quick masks of `dropped`."""
    if not dropout or q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    if seen is not None:
        scores = scores.masked_fill(~seen, -torch.inf) if seen.dtype == torch.bool else scores + seen
    return dropped(scores.softmax(-1), dropout) @ v


def quicker(layer: Layer) -> Layer:
    """Return torch's transformer layer with each attention an `Attention` and each dropout a `Dropout`; the weights
    stay those that were drawn."""
    for module in layer.modules():
        if type(module) is nn.MultiheadAttention:
            module.__class__ = Attention
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
    return layer


def sinusoid(length: int, width: int) -> Float[Tensor, "length width"]:
    """Return fixed positions: sine in even columns, cosine in odd ones, base 10000 (Vaswani et al. 2017, section
    3.5)."""
    position = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table


def length_mask(lengths: Int[Tensor, "B"], size: int) -> Bool[Tensor, "B size"]:
    """Return true at positions before each length."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]
