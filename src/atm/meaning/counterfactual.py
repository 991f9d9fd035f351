"""Captions that say one thing else: five steps instead of four, left instead of right, before instead of after."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from atm.meaning.compare import MeaningAttribute, differs
from atm.meaning.parser import parse_meaning
from atm.meaning.vocabulary import NUMBERS

_SWAPS = {
    "left": "right", "forward": "backward", "forwards": "backwards", "clockwise": "counterclockwise",
    "slowly": "quickly", "slow": "fast", "before": "after", "walks": "runs", "walking": "running", "walk": "run",
    "sits": "lies", "sitting": "lying", "sit": "lie", "squats": "bows", "squatting": "bowing", "squat": "bow",
    "jumps": "kicks", "jumping": "kicking", "jump": "kick", "waves": "claps", "waving": "clapping", "wave": "clap",
    "quarter": "half", "upward": "downward", "upwards": "downwards",
}  # fmt: skip
_ONE_WAY = {
    "straight ahead": "backward", "ahead": "backward", "back": "forward", "rapidly": "slowly", "fast": "slowly",
    "briskly": "slowly", "unhurriedly": "quickly", "jogs": "walks", "jogging": "walking", "jog": "walk",
    "sprints": "walks", "sprinting": "walking", "strolls": "runs", "crouches": "bows", "crouching": "bowing",
    "crouch": "bow", "punches": "claps", "punching": "clapping", "leaps": "kicks", "leaping": "kicking",
    "full turn": "half turn", "counter clockwise": "clockwise", "counter-clockwise": "clockwise",
    "steps": "jumps", "hops": "walks", "hopping": "walking", "kicks": "waves", "kicking": "waving", "raises": "claps",
}  # fmt: skip
_WORDS = _ONE_WAY | {b: a for a, b in _SWAPS.items()} | _SWAPS | {"fast": "slowly"}
_PLACES = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True)) + r")\b(?! jack)")
_ADVERBS = {"once": ["twice"], "twice": ["once", "three times"], "thrice": ["twice", "four times"]}
_DEGREES = {45: 90, 90: 180, 135: 45, 180: 90, 270: 90, 360: 180}
_MOST = 20
_NUMBER_WORDS = {value: word for word, value in NUMBERS.items() if value <= _MOST}
_COUNTED = re.compile(
    rf"\b(\d{{1,9}}|{'|'.join(w for w, n in NUMBERS.items() if n <= _MOST)})\b(?: ([a-z]+))?(?: ([a-z]+))?"
)
_TIMES = re.compile(r"\b(once|twice|thrice)\b")


class Counterfactual(NamedTuple):
    """A caption that is false of the motion that the original is true of."""

    text: str
    attribute: MeaningAttribute
    """The one thing that it says otherwise."""


def counterfactuals(caption: str) -> list[Counterfactual]:
    """Return the caption with one number, side, direction, speed, action or order exchanged, every way that is known.

    Only captions whose meaning contradicts the original's in exactly one attribute are given: what the exchange did
    is read back, so that "turns right away" is no turn to the right. Numbers become their neighbours.

    Returns:
        None for a caption that says nothing of that kind; no two alike.
    """
    text = caption.lower()
    meaning = parse_meaning(text)
    found: dict[str, Counterfactual] = {}
    for other in _exchanged(text):
        differences = differs(meaning, parse_meaning(other))
        if len(differences) == 1 and other not in found:
            found[other] = Counterfactual(other, differences[0].attribute)
    return list(found.values())


def _exchanged(text: str) -> Iterator[str]:
    for match in _PLACES.finditer(text):
        yield text[: match.start()] + _WORDS[match[0]] + text[match.end() :]
    for match in _TIMES.finditer(text):
        for word in _ADVERBS[match[0]]:
            yield text[: match.start()] + word + text[match.end() :]
    for match in _COUNTED.finditer(text):
        for said in _other_numbers(match):
            yield text[: match.start()] + said + text[match.end() :]


def _other_numbers(match: re.Match[str]) -> Iterator[str]:
    """Give the number and the two words behind it, with another number."""
    number = int(match[1]) if match[1].isdigit() else NUMBERS[match[1]]
    words = [word for word in (match[2], match[3]) if word]
    if "degrees" in words[:1]:
        if number in _DEGREES:
            yield " ".join([_like(match[1], _DEGREES[number]), *words])
        return
    if words and words[0].startswith(("second", "minute")):
        return
    for other in (number - 1, number + 1):
        if 1 <= other <= _MOST:
            yield " ".join([_like(match[1], other), *_agreeing(words, number, other)])


def _like(said: str, number: int) -> str:
    """Write a number in digits or in words, as it was."""
    return str(number) if said.isdigit() else _NUMBER_WORDS.get(number, str(number))


def _agreeing(words: list[str], before: int, after: int) -> list[str]:
    """Make "one step" and "two steps" agree: the noun is the first word that can be one."""
    if 1 not in (before, after):
        return words
    for k, word in enumerate(words):
        plural = word.endswith("s") and not word.endswith("ss")
        if after == 1 and plural:
            return [*words[:k], re.sub(r"(?<=[sc]h)es$|s$", "", word), *words[k + 1 :]]
        if before == 1 and re.fullmatch(r"step|time|jump|hop|kick|punch|squat|bow|clap|wave|circle|turn|spin", word):
            return [*words[:k], word + ("es" if word.endswith("ch") else "s"), *words[k + 1 :]]
    return words
