"""The planner: reads the sentence, and writes the plan of the motion action by action.

A small causal transformer behind the states of the text, of the same kind as the one that writes the motion. For each
action it draws the verb, its other fields, and then how long it takes. Each field has a linear head of its own, so that
a number means the same with every verb: combinations that training never shows come from their parts (ours).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.causal_flow.plan import (
    MOST_ACTIONS,
    NEEDED,
    OPEN,
    POSSIBLE,
    SIZES,
    SPANS,
    VALUES,
    Plan,
    repetitions,
)
from atm.generators.causal_flow.transformer import CausalTransformer, Front, Memory
from atm.interface import TextEmbedding
from atm.motion.layers import sinusoid

UNLIKELY = 0.4
"""Values less likely than this share of the likeliest are never drawn: what the sentence says is kept exactly, what it
leaves open varies (ours)."""
_STEADY = 0.5
"""Deviation of drawn durations beside that of training; under 1 there are fewer odd ones (ours)."""
_MOST_STRETCH = 1.35
"""A plan is stretched to the asked length by at most this; what is left after it is stood still (ours)."""
SURE = 5.8
"""How much likelier than any action it has plans of `other` must be, in nats: captured motion is described in the same
words, but without times, and a plan is what makes a motion do what is said (ours)."""
_OTHER = 1
_STAND = 1 + VALUES["verb"].index("stand")
_NORMAL = 1 + VALUES["speed"].index("normal")


class ActionEmbedding(nn.Module):
    """Actions as vectors: the sum of what their fields' values are."""

    def __init__(self, width: int):
        super().__init__()
        self.table = nn.Embedding(sum(SIZES), width)
        nn.init.normal_(self.table.weight, std=0.1)
        starts = torch.tensor((0, *SIZES[:-1])).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)

    def forward(self, fields: Int[Tensor, "*b F"], only: slice = slice(None)) -> Float[Tensor, "*b W"]:
        """Return the vector of each action; `only`: of these of its fields."""
        return self.table(fields + self.starts[only]).sum(-2)


class _Drawn(NamedTuple):
    """Content of one place of a plan, in each row."""

    fields: Int[Tensor, "B F"]
    spans: Float[Tensor, "B 3"]


class Planner(nn.Module):
    """Network from texts to plans."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        front_layers: int,
        layers: int,
        sentence: int,
        word: int,
        most_latents: int,
        frames: int,
    ):
        """Build the network.

        Args:
            width: of a token.
            heads: of attention.
            front_layers: layers that read the text.
            layers: layers that write the plan.
            sentence: width of a sentence's embedding.
            word: width of a text token's state.
            most_latents: of the longest motion.
            frames: of a latent.
        """
        super().__init__()
        self.frames = frames
        self.read_sentence = nn.Linear(sentence, width)
        self.read_word = nn.Linear(word, width)
        self.trunk = CausalTransformer(
            width, heads, round(2.7 * width / 16) * 16, front_layers=front_layers, layers=layers
        )
        self.begin = nn.Parameter(0.02 * torch.randn(width))
        self.read_left = nn.Linear(width, width)
        self.not_told = nn.Parameter(0.02 * torch.randn(width))
        self.read_action = ActionEmbedding(width)
        self.register_buffer("numbers", sinusoid(most_latents + 1, width), persistent=False)
        self.verb = nn.Linear(width, SIZES[0])
        self.rest = nn.Linear(width, sum(SIZES[1:]))
        self.of_action = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU())
        self.times = nn.Linear(width, 2 * SPANS)

    # ---- training

    def loss(self, text: TextEmbedding, plan: Plan, told: Bool[Tensor, "B"]) -> Float[Tensor, "B"]:
        """Return how badly each plan is foreseen: cross-entropy of its fields and of their end in nats, and of its
        durations; a mean over actions.

        Args:
            text: of the rows.
            plan: what their motions do.
            told: rows that know the motion's length.
        """
        many = plan.many
        known = self.trunk(self._tokens(plan, told), self._front(text))
        verbs = F.pad(plan.fields, (0, 0, 0, 1))
        place = torch.arange(MOST_ACTIONS + 1, device=many.device)
        written, there = place <= many[:, None], place < many[:, None]
        losses = F.cross_entropy(self.verb(known).flatten(0, 1), verbs[..., 0].flatten(), reduction="none")
        total = (losses.view(written.shape) * written).sum(1)
        fields, known = plan.fields, known[:, :-1]
        there = there[:, :-1]
        rest = self._rest(known)
        for logits, target in zip(rest, fields[..., 1:].unbind(-1), strict=True):
            each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
            total = total + (each.view(there.shape) * there).sum(1)
        mean, deviation = self._times(known, fields)
        away = (_measure(plan.spans, fields) - mean) / deviation
        total = total + 0.5 * ((0.5 * away.square() + deviation.log()).sum(-1) * there).sum(1)
        return total / many

    # ---- writing

    @torch.no_grad()
    def forward(
        self,
        text: TextEmbedding,
        lengths: Int[Tensor, "B"] | None,
        luck: Float[Tensor, "B K D"],
        given: Int[Tensor, "B K F"] | None = None,
    ) -> Plan:
        """Return plans of texts.

        Args:
            text: of the rows.
            lengths: frames that the motions shall have; None: as many as the actions take.
            luck: uniform numbers in 0 to 1 that decide what the sentence leaves open, `LUCK` for each action.
            given: numbers of fields that are known already, see `plan.given_fields`; None: none are.
        """
        rows, device = len(luck), luck.device
        told = torch.full((rows,), lengths is not None, device=device)
        left = torch.zeros(rows, device=device) if lengths is None else lengths.to(luck.dtype)
        memory = Memory(self._front(text), MOST_ACTIONS)
        token = self.begin + self._left(left, told)
        over = torch.zeros(rows, dtype=torch.bool, device=device)
        drawn: list[_Drawn] = []
        for place in range(MOST_ACTIONS):
            known = self.trunk.go_on(token, place, memory)
            told_fields = None if given is None else given[:, place]
            fields, spans = self._draw(known, luck[:, place], told_fields, first=place == 0)
            over = over | (fields[:, 0] == 0)
            drawn.append(_Drawn(fields * ~over[:, None], spans * ~over[:, None]))
            if over.all():
                break
            left = (left - drawn[-1].spans.sum(-1)).clamp(min=0)
            token = self.read_action(drawn[-1].fields) + self._left(left, told)
        empty = MOST_ACTIONS - len(drawn)
        fields = F.pad(torch.stack([one.fields for one in drawn], 1), (0, 0, 0, empty))
        spans = F.pad(torch.stack([one.spans for one in drawn], 1), (0, 0, 0, empty))
        plan = Plan(fields, spans)
        return plan if lengths is None else fitted(plan, lengths)

    def _draw(
        self,
        known: Float[Tensor, "B W"],
        luck: Float[Tensor, "B D"],
        given: Int[Tensor, "B F"] | None,
        *,
        first: bool,
    ) -> _Drawn:
        logits = self.verb(known)
        if first:
            logits[:, 0] = -torch.inf  # a plan has an action
            logits[:, _OTHER] -= SURE
        else:
            logits[:, _OTHER] = -torch.inf  # it is one for the whole motion
        # The verb is the likeliest: a sentence leaves open how often and how fast, not what.
        numbers = [_as_given(logits.argmax(-1), given, 0)]
        needed = NEEDED.to(known.device)[numbers[0]]
        for place, field in enumerate(self._rest(known)):
            field[:, 0] = field[:, 0].masked_fill(needed[:, place + 1], -torch.inf)
            field = field.masked_fill(~POSSIBLE[place + 1].to(field.device)[numbers[0]], -torch.inf)
            numbers.append(_as_given(_drawn_number(field, luck[:, place]), given, place + 1))
        fields = torch.stack(numbers, dim=-1)
        fields[:, 1:] *= fields[:, :1] > 1
        mean, deviation = self._times(known, fields)
        normal = torch.erfinv((2 * luck[:, -SPANS:] - 1).clamp(-0.999, 0.999)) * 2**0.5
        return _Drawn(fields, _frames(mean + _STEADY * deviation * normal, fields))

    def _front(self, text: TextEmbedding) -> Front:
        """Return what stands before the first action: the text."""
        device = self.numbers.device
        sentence = self.read_sentence(text.sentence.to(device))
        tokens = torch.cat([sentence[:, None], self.read_word(text.tokens.to(device))], dim=1)
        there = F.pad(text.mask.to(device), (1, 0), value=True)
        positions = torch.arange(tokens.shape[1], device=device).expand(len(tokens), -1)
        return self.trunk.front(tokens, positions, there)

    def _tokens(self, plan: Plan, told: Bool[Tensor, "B"]) -> Float[Tensor, "B K W"]:
        """Return what stands before each action, and before the end: the action before it, and the time left."""
        ends = plan.ends
        left = ends[:, -1:] - F.pad(ends, (1, 0))
        actions = self.read_action(plan.fields)
        begin = self.begin.expand(len(actions), 1, -1)
        return torch.cat([begin, actions], dim=1) + self._left(left, told)

    def _left(self, frames: Float[Tensor, "B *k"], told: Bool[Tensor, "B"]) -> Float[Tensor, "B *k W"]:
        """Return how much time is left, where the length is told."""
        number = (frames / self.frames).round().long().clamp(0, len(self.numbers) - 1)
        told = told.view(-1, *[1] * frames.dim())
        return torch.where(told, self.read_left(self.numbers[number]), self.not_told)

    def _rest(self, known: Float[Tensor, "*b W"]) -> tuple[Tensor, ...]:
        """Return logits of the fields behind the verb. Linear and without the verb that was drawn: what the words say
        and what is usual with a verb add up, so that "three" says three also where no kick was ever done thrice."""
        return self.rest(known).split(SIZES[1:], dim=-1)

    def _times(self, known: Float[Tensor, "*b W"], fields: Int[Tensor, "*b F"]) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of an action's times, as `_measure` has them."""
        mean, size = self.times(self.of_action(known + self.read_action(fields))).chunk(2, dim=-1)
        return mean, F.softplus(size) + 0.02


LUCK = len(SIZES) - 1 + SPANS
"""Numbers that decide what is open in one action."""


def _drawn_number(logits: Float[Tensor, "B V"], luck: Float[Tensor, "B"]) -> Int[Tensor, "B"]:
    """Return one value of each row, by its number from 0 to 1; unlikely ones never."""
    likely = logits.softmax(-1)
    likely = likely * (likely >= UNLIKELY * likely.amax(-1, keepdim=True))
    up_to = likely.cumsum(-1)
    return (up_to < luck[:, None] * up_to[:, -1:]).sum(-1).clamp(max=logits.shape[-1] - 1)


def _as_given(drawn: Int[Tensor, "B"], given: Int[Tensor, "B F"] | None, field: int) -> Int[Tensor, "B"]:
    """Return one field's numbers, with those that are given in the place of drawn ones."""
    return drawn if given is None else torch.where(given[:, field] == OPEN, drawn, given[:, field])


def _measure(spans: Float[Tensor, "*b 3"], fields: Int[Tensor, "*b F"]) -> Float[Tensor, "*b 3"]:
    """Return durations as the network knows them: logarithms of frames, of one repetition where there are several."""
    each = torch.stack([torch.ones_like(spans[..., 0])] * SPANS, dim=-1)
    each[..., 1] = repetitions(fields).clamp(min=1)
    return (spans / each + 1).log()


def _frames(measures: Float[Tensor, "*b 3"], fields: Int[Tensor, "*b F"]) -> Float[Tensor, "*b 3"]:
    """Return frames of what `_measure` gave."""
    spans = (measures.exp() - 1).clamp(min=0)
    repeated = repetitions(fields)
    working = spans[..., 1] * repeated
    # What is not repeated is all before; what is takes at least two frames each time.
    working = torch.where(repeated > 0, working.maximum(2.0 * repeated), 0.0)
    return torch.stack([spans[..., 0], working, spans[..., 2] * (repeated > 0)], dim=-1)


def fitted(plan: Plan, lengths: Int[Tensor, "B"]) -> Plan:
    """Return plans that take exactly so many frames: quicker or slower, and then standing still."""
    total = plan.ends[:, -1].clamp(min=1.0)
    wanted = lengths.to(total)
    stretch = (wanted / total).clamp(max=_MOST_STRETCH)
    # `other` says nothing of its pace: it takes all the time. Who sits or lies stays so, and does not stand after it.
    many, rows = plan.many, torch.arange(len(lengths), device=lengths.device)
    last = plan.fields[rows, many - 1, 0]
    open_end = torch.tensor([1, *(1 + VALUES["verb"].index(verb) for verb in ("sit_down", "lie_down", "stand"))])
    stretch = torch.where(plan.fields[:, 0, 0] == 1, wanted / total, stretch)
    spans = plan.spans * stretch[:, None, None]
    fields = plan.fields.clone()
    rest = wanted - spans.sum((1, 2))
    stays = torch.isin(last, open_end.to(last.device)) | (many == MOST_ACTIONS) | (rest < 8)
    spans[rows, many - 1, 2] += rest * stays
    after = many.clamp(max=MOST_ACTIONS - 1)
    stands = ~stays
    fields[rows[stands], after[stands], 0] = _STAND
    fields[rows[stands], after[stands], -1] = _NORMAL
    spans[rows[stands], after[stands], 0] = rest[stands]
    return Plan(fields, spans)
