"""How one event follows the other."""

from atm.meaning.reading import CaptionReader
from atm.meaning.vocabulary import SEQUENCE, TOGETHER


def pause(r: CaptionReader, i: int, word: str) -> int | None:
    """Return a comma or a full stop."""
    if word != ",":
        return None
    r.number = None
    _end_of_phrase(r, i)
    if r.opening is not None and r.drafts:
        r.link, r.opening = "then", None
    r.clause += 1
    return i + 1


def connector(r: CaptionReader, i: int, word: str) -> int | None:
    """Return and, then, before, after, while."""
    if word in ("and", "or", "but"):
        r.resolve_light()
        r.number = None
        _end_of_phrase(r, i)
        if r.link == "first" and r.drafts:
            r.link = "and"
        r.clause += 1
        return i + 1
    if word == "follow" and r.words[i + 1] == "by":
        word = "followed"
    if word not in SEQUENCE and word not in TOGETHER:
        return None
    following = r.words[i + 1]
    if word == "as" and (following in ("if", "though") or r.classes[i + 1] in ("ADJ", "ADV")):
        return i + 1
    if word == "until" and r.classes[i + 1] not in ("VERB", "PRON", "DET"):
        return i + 1
    if word == "next" and following in ("to", "time"):
        return i + 2
    r.resolve_light()
    r.repeat_elliptic()
    r.number = None
    r.clause += 1
    if word in TOGETHER:
        # "while walking, waves" is one time with what follows it.
        r.link = "while" if r.drafts else "first"
        return i + 1
    if r.drafts:
        r.link = "then"
    if word == "after" and following in ("that", "this", "which", "a", "one"):
        return i + (2 if following in ("that", "this", "which") else 1)
    if word == "after" and r.drafts and r.drafts[-1].clause != r.clause and r.words[i - 1] != ",":
        r.late = r.clause
    elif word in ("before", "after") and not r.drafts:
        r.opening = r.clause
        if word == "before":
            r.early = r.clause
    return i + (2 if word == "followed" and following == "by" else 1)


def _end_of_phrase(r: CaptionReader, i: int) -> None:
    """Tell "then the left hand,", which repeats the event before it, from "then, with the left hand,", which waits."""
    phrase = r.words[max(i - 5, 0) : i]
    if not {"with", "using", "on"} & set(phrase):
        r.repeat_elliptic()
