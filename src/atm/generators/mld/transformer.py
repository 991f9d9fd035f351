"""The transformer that MLD's VAE and its denoiser are made of, under the keys of the published checkpoints."""

import copy
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atm.generators.mld.config import MLDConfig, MLDVAEConfig
from atm.motion.layers import quicker

POSITIONS = 500
"""Rows of a position table; a sequence and the tokens in front of it share them."""


class SkipTransformer(nn.Module):
    """Layers of which the last reads the first's output beside its own input, the last but one the second's, ...

    Like a U-Net of constant width; after Bao et al. 2023 (arXiv:2209.12152).
    """

    def __init__(self, kind: Literal["encoder", "decoder"], config: MLDConfig | MLDVAEConfig, width: int):
        super().__init__()
        layer = make_layer(kind, config, width)
        half = config.layers // 2
        # A ModuleList of copies: a stack of torch's would call the layers in a row.
        self.input_blocks = nn.ModuleList(copy.deepcopy(layer) for _ in range(half))
        self.middle_block = copy.deepcopy(layer)
        self.output_blocks = nn.ModuleList(copy.deepcopy(layer) for _ in range(half))
        self.linear_blocks = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(half))
        self.norm = nn.LayerNorm(width)
        draw_matrices(self)

    def forward(
        self,
        sequence: Float[Tensor, "B L W"],
        mask: Bool[Tensor, "B L"] | None = None,
        memory: Float[Tensor, "B M W"] | None = None,
    ) -> Float[Tensor, "B L W"]:
        """Return the sequence after all layers, in shape (B, L, W).

        Args:
            sequence: with positions.
            mask: True where there is a token; None: everywhere.
            memory: what a decoder's tokens attend to; an encoder has none.
        """
        unseen = None if mask is None else ~mask

        def through(layer: nn.Module, sequence: Tensor) -> Tensor:
            if memory is None:
                return layer(sequence, src_key_padding_mask=unseen)
            return layer(sequence, memory, tgt_key_padding_mask=unseen)

        saved = []
        for layer in self.input_blocks:
            sequence = through(layer, sequence)
            saved.append(sequence)
        sequence = through(self.middle_block, sequence)
        for layer, merge in zip(self.output_blocks, self.linear_blocks, strict=True):
            sequence = through(layer, merge(torch.cat([sequence, saved.pop()], dim=-1)))
        return self.norm(sequence)


class LearnedPositions(nn.Module):
    """Adds a learned row to each place of a sequence."""

    def __init__(self, width: int):
        super().__init__()
        self.pe = nn.Parameter(torch.rand(POSITIONS, 1, width))

    def forward(self, sequence: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
        return sequence + self.pe[: sequence.shape[1], 0]


def make_layer(kind: Literal["encoder", "decoder"], config: MLDConfig | MLDVAEConfig, width: int) -> nn.Module:
    """Return one layer, normalised behind each of its parts."""
    layer = {"encoder": nn.TransformerEncoderLayer, "decoder": nn.TransformerDecoderLayer}[kind]
    return quicker(layer(width, config.heads, config.feed_forward, config.dropout, activation="gelu", batch_first=True))


def draw_matrices(module: nn.Module) -> None:
    """Draw new initial values for all matrices: copies of a layer would all start with the same."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
