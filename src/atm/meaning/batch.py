"""The meaning of a batch's captions, as the losses take it."""

import functools
from typing import NamedTuple

import numpy as np
import torch

from atm.interface import FineMeaning
from atm.meaning.compare import Frame, Match, event_differences, match_frames, sameness
from atm.meaning.counterfactual import counterfactuals
from atm.meaning.exact_attributes import exact_attributes
from atm.meaning.parser import parse_meaning

_CAPTIONS = 1 << 17
"""Captions that are remembered: more than the field's largest data set of pairs has."""
_PAIRS = 1 << 17
"""Pairs of events, and of frames, that are remembered."""


class _Read(NamedTuple):
    """A caption, in numbers that stand for what it says: comparing numbers is quick."""

    frame: int
    events: tuple[int, ...]
    same: int
    counterfactuals: tuple[tuple[str, ...], ...]
    """Those that change the same attribute together."""
    exact_attributes: dict[str, str]


class MeaningReader:
    """Reads the captions of one batch after the other, and remembers what it has met.

    A pair of captions hardly ever comes again; the pairs of events in them do, so that a batch of 64 takes some
    milliseconds once the captions have been read.
    """

    def __init__(self):
        self._number: dict[object, int] = {}
        self._numbered: list = []
        self._read = functools.lru_cache(_CAPTIONS)(self._read_caption)
        self._match = functools.lru_cache(_PAIRS)(self._match_numbers)
        self._clash = functools.lru_cache(_PAIRS)(self._clash_of_numbers)

    def __call__(self, text: list[str], rng: np.random.Generator) -> FineMeaning:
        """Return which captions contradict, which say the same, one counterfactual of each, and what they tell exactly.

        Args:
            text: B captions in English.
            rng: draws the counterfactuals: first what they change (number, side, direction, ...), evenly among what
                the caption has, then how. Actions are not exchanged: those the language model tells apart.
        """
        read = [self._read(caption) for caption in text]
        contradicts = np.zeros((len(text), len(text)), dtype=bool)
        same = np.eye(len(text), dtype=bool)
        for i, one in enumerate(read):
            for j, other in enumerate(read[:i]):
                if one.same == other.same and (one.events or text[i] == text[j]):
                    same[i, j] = same[j, i] = True
                elif self._contradict(one, other):
                    contradicts[i, j] = contradicts[j, i] = True
        drawn = [_drawn(one.counterfactuals, rng) for one in read]
        said = tuple(one.exact_attributes for one in read)
        return FineMeaning(torch.from_numpy(contradicts), torch.from_numpy(same), drawn, said)

    def _contradict(self, a: _Read, b: _Read) -> bool:
        match = self._match(a.frame, b.frame)
        if match.difference is not None:
            return True
        return any(self._clash(a.events[i], b.events[j], match.same_side) for i, j in match.pairs)

    def _read_caption(self, caption: str) -> _Read:
        meaning = parse_meaning(caption)
        others: dict[str, list[str]] = {}
        for text, attribute in counterfactuals(caption):
            if attribute != "action":
                others.setdefault(attribute, []).append(text)
        return _Read(
            self._numbered_as(Frame.of(meaning)),
            tuple(self._numbered_as(event) for event in meaning.events),
            self._numbered_as(sameness(meaning)),
            tuple(tuple(texts) for texts in others.values()),
            exact_attributes(meaning),
        )

    def _numbered_as(self, thing: object) -> int:
        if thing not in self._number:
            self._number[thing] = len(self._numbered)
            self._numbered.append(thing)
        return self._number[thing]

    def _match_numbers(self, a: int, b: int) -> Match:
        return match_frames(self._numbered[a], self._numbered[b])

    def _clash_of_numbers(self, a: int, b: int, same_side: bool) -> bool:
        return bool(event_differences(self._numbered[a], self._numbered[b], same_side=same_side))


def _drawn(groups: tuple[tuple[str, ...], ...], rng: np.random.Generator) -> str | None:
    # Drawn for a caption without one as well, so that the draws of a row do not hang on the rows before it.
    group, one = rng.random(2)
    if not groups:
        return None
    chosen = groups[int(group * len(groups))]
    return chosen[int(one * len(chosen))]
