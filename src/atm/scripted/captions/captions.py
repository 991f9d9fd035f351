"""Captions of programs: English sentences from a small grammar, all of them true."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from atm.motion.program import Action, Program
from atm.scripted.captions.ellipsis import both_ways, elliptic
from atm.scripted.captions.phrases import phrase
from atm.scripted.captions.words import Detail, times, with_speed

Form = Literal["walks", "walking", "walk"]
"""How a verb stands in its clause, by example."""

_TRIES = 200
_DOUBLED = {"sit", "run", "hop", "get", "jog", "spin", "clap", "squat", "step", "sidestep", "put", "stop"}
_ELLIPTIC = 0.6
"""Share of like actions towards two sides that are said with one verb."""
_PAIRS = {("sit_down", "stand_up"), ("lie_down", "get_up")}
_WITH_THE_ARMS = {"wave", "raise_arms", "clap", "punch"}


@dataclass(frozen=True)
class Subject:
    """Who does it."""

    name: str
    pronoun: str = "they"
    owner: str = "their"

    @property
    def inside(self) -> str:
        """The name inside a sentence: only at its beginning do people write "person walks"."""
        return "a person" if self.name == "person" else self.name

    @property
    def form(self) -> Form:
        """The verb behind the name."""
        return "walk" if self.name == "they" else "walks"

    @property
    def is_doing(self) -> str:
        return f"{self.name} {'are' if self.name == 'they' else 'is'}"

    @property
    def begins(self) -> str:
        return f"{self.name} begin{'' if self.name == 'they' else 's'}"

    @property
    def after_pronoun(self) -> Form:
        return "walk" if self.pronoun == "they" else "walks"


_SUBJECTS = (
    [Subject("a person")] * 8
    + [Subject("the person")] * 3
    + [Subject("someone")] * 3
    + [Subject("a man", "he", "his")] * 3
    + [Subject("the man", "he", "his"), Subject("a woman", "she", "her"), Subject("the woman", "she", "her")]
    + [Subject("a figure", "it", "its"), Subject("the figure", "it", "its"), Subject("this person"), Subject("person")]
    + [Subject("somebody"), Subject("a human"), Subject("the individual"), Subject("a guy", "he", "his")]
    + [Subject("he", "he", "his"), Subject("she", "she", "her"), Subject("they"), Subject("a character")]
)
_ORDERED = 0.06
"""Share of sentences that tell somebody to do it: "walk forward and then wave"."""


def describe(program: Program, rng: np.random.Generator, n: int = 3) -> list[str]:
    """Return different captions of one program.

    One of them (not always the first) tells everything that the program says: what, how often, which side, which
    direction, how fast. Others may leave out numbers or the speed, as people do. Lower case, with or without a full
    stop.

    Args:
        program: any legal program.
        rng: draws among the ways to say it.
        n: how many, >= 1.
    """
    complete = int(rng.integers(n))
    captions: list[str] = []
    for i in range(n):
        for _ in range(_TRIES):
            caption = _sentence(program, rng, everything=i == complete)
            if caption not in captions:
                captions.append(caption)
                break
        else:
            raise ValueError(f"the grammar has fewer than {n} captions for {program.to_json()}")
    return captions


def _sentence(program: Program, rng: np.random.Generator, *, everything: bool) -> str:
    subject = _SUBJECTS[rng.integers(len(_SUBJECTS))]
    full = everything or rng.random() < 0.5
    clauses = [_clause(group, before, full, rng) for group, before in _groups(program.actions, rng)]
    if rng.random() < _ORDERED:
        said = _order(clauses, rng).replace("{their}", _one_of(rng, "your", "the", "your"))
    elif len(clauses) == 1:
        said = _alone(clauses[0], subject, rng)
    else:
        say = {2: _two, 3: _three}.get(len(clauses), _many)
        said = say(clauses, subject, rng)
    said = said.replace("{their}", subject.owner if subject.name in said else "their")
    return said + ("." if rng.random() < 0.4 else "")


def _one_of(rng: np.random.Generator, *ways: str) -> str:
    return ways[rng.integers(len(ways))]


@dataclass(frozen=True)
class Clause:
    """A verb phrase with slots, and whether the arms do it, so that it could go on while the body does more."""

    said: str
    with_the_arms: bool

    def __call__(self, form: Form) -> str:
        return re.sub(r"\[(\w+)\]", lambda verb: inflect(verb[1], form), self.said)


def _groups(
    actions: tuple[Action, ...], rng: np.random.Generator
) -> list[tuple[tuple[Action, ...], tuple[Action, ...]]]:
    """Return the actions, in groups of those that are said with one another: a pair like (sit_down, stand_up) that is
    done again and again, and an action that is done to one side and then to the other; and what came before each
    group."""
    groups, i = [], 0
    while i < len(actions):
        pair = actions[i : i + 2]
        again = 1
        if _undone(pair) and pair[0].speed == pair[1].speed:
            while actions[i + 2 * again : i + 2 * again + 2] == pair:
                again += 1
        size = 2 * again if again > 1 else 1
        if size == 1 and len(pair) == 2 and elliptic(*pair) and rng.random() < _ELLIPTIC:
            size = 2
        groups.append((actions[i : i + size], actions[:i]))
        i += size
    return groups


def _undone(pair: tuple[Action, ...]) -> bool:
    return tuple(action.verb for action in pair) in _PAIRS


def _clause(group: tuple[Action, ...], before: tuple[Action, ...], full: bool, rng: np.random.Generator) -> Clause:
    # Who leaves something out leaves out one thing more often than both, and the side seldom.
    left_out = rng.choice(["number", "speed", "both"], p=[0.45, 0.35, 0.2])
    detail = Detail(
        number=full or left_out == "speed", speed=full or left_out == "number", side=full or rng.random() < 0.88
    )
    if len(group) == 1:
        action = group[0]
        return Clause(phrase(action, detail, rng, before), action.verb in _WITH_THE_ARMS)
    first, second = group[:2]
    if not _undone(group[:2]):
        said = with_speed(both_ways(first, second, detail, rng), first, rng) if detail.speed else None
        return Clause(said or both_ways(first, second, detail, rng), first.verb in _WITH_THE_ARMS)
    # The speed is said once, for both.
    down = phrase(first, Detail(speed=detail.speed and first.speed != "normal"), rng)
    if detail.speed and first.speed != "normal":
        adverb = {"slow": "slowly", "fast": "quickly"}[first.speed]
        down = f"{adverb} {phrase(first, Detail(speed=False), rng)}"
    up = phrase(second, Detail(speed=False), rng, (first,))
    often = times(len(group) // 2, rng) if detail.number else "repeatedly"
    return Clause(f"{down} and {up} {often}", False)


def _alone(clause: Clause, subject: Subject, rng: np.random.Generator) -> str:
    ways = [f"{subject.name} {clause(subject.form)}"] * 7 + [f"{subject.is_doing} {clause('walking')}"] * 2
    return [*ways, clause("walking"), f"{subject.begins} to {clause('walk')}"][rng.integers(11)]


def _two(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    first, second = clauses
    name, own, pronoun, form = subject.name, subject.form, subject.pronoun, subject.after_pronoun
    ways = [
        f"{name} {first(own)} and then {second(own)}",
        f"{name} {first(own)}, then {second(own)}",
        f"{name} {first(own)} before {second('walking')}",
        f"after {first('walking')}, {subject.inside} {second(own)}",
        f"{name} {first(own)}, and after that {pronoun} {second(form)}",
        f"{name} first {first(own)} and then {second(own)}",
        f"{name} {first(own)}, then {pronoun} {second(form)}",
        f"{first('walking')}, then {second('walking')}",
        f"{subject.is_doing} {first('walking')} and then {second('walking')}",
        f"{name} {first(own)}. then {pronoun} {second(form)}",
        f"{name} {first(own)} then {second(own)}",
    ]
    # "waves and walks" would be both at once.
    if not first.with_the_arms and not second.with_the_arms:
        ways += [f"{name} {first(own)} and {second(own)}"] * 2
    return ways[rng.integers(len(ways))]


def _three(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    first, second, third = clauses
    name, own, pronoun, form = subject.name, subject.form, subject.pronoun, subject.after_pronoun
    ways = [
        f"{name} {first(own)}, {second(own)} and then {third(own)}",
        f"{name} {first(own)}, {second(own)} and {third(own)}",
        f"{name} {first(own)}, {second(own)}, and {third(own)}",
        f"{name} {first(own)}, then {second(own)} and finally {third(own)}",
        f"{name} {first(own)}, then {second(own)} and {third(own)}",
        f"{name} {first(own)}, then {second(own)}, then {third(own)}",
        f"{name} {first(own)} and then {second(own)} before {third('walking')}",
        f"after {first('walking')}, {subject.inside} {second(own)} and then {third(own)}",
        f"{name} first {first(own)}, then {second(own)}, and then {third(own)}",
        f"{name} {first(own)}, then {pronoun} {second(form)}, and after that {pronoun} {third(form)}",
        f"{name} {first(own)}. then {pronoun} {second(form)}. finally {pronoun} {third(form)}",
        f"{subject.is_doing} {first('walking')}, {second('walking')} and then {third('walking')}",
    ]
    return ways[rng.integers(len(ways))]


def _many(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    said = [clause(subject.form) for clause in clauses]
    most, last = said[:-1], said[-1]
    return _one_of(
        rng,
        f"{subject.name} {', then '.join(most)}, and finally {last}",
        f"{subject.name} {', '.join(most)} and {last}",
        f"{subject.name} {', '.join(most)}, and then {last}",
        f"{subject.name} {', then '.join(most)} and then {last}",
    )


def _order(clauses: list[Clause], rng: np.random.Generator) -> str:
    said = [clause("walk") for clause in clauses]
    if len(said) == 1:
        return said[0]
    together = _one_of(rng, ", then ", " and then ") if len(said) == 2 else ", "
    return _one_of(rng, f"{', '.join(said[:-1])} and then {said[-1]}", together.join(said), ", then ".join(said))


def inflect(verb: str, form: Form) -> str:
    """Return the third person ("walks"), the participle ("walking") or the verb as it is ("walk")."""
    if form == "walk":
        return verb
    if form == "walks":
        return f"{verb}es" if verb.endswith(("ch", "sh", "s", "o")) else f"{verb}s"
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    if verb == "lie":
        return "lying"
    return f"{verb.removesuffix('e') if verb.endswith('e') else verb}ing"
