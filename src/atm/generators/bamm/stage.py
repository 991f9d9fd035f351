"""BAMM's own training. Its tokeniser and its residual transformer are stages of MoMask."""

from pathlib import Path

import torch
from torch import nn

from atm.base.errors import InputError
from atm.generators.bamm.config import TransformerConfig
from atm.generators.bamm.transformer import MaskedAutoregressiveTransformer, TransformerDraws
from atm.generators.tokens.stages import (
    RVQStage,
    check_tokeniser,
    frozen_tokens,
    keep_frozen,
    load_tokeniser,
    training_text,
)
from atm.interface import Batch, StepOutput, TextEncoder
from atm.motion.layers import Normaliser


class TransformerStage(nn.Module):
    """Trains the transformer on a tokeniser's first level; keys as in the assembled generator."""

    def __init__(self, config: TransformerConfig, text_encoder: TextEncoder, tokeniser: RVQStage):
        super().__init__()
        check_tokeniser(config.codes, tokeniser)
        self.config = config
        keep_frozen(self, text_encoder, tokeniser)
        self.transformer = MaskedAutoregressiveTransformer(config, text_encoder.sentence_width)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Guess each next token and the end; there is no motion in it."""
        codes, mask = frozen_tokens(self.tokeniser, batch.motion, self.config.max_frames)
        text = training_text(self.text_encoder, batch, self.config.condition_dropout, rng)
        draws = TransformerDraws.draw(len(batch), mask.shape[1] + 1, self.config.codes, rng)
        draws = TransformerDraws(*(value.to(codes.device) for value in draws))
        loss, parts = self.transformer.loss(codes[..., 0], text, mask, draws)
        return StepOutput(loss, parts=parts)


def build_stage(config: TransformerConfig, text_encoder: TextEncoder, _normaliser: Normaliser) -> TransformerStage:
    """Return a new stage, with weights drawn from torch's global generator; its statistics are its tokeniser's.

    Raises:
        InputError: no tokeniser is named, or one that does not fit.
    """
    if config.tokeniser is None:
        raise InputError(f"{config.name} learns the tokens of a tokeniser: give model.tokeniser=RUN of a momask_rvq")
    return TransformerStage(config, text_encoder, load_tokeniser(Path(config.tokeniser)))
