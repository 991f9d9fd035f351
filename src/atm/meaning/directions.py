"""Sides, directions, speeds and body parts."""

from atm.meaning.reading import TRAVEL, CaptionReader
from atm.meaning.structure import Count
from atm.meaning.vocabulary import ACTION_NOUNS, CLOCKS, DIRECTIONS, FRACTIONS, PARTS, SPEEDS

_POSTURE = {"sit", "lie", "crouch", "kneel", "stand", "stand_up", "bend", "bow", "raise", "lower", "lean"}
"""Actions whose "up" and "down" is part of the verb."""


def left_or_right(r: CaptionReader, i: int, word: str) -> int | None:
    """Return a side of the body, the way of a turn, or a direction."""
    if word not in ("left", "right"):
        return None
    following = r.words[i + 1]
    if following == "to" and r.words[i + 2] in ("left", "right", "side"):
        return i + 3  # "from left to right"
    if following == "away":
        return i + 2
    if following == "and" and r.words[i + 2] in ("left", "right"):
        if _part_at(r, i + 3):
            r.say("side", "both")
        else:
            r.say("direction", "left")
            r.say("direction", "right")
        return i + 3
    if following in ("turn", "spin", "rotation", "pivot", "curve", "circle", "quarter", "half", "uturn"):
        r.say("turning", word, ahead=r.light is not None or r.number is not None)
        return i + 1
    if _part_at(r, i + 1) or following in ("kick", "punch", "hook", "jab", "uppercut", "lunge"):
        # The arms of the verb that comes: "his left hand waves".
        r.say("side", word, ahead=following in ACTION_NOUNS)
        return i + 1
    before = r.words[i - 1] if i else ""
    with_it = before in ("with", "on") or (r.words[i - 2] in ("with", "on") if i > 1 else False)
    if with_it and following != "side" and before != "on":
        r.say("side", word)
        return i + 1
    told, last = r.current, r.drafts[-1] if r.drafts else None
    owner = before in ("his", "her", "their", "the") and r.words[i - 2] != "to"
    if last and r.link == "then" and "side" in last.said and owner:
        # "stretches his left arm, then his right"
        r.say("side", word)
        return i + 1
    if told and (told.action == "turn" or told.said.get("path") in ("curve", "circle")):
        told.said.setdefault("turning", word)
    else:
        r.say("direction", word)
    return i + 1


def _part_at(r: CaptionReader, i: int) -> bool:
    """Return whether a body part stands at i, behind adjectives."""
    while r.classes[i] == "ADJ" and r.words[i] not in PARTS:
        i += 1
    return r.words[i] in PARTS


def way(r: CaptionReader, i: int, word: str) -> int | None:
    """Return where it goes."""
    if word in CLOCKS:
        waits = r.words[i + 1] in ("circle", "turn", "spin", "rotation")
        r.say("turning", CLOCKS[word], ahead=waits and (r.light is not None or r.current is None))
        return i + 1
    if word == "back" and r.classes[i] != "VERB":
        return _back(r, i)
    if word == "circular":
        r.say("path", "circle")
        return i + 1
    if word in ("place", "spot") and r.words[i - 1] in ("in", "the") and r.current:
        if r.current.action in TRAVEL:
            r.say("direction", "place")
        return i + 1
    if word == "straight":
        if r.current and r.current.action in TRAVEL and r.words[i + 1] not in ("up", "down", "leg", "arm"):
            r.say("path", "straight")
        return i + 1
    if word in ("sideways", "sideway", "around"):
        turns = r.current and r.current.said.get("verb") == "turn"
        if word == "around" and turns and r.words[i + 1] not in ("in", "once", "twice"):
            r.current.said["around"] = True
        return i + 1
    direction = DIRECTIONS.get(word)
    if direction is None or r.classes[i] == "VERB":
        return None
    told = r.current
    if direction in ("up", "down") and (told is None or told.action not in TRAVEL or r.words[i + 1] == "to"):
        if told and told.action not in _POSTURE and told.known:
            r.say("direction", direction)
        return i + 1
    r.say("direction", direction, ahead=told is None)
    return i + 1


def _back(r: CaptionReader, i: int) -> int:
    """Return backward, unless it is a body part, a way home, or only says "again"."""
    told, following = r.current, r.words[i + 1]
    if told is None and r.drafts and r.words[i - 1] == "then" and following in ("", ",", "again"):
        r.say("direction", "backward", ahead=True)
    if following in ("and", "to", "up", "down", "on", "in", "into", "around", "where", "towards", "toward"):
        if following == "and" and r.words[i + 2] == "forth":
            for direction in ("forward", "backward"):
                r.say("direction", direction)
            return i + 3
        if following != "and" or told is None or "direction" in told.said:
            return i + 1
    turned = any(draft.action == "turn" and draft.faces_back for draft in r.drafts)
    if r.classes[i] == "ADV" and told and told.action in TRAVEL and not turned:
        r.say("direction", "backward")
    return i + 1


def manner(r: CaptionReader, i: int, word: str) -> int | None:
    """Return speeds, fractions of a turn, and both sides."""
    following = r.classes[i + 1]
    if word in SPEEDS:
        if following in ("VERB", "AUX") or (not r.drafts):
            r.ahead.setdefault("speed", SPEEDS[word])
        else:
            waits = r.light is not None
            r.say("speed", SPEEDS[word], ahead=waits)
        return i + 1
    if word in ("both", "alternate", "alternately", "alternating", "alternatingly", "alternative"):
        r.say("side", "both")
        return i + 1
    circled = r.words[i + 1] == "circle" and r.current and r.current.action != "turn" and not r.light
    if circled and word == "half":
        r.say("path", "curve")
        return i + 2
    if word in FRACTIONS and r.words[i + 1] in ("turn", "spin", "rotation", "circle", "quarter") and not circled:
        degrees = FRACTIONS[word]
        if r.words[i + 1] == "quarter" or (word == "quarter" and r.number and r.number.low == 3):
            degrees, r.number = 270.0, Count(1, 1)
        r.say("degrees", degrees, ahead=r.light is not None or r.current is None)
        return i + 1
    if word == "turn" and r.words[i - 1] == "in" and r.classes[i] != "VERB":
        r.say("side", "both")
        return i + 1
    return None


def body(r: CaptionReader, i: int, word: str) -> int | None:
    """Return what part of the body does it; "above the head" is a place."""
    part = PARTS.get(word)
    if part is None or (r.classes[i] == "VERB" and r.words[i - 1] not in ("alternate", "both", "two")):
        return None
    if r.number and r.number.low == 2 and r.number.exact:
        r.say("side", "both")
    r.number = None
    before = r.words[max(i - 3, 0) : i]
    if not {"above", "over", "overhead", "behind", "to", "against", "near", "at"} & set(before):
        r.say("part", part)
    return i + 1
