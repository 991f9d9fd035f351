"""Words with classes, numbers spelled out, pauses marked: what the parser reads."""

import re

from atm.meaning.vocabulary import NUMBERS
from atm.text.words import Tagger, tag_words

_BREAK = re.compile(r"[.,;:!?]+")
_DIGITS = re.compile(r"\d+")
_COUNTER = re.compile(r"\b(counter|anti)[ -]clock")
_TENS = {value: word for word, value in NUMBERS.items() if value >= 20}
_SMALL = {value: word for word, value in NUMBERS.items() if value < 20}

_PARTICIPLES = {"standing": "stand", "boxing": "box"}


def tokens_of(caption: str, tagger: Tagger) -> list[tuple[str, str]]:
    """Return words with classes, and "," for every pause."""
    text = _COUNTER.sub(r"\1clock", caption.lower())
    text = _DIGITS.sub(lambda match: _spelled(match[0]), text)
    tokens: list[tuple[str, str]] = []
    for piece in _BREAK.split(text):
        if tokens and piece.strip():
            tokens.append((",", "PAUSE"))
        tokens += _corrected([token.rsplit("/", 1) for token in tag_words(piece, tagger)])
    return tokens


def _corrected(tagged: list[list[str]]) -> list[tuple[str, str]]:
    """Return what the tagger takes for an adjective ("is standing") or an adverb ("they back up") and is a verb."""
    result = [("", ""), ("", "")]
    for word, name in tagged:
        # Not "brings it back".
        backs_up = word == "back" and result[-1][1] == "PRON" and result[-2][1] != "VERB"
        result.append((_PARTICIPLES.get(word, word), "VERB") if backs_up or word in _PARTICIPLES else (word, name))
    return result[2:]


def _spelled(digits: str) -> str:
    """Return a number below a thousand in words; a larger one as it is, which no word list knows."""
    number = int(digits) if len(digits) <= 3 else 1000
    if number >= 1000:
        return digits
    hundreds, below = divmod(number, 100)
    words = [_SMALL[hundreds], "hundred"] if hundreds else []
    if below >= 20:
        words.append(_TENS[below - below % 10])
        below %= 10
    if below or not words:
        words.append(_SMALL[below])
    return f" {' '.join(words)} "
