"""BERT's encoder (Devlin et al. 2019, arXiv:1810.04805), read from its published files without a model library.

The small language model that comes with the package is one. A library of two thousand modules takes longer to import
than a motion takes to make, and this network is sixty lines; a test holds both to the same numbers.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.config import Config
from atm.base.errors import InputError


class BertConfig(Config):
    """Sizes, under the names that `config.json` has."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    @staticmethod
    def of(described: dict) -> "BertConfig":
        """Read the sizes among what `config.json` says."""
        return BertConfig(**{key: described[key] for key in BertConfig.model_fields if key in described})


class BertOutput(NamedTuple):
    """Output of the encoder."""

    last_hidden_state: Float[Tensor, "B L W"]


class _Layer(nn.Module):
    """Attention and a feed-forward network, each with its residual normalised behind it."""

    def __init__(self, config: BertConfig):
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attended, self.attended_norm = nn.Linear(width, width), nn.LayerNorm(width, config.layer_norm_eps)
        self.wide, self.narrow = nn.Linear(width, config.intermediate_size), nn.Linear(config.intermediate_size, width)
        self.norm = nn.LayerNorm(width, config.layer_norm_eps)

    def forward(self, x: Float[Tensor, "B L W"], seen: Tensor) -> Float[Tensor, "B L W"]:
        parts = (part(x).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.value))
        q, k, v = (part.transpose(1, 2) for part in parts)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
        x = self.attended_norm(x + self.attended(attended))
        return self.norm(x + self.narrow(F.gelu(self.wide(x))))


_KEYS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
"""Names of a layer's parts in the published files."""


class Bert(nn.Module):
    """Token ids to token states."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        width = config.hidden_size
        # Not drawn, which takes a third of a second: weights of a Bert are read.
        self.words = nn.Embedding.from_pretrained(torch.empty(config.vocab_size, width), freeze=False)
        self.positions = nn.Embedding(config.max_position_embeddings, width)
        self.kinds = nn.Embedding(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, input_ids: Int[Tensor, "B L"], attention_mask: Int[Tensor, "B L"]) -> BertOutput:
        """Encode captions; states behind a caption's end mean nothing."""
        x = self.words(input_ids) + self.positions.weight[: input_ids.shape[1]] + self.kinds.weight[0]
        x, seen = self.norm(x), attention_mask.bool()[:, None, None, :]
        for layer in self.layers:
            x = layer(x, seen)
        return BertOutput(x)


def read_bert(file: Path, described: dict) -> Bert:
    """Read the published weights (`model.safetensors`) of a BERT.

    Args:
        file: of weights.
        described: content of its `config.json`.

    Raises:
        InputError: tensors of the encoder are missing or of another shape.
    """
    published = {key.removeprefix("bert."): value for key, value in load_file(file).items()}
    config = BertConfig.of(described)
    model = Bert(config)
    names = {
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "kinds": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
    }
    for layer in range(config.num_hidden_layers):
        names |= {f"layers.{layer}.{ours}": f"encoder.layer.{layer}.{theirs}" for ours, theirs in _KEYS.items()}
    wanted = {key: f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}" for key in model.state_dict()}
    missing = sorted(theirs for theirs in wanted.values() if theirs not in published)
    if missing:
        raise InputError(f"{file} lacks {len(missing)} tensors, first {missing[0]}")
    try:
        model.load_state_dict({ours: published[theirs] for ours, theirs in wanted.items()}, assign=True)
    except RuntimeError as error:
        raise InputError(f"{file} has tensors of another shape than config.json says: {error}") from None
    return model
