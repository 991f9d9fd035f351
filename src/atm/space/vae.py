"""The halves of the space's VAE: a sequence becomes a Gaussian, a latent becomes a sequence (after ACTOR, TEMOS).

The attribute names `seqTransEncoder`, `seqTransDecoder` and `tokens` are those of TMR's published checkpoint.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.motion.dropout import Dropout
from atm.motion.layers import quicker, sinusoid

LONGEST = 5000
"""Tokens that positions are made for."""


class Gaussian(NamedTuple):
    """Diagonal Gaussians, one per row."""

    mean: Float[Tensor, "B E"]
    logvar: Float[Tensor, "B E"]


class SequenceEncoder(nn.Module):
    """Two learned tokens read the sequence they stand before; they come out as mean and log-variance."""

    def __init__(self, width_in: int, *, width: int, feed_forward: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.projection = nn.Linear(width_in, width)
        self.tokens = nn.Parameter(torch.randn(2, width))
        self.position = Position(width, dropout)
        layer = nn.TransformerEncoderLayer(width, heads, feed_forward, dropout, "gelu", batch_first=True)
        self.seqTransEncoder = nn.TransformerEncoder(quicker(layer), layers, enable_nested_tensor=False)

    def forward(self, sequence: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"]) -> Gaussian:
        """Encode sequences; `mask` is True inside one; what stands outside does not matter, as long as it is finite."""
        tokens = self.tokens.expand(len(sequence), -1, -1)
        hidden = self.position(torch.cat([tokens, self.projection(sequence)], dim=1))
        outside = padding(torch.cat([mask.new_ones(tokens.shape[:2]), mask], dim=1))
        for layer in self.seqTransEncoder.layers[:-1]:
            hidden = layer(hidden, src_key_padding_mask=outside)
        # Of the last layer only the first two rows are read: a fifth of the time of four layers.
        states = _first_rows(self.seqTransEncoder.layers[-1], hidden, outside, count=tokens.shape[1])
        return Gaussian(states[:, 0], states[:, 1])


class SequenceDecoder(nn.Module):
    """Queries that know nothing but their position ask the latent what stands there."""

    def __init__(self, width_out: int, *, width: int, feed_forward: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.position = Position(width, dropout)
        layer = nn.TransformerDecoderLayer(width, heads, feed_forward, dropout, "gelu", batch_first=True)
        self.seqTransDecoder = nn.TransformerDecoder(quicker(layer), layers)
        self.final_layer = nn.Linear(width, width_out)

    def forward(self, z: Float[Tensor, "B E"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L W"]:
        """Return sequences as long as `mask` says, zero behind their ends."""
        queries = self.position(z.new_zeros(*mask.shape, z.shape[1]))
        states = self.seqTransDecoder(queries, z[:, None], tgt_key_padding_mask=padding(mask))
        return self.final_layer(states).masked_fill(~mask[..., None], 0)


class Position(nn.Module):
    """Adds the fixed sinusoid, then drops out. Nothing of it is stored."""

    table: Tensor

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.register_buffer("table", sinusoid(LONGEST, width), persistent=False)
        self.dropout = Dropout(dropout)

    def forward(self, sequence: Float[Tensor, "B L E"]) -> Float[Tensor, "B L E"]:
        length = sequence.shape[1]
        if length > LONGEST:
            raise InputError(f"a sequence of {length} tokens is too long: the space has places for {LONGEST}")
        return self.dropout(sequence + self.table[:length])


def padding(mask: Bool[Tensor, "B L"]) -> Bool[Tensor, "B L"] | None:
    """Return what PyTorch's attention calls a padding mask; None where nothing is padded, because attention without a
    mask is faster and clips have none."""
    return None if bool(mask.all()) else ~mask


def _first_rows(
    layer: nn.TransformerEncoderLayer, hidden: Float[Tensor, "B L E"], outside: Bool[Tensor, "B L"] | None, count: int
) -> Float[Tensor, "B N E"]:
    """Return `layer(hidden)[:, :count]` without computing the rest."""
    rows = hidden[:, :count]
    seen, _ = layer.self_attn(rows, hidden, hidden, key_padding_mask=outside, need_weights=False)
    rows = layer.norm1(rows + layer.dropout1(seen))
    inner = layer.dropout(layer.activation(layer.linear1(rows)))
    return layer.norm2(rows + layer.dropout2(layer.linear2(inner)))
