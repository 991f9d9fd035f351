"""Captions of programs: English sentences from a small grammar, all of them true."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from atm.motion.program import Action, Program
from atm.scripted.captions.phrases import Detail, phrase, times

Form = Literal["walks", "walking", "walk"]
"""How a verb stands in its clause, by example."""

_TRIES = 200
_DOUBLED = {"sit", "run", "hop", "get", "jog", "spin", "clap", "squat", "step", "sidestep", "put"}
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
    def after_pronoun(self) -> Form:
        return "walk" if self.pronoun == "they" else "walks"


_SUBJECTS = (
    [Subject("a person")] * 8
    + [Subject("the person")] * 3
    + [Subject("someone")] * 3
    + [Subject("a man", "he", "his")] * 3
    + [Subject("the man", "he", "his"), Subject("a woman", "she", "her"), Subject("the woman", "she", "her")]
    + [Subject("a figure", "it", "its"), Subject("the figure", "it", "its"), Subject("this person"), Subject("person")]
    + [Subject("somebody"), Subject("a human")]
)


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
    clauses = [_clause(group, before, full, rng) for group, before in _groups(program.actions)]
    if len(clauses) == 1:
        said = _alone(clauses[0], subject, rng)
    else:
        say = {2: _two, 3: _three}.get(len(clauses), _many)
        said = say(clauses, subject, rng)
    said = said.replace("{their}", subject.owner if subject.name in said else "their")
    return said + ("." if rng.random() < 0.4 else "")


@dataclass(frozen=True)
class Clause:
    """A verb phrase with slots, and whether the arms do it, so that it could go on while the body does more."""

    said: str
    with_the_arms: bool

    def __call__(self, form: Form) -> str:
        return re.sub(r"\[(\w+)\]", lambda verb: inflect(verb[1], form), self.said)


def _groups(actions: tuple[Action, ...]) -> list[tuple[tuple[Action, ...], Action | None]]:
    """Return the actions, with a pair like (sit_down, stand_up) that is done again and again as one group; and what
    came before each group."""
    groups, i = [], 0
    while i < len(actions):
        before = actions[i - 1] if i else None
        pair = actions[i : i + 2]
        again = 1
        if tuple(action.verb for action in pair) in _PAIRS and pair[0].speed == pair[1].speed:
            while actions[i + 2 * again : i + 2 * again + 2] == pair:
                again += 1
        size = 2 * again if again > 1 else 1
        groups.append((actions[i : i + size], before))
        i += size
    return groups


def _clause(group: tuple[Action, ...], before: Action | None, full: bool, rng: np.random.Generator) -> Clause:
    # Who leaves something out leaves out one thing more often than both.
    left_out = rng.choice(["number", "speed", "both"], p=[0.45, 0.35, 0.2])
    detail = Detail(number=full or left_out == "speed", speed=full or left_out == "number")
    if len(group) == 1:
        action = group[0]
        return Clause(phrase(action, detail, rng, before), action.verb in _WITH_THE_ARMS)
    down, up = group[:2]
    # The speed is said once, for both.
    first = phrase(down, Detail(speed=detail.speed and down.speed != "normal"), rng)
    if detail.speed and down.speed != "normal":
        adverb = {"slow": "slowly", "fast": "quickly"}[down.speed]
        first = f"{adverb} {phrase(down, Detail(speed=False), rng)}"
    second = phrase(up, Detail(speed=False), rng, down)
    often = times(len(group) // 2, rng) if detail.number else "repeatedly"
    return Clause(f"{first} and {second} {often}", False)


def _alone(clause: Clause, subject: Subject, rng: np.random.Generator) -> str:
    ways = [f"{subject.name} {clause('walks')}"] * 6 + [f"{subject.name} is {clause('walking')}"] * 2
    return [*ways, clause("walking")][rng.integers(9)]


def _two(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    first, second = clauses
    name, pronoun, form = subject.name, subject.pronoun, subject.after_pronoun
    ways = [
        f"{name} {first('walks')} and then {second('walks')}",
        f"{name} {first('walks')}, then {second('walks')}",
        f"{name} {first('walks')} before {second('walking')}",
        f"after {first('walking')}, {subject.inside} {second('walks')}",
        f"{name} {first('walks')}, and after that {pronoun} {second(form)}",
        f"{name} first {first('walks')} and then {second('walks')}",
        f"{name} {first('walks')}, then {pronoun} {second(form)}",
        f"{first('walking')}, then {second('walking')}",
    ]
    # "waves and walks" would be both at once.
    if not first.with_the_arms and not second.with_the_arms:
        ways.append(f"{name} {first('walks')} and {second('walks')}")
    return ways[rng.integers(len(ways))]


def _three(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    first, second, third = clauses
    name, pronoun, form = subject.name, subject.pronoun, subject.after_pronoun
    ways = [
        f"{name} {first('walks')}, {second('walks')} and then {third('walks')}",
        f"{name} {first('walks')}, then {second('walks')} and finally {third('walks')}",
        f"{name} {first('walks')} and then {second('walks')} before {third('walking')}",
        f"after {first('walking')}, {subject.inside} {second('walks')} and then {third('walks')}",
        f"{name} first {first('walks')}, then {second('walks')}, and then {third('walks')}",
        f"{name} {first('walks')}, then {pronoun} {second(form)}, and after that {pronoun} {third(form)}",
    ]
    return ways[rng.integers(len(ways))]


def _many(clauses: list[Clause], subject: Subject, rng: np.random.Generator) -> str:
    said = [clause("walks") for clause in clauses]
    return f"{subject.name} {', then '.join(said[:-1])}, and finally {said[-1]}"


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
