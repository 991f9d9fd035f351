"""Caption lines: what is in them, what is wrong, and the same line mended."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from atm.data.humanml3d import LONGEST_TIME, SUB_CAPTION_RATE
from atm.data.store import read_text
from atm.text import tag_words

LineFault = Literal["form", "blank", "unreadable", "untagged", "tokens", "foreign", "classes", "garbled", "times"]
UNUSABLE: tuple[LineFault, ...] = ("blank", "unreadable", "times")
"""Faults that no rewriting of a line takes away."""

# Universal part-of-speech tags, as spaCy gives them, and what the field's evaluator adds.
_CLASSES = frozenset(
    (
        "ADJ", "ADP", "ADV", "AUX", "CCONJ", "CONJ", "DET", "INTJ", "NOUN", "NUM", "OTHER", "PART", "PRON", "PROPN",
        "PUNCT", "SCONJ", "SPACE", "SYM", "VERB", "X",
    )
)  # fmt: skip
_GARBLED = re.compile(r"�|Ã.|â€|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STEM = 3
"""Letters by which a base form is recognised in its caption: "walk" in "walking"."""
_OWN = 1 / 3
"""Share of tokens that must be recognised, else they are another caption's. "goes" and "go" are not always alike."""


@dataclass(frozen=True)
class Line:
    """One line of a text file."""

    raw: str
    """As it stands in the file."""
    text: str
    words: tuple[str, ...]
    """`word/CLASS` tokens."""
    start: float
    end: float
    """Seconds; both 0: the whole motion."""
    well_formed: bool
    """The form is caption#word/CLASS ...#from#to; else the fields are what could be made out."""


@dataclass(frozen=True)
class Text:
    """A clip's text file."""

    lines: tuple[Line, ...]
    encoding: str
    """`utf-8`, or what the file was read as since it is none."""


def read_lines(file: Path) -> Text:
    """Return the captions of a file, in whatever encoding."""
    content, encoding = decoded(file)
    return Text(tuple(parse(line.strip()) for line in content.splitlines() if line.strip()), encoding)


def decoded(file: Path) -> tuple[str, str]:
    """Return a text file's content, and its encoding: `utf-8`, or what it was read as since it is none."""
    content = read_text(file)
    if content is not None:
        return content, "utf-8"
    data = file.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
    return data.decode(encoding, errors="replace"), encoding


def parse(raw: str) -> Line:
    """Return a line's fields; of one in another form, what can be made out."""
    parts = raw.split("#")
    if len(parts) == 4:
        times = [_seconds(part) for part in parts[2:]]
        if None not in times:
            return Line(raw, parts[0].strip(), tuple(parts[1].split()), *times, well_formed=True)
    fields = [part.strip() for part in parts if part.strip()]
    words = next((part.split() for part in fields[1:] if "/" in part), [])
    read = [_seconds(part.replace(",", ".")) for part in fields]
    text = " ".join(part for part, seconds in zip(fields, read, strict=True) if "/" not in part and seconds is None)
    times = [seconds for seconds in read[1:] if seconds is not None]
    start, end = times if len(times) == 2 else (0.0, 0.0)
    return Line(raw, text, tuple(words), start, end, well_formed=False)


def line_faults(line: Line, frames: int) -> Iterator[LineFault]:
    """Give what is wrong with a line that belongs to a clip of this many frames."""
    if not line.well_formed:
        yield "form"
    if not line.text:
        yield "blank"
        return
    if _GARBLED.search(line.text):
        yield "garbled"
    own = tag_words(line.text) if not re.search("[A-Za-z]{2}", line.text) else None
    if own == []:
        yield "unreadable"
        return
    if not line.words:
        yield "untagged"
    elif not all(_is_token(token) for token in line.words):
        yield "tokens"
    elif not _CLASSES.issuperset(token.partition("/")[2] for token in line.words):
        yield "classes"
    elif not _recognised(line):
        yield "foreign"
    if cut(line, frames) is None:
        yield "times"


def cut(line: Line, frames: int) -> tuple[int, int] | None:
    """Return first row of a line's part of the clip, and the row behind its last; None: it lies outside of the clip."""
    if not (line.start or line.end):
        return 0, frames
    start, end = int(line.start * SUB_CAPTION_RATE), int(line.end * SUB_CAPTION_RATE)
    return (start, end) if line.start >= 0 and start < min(end, frames) else None


def mended(line: Line, frames: int) -> Line | None:
    """Return the line as a reader wants it: well-formed, with its own words, and inside the clip. None: no caption is
    left."""
    text = " ".join(_GARBLED.sub(" ", line.text).replace("#", " ").split())
    line = replace(line, text=text)
    faults = set(line_faults(line, frames))
    if faults.intersection(UNUSABLE):
        return None
    if faults.intersection(("untagged", "tokens", "foreign", "classes")):
        line = replace(line, words=tuple(tag_words(text)))
    return replace(line, well_formed=True) if line.words else None


def _seconds(field: str) -> float | None:
    try:
        seconds = float(field)
    except ValueError:
        return None
    return min(max(seconds, -LONGEST_TIME), LONGEST_TIME) if math.isfinite(seconds) else 0.0


def _is_token(token: str) -> bool:
    word, slash, kind = token.partition("/")
    return bool(word and slash and kind) and "/" not in kind


def _recognised(line: Line) -> bool:
    """Return whether the tokens are those of the caption, by their first letters or as this package would tag them."""
    spoken = {word[:_STEM] for word in re.findall("[a-z]+|[0-9]+", line.text.lower().replace("-", ""))}
    tokens = [token.partition("/")[0].lower() for token in line.words]
    if _share(tokens, {*spoken}) >= _OWN:
        return True
    return _share(tokens, spoken | {token[:_STEM] for token in tag_words(line.text)}) >= _OWN


def _share(tokens: list[str], stems: set[str]) -> float:
    return sum(token[:_STEM] in stems for token in tokens) / len(tokens)
