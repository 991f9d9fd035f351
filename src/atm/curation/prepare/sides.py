"""Captions of the mirrored motion: left for right, clockwise for counterclockwise."""

import re

_LEFT_RIGHT = r"\b(?:left|right)(?=(?:s|y|ward|wards|most|hand|handed|foot|footed|side|sided)?\b)"
_TURNS = r"\b(?:counter|anti)[\s-]?clockwise\b|\bclockwise\b"
_SWAPPED = re.compile(f"{_LEFT_RIGHT}|{_TURNS}", re.IGNORECASE)


def swap_sides(text: str) -> str:
    """Return the sentence with its sides exchanged; capitals stay.

    Source: our rule. The published data give the mirrored captions as files and the examples left -> right and
    clockwise -> counterclockwise. "left" is exchanged as a verb, too.
    """
    return _SWAPPED.sub(_other, text)


def swap_sides_of_line(line: str) -> str:
    """Return a line `caption#word/CLASS ...#from#to` of a text file, its words exchanged with the caption."""
    caption, words, *times = line.split("#")
    pairs = [word.rpartition("/") for word in words.split()]
    swapped = swap_sides(" ".join(word for word, _, _ in pairs)).split()
    if len(swapped) < len(pairs):
        # "counter clockwise" became one word: the class of the second stays.
        pairs = [
            pair
            for pair, (after, _, _) in zip(pairs, [*pairs[1:], ("", "", "")], strict=True)
            if not (pair[0] in ("counter", "anti") and after == "clockwise")
        ]
    tagged = [f"{word}/{name}" for word, (_, _, name) in zip(swapped, pairs, strict=True)]
    return "#".join([swap_sides(caption), " ".join(tagged), *times])


def _other(match: re.Match[str]) -> str:
    word = match.group()
    lower = word.lower()
    if lower in ("left", "right"):
        other = "right" if lower == "left" else "left"
    else:
        other = "counterclockwise" if lower == "clockwise" else "clockwise"
    return other.upper() if word.isupper() and len(word) > 1 else other.capitalize() if word[0].isupper() else other
