"""The four trainings of MoMask, each a module with a `training_step`; keys as in the assembled generator.

The first one, the tokeniser's, makes a motion: there the alignment losses act (eq. 10 and 11 of the ATM paper). The
masked transformer's makes one where its config says so (ours).
The released tokeniser trains on windows of 64 frames. How long a row is, is the batch's choice; whatever window it
holds, its text is the caption of the whole motion.
"""

from pathlib import Path
from typing import get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.generators.momask.config import LengthConfig, MaskConfig
from atm.generators.momask.length import LengthEstimator
from atm.generators.momask.masked import Guess, MaskDraws, MaskedTransformer
from atm.generators.parts.inputs import keep_encoder
from atm.generators.parts.padding import like_batch
from atm.generators.tokens.config import ResidualConfig, RVQConfig
from atm.generators.tokens.gumbel import gumbel, straight_through
from atm.generators.tokens.stages import (
    ResidualStage,
    RVQStage,
    check_tokeniser,
    frozen_tokens,
    keep_frozen,
    load_tokeniser,
    training_text,
)
from atm.interface import Batch, StepOutput, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, root_weighted

StageConfig = RVQConfig | MaskConfig | ResidualConfig | LengthConfig
STAGE_CONFIGS: dict[str, type[StageConfig]] = {
    config.model_fields["name"].default: config for config in get_args(StageConfig)
}
"""The config of each stage, by its name."""


class MaskStage(nn.Module):
    """Trains the masked transformer on a tokeniser's first level."""

    def __init__(self, config: MaskConfig, text_encoder: TextEncoder, tokeniser: RVQStage):
        super().__init__()
        check_tokeniser(config.codes, tokeniser)
        self.config = config
        keep_frozen(self, text_encoder, tokeniser)
        self.mask = MaskedTransformer(config, text_encoder.sentence_width)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Guess the tokens that were masked; a motion is in it where the config says so."""
        codes, mask = frozen_tokens(self.tokeniser, batch.motion, self.config.max_frames)
        text = training_text(self.text_encoder, batch, self.config.condition_dropout, rng)
        draws = MaskDraws.draw(*mask.shape, self.config.codes, rng)
        draws = MaskDraws(*(value.to(codes.device) for value in draws))
        guess = self.mask.loss(codes[..., 0], text, mask, draws)
        parts = {"accuracy": guess.accuracy}
        if self.config.motion == "none":
            return StepOutput(guess.loss, parts=parts)
        noise = gumbel(torch.rand(guess.logits.shape, generator=rng, device=rng.device)).to(codes.device)
        asked = guess.asked.sum(1) / mask.sum(1).clamp_min(1)
        return StepOutput(
            guess.loss, lambda: self._guessed(guess, noise, codes, mask, batch.motion), noise_level=asked, parts=parts
        )

    def _guessed(
        self,
        guess: Guess,
        noise: Float[Tensor, "B N K"],
        codes: Int[Tensor, "B N Q"],
        mask: Bool[Tensor, "B N"],
        motion: Motion,
    ) -> Motion:
        """Return what the tokeniser makes of the guesses. Tokens that were shown keep all their levels, guessed ones
        have the first alone; frames behind the last whole token stand still."""
        tokeniser = self.tokeniser
        quantiser = tokeniser.rvq.quantizer
        chosen = straight_through(guess.logits, noise, self.config.choice_temperature) @ quantiser.layers[0].codebook
        vectors = torch.where(guess.asked[..., None], chosen, quantiser.vectors(codes))
        x_hat = tokeniser.rvq.decoder(vectors * mask[..., None])
        last = (mask.sum(1) * tokeniser.config.frames_per_token - 1).clamp_min(0)
        frame = torch.arange(motion.features.shape[1], device=last.device).minimum(last[:, None])
        return like_batch(tokeniser.normaliser.inverse(x_hat.take_along_dim(frame[..., None], dim=1)), motion)


class LengthStage(nn.Module):
    """Trains the length estimator."""

    def __init__(self, config: LengthConfig, text_encoder: TextEncoder):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, config.name)
        self.length = LengthEstimator(config, text_encoder.sentence_width)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Classify each text by the length of its motion, in tokens."""
        text = batch.said_by(self.text_encoder).sentence.to(batch.motion.features.device)
        tokens = batch.motion.lengths // self.config.frames_per_token
        logits, target = self.length(text), tokens.clamp_max(self.config.classes - 1)
        share = (logits.argmax(-1) == target).float().mean().item()
        return StepOutput(F.cross_entropy(logits, target, reduction="none"), parts={"accuracy": share})


def build_stage(config: StageConfig, text_encoder: TextEncoder, normaliser: Normaliser) -> nn.Module:
    """Return a new stage, with weights drawn from torch's global generator.

    Args:
        config: by its class; the token models load the tokeniser that it names.
        text_encoder: that the config names; the tokeniser reads no text.
        normaliser: of the data set; only the tokeniser takes it, the others go by their tokeniser's.

    Raises:
        InputError: no tokeniser is named, or one that does not fit.
    """
    if isinstance(config, RVQConfig):
        return RVQStage(config, normaliser)
    if isinstance(config, LengthConfig):
        return LengthStage(config, text_encoder)
    if config.tokeniser is None:
        raise InputError(f"{config.name} learns the tokens of a tokeniser: give model.tokeniser=RUN of a momask_rvq")
    stage = MaskStage if isinstance(config, MaskConfig) else ResidualStage
    return stage(config, text_encoder, load_tokeniser(Path(config.tokeniser)))


def begin_stage(config: StageConfig, text_encoder: TextEncoder, normaliser: Normaliser) -> nn.Module:
    """Return a new stage to be trained: its statistics are the data set's with the root weighed as the config says.

    Arguments and errors as for `build_stage`.
    """
    if isinstance(config, RVQConfig):
        normaliser = root_weighted(normaliser, config.root_weight)
    return build_stage(config, text_encoder, normaliser)
