"""Verbs, alone and with the words that make them another verb."""

from atm.meaning.reading import TRAVEL, CaptionReader
from atm.meaning.structure import Count
from atm.meaning.vocabulary import ACTION_OF, LIGHT, PARTS, PHASES, STEPS

_RETURN_VERBS = {"come", "stand", "get", "go", "rise", "return"}
_PLACING = {"put", "putt", "bring", "hold", "reach"}
"""Verbs that raise an arm where "up" stands behind them ("putting" is "putt" to the tagger)."""

_PATHS = {"curve": "curve", "veer": "curve", "circle": "circle"}
_MANNERS = {"position", "pose", "stance", "motion", "movement", "pace", "speed", "manner"}
"""Nouns that make a verb before them a way of doing something else: "at a walking pace"."""


def verb(r: CaptionReader, i: int, word: str) -> int | None:
    """Return a verb, with what belongs to it."""
    if r.classes[i] != "VERB":
        return None
    before = r.words[i - 1] if i else ""
    if word in STEPS and r.light:
        return None
    if before in ("without", "not"):
        return i + 1
    if r.words[i + 1] in STEPS and ACTION_OF.get(word) in ("walk", "run") and word not in STEPS:
        # "five running steps"
        number = r.number and Count(r.number.low, r.number.high, "step")
        r.begin(ACTION_OF[word], count=number)
        r.number = r.light = None
        return i + 2
    if r.words[i + 1] in _MANNERS and not (r.light and r.words[i + 1] in ("motion", "movement")):
        r.rest.add(word)
        return i + 2
    if word in PHASES or (word == "stop" and r.classes[i + 1] == "VERB"):
        return i + 1
    if word in _PATHS or (word == "bend" and before in ("that", "which")):
        _shape(r, _PATHS.get(word, "curve"))
        return i + 1
    after = _phrasal(r, i, word)
    if after is not None:
        return after
    r.resolve_light()
    if word in LIGHT:
        r.light, r.number = word, None
        return i + 1
    r.number = None
    action = ACTION_OF.get(word)
    r.begin(action or word, known=action is not None)
    if word in STEPS or word == "turn":
        r.drafts[-1].said["verb"] = word
    if word == "sprint":
        r.drafts[-1].said.setdefault("speed", "fast")
    if word == "jump" and r.words[i + 1] == "jack":
        r.drafts[-1].action = "jumping_jack"
        return i + 2
    return i + 1


def _shape(r: CaptionReader, path: str) -> None:
    """Apply a verb that gives the path of what is told ("runs forward while curving"), or of going anywhere."""
    r.resolve_light()
    r.number = None
    if r.drafts and r.drafts[-1].action in TRAVEL and r.link != "then":
        r.link = "first" if r.link == "while" else r.link
    else:
        r.begin("move")
    r.drafts[-1].said["path"] = path


def _phrasal(r: CaptionReader, i: int, word: str) -> int | None:
    """Return verbs whose meaning stands in the words behind them."""
    near, before = r.words[i + 1 : i + 4], r.words[i - 1] if i else ""
    behind = r.words[i + 1 : i + 5]
    up = "up" in near[:2] and (near[0] in ("up", "back"))
    feet = "foot" in behind and near[0] in ("to", "on", "onto", "back")
    last = r.drafts[-1] if r.drafts else None
    if word in _RETURN_VERBS and (up or feet) and last and last.action == "crouch" and r.link == "and":
        # Who squats comes up again; the count behind it is the squats'.
        r.link = "first"
        return i + 1 + behind.index("up" if up else "foot") + 1
    if (word in ("stand", "get") and (up or feet)) or word in ("rise", "arise"):
        r.begin("stand_up")
        return i + 1 + (behind.index("up" if up else "foot") + 1 if up or feet else 0)
    if word == "stand" and near[0] == "again":
        r.begin("stand_up")
        return i + 2
    if word == "back" and near[0] in ("up", "away"):
        r.begin("walk")
        r.say("direction", "backward")
        return i + 2
    if word in ("bring", "put") and "down" in behind and last and last.action == "raise":
        # Who raises an arm lowers it again.
        r.link = "first"
        return i + 1 + behind.index("down") + 1
    again = near[0] in ("it", "them", "again", "") or (last and "part" not in last.said)
    if word == "lower" and last and last.action == "raise" and r.link == "and" and again:
        r.link = "first"
        return i + 1
    if word in _PLACING and "up" in r.words[i : i + 6] and any(near in PARTS for near in behind):
        r.begin("raise")
        return i + 1
    if word == "wave" and before == "and" and last and last.action == "raise" and last.said.get("part") == "arm":
        last.action, r.link = "wave", "first"
        last.said.pop("count", None)
        return i + 1
    if word == "face" and last and last.action == "turn" and before == "to" and "other" in near:
        last.said.setdefault("degrees", 180.0)
        return i + 1 + near.index("other") + 2
    if word == "bow" and last and last.action == "bend":
        last.action, r.link = "bow", "first"
        return i + 1
    return None
