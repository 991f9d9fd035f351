"""MoMask (Guo et al. 2024, arXiv:2312.00063): text to tokens by unmasking, tokens to motion by a residual VQ-VAE.

Four networks: a length estimator, a masked transformer for the first level of tokens, a residual transformer for the
other levels, and the tokeniser's decoder. Each is trained by itself (`stages.py`); here they generate together.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.generators.momask.config import MoMaskConfig
from atm.generators.momask.length import LengthEstimator
from atm.generators.momask.masked import MOST_ROUNDS, MaskedTransformer
from atm.generators.parts.inputs import check_rows, check_steps, guidance_scale_or_default, keep_encoder
from atm.generators.parts.padding import evaluating
from atm.generators.tokens.gumbel import row_gumbel
from atm.generators.tokens.padding import (
    check_tokens,
    decoded,
    padded_input,
    reached_tokens,
    read_known,
    sentences,
)
from atm.generators.tokens.residual import ResidualTransformer
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.generators.tokens.stages import reconstruction_step
from atm.generators.tokens.trunk import POSITIONS
from atm.interface import Batch, Capabilities, StepOutput, TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask

EDIT_GUIDANCE = 2.0
"""Guidance of the residual transformer when a motion is edited, as in the published program."""


class MoMask(nn.Module):
    """A `Generator` (see `atm.interface`)."""

    def __init__(self, config: MoMaskConfig, text_encoder: TextEncoder, normaliser: Normaliser):
        super().__init__()
        self.config = config
        keep_encoder(self, text_encoder, config.text_encoder, "this MoMask")
        self.normaliser = normaliser
        self.rvq = ResidualVQVAE(config.rvq, features=len(normaliser.mean))
        self.mask = MaskedTransformer(config.mask, text_encoder.sentence_width)
        self.residual = ResidualTransformer(config.residual, text_encoder.sentence_width)
        self.length = None if config.length is None else LengthEstimator(config.length, text_encoder.sentence_width)
        self.capabilities = Capabilities(
            guidance=min(config.mask.condition_dropout, config.residual.condition_dropout) > 0,
            inbetweening=True,
            steps=MOST_ROUNDS,
            predicts_length=self.length is not None,
        )

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """Return the tokeniser's step, the one whose motion the alignment losses measure. The other networks have no
        part in it: to train them, train their stages."""
        return reconstruction_step(self.rvq, self.normaliser, batch, rng)

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        known: Motion | None = None,
        keep: Bool[Tensor, "B T"] | None = None,
        steps: int | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length is what is left of its last token, and then zeros.

        Each motion is decoded by itself. The published evaluation decodes padded batches, where a motion's last
        frames depend on how long its neighbours are.

        Arguments beside, or other than, those of `atm.interface.Generator.sample`:

        Args:
            lengths: frames of each motion; None draws them from the length estimator.
            guidance_scale: of both token models; None: each one's own, and `EDIT_GUIDANCE` for the further levels of
                a motion that is completed.
            known: motions to complete, with `keep`.
            keep: True at frames of `known` that shall stand. Tokens all of whose frames are kept are what the others
                are guessed from; the further levels are made anew for all. In the end the kept frames are put in as
                they were given (ours: the published program, which is `edit`, leaves what the decoder makes of them),
                so that a motion steps at the seam by as much as its tokens leave of it: visibly so at one level.
            steps: rounds of unmasking, 1 to 100; None: the config's `mask.steps`.

        Raises:
            InputError: a length below 1 or beyond the position table, or none given and nothing to estimate it; a
                known motion of another data set, a `keep` of another shape, or more steps than there are.
        """
        check_rows(text, seeds, lengths, known=known, keep=keep)
        check_steps(steps, self.capabilities.steps)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        device, per_token = self.normaliser.mean.device, self.config.rvq.frames_per_token
        condition = sentences(self.text_encoder, text, device)
        scale = self._scale(self.config.mask.guidance_scale, guidance_scale)
        with evaluating(self):
            if lengths is None:
                lengths = self._drawn_lengths(condition, generators)
            lengths = lengths.to(device)
            tokens = reached_tokens(lengths, per_token, POSITIONS)
            mask = length_mask(tokens, int(tokens.max()))
            draws = self._draws(generators, mask)
            if known is None:
                base = self.mask.generate(condition, mask, draws[0], scale=scale, steps=steps, show_progress=progress)
                residual_scale = self.config.residual.guidance_scale
            else:
                given = read_known(self.rvq, self.normaliser, known.to(device), keep.to(device), lengths, mask)
                base = self.mask.edit(
                    given.codes, ~given.tokens, condition, mask, draws[0], scale=scale, steps=steps,
                    show_progress=progress,
                )  # fmt: skip
                residual_scale = EDIT_GUIDANCE
            residual_scale = self._scale(residual_scale, guidance_scale)
            codes = self._other_levels(base, condition, mask, draws[1], residual_scale)
            features = decoded(self.rvq, self.normaliser, codes, tokens)
            return Motion(features if known is None else given.put_back(features), lengths)

    @torch.no_grad()
    def edit(
        self,
        motion: Motion,
        text: list[str],
        redo: Bool[Tensor, "B T"] | None = None,
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        residual_guidance_scale: float = EDIT_GUIDANCE,
        progress: bool = False,
    ) -> Motion:
        """Return motions with a part of each made anew from a text (in-painting).

        The first level keeps the tokens outside `redo`; all other levels are made anew for the whole motion, as
        published, so frames that are kept are kept in kind and not to the digit.

        Args:
            motion: to edit, in published units; frames behind the last whole token are dropped.
            text: what the whole motion shall be.
            redo: True at frames to make anew, and with them the other frames of their tokens; None: wherever the
                motion fits the text least.
            seeds: one per row.
            guidance_scale: of the masked transformer; None: its own.
            residual_guidance_scale: of the residual transformer.
            progress: show a bar.

        Raises:
            InputError: a motion of another data set, or one shorter than a token.
        """
        check_rows(text, seeds, motion)
        per_token, device = self.config.rvq.frames_per_token, self.normaliser.mean.device
        motion = motion.to(device)
        tokens = motion.lengths // per_token
        check_tokens(motion.lengths, tokens, POSITIONS)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        condition = sentences(self.text_encoder, text, device)
        x, mask = padded_input(self.normaliser, motion, per_token, whole=True, frames=self.config.max_frames)
        draws = self._draws(generators, mask)
        scale = self._scale(self.config.mask.guidance_scale, guidance_scale)
        with evaluating(self):
            codes = self.rvq.encode(x, mask).codes[..., 0]
            if redo is None:
                base = self.mask.edit_freely(codes, condition, mask, draws[0], scale=scale)
            else:
                frames = F.pad(redo.to(device), (0, x.shape[1] - redo.shape[1]))
                again = frames.unflatten(1, (-1, per_token)).any(-1)
                base = self.mask.edit(codes, again, condition, mask, draws[0], scale=scale, show_progress=progress)
            scale = self._scale(residual_guidance_scale, None)
            codes = self._other_levels(base, condition, mask, draws[1], scale)
            features = decoded(self.rvq, self.normaliser, codes, tokens)
            return Motion(features[:, : int(tokens.max()) * per_token], tokens * per_token)

    def _draws(self, generators: list[torch.Generator], mask: Bool[Tensor, "B N"]):
        """Draw noise for the masked and for the residual transformer."""
        counts, tokens = mask.sum(1).tolist(), mask.shape[1]
        codes = self.config.rvq.codes
        return [row_gumbel(generators, counts, (tokens, classes), mask.device) for classes in (codes, codes + 1)]

    def _other_levels(self, base, condition, mask, draw, scale: float) -> Int[Tensor, "B N Q"]:
        return self.residual.generate(base, condition, mask, draw, scale=scale, levels=self.config.residual_levels)

    def _drawn_lengths(self, condition: Float[Tensor, "B S"], generators: list[torch.Generator]) -> Int[Tensor, "B"]:
        if self.length is None:
            raise InputError("this MoMask has no length estimator: say how long each motion is")
        return self.length.draw(condition, generators) * self.config.rvq.frames_per_token

    def _scale(self, own: float, asked: float | None) -> float:
        return guidance_scale_or_default(asked, own, guided=self.capabilities.guidance)
