"""Plans that keep to what a sentence is read to ask.

A model that plans reads a sentence by a network, which generalises, and errs. Where the exact reader (`atm.meaning`)
reads all that a sentence asks, and all of it is actions that the model has plans of, the plan must have these actions;
the model adds what the sentence leaves open, and how long it takes (ours). Motions for people are made this way;
`atm evaluate`, `study` and `compare` judge the network alone.
"""

from typing import Any

from jaxtyping import Int
from torch import Tensor

from atm.interface import Generator
from atm.motion import Motion
from atm.motion.program import Program, Timeline
from atm.scripted.asked import asked_of


class AsRead:
    """A generator whose plans have the actions that a sentence is read to ask."""

    def __init__(self, generator: Generator):
        """Wrap a generator that plans."""
        self.generator = generator
        self.config, self.normaliser = generator.config, generator.normaliser
        self.capabilities = generator.capabilities

    def plan(self, text: list[str], lengths: Int[Tensor, "B"] | None = None, *, seeds: list[int]) -> list[Timeline]:
        """Return what `sample` makes of each sentence, and when; empty where there is no plan of it."""
        return self.generator.plan(text, lengths, seeds=seeds, programs=[program_as_read(one) for one in text])

    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"] | None = None,
        *,
        seeds: list[int],
        timelines: list[Timeline | None] | None = None,
        **options: Any,
    ) -> Motion:
        """Return one motion per sentence, see the generator's own; timelines that are given stand."""
        if timelines is None:
            timelines = [plan or None for plan in self.plan(text, lengths, seeds=seeds)]
        return self.generator.sample(text, lengths, seeds=seeds, timelines=timelines, **options)


def as_read(generator: Generator) -> Generator | AsRead:
    """Return the generator with plans as sentences are read, where it plans at all."""
    return AsRead(generator) if generator.capabilities.plans else generator


def program_as_read(sentence: str) -> Program | None:
    """Return the actions that a sentence asks for one after the other; None where some of it was not read."""
    asked = asked_of(sentence)
    return None if asked.unread or not asked.ordered else asked.program
