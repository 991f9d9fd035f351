"""Trainings that MoMask and BAMM share: the tokeniser, the residual transformer, and what learns their tokens."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.storage import find_model, load_state, read_model
from atm.generators.parts.inputs import keep_encoder
from atm.generators.tokens.config import ResidualConfig, RVQConfig
from atm.generators.tokens.padding import padded_input
from atm.generators.tokens.residual import ResidualTransformer, drawn_level
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.generators.tokens.trunk import withheld
from atm.interface import Batch, StepOutput, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser

LEARNED_FROM = "tokeniser_fingerprint"
"""Key under which a token model's stage stores the `fingerprint` of its tokeniser."""


class RVQStage(nn.Module):
    """Trains the tokeniser."""

    def __init__(self, config: RVQConfig, normaliser: Normaliser):
        super().__init__()
        self.config = config
        self.normaliser = normaliser
        self.rvq = ResidualVQVAE(config, features=len(normaliser.mean))

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return motion to tokens and back; the step's motion is the reconstruction."""
        return reconstruction_step(self.rvq, self.normaliser, batch, rng)


class ResidualStage(nn.Module):
    """Trains the residual transformer on a tokeniser's levels."""

    def __init__(self, config: ResidualConfig, text_encoder: TextEncoder, tokeniser: RVQStage):
        super().__init__()
        check_tokeniser(config.codes, tokeniser)
        if config.levels != tokeniser.config.levels:
            raise InputError(
                f"the tokeniser has {tokeniser.config.levels} levels, but levels={config.levels}: set one to the other"
            )
        self.config = config
        keep_frozen(self, text_encoder, tokeniser)
        self.residual = ResidualTransformer(config, text_encoder.sentence_width)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Guess one level's tokens per row; there is no motion in it."""
        codes, mask = frozen_tokens(self.tokeniser, batch.motion, self.config.max_frames)
        text = training_text(self.text_encoder, batch, self.config.condition_dropout, rng)
        uniform = torch.rand(len(batch), generator=rng, device=rng.device)
        level = drawn_level(uniform, self.config.levels).to(codes.device)
        loss, parts = self.residual.loss(codes, text, mask, level)
        return StepOutput(loss, parts=parts)


def load_tokeniser(path: Path) -> RVQStage:
    """Return a trained tokeniser, in evaluation mode, from its own run or from a whole MoMask or BAMM.

    Raises:
        InputError: no such file, or a model of another kind.
    """
    file = find_model(path)
    stored = read_model(file)
    state, config = stored.state, stored.config
    if config.get("name") in ("momask", "bamm"):
        state = {key: value for key, value in state.items() if key.startswith(("normaliser.", "rvq."))}
        config = config["rvq"]
    if config.get("name") != "momask_rvq":
        raise InputError(
            f"expected a tokeniser (momask_rvq), a momask or a bamm, but {file} is {stored.config.get('name')!r}"
        )
    stage = RVQStage(validate(RVQConfig, config, source=str(file)), Normaliser.identity(_features(state, file)))
    load_state(stage, state, source=str(file))
    return stage.eval()


def reconstruction_step(rvq: ResidualVQVAE, normaliser: Normaliser, batch: Batch, rng: torch.Generator) -> StepOutput:
    """Return the tokeniser's training step: L = reconstruction + weights x (joint positions, commitment).

    Source: MoMask eq. 2 with the released code's extra term on positions; at `criterion="l1"` and no such term, the
    reconstruction is eq. 10 of the ATM paper. Rows of different lengths are ours: what stands behind an end counts
    nowhere, and teaches the codebooks nothing.
    """
    config, motion = rvq.config, batch.motion
    x, tokens = padded_input(normaliser, motion, config.frames_per_token, whole=False)

    def uniform(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=rng, device=rng.device)

    x_hat, quantised = rvq(x, tokens, levels=_levels(config, rng) if rvq.training else None, uniform=uniform, rng=rng)
    frames = motion.features.shape[1]
    x, x_hat = x[:, :frames], x_hat[:, :frames].float()
    reconstruction = masked_error(x_hat, x, motion.mask, config.criterion)
    loss = reconstruction + config.commitment_weight * quantised.commitment
    parts = {
        "reconstruction": reconstruction.mean().item(),
        "commitment": quantised.commitment.mean().item(),
        "perplexity": quantised.perplexity.item(),
    }
    if config.positions_weight:
        columns = motion.skeleton.columns["positions"]
        positions = masked_error(x_hat[..., columns], x[..., columns], motion.mask, config.criterion)
        loss = loss + config.positions_weight * positions
        parts["positions"] = positions.mean().item()
    return StepOutput(loss, Motion(normaliser.inverse(x_hat), motion.lengths), parts=parts)


def masked_error(
    x_hat: Float[Tensor, "B T D"], x: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"], criterion: str
) -> Float[Tensor, "B"]:
    """Return the mean over a motion's own frames and all columns of |e| ("l1"), or of e^2 / 2 below 1 and |e| - 1/2
    above."""
    each = (F.l1_loss if criterion == "l1" else F.smooth_l1_loss)(x_hat, x, reduction="none").mean(-1)
    return (each * mask).sum(1) / mask.sum(1)


def _levels(config: RVQConfig, rng: torch.Generator) -> int:
    """Return how many levels a training step runs: all, or with the chance of `level_dropout` a random number of
    them."""
    drops = torch.rand((), generator=rng, device=rng.device).item() < config.level_dropout
    last = torch.randint(config.levels, (), generator=rng, device=rng.device).item()
    return int(last) + 1 if drops else config.levels


@torch.no_grad()
def frozen_tokens(
    tokeniser: RVQStage, motion: Motion, max_frames: int
) -> tuple[Int[Tensor, "B N Q"], Bool[Tensor, "B N"]]:
    """Return all codes of motions padded to the data set's longest, as published: N is the same in every batch."""
    tokeniser.to(motion.features.device)
    x, mask = padded_input(
        tokeniser.normaliser, motion, tokeniser.config.frames_per_token, whole=True, frames=max_frames
    )
    # In full precision whatever the training's: rounded vectors would be given other codes than in generating.
    with torch.autocast(x.device.type, enabled=False):
        return tokeniser.rvq.encode(x, mask).codes, mask


def training_text(
    text_encoder: TextEncoder, batch: Batch, dropout: float, rng: torch.Generator
) -> Float[Tensor, "B S"]:
    text = batch.said_by(text_encoder).sentence.to(batch.motion.features.device)
    rows = torch.rand(len(batch), generator=rng, device=rng.device) < dropout
    return withheld(text, rows.to(text.device))


def keep_frozen(stage: nn.Module, text_encoder: TextEncoder, tokeniser: RVQStage) -> None:
    """Keep frozen parts, but not as submodules: no weights, optimiser or train() calls include them.

    The stage's file tells by a number which tokeniser's tokens it learned: those of another mean nothing to it.
    """
    keep_encoder(stage, text_encoder, stage.config.text_encoder, stage.config.name)
    object.__setattr__(stage, "tokeniser", tokeniser.eval().requires_grad_(False))
    stage.register_buffer(LEARNED_FROM, fingerprint(tokeniser.state_dict()))


def fingerprint(tokeniser: dict[str, Tensor]) -> Int[Tensor, ""]:
    """Return a number that tells tokenisers apart, by the codebooks in their weights."""
    digest = hashlib.sha256()
    for key in sorted(key for key in tokeniser if key.endswith(".codebook")):
        digest.update(tokeniser[key].detach().cpu().numpy().tobytes())
    return torch.tensor(int.from_bytes(digest.digest()[:7], "big"))


def check_tokeniser(codes: int, tokeniser: RVQStage) -> None:
    """Refuse a tokeniser with another number of codes than the transformer that is to learn them."""
    if codes != tokeniser.config.codes:
        raise InputError(f"the tokeniser has {tokeniser.config.codes} codes, but codes={codes}: set one to the other")


def _features(state: dict[str, Tensor], file: Path) -> int:
    if "normaliser.mean" not in state:
        raise InputError(f"{file} has no statistics (`normaliser.mean`): it is no file of a trained tokeniser")
    return len(state["normaliser.mean"])
