"""The transformer that both token models have."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.tokens.config import TrunkConfig
from atm.motion.dropout import Dropout
from atm.motion.layers import quicker, sinusoid

POSITIONS = 5000
"""Rows of the position table: the most tokens of a motion."""


class Trunk(nn.Module):
    """Token embeddings, and a condition in front of them, to one vector per token. Keys as published."""

    def __init__(self, config: TrunkConfig, *, text_width: int, code_width: int, width_out: int):
        super().__init__()
        width = config.width
        self.cond_emb = nn.Linear(text_width, width)
        self.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(code_width, width)})
        self.register_buffer("positions", sinusoid(POSITIONS, width), persistent=False)
        self.position_dropout = Dropout(config.dropout)
        self.seqTransEncoder = encoder_stack(config)
        self.output_process = Head(width, width_out)

    def forward(
        self,
        tokens: Float[Tensor, "B N C"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        front: Float[Tensor, "B F W"] | None = None,
    ) -> Float[Tensor, "B N O"]:
        """Return the output at each token, in shape (B, N, O).

        Args:
            tokens: embeddings; they alone have positions.
            text: sentence vectors; zeros where the text is withheld, which leaves the bias of the text layer.
            mask: True at tokens of the motion.
            front: what else stands between text and tokens.
        """
        hidden = self.input_process["poseEmbedding"](tokens) + self.positions[: tokens.shape[1]]
        before = [self.cond_emb(text)[:, None]] + ([] if front is None else [front])
        sequence = torch.cat([*before, self.position_dropout(hidden)], dim=1)
        skipped = sequence.shape[1] - tokens.shape[1]
        unseen = ~F.pad(mask, (skipped, 0), value=True)
        return self.output_process(self.seqTransEncoder(sequence, src_key_padding_mask=unseen)[:, skipped:])


def encoder_stack(config: TrunkConfig) -> nn.TransformerEncoder:
    """Return the layers between embeddings and head."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.feed_forward, config.dropout, activation="gelu", batch_first=True
    )
    # Nested tensors would crop the output to the longest row of the batch.
    stack = nn.TransformerEncoder(quicker(layer), config.layers, enable_nested_tensor=False)
    for copied in stack.layers:
        # A stack copies its layer, initial values included.
        nn.init.xavier_uniform_(copied.self_attn.in_proj_weight)
    return stack


class Head(nn.Module):
    """From a token's hidden vector to what is predicted."""

    def __init__(self, width: int, width_out: int):
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.poseFinal = nn.Linear(width, width_out)

    def forward(self, hidden: Float[Tensor, "B N W"]) -> Float[Tensor, "B N O"]:
        return self.poseFinal(self.LayerNorm(F.gelu(self.dense(hidden))))


def initialise(module: nn.Module) -> None:
    """Draw small random weights and zero biases, as published; attention's input weights keep what they have."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def withheld(text: Float[Tensor, "B S"], rows: Bool[Tensor, "B"]) -> Float[Tensor, "B S"]:
    """Return sentence vectors, zero in these rows.

    Zero BEFORE the text layer, so that the null condition is that layer's bias, as published.
    """
    return text.masked_fill(rows[:, None], 0.0)


def guided(network: Callable[[Tensor], Tensor], text: Float[Tensor, "B S"], scale: float) -> Float[Tensor, "B N K"]:
    """Return logits under classifier-free guidance (Ho and Salimans 2022): 1 is with the text, 0 without.

    Args:
        network: sentence vectors to logits.
        text: sentence vectors.
        scale: at 0 and 1 one pass is enough.
    """
    if scale == 1:
        return network(text)
    unconditional = network(torch.zeros_like(text))
    return unconditional if scale == 0 else unconditional + scale * (network(text) - unconditional)
