"""The masked autoregressive transformer: tokens one after the other, each from those before it, the text, and the
tokens that are held fixed, wherever these stand.

Two ids follow the codes: END, which stands behind a motion's last token, and the padding behind that. A third, the
mask of an earlier variant, has a row in the table and is never read.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.progress import progress
from atm.generators.bamm.config import TransformerConfig
from atm.generators.bamm.gpt import GPTBody
from atm.generators.tokens.gumbel import SETTLED, lowest
from atm.generators.tokens.quantiser import ABSENT
from atm.generators.tokens.trunk import POSITIONS, Head, encoder_stack, guided, initialise
from atm.motion.dropout import Dropout
from atm.motion.layers import length_mask, sinusoid

HYBRID_SHARE = 0.5
"""Share of the training batches in which some tokens are fixed; the others are plainly causal."""
MOST_FIXED = 0.5
"""Largest share of the tokens that such a batch fixes."""
MOST_CORRUPTED = 0.5
"""Largest share of the tokens that a batch shows as random codes."""


class TransformerDraws(NamedTuple):
    """The random numbers of a training step, all in [0, 1) but `code`. Three of them are for the whole batch."""

    hybrid: Float[Tensor, ""]
    """Below `HYBRID_SHARE`: tokens are fixed."""
    fixed_share: Float[Tensor, ""]
    """Share of `MOST_FIXED`, which gives the chance of a token to be fixed."""
    fixed: Float[Tensor, "B N"]
    """Decides which: those below the chance."""
    corrupted_share: Float[Tensor, ""]
    """Share of `MOST_CORRUPTED`, which gives the chance of a token to be shown as a random code."""
    corrupted: Float[Tensor, "B N"]
    """Decides which: those below the chance."""
    code: Int[Tensor, "B N"]
    """Random codes."""

    @staticmethod
    def draw(rows: int, slots: int, codes: int, rng: torch.Generator) -> "TransformerDraws":
        """Draw the numbers for `slots` places of a token or an END."""
        hybrid, fixed_share, corrupted_share = torch.rand(3, generator=rng, device=rng.device)
        fixed, corrupted = torch.rand(2, rows, slots, generator=rng, device=rng.device)
        code = torch.randint(codes, (rows, slots), generator=rng, device=rng.device)
        return TransformerDraws(hybrid, fixed_share, fixed, corrupted_share, corrupted, code)


class MaskedAutoregressiveTransformer(nn.Module):
    """Guesses each token from what `may_look` shows it of the others, and from the text. Keys as published."""

    def __init__(self, config: TransformerConfig, text_width: int):
        super().__init__()
        self.config = config
        self.end_id, self.pad_id = config.codes, config.codes + 1
        trunk = config.trunk
        self.token_emb = nn.Embedding(config.codes + 3, config.code_width)
        self.cond_emb = nn.Linear(text_width, trunk.width)
        self.input_process = nn.ModuleDict({"poseEmbedding": nn.Linear(config.code_width, trunk.width)})
        self.register_buffer("positions", sinusoid(POSITIONS, trunk.width), persistent=False)
        self.position_dropout = Dropout(trunk.dropout)
        self.seqTransEncoder = encoder_stack(trunk) if config.body == "official" else GPTBody(trunk)
        self.output_process = Head(trunk.width, config.codes + 1)
        self.apply(initialise)

    def forward(
        self, ids: Int[Tensor, "B N"], text: Float[Tensor, "B S"], fixed: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N+1 K"]:
        """Return logits over the codes and END; entry k is about token k, so the last one is about what would come
        next.

        Args:
            ids: codes, END or padding.
            text: sentence vectors; zeros for no text.
            fixed: True at tokens that all others see; None: nowhere.
        """
        tokens = self.input_process["poseEmbedding"](self.token_emb(ids))
        sequence = torch.cat([self.cond_emb(text)[:, None], tokens], dim=1)
        # The text has position 0 and the tokens those from 1 on, unlike MoMask's.
        sequence = self.position_dropout(sequence + self.positions[: sequence.shape[1]])
        seen = may_look(torch.zeros_like(ids, dtype=torch.bool) if fixed is None else fixed)
        if self.config.body == "official":
            barred = (~seen).repeat_interleave(self.config.trunk.heads, dim=0)
            return self.output_process(self.seqTransEncoder(sequence, mask=barred))
        return self.output_process(self.seqTransEncoder(sequence, seen))

    def guided(
        self,
        ids: Int[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        fixed: Bool[Tensor, "B N"] | None = None,
        *,
        scale: float,
    ) -> Float[Tensor, "B N+1 K"]:
        """Run `forward` under classifier-free guidance."""
        return guided(lambda shown: self(ids, shown, fixed), text, scale)

    def with_end(
        self, codes: Int[Tensor, "B N"], tokens: Int[Tensor, "B"]
    ) -> tuple[Int[Tensor, "B N+1"], Bool[Tensor, "B N+1"]]:
        """Return codes with END behind each motion and padding behind that; and where there is either a code or an
        END."""
        slots = codes.shape[1] + 1
        own, and_end = length_mask(tokens, slots), length_mask(tokens + 1, slots)
        ids = torch.where(own, F.pad(codes, (0, 1)), self.end_id)
        return torch.where(and_end, ids, self.pad_id), and_end

    def corrupt(
        self, ids: Int[Tensor, "B N"], draws: TransformerDraws
    ) -> tuple[Int[Tensor, "B N"], Bool[Tensor, "B N"]]:
        """Return what a training step shows of the tokens, and which of them are fixed.

        A fixed token may show a random code too; END never does, but may be fixed. Both as published.
        """
        chance = MOST_FIXED * draws.fixed_share if bool(draws.hybrid < HYBRID_SHARE) else 0.0
        fixed = (draws.fixed < chance) & (ids != self.pad_id)
        random = (draws.corrupted < MOST_CORRUPTED * draws.corrupted_share) & (ids < self.end_id)
        return torch.where(random, draws.code, ids), fixed

    def loss(
        self,
        codes: Int[Tensor, "B N"],
        text: Float[Tensor, "B S"],
        mask: Bool[Tensor, "B N"],
        draws: TransformerDraws,
    ) -> tuple[Float[Tensor, "B"], dict[str, float]]:
        """Return cross entropy of a motion's tokens and its END, each motion's mean.

        Fixed tokens count as well, although what they show is visible where they are guessed: as published.

        Args:
            codes: of the first level.
            text: sentence vectors; zeros for no text.
            mask: True at tokens of the motion.
            draws: for one place more than there are tokens.
        """
        target, inside = self.with_end(codes, mask.sum(1))
        shown, fixed = self.corrupt(target, draws)
        logits = self(shown, text, fixed)[:, :-1]
        target = target.masked_fill(~inside, 0)
        each = F.cross_entropy(logits.transpose(1, 2), target, reduction="none") * inside
        correct = (logits.argmax(-1) == target) & inside
        return each.sum(1) / inside.sum(1), {"accuracy": (correct.sum() / inside.sum()).item()}

    def draft(
        self,
        text: Float[Tensor, "B S"],
        noise: Float[Tensor, "B N K"],
        tokens: Int[Tensor, "B"] | None,
        *,
        scale: float,
        show_progress: bool = False,
    ) -> tuple[Int[Tensor, "B N+1"], Int[Tensor, "B"]]:
        """Return the first pass: from the first token on, each from those before it.

        Args:
            text: sentence vectors.
            noise: Gumbel noise; N is the most tokens that a motion can have.
            tokens: of each motion; None: until END is drawn, or to N.
            scale: of guidance.
            show_progress: show a bar.

        Returns:
            Codes with END and padding, and the number of each motion's codes.
        """
        most = noise.shape[1] if tokens is None else int(tokens.max())
        ids = torch.full((len(text), noise.shape[1] + 1), self.pad_id, device=text.device)
        for place in progress(range(most), "first pass", show=show_progress):
            # What comes later is padding and unseen: it need not be computed.
            logits = self.guided(ids[:, :place], text, scale=scale)[:, -1]
            ids[:, place] = _drawn(logits if tokens is None else logits[:, : self.end_id], noise[:, place])
            if tokens is None and bool((ids == self.end_id).any(1).all()):
                break
        if tokens is None:
            ids, tokens = cut_at_end(ids, self.end_id)
        return self.with_end(ids[:, :-1], tokens)[0], tokens

    def revise(
        self,
        ids: Int[Tensor, "B N"],
        tokens: Int[Tensor, "B"],
        text: Float[Tensor, "B S"],
        noise: Float[Tensor, "B M K"],
        *,
        scale: float,
        redo: Bool[Tensor, "B N"] | None = None,
        show_progress: bool = False,
    ) -> Int[Tensor, "B N"]:
        """Return the second pass: half of the tokens once more, now with the other half in sight, before and behind.

        While it goes on, fixed tokens are drawn as well: what lies behind is what was kept, what lies before is what
        was drawn. In the end the kept ones stand. So published.

        Args:
            ids, tokens: from `draft`.
            text: sentence vectors.
            noise: Gumbel noise, fresh, for at least as many tokens as there are.
            scale: of guidance.
            redo: which half; None: `every_second`.
            show_progress: show a bar.
        """
        redo = every_second(tokens, ids.shape[1]) if redo is None else redo
        fixed = length_mask(tokens + 1, ids.shape[1]) & ~redo
        return self._fill(ids, fixed, tokens, text, noise, scale, stand=False, show_progress=show_progress)

    def complete(
        self,
        codes: Int[Tensor, "B N"],
        known: Bool[Tensor, "B N"],
        tokens: Int[Tensor, "B"],
        text: Float[Tensor, "B S"],
        noise: Float[Tensor, "B M K"],
        *,
        scale: float,
        show_progress: bool = False,
    ) -> Int[Tensor, "B N+1"]:
        """Return codes where some are known: one pass, in which the known ones and END stand all the time."""
        ids, _ = self.with_end(codes, tokens)
        fixed = F.pad(known, (0, 1)) | (ids == self.end_id)
        ids = torch.where(fixed, ids, self.pad_id)
        return self._fill(ids, fixed, tokens, text, noise, scale, stand=True, show_progress=show_progress)

    def _fill(
        self,
        ids: Int[Tensor, "B N"],
        fixed: Bool[Tensor, "B N"],
        tokens: Int[Tensor, "B"],
        text: Float[Tensor, "B S"],
        noise: Float[Tensor, "B M K"],
        scale: float,
        *,
        stand: bool,
        show_progress: bool,
    ) -> Int[Tensor, "B N"]:
        """Draw from the first token on, the fixed ones in sight. These `stand`, or are drawn for the time being."""
        most = int(tokens.max())
        now, seen = ids[:, : most + 1].clone(), fixed[:, : most + 1]
        for place in progress(range(most), "second pass", show=show_progress):
            logits = self.guided(now, text, seen, scale=scale)[:, place, : self.end_id]
            drawn = _drawn(logits, noise[:, place])
            now[:, place] = torch.where(seen[:, place], now[:, place], drawn) if stand else drawn
        made = torch.where(seen, ids[:, : most + 1], now)
        inside = length_mask(tokens + 1, ids.shape[1])
        return F.pad(made, (0, ids.shape[1] - made.shape[1])).where(inside, self.pad_id)


def may_look(fixed: Bool[Tensor, "B N"]) -> Bool[Tensor, "B N+1 N+1"]:
    """Return which places of the sequence (rows) see which (columns); place 0 is the text, place i + 1 is token i.

    The text and the fixed tokens see one another. All others see those as well, and everything up to themselves.
    """
    shared = F.pad(fixed, (1, 0), value=True)
    before = torch.ones(shared.shape[1], shared.shape[1], dtype=torch.bool, device=fixed.device).tril()
    return shared[:, None, :] | (before & ~shared[:, :, None])


def cut_at_end(ids: Int[Tensor, "B N"], end_id: int) -> tuple[Int[Tensor, "B N"], Int[Tensor, "B"]]:
    """Return padding behind each row's first END, and how many codes stand before it.

    Padding that comes first counts as an END. A row that begins with one gets code 0 in front: no motion is empty. A
    row of codes alone is taken for one code longer than there are places (as published; a last place of padding is
    what generation relies on).
    """
    special = ids >= end_id
    tokens = torch.where(special.any(1), special.int().argmax(1), ids.shape[1] + 1)
    begins = tokens == 0
    ids = torch.where(begins[:, None], F.pad(ids, (1, -1), value=0), ids)
    tokens = tokens.clamp_min(1)
    return torch.where(length_mask(tokens + 1, ids.shape[1]), ids, end_id + 1), tokens


def every_second(tokens: Int[Tensor, "B"], slots: int) -> Bool[Tensor, "B slots"]:
    """Return half of each motion's tokens, every second one: about what is fixed and what is not in training.

    The published program takes the lower half of scores that are all equal, which leaves the choice to how a sort
    happens to order ties. The number is its: half, rounded to even, and at least one.
    """
    odd = torch.arange(slots, device=tokens.device) % 2 == 1
    scores = torch.where(length_mask(tokens, slots), torch.where(odd, 0.0, 1.0), SETTLED)
    return lowest(scores, (tokens / 2).round().clamp_min(1))


def without_end(ids: Int[Tensor, "B N"], end_id: int) -> Int[Tensor, "B N"]:
    """Return codes alone: `ABSENT` where END or padding stands."""
    return ids.masked_fill(ids >= end_id, ABSENT)


def _drawn(logits: Float[Tensor, "B K"], noise: Float[Tensor, "B K"]) -> Int[Tensor, "B"]:
    """Return one class of each row: with Gumbel noise, a draw from softmax(logits)."""
    return (logits + noise).argmax(-1)
