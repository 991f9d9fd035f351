"""From a caption to its meaning: one pass over the tagged words."""

from atm.meaning.connectives import connector, pause
from atm.meaning.counts import counted_noun, quantity
from atm.meaning.directions import body, left_or_right, manner, way
from atm.meaning.reading import CaptionReader
from atm.meaning.structure import Meaning
from atm.meaning.tokens import tokens_of
from atm.meaning.verbs import verb
from atm.meaning.vocabulary import EMPTY
from atm.text.words import Tagger

_READERS = (pause, connector, quantity, left_or_right, way, manner, body, counted_noun, verb)
"""Each reads the word at a place, with what belongs to it, and gives the next place; None: not its word."""
_NO_CONTENT = ("AUX", "PRON", "DET", "ADP", "NUM")


def parse_meaning(caption: str, tagger: Tagger = "lexicon") -> Meaning:
    """Return what a caption says is done: actions in their order, each with count, side, direction, speed, body part.

    For any English sentence about movement; never raises: what it does not understand stays in `rest`. A number that
    is not said is not guessed.

    Args:
        caption: one or more sentences.
        tagger: of `atm.text.tag_words`.
    """
    reading = CaptionReader(tokens_of(caption, tagger))
    i = 0
    while i < reading.size:
        i = max(_read(reading, i), i + 1)
    reading.resolve_light()
    reading.repeat_elliptic()
    return Meaning(tuple(reading.ordered()), frozenset(reading.rest))


def _read(reading: CaptionReader, i: int) -> int:
    """Read the word at i, with what belongs to it; the next place."""
    word = reading.words[i]
    for reader in _READERS:
        after = reader(reading, i, word)
        if after is not None:
            return after
    if word == "like":
        reading.rest.update(_simile(reading, i))
    elif word not in EMPTY and reading.classes[i] not in _NO_CONTENT:
        reading.rest.add(word)
    return i + 1


def _simile(reading: CaptionReader, i: int) -> set[str]:
    """Return what something is done like; "like a man" is a style, though "man" says nothing as a subject."""
    noun = next((reading.words[k] for k in range(i + 1, i + 4) if reading.classes[k : k + 1] == ["NOUN"]), "")
    return {f"like {noun}"}
