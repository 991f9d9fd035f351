"""Numbers, and the nouns that they are said of."""

from atm.meaning.reading import CaptionReader
from atm.meaning.structure import Count
from atm.meaning.vocabulary import (
    ACTION_NOUNS,
    ACTION_OF,
    ADVERBS_OF_NUMBER,
    LIGHT,
    NOUN_VERB,
    NUMBERS,
    STEPS,
    VAGUE,
)

_ENDLESS = {"walk", "run", "jog", "stroll", "sprint", "march"}
"""Nouns of actions that are not counted: "a run" is no one step."""


def quantity(r: CaptionReader, i: int, word: str) -> int | None:
    """Return how often, or a number that waits for its noun."""
    if word in ADVERBS_OF_NUMBER:
        low, high = ADVERBS_OF_NUMBER[word]
        _count(r, Count(low, high))
        return i + 1
    if word in NUMBERS or word == "hundred":
        value, after = _value(r, i)
        if word == "one" and r.words[after] in ("another", "after", "other", "by"):
            return after
        r.number = Count(value, value)
        return after
    if word in ("a", "an", "another", "single"):
        if r.words[i + 1] not in VAGUE:
            r.number = Count(1, 1)
        return i + 1
    if word in VAGUE:
        r.number = Count(*VAGUE[word])
        return i + (2 if r.words[i + 1] == "of" else 1)
    return None


def _value(r: CaptionReader, i: int) -> tuple[int, int]:
    """Return the number whose words begin at i, and the place behind it."""
    value = 0
    while (word := r.words[i]) in NUMBERS or word == "hundred" or _joins(r, i, value):
        if word == "hundred":
            value = max(value, 1) * 100
        elif word != "and":
            # "two three times" is two or three, no sum.
            if value % 100 and not (value % 10 == 0 and value % 100 >= 20 and NUMBERS[word] < 10):
                break
            value += NUMBERS[word]
        i += 1
    return value, i


def _joins(r: CaptionReader, i: int, value: int) -> bool:
    """Return the "and" of "a hundred and eighty"."""
    return r.words[i] == "and" and value >= 100 and value % 100 == 0 and r.words[i + 1] in NUMBERS


def _count(r: CaptionReader, count: Count) -> None:
    """Set a number of times: for the event that is told, and for one that it undoes ("sits and stands up twice")."""
    target = r.drafts[-1] if r.drafts else None
    waiting = target is None or (r.link in ("then", "while") and target.clause != r.clause)
    if waiting or (r.light and not r.drafts):
        r.ahead.setdefault("count", count)
        return
    if count.unit == "time" and target.action == "walk" and target.said.get("verb"):
        count = Count(count.low, count.high, "step")
    if "count" not in target.said:
        target.said["count"] = count
        before = r.drafts[-2] if len(r.drafts) > 1 else None
        pair = before and (before.action, target.action)
        if pair in (("sit", "stand_up"), ("lie", "stand_up"), ("raise", "lower")) and target.link == "and":
            before.said.setdefault("count", count)
            if "speed" in before.said:
                target.said.setdefault("speed", before.said["speed"])


def counted_noun(r: CaptionReader, i: int, word: str) -> int | None:
    """Return a noun that a number was said of, or that names an action itself."""
    number, noun = r.number, r.classes[i] in ("NOUN", "VERB", "ADJ")
    if word == "time" and number:
        r.number = None
        _count(r, number)
    elif word in ("second", "minute", "moment") and number:
        r.number = None
        if word != "moment" and r.current:
            r.say("count", Count(number.low, number.high, "second"))
    elif word == "degree" and number:
        r.number = None
        r.say("degrees", float(number.low))
    elif word in STEPS and _is_steps(r, i):
        _steps(r, i)
    elif word in ("circle", "lap", "loop") and (r.classes[i] == "NOUN" or number):
        _circle(r, i)
    elif word in ("curve", "arc", "semicircle", "bend", "corner") and r.classes[i] == "NOUN":
        r.say("path", "curve")
        r.number = None
    elif word == "uturn":
        r.ahead.setdefault("degrees", 180.0)
        r.begin("turn")
        r.light = None
    elif word == "seat" and r.light == "take":
        r.light = r.number = None
        r.begin("sit")
    elif noun and word in ACTION_NOUNS and r.words[i + 1] not in STEPS and _names_an_action(r, i):
        jack = word == "jump" and r.words[i + 1] == "jack"
        action = "jumping_jack" if jack else ACTION_OF[NOUN_VERB.get(word, word)]
        r.begin(action, count=None if word in _ENDLESS else number, merge=True)
        r.light = None
        return i + 1 + jack
    elif number and r.classes[i] == "NOUN":
        r.number = None
        return None
    else:
        return None
    return i + 1


def _is_steps(r: CaptionReader, i: int) -> bool:
    """Return a step that is made, not one of a staircase, and no verb; a pace is one only where it is counted."""
    if r.words[i] == "pace" and (r.number is None or r.number.low < 2):
        return False
    return r.number is not None or r.light is not None


def _steps(r: CaptionReader, i: int) -> None:
    number = r.number and Count(r.number.low, r.number.high, "step")
    told = r.current
    if told and told.action in ("walk", "run", "move") and told.said.get("direction", set()) & {"up", "down"}:
        number = None  # those of a staircase
    elif told and told.action in ("walk", "run") and r.link == "and" and not r.light and "count" in told.said:
        r.begin(told.action, count=number)  # "four steps back and two to the left"
    elif r.light or told is None or told.action not in ("walk", "run", "move", "jump", "hop", "turn"):
        r.begin("walk", count=number)
    elif told.action == "move":
        told.action = "walk"
    if number and r.drafts:
        r.drafts[-1].said.setdefault("count", number)
    r.number = r.light = None


def _circle(r: CaptionReader, i: int) -> None:
    number, r.number = r.number, None
    if r.current and r.current.action == "turn":
        r.say("degrees", 360.0)
        return
    r.say("path", "circle")
    if r.light and not r.current:
        r.begin("move")
    if number and number.low > 1:
        r.say("count", Count(number.low, number.high, "circle"))


def _names_an_action(r: CaptionReader, i: int) -> bool:
    """Return whether the noun at i says that something is done: not "in turn", not "a walking pace"."""
    word = r.words[i]
    if r.classes[i] == "NOUN" and word in ("turn", "place", "wave") and r.words[i - 1] == "in":
        return False
    if r.classes[i] == "VERB":
        return r.number is not None or (r.light is not None and word not in LIGHT)
    if r.words[i + 1] in ("motion", "movement", "position", "pose", "stance", "like", "pace"):
        return r.light is not None
    return r.light is not None or r.number is not None or r.link == "then"
