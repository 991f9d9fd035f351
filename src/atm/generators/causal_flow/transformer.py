"""A causal transformer behind a text: tokens of the text see one another, tokens of the motion the text and their past.

The text needs fewer layers than the motion, since a language model has read it: after its own layers it is only read.
RMSNorm (Zhang and Sennrich 2019), SwiGLU (Shazeer 2020), rotary positions (Su et al. 2021), as in the language models
of today; keys and values are kept while a sequence grows.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

_BASE = 10_000.0


class Front(NamedTuple):
    """Keys and values of what stands in front, in each layer: it never changes, so it is computed once."""

    keys: list[Float[Tensor, "B H F W"]]
    values: list[Float[Tensor, "B H F W"]]
    there: Bool[Tensor, "B F"]
    """False at padding, which nobody sees."""


class Memory:
    """Keys and values of all layers, of a front and a sequence that grows behind it up to `size` tokens."""

    def __init__(self, front: Front, size: int):
        like, self.length = front.keys[0], front.keys[0].shape[2]
        rows, heads, _, width = like.shape
        self._kept = like.new_empty(len(front.keys), 2, rows, heads, self.length + size, width)
        for layer, pair in enumerate(zip(front.keys, front.values, strict=True)):
            self._kept[layer, :, :, :, : self.length] = torch.stack(pair)
        self._seen = F.pad(front.there, (0, size), value=True)

    def grow(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep keys and values (B, H, 1, W) of one layer, and give all so far."""
        self._kept[layer, 0, :, :, self.length] = keys[:, :, 0]
        self._kept[layer, 1, :, :, self.length] = values[:, :, 0]
        end = self.length + 1
        return self._kept[layer, 0, :, :, :end], self._kept[layer, 1, :, :, :end]

    @property
    def seen(self) -> Bool[Tensor, "B 1 1 K"]:
        """Return what the next token sees, itself included."""
        return self._seen[:, None, None, : self.length + 1]


class Layer(nn.Module):
    """Attention and a gated feed-forward part, each behind a norm."""

    def __init__(self, width: int, heads: int, feed_forward: int):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.RMSNorm(width)
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_forward = nn.RMSNorm(width)
        self.gate = nn.Linear(width, 2 * feed_forward, bias=False)
        self.down = nn.Linear(feed_forward, width, bias=False)

    def project(
        self, tokens: Float[Tensor, "B S W"], turn: tuple[Tensor, Tensor]
    ) -> tuple[Float[Tensor, "B H S V"], Float[Tensor, "B H S V"], Float[Tensor, "B H S V"]]:
        """Return queries, keys and values of tokens; `turn` is that of their positions, from `turns`."""
        heads = self.into(self.norm_attention(tokens)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        return turned(queries, turn), turned(keys, turn), values

    def offer(
        self, tokens: Float[Tensor, "B F W"], turn: tuple[Tensor, Tensor]
    ) -> tuple[Float[Tensor, "B H F V"], Float[Tensor, "B H F V"]]:
        """Return keys and values alone, for tokens that only are read."""
        width = tokens.shape[-1]
        pair = F.linear(self.norm_attention(tokens), self.into.weight[width:]).unflatten(2, (2, self.heads, -1))
        keys, values = pair.permute(2, 0, 3, 1, 4)
        return turned(keys, turn), values

    def read(
        self, tokens: Float[Tensor, "B S W"], queries: Tensor, keys: Tensor, values: Tensor, seen: Bool[Tensor, "..."]
    ) -> Float[Tensor, "B S W"]:
        """Return the tokens after this layer, from queries, keys and values, and which keys each query sees."""
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
        tokens = tokens + self.out(found.transpose(1, 2).flatten(2))
        gate, up = self.gate(self.norm_forward(tokens)).chunk(2, dim=-1)
        return tokens + self.down(F.silu(gate) * up)


class CausalTransformer(nn.Module):
    """Layers in which what stands in front sees itself, then layers in which a sequence sees the front and its past."""

    def __init__(self, width: int, heads: int, feed_forward: int, *, front_layers: int, layers: int):
        super().__init__()
        self.head_width = width // heads
        self.front_layers = nn.ModuleList(Layer(width, heads, feed_forward) for _ in range(front_layers))
        self.front_norm = nn.RMSNorm(width)
        self.layers = nn.ModuleList(Layer(width, heads, feed_forward) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        rates = _BASE ** (-torch.arange(0, self.head_width, 2) / self.head_width)
        self.register_buffer("rates", rates, persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                last = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 if not last else 0.02 / (2 * layers) ** 0.5)

    def front(self, tokens: Float[Tensor, "B F W"], positions: Int[Tensor, "B F"], there: Bool[Tensor, "B F"]) -> Front:
        """Return what stands in front of a sequence, as its layers read it.

        Args:
            tokens: of the front.
            positions: on the axis of rotary positions, which the sequence counts from 0 on; may be negative.
            there: False at padding; each row has one that is True.
        """
        turn = self._turn(positions)
        for layer in self.front_layers:
            tokens = layer.read(tokens, *layer.project(tokens, turn), there[:, None, None])
        tokens = self.front_norm(tokens)
        keys, values = zip(*(layer.offer(tokens, turn) for layer in self.layers), strict=True)
        return Front(list(keys), list(values), there)

    def forward(self, tokens: Float[Tensor, "B S W"], front: Front) -> Float[Tensor, "B S W"]:
        """Return what each token of a sequence knows. What stands behind a token has no part in it."""
        size = tokens.shape[1]
        turn = self._turn(torch.arange(size, device=tokens.device)[None])
        past = torch.ones(size, size, dtype=torch.bool, device=tokens.device).tril()
        rows = front.there[:, None].expand(-1, size, -1)
        seen = torch.cat([rows, past.expand(len(tokens), -1, -1)], dim=2)[:, None]
        for number, layer in enumerate(self.layers):
            queries, keys, values = layer.project(tokens, turn)
            keys, values = torch.cat([front.keys[number], keys], 2), torch.cat([front.values[number], values], 2)
            tokens = layer.read(tokens, queries, keys, values, seen)
        return self.norm(tokens)

    def go_on(self, token: Float[Tensor, "B W"], place: int, memory: Memory) -> Float[Tensor, "B W"]:
        """Return what the token at this place of the sequence knows; the memory holds those before, and grows by it."""
        turn = self._turn(torch.full((1, 1), place, device=token.device))
        tokens, seen = token[:, None], memory.seen
        for number, layer in enumerate(self.layers):
            queries, keys, values = layer.project(tokens, turn)
            tokens = layer.read(tokens, queries, *memory.grow(number, keys, values), seen)
        memory.length += 1
        return self.norm(tokens)[:, 0]

    def _turn(self, positions: Int[Tensor, "B S"]) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of each position's turn, (B, 1, S, W / 2)."""
        angle = positions[:, None, :, None] * self.rates
        return angle.cos(), angle.sin()


def turned(vectors: Float[Tensor, "B H S W"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "B H S W"]:
    """Return vectors turned by their positions: the first and the second half are the two axes of each plane."""
    cosine, sine = turn
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
