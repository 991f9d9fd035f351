"""The variable words of captions: numbers, how often, how fast."""

from dataclasses import dataclass

import numpy as np

from atm.motion.program import Action, Verb

_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_DIGITS_SHARE = 0.3
_SLOW, _FAST = ("slowly", "slowly", "slowly", "unhurriedly"), ("quickly", "quickly", "quickly", "rapidly")
_SLOW_PACE, _FAST_PACE = ("slowly", "slowly", "at a slow pace"), ("quickly", "fast", "rapidly", "at a fast pace")
_PACED: tuple[Verb, ...] = ("walk", "run", "clap")
"""Actions that go on at a pace, which one blow or one bow does not have."""


@dataclass(frozen=True)
class Detail:
    """How much of an action a phrase tells. The direction is always told."""

    number: bool = True
    """Counts, degrees and seconds."""
    speed: bool = True
    side: bool = True
    """Which hand or foot; left out, the number is, too."""


@dataclass(frozen=True)
class Words:
    """The variable words of one action, each draw of its own."""

    action: Action
    rng: np.random.Generator
    before: tuple[Action, ...] = ()
    """The actions before this one."""

    @property
    def after(self) -> Action | None:
        return self.before[-1] if self.before else None

    @property
    def again(self) -> bool:
        """Return whether the verb was there before."""
        return any(action.verb == self.action.verb for action in self.before)

    @property
    def n(self) -> str:
        return number(self.action.count or 1, self.rng)

    @property
    def times(self) -> str:
        return times(self.action.count or 1, self.rng)

    @property
    def vaguely(self) -> str:
        return vague_times(self.action.count or 1)

    @property
    def side(self) -> str:
        return str(self.action.side)

    def one_of(self, *options: str) -> str:
        return options[self.rng.integers(len(options))]


def number(value: int, rng: np.random.Generator) -> str:
    """Write a number as a word or in digits."""
    return _NUMBERS[value] if value < len(_NUMBERS) and rng.random() > _DIGITS_SHARE else str(value)


def times(count: int, rng: np.random.Generator) -> str:
    """Return how often, as an adverb."""
    if count == 1:
        return "once"
    if count == 2 and rng.random() < 0.7:
        return "twice"
    return f"{number(count, rng)} times"


def vague_times(count: int) -> str:
    """Return how often, as people say who did not count."""
    return {1: "once", 2: "a couple of times"}.get(count, "a few times" if count <= 5 else "several times")


def with_speed(said: str, action: Action, rng: np.random.Generator) -> str:
    """Return a phrase with how fast it is done, where that is not as usual."""
    # A sprint says it already.
    if action.speed == "normal" or "[sprint]" in said:
        return said
    slow, fast = (_SLOW_PACE, _FAST_PACE) if action.verb in _PACED else (_SLOW, _FAST)
    # Behind "and", "then" or "while" an adverb would belong to the last verb only.
    if any(word in said for word in (" and ", " while ", " then ")):
        return f"{'slowly' if action.speed == 'slow' else 'quickly'} {said}"
    adverbs = slow if action.speed == "slow" else fast
    adverb = adverbs[rng.integers(len(adverbs))]
    return f"{adverb} {said}" if adverb.endswith("ly") and rng.random() < 0.5 else f"{said} {adverb}"
