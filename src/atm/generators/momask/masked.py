"""The masked transformer: tokens of the first level from a text, by unmasking the likeliest first (MaskGIT)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.progress import progress
from atm.generators.momask.config import MaskConfig
from atm.generators.tokens.gumbel import SETTLED, GumbelDraw, choose, lowest
from atm.generators.tokens.quantiser import ABSENT
from atm.generators.tokens.trunk import Trunk, guided, initialise

RANDOM_SHARE = 0.1
"""Share of the masked tokens that show a random code instead of the mask (BERT's trick)."""
MASK_SHARE = 0.88
"""Share of the other masked tokens that show the mask; the rest show their true code."""
MOST_ROUNDS = 100
"""Rounds of unmasking, at most: a motion of HumanML3D has 49 tokens."""
FREE_SHARE = 0.16
"""Share of the tokens that each round of free editing draws again."""


class MaskDraws(NamedTuple):
    """The random numbers of a training step, all in [0, 1) but `code`."""

    share: Float[Tensor, "B"]
    """Decides how many tokens are masked."""
    order: Float[Tensor, "B N"]
    """Decides which: those whose place in the sorted order is low."""
    random: Float[Tensor, "B N"]
    """Below `RANDOM_SHARE`: a masked token shows `code`."""
    code: Int[Tensor, "B N"]
    """Random codes."""
    mask: Float[Tensor, "B N"]
    """Below `MASK_SHARE`: another masked token shows the mask."""

    @staticmethod
    def draw(rows: int, tokens: int, codes: int, rng: torch.Generator) -> "MaskDraws":
        share, (order, random, mask) = (
            torch.rand(rows, generator=rng, device=rng.device),
            torch.rand(3, rows, tokens, generator=rng, device=rng.device),
        )
        code = torch.randint(codes, (rows, tokens), generator=rng, device=rng.device)
        return MaskDraws(share, order, random, code, mask)


class Guess(NamedTuple):
    """Guesses of a training step."""

    loss: Float[Tensor, "B"]
    logits: Float[Tensor, "B N K"]
    asked: Bool[Tensor, "B N"]
    """Tokens that were asked for."""
    accuracy: float
    """Share of these that were guessed."""


class MaskedTransformer(nn.Module):
    """Guesses masked tokens from the others and the text."""

    def __init__(self, config: MaskConfig, text_width: int):
        super().__init__()
        self.config = config
        self.mask_id, self.pad_id = config.codes, config.codes + 1
        self.token_emb = nn.Embedding(config.codes + 2, config.code_width)
        self.trunk = Trunk(config.trunk, text_width=text_width, code_width=config.code_width, width_out=config.codes)
        self.apply(initialise)

    def forward(
        self, ids: Int[Tensor, "B N"], text: Float[Tensor, "B S"], mask: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B N K"]:
        """Return logits over the codes.

        Args:
            ids: codes, `mask_id` or, behind a motion's end, `pad_id`.
            text: sentence vectors; zeros for no text.
            mask: True at tokens of the motion.
        """
        return self.trunk(self.token_emb(ids), text, mask)

    def guided(
        self, ids: Int[Tensor, "B N"], text: Float[Tensor, "B S"], mask: Bool[Tensor, "B N"], *, scale: float
    ) -> Float[Tensor, "B N K"]:
        """Run `forward` under classifier-free guidance."""
        return guided(lambda shown: self(ids, shown, mask), text, scale)

    def corrupt(
        self, codes: Int[Tensor, "B N"], mask: Bool[Tensor, "B N"], draws: MaskDraws
    ) -> tuple[Int[Tensor, "B N"], Bool[Tensor, "B N"]]:
        """Return what a training step shows of the tokens, and which it asks for.

        How many are asked for counts from N, padding included, as published: a short motion in a long batch may be
        asked for nothing, or for everything.
        """
        ids = torch.where(mask, codes, self.pad_id)
        tokens = codes.shape[1]
        count = (tokens * torch.cos(draws.share * math.pi / 2)).round().clamp_min(1)
        asked = (draws.order.argsort(-1) < count[:, None]) & mask
        random = asked & (draws.random < RANDOM_SHARE)
        hidden = asked & ~random & (draws.mask < MASK_SHARE)
        ids = torch.where(random, draws.code, ids)
        return torch.where(hidden, self.mask_id, ids), asked

    def loss(
        self, codes: Int[Tensor, "B N"], text: Float[Tensor, "B S"], mask: Bool[Tensor, "B N"], draws: MaskDraws
    ) -> "Guess":
        """Return cross entropy of the tokens that are asked for, and what was guessed.

        The mean of the rows is the mean over all tokens asked for in the batch, as published: a row weighs by how
        many of its tokens are.
        """
        ids, asked = self.corrupt(codes, mask, draws)
        logits = self(ids, text, mask)
        correct = (logits.argmax(-1) == codes) & asked
        accuracy = (correct.sum() / asked.sum().clamp_min(1)).item()
        return Guess(weighted_cross_entropy(logits, codes, asked), logits, asked, accuracy)

    def generate(
        self,
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        *,
        scale: float,
        steps: int | None = None,
        show_progress: bool = False,
    ) -> Int[Tensor, "B N"]:
        """Return codes from nothing, in `steps` rounds (None: the config's); `ABSENT` behind each end."""
        ids = torch.where(mask, self.mask_id, self.pad_id)
        return self._unmask(ids, mask, text, mask, draw, scale, steps, show_progress)

    def edit(
        self,
        codes: Int[Tensor, "B N"],
        redo: Bool[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        *,
        scale: float,
        steps: int | None = None,
        show_progress: bool = False,
    ) -> Int[Tensor, "B N"]:
        """Return codes with those of `redo` made anew to fit the others, in `steps` rounds (None: the config's);
        `ABSENT` behind each end."""
        redo = redo & mask
        ids = torch.where(redo, self.mask_id, torch.where(mask, codes, self.pad_id))
        return self._unmask(ids, redo, text, mask, draw, scale, steps, show_progress)

    def edit_freely(
        self,
        codes: Int[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        *,
        scale: float,
        first: Bool[Tensor, "B N"] | None = None,
    ) -> Int[Tensor, "B N"]:
        """Return codes in which each round draws again what fits the text least; `ABSENT` behind each end.

        Args:
            codes: of the motion to edit.
            text, mask, draw, scale: as everywhere.
            first: what the first round draws again, when no token has a score yet; None: the first tokens.
        """
        ids, scores = torch.where(mask, codes, self.pad_id), torch.where(mask, 0.0, SETTLED)
        count = (FREE_SHARE * mask.sum(1)).round().clamp_min(1)
        for step in range(self.config.steps):
            again = first if step == 0 and first is not None else lowest(scores, count)
            ids, chance = self._round(ids, again, text, mask, draw, scale)
            scores = chance.masked_fill(~mask, SETTLED)
        return ids.masked_fill(~mask, ABSENT)

    def _unmask(
        self,
        ids: Int[Tensor, "B N"],
        open_: Bool[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        scale: float,
        steps: int | None,
        show_progress: bool,
    ) -> Int[Tensor, "B N"]:
        """Return rounds in which fewer and fewer of the open tokens are drawn again, the least likely ones."""
        scores = torch.where(open_, 0.0, SETTLED)
        schedule = unmasking_schedule(open_.sum(1), steps or self.config.steps)
        for count in progress(schedule, "sampling", show=show_progress):
            # At least one is asked for, also where none is open.
            again = lowest(scores, count) & open_
            ids, chance = self._round(ids, again, text, mask, draw, scale)
            scores = chance.masked_fill(~again, SETTLED)
        return ids.masked_fill(~mask, ABSENT)

    def _round(
        self,
        ids: Int[Tensor, "B N"],
        again: Bool[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draw: GumbelDraw,
        scale: float,
    ) -> tuple[Int[Tensor, "B N"], Float[Tensor, "B N"]]:
        """Draw some tokens again; also the probability of what was drawn, at every token, kept or not."""
        shown = torch.where(again, self.mask_id, ids)
        logits = self.guided(shown, text, mask, scale=scale)
        drawn = choose(logits, draw(), kept_share=self.config.kept_share, temperature=self.config.temperature)
        # The probability is that of all codes at temperature 1, not of the few that were drawn from.
        chance = logits.softmax(-1).gather(-1, drawn[..., None])[..., 0]
        return torch.where(again, drawn, shown), chance


def unmasking_schedule(tokens: Int[Tensor, "B"], steps: int) -> list[Float[Tensor, "B"]]:
    """Return how many tokens each round draws: a falling quarter of a cosine, at least one."""
    times = torch.linspace(0, 1, steps)
    return [(torch.cos(time * math.pi / 2) * tokens).round().clamp_min(1) for time in times]


def weighted_cross_entropy(
    logits: Float[Tensor, "B N K"], codes: Int[Tensor, "B N"], asked: Bool[Tensor, "B N"]
) -> Float[Tensor, "B"]:
    """Return cross entropy per row, weighed so that the mean of the rows is the mean over all tokens asked for."""
    each = F.cross_entropy(logits.transpose(1, 2), codes.masked_fill(~asked, 0), reduction="none")
    return (each * asked).sum(1) * len(codes) / asked.sum().clamp_min(1)
