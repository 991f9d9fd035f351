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
    """False at padding, which no row sees."""


class Memory:
    """Keys and values of all layers, of a front and a sequence that grows behind it up to `size` tokens."""

    def __init__(self, front: Front, size: int):
        self.length = front.keys[0].shape[2]
        self._kept = [F.pad(torch.stack(pair), (0, 0, 0, size)) for pair in zip(front.keys, front.values, strict=True)]
        self._seen = None if bool(front.there.all()) else F.pad(front.there, (0, size), value=True)[:, None, None]

    def grow(self, layer: int, pair: Float[Tensor, "2 B H 1 W"]) -> tuple[Tensor, ...]:
        """Keep keys and values of one layer, and give all so far."""
        kept = self._kept[layer]
        kept.narrow(3, self.length, 1).copy_(pair)
        return kept.narrow(3, 0, self.length + 1).unbind()

    @property
    def seen(self) -> Bool[Tensor, "B 1 1 K"] | None:
        """Return what the next token sees, itself included; None: all."""
        return None if self._seen is None else self._seen[..., : self.length + 1]


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
    ) -> tuple[Float[Tensor, "B H S V"], Float[Tensor, "2 B H S V"]]:
        """Return queries, and keys and values of tokens; `turn` is that of their positions, from `_turn`."""
        heads = self.into(self.norm_attention(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heads = turned(heads, turn)
        return heads[0], heads[1:]

    def offer(self, tokens: Float[Tensor, "B F W"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "2 B H F V"]:
        """Return keys and values alone, for tokens that only are read."""
        width = tokens.shape[-1]
        pair = F.linear(self.norm_attention(tokens), self.into.weight[width:]).unflatten(2, (2, self.heads, -1))
        cosine, sine = turn
        return turned(pair.permute(2, 0, 3, 1, 4), (cosine[1:], sine[1:]))

    def read(
        self,
        tokens: Float[Tensor, "B S W"],
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        seen: Bool[Tensor, "..."] | None,
    ) -> Float[Tensor, "B S W"]:
        """Return the tokens after this layer, from queries, keys and values, and which keys each query sees (None: all
        of them)."""
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
            queries, (keys, values) = layer.project(tokens, turn)
            tokens = layer.read(tokens, queries, keys, values, there[:, None, None])
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
            queries, (keys, values) = layer.project(tokens, turn)
            keys, values = torch.cat([front.keys[number], keys], 2), torch.cat([front.values[number], values], 2)
            tokens = layer.read(tokens, queries, keys, values, seen)
        return self.norm(tokens)

    def go_on(self, token: Float[Tensor, "B W"], place: int, memory: Memory) -> Float[Tensor, "B W"]:
        """Return what the token at this place of the sequence knows; the memory holds those before, and grows by it."""
        turn = self._turn(torch.full((1, 1), place, device=token.device))
        tokens, seen = token[:, None], memory.seen
        for number, layer in enumerate(self.layers):
            queries, pair = layer.project(tokens, turn)
            tokens = layer.read(tokens, queries, *memory.grow(number, pair), seen)
        memory.length += 1
        return self.norm(tokens)[:, 0]

    def _turn(self, positions: Int[Tensor, "B S"]) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of each position's turn for queries, keys and values, (3, B, 1, S, W); values stay."""
        angle = positions[:, None, :, None] * self.rates
        cosine, sine = angle.cos().repeat(1, 1, 1, 2), torch.cat([-angle.sin(), angle.sin()], dim=-1)
        still = torch.zeros_like(sine)
        return torch.stack([cosine, cosine, still + 1]), torch.stack([sine, sine, still])


def turned(vectors: Float[Tensor, "K B H S W"], turn: tuple[Tensor, Tensor]) -> Float[Tensor, "K B H S W"]:
    """Return vectors turned by their positions: the first and the second half are the two axes of each plane."""
    cosine, sine = turn
    return torch.addcmul(vectors * cosine, vectors.roll(vectors.shape[-1] // 2, dims=-1), sine)
