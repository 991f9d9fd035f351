"""Names of one action: verb phrases with slots, from which captions are put together.

In a phrase, `[walk]` is a verb that the sentence inflects and `{their}` is the owner of the hand. Every phrase is
true of its action; one with full detail also tells everything that the program says about it.
"""

from collections.abc import Callable

import numpy as np

from atm.motion.program import Action, Verb
from atm.scripted.captions.words import Detail, Words, number, with_speed


def phrase(action: Action, detail: Detail, rng: np.random.Generator, before: tuple[Action, ...] = ()) -> str:
    """Return one way to say what is done.

    Args:
        action: what is said.
        detail: how much of it.
        rng: draws among the ways.
        before: what was done before it: who sits "stands back up".
    """
    words = Words(action, rng, before)
    counted, plain = _PHRASES[action.verb]
    if not detail.side and action.verb in _NO_SIDE:
        ways = _NO_SIDE[action.verb](words)
    else:
        ways = counted(words) if detail.number else plain(words)
    said = ways[rng.integers(len(ways))]
    return with_speed(said, action, rng) if detail.speed else said


Ways = list[str]
_Describe = Callable[[Words], Ways]


def steps(w: Words, kind: str = "") -> str:
    """Return how many steps."""
    return f"{w.one_of('one', 'a')} {kind}step" if w.action.count == 1 else f"{w.n} {kind}steps"


def _vague(w: Words, kind: str = "") -> str:
    """Return how many steps, as people say who did not count."""
    count = w.action.count or 0
    if count <= 2:
        return f"a {kind}step" if count == 1 else f"a couple of {kind}steps"
    return f"a few {kind}steps" if count <= 5 else f"several {kind}steps"


def way(w: Words) -> str:
    """Return the direction, on a straight path."""
    direction = w.action.direction
    if direction in ("left", "right"):
        return w.one_of(
            f"to the {direction}", f"to the {direction}", f"sideways to the {direction}", f"to {{their}} {direction}"
        )
    if direction == "backward":
        return w.one_of("backward", "backwards", "back")
    return w.one_of("forward", "forward", "forwards", "straight ahead")


def _locomotion_counted(w: Words) -> Ways:
    go, along, told, taken = _go(w), way(w), steps(w), steps(w, _kind_of_step(w))
    if w.action.path == "circle":
        return [
            f"[{go}] {told} in a circle to the {w.side}",
            f"[{go}] {told} in a {_clock(w.side)} circle",
            f"[take] {taken} around a circle to the {w.side}",
            f"[{go}] a full circle to the {w.side} in {told}",
            f"[{go}] {_clock(w.side)} in a circle for {told}",
        ]
    if w.action.path == "curve":
        return [
            f"[{go}] {told} in a curve to the {w.side}",
            f"[{go}] {told} forward while curving to the {w.side}",
            f"[take] {taken} along a curve to the {w.side}",
            f"[{go}] forward for {told} while veering {w.side}",
        ]
    ways = [
        f"[{go}] {along} for {told}",
        f"[{go}] {told} {along}",
        f"[take] {taken} {along}",
        f"[take] {taken} {along}",
    ]
    if w.action.verb == "walk":
        ways += [
            f"[move] {told} {along}",
            f"[step] {told} {along}" if w.rng.random() < 0.3 else f"[walk] {along} {told}",
        ]
        if (w.action.count or 0) <= 3:
            ways.append(f"[step] {along} {w.times}")
        if w.action.direction == "backward":
            ways.append(f"[back] up {told}")
        if w.action.direction in ("left", "right"):
            side = w.action.direction
            ways += [f"[sidestep] {told} to the {side}", f"[sidestep] {side} {w.times}", f"[take] {taken} {side}"]
    return ways


def _locomotion_plain(w: Words) -> Ways:
    go, along, kind = _go(w), way(w), _kind_of_step(w)
    if w.action.path == "circle":
        return [
            f"[{go}] in a circle to the {w.side}",
            f"[{go}] around in a {_clock(w.side)} circle",
            f"[{go}] {_clock(w.side)} in a circle",
        ]
    if w.action.path == "curve":
        return [
            f"[{go}] in a curve to the {w.side}",
            f"[{go}] forward while curving to the {w.side}",
            f"[{go}] along a path that bends to the {w.side}",
            f"[{go}] forward and [veer] to the {w.side}",
        ]
    ways = [f"[{go}] {along}", f"[{go}] {along}", f"[{go}] {_vague(w)} {along}", f"[take] {_vague(w, kind)} {along}"]
    if w.action.verb == "walk" and w.action.direction == "backward":
        ways.append("[back] up")
    if w.action.verb == "walk" and w.action.direction in ("left", "right"):
        ways += [f"[sidestep] to the {w.action.direction}", f"[step] to the {w.action.direction}"]
    if w.action.verb == "walk" and w.action.direction == "forward":
        ways += [f"[{go}]", f"[{w.one_of('stroll', 'pace', 'march')}] forward"]
    if w.action.verb == "run" and w.action.direction == "forward":
        ways.append(f"[{go}]")
    return ways


def _go(w: Words) -> str:
    if w.action.verb == "walk":
        return "walk"
    if w.action.speed == "fast":
        return w.one_of("run", "run", "sprint")
    return w.one_of("run", "run", "jog")


def _kind_of_step(w: Words) -> str:
    """Return who "takes steps" walks, unless it is said."""
    return "" if w.action.verb == "walk" else "running "


def _clock(side: str) -> str:
    """Return seen from above."""
    return "counterclockwise" if side == "left" else "clockwise"


def _jump_counted(w: Words) -> Ways:
    count = w.action.count or 1
    if w.action.direction == "forward":
        return [
            f"[jump] forward {w.times}",
            f"[make] {w.n} {_many('jump', count)} forward",
            f"[leap] forward {w.times}",
        ]
    ways = [
        f"[jump] {w.times} in place",
        f"[jump] in place {w.times}",
        f"[jump] {w.times} on the spot",
        f"[do] {w.n} {_many('jump', count)} on the spot",
        f"[jump] straight up {w.times}",
    ]
    return [*ways, f"[jump] up and down {w.times}"] if count > 1 else [*ways, "[jump] up into the air once"]


def _jump_plain(w: Words) -> Ways:
    repeated = (w.action.count or 1) > 1
    if w.action.direction == "forward":
        ways = ["[jump] forward", "[leap] forward"]
        return [*ways, f"[jump] forward {w.vaguely}"] if repeated else ways
    return (
        ["[jump] up and down", "[jump] in place"]
        if repeated
        else ["[jump] up", "[jump] in place", "[jump] into the air"]
    )


def _hop_counted(w: Words) -> Ways:
    foot = w.one_of("foot", "leg")
    on = w.one_of(f"on {{their}} {w.side} {foot}", f"on the {w.side} {foot}")
    hops = _many("hop", w.action.count or 1)
    if w.action.direction == "forward":
        return [f"[hop] forward {w.times} {on}", f"[hop] forward {on} {w.times}", f"[make] {w.n} {hops} forward {on}"]
    return [f"[hop] {w.times} {on}", f"[hop] in place {on} {w.times}", f"[do] {w.n} {hops} on the spot {on}"]


def _hop_plain(w: Words) -> Ways:
    foot = w.one_of("foot", "leg")
    if w.action.direction == "forward":
        return [f"[hop] forward on {{their}} {w.side} {foot}"]
    return [f"[hop] on {{their}} {w.side} {foot}", f"[hop] in place on the {w.side} {foot}"]


_TURN_NAMES = {90.0: "a quarter turn", 180.0: "a half turn", 270.0: "a three quarter turn", 360.0: "a full turn"}


def _turn_counted(w: Words) -> Ways:
    side, degrees = str(w.action.direction), w.action.degrees or 0.0
    ways = [
        f"[turn] {degrees:g} degrees to the {side}",
        f"[turn] {side} by {degrees:g} degrees",
        f"[rotate] {degrees:g} degrees {_clock(side)}",
        f"[turn] {degrees:g} degrees {_clock(side)}",
    ]
    if degrees in _TURN_NAMES:
        ways += [f"[make] {_TURN_NAMES[degrees]} to the {side}", f"[do] {_TURN_NAMES[degrees]} {_clock(side)}"]
    if degrees == 180:
        ways += [f"[turn] around to the {side}"]
    if degrees == 360:
        ways += [f"[spin] around once to the {side}", f"[turn] in a full circle to the {side}"]
    return ways


def _turn_plain(w: Words) -> Ways:
    side = str(w.action.direction)
    ways = [f"[turn] to the {side}", f"[turn] {side}", f"[turn] to {{their}} {side}"]
    if w.action.degrees == 180:
        ways += ["[turn] around", "[turn] around", "[turn] to face the other way", "[turn] back"]
    if w.action.degrees == 360:
        ways += [f"[spin] around to the {side}", f"[turn] in a circle to the {side}", "[spin] around once"]
    if w.action.degrees == 45:
        ways += [f"[turn] slightly to the {side}", f"[turn] a little to the {side}"]
    return ways


def _sit_down(w: Words) -> Ways:
    if (w.action.count or 1) > 1:
        return [f"[sit] down {w.times}"]
    if w.again:
        return ["[sit] down again", "[sit] back down", "[sit] down"]
    return ["[sit] down", "[sit] down", "[take] a seat", "[sit] down on a chair", "[sit]", "[sit] on a chair"]


def _stand_up(w: Words) -> Ways:
    if (w.action.count or 1) > 1:
        return [f"[stand] up {w.times}"]
    if w.after and w.after.verb == "sit_down":
        return ["[stand] back up", "[stand] up again", "[get] back up", "[stand] up", "[get] up", "[rise]"]
    return ["[stand] up", "[stand] up", "[get] up from the seat", "[rise] to {their} feet", "[stand] up from a chair"]


def _lie_down(w: Words) -> Ways:
    if (w.action.count or 1) > 1:
        return [f"[lie] down {w.times}"]
    ways = ["[lie] down", "[lie] down on the floor", "[lie] down on the ground", "[lie] on the floor"]
    return [*ways, "[lie] down again"] if w.again else ways


def _get_up(w: Words) -> Ways:
    if (w.action.count or 1) > 1:
        return [f"[get] up from the floor {w.times}"]
    ways = ["[get] up from the floor", "[get] up off the ground", "[rise] from the floor"]
    if w.after:
        ways += ["[get] back up", "[get] back on {their} feet", "[stand] back up", "[get] up", "[rise] again"]
    return ways


def _crouch_counted(w: Words) -> Ways:
    if w.action.count in (None, 1):
        return ["[crouch] down once", "[squat] down once", "[do] one squat", "[squat] down and [come] back up"]
    return [
        f"[crouch] down {w.times}",
        f"[squat] {w.times}",
        f"[do] {w.n} squats",
        f"[squat] down and [come] back up {w.times}",
    ]


def _crouch_plain(w: Words) -> Ways:
    if w.action.count in (None, 1):
        return ["[crouch] down", "[squat] down", "[do] a squat", "[crouch] and [stand] back up"]
    return ["[do] squats", "[squat] down and [come] back up repeatedly", f"[crouch] down {w.vaguely}"]


def _kick_counted(w: Words) -> Ways:
    foot = w.one_of("foot", "leg")
    kicks = _many("kick", w.action.count or 1)
    return [
        f"[kick] {w.times} with {{their}} {w.side} {foot}",
        f"[kick] {{their}} {w.side} {foot} forward {w.times}",
        f"[kick] forward {w.times} with the {w.side} {foot}",
        f"[do] {w.n} {kicks} with {{their}} {w.side} {foot}",
        f"[give] {w.n} {kicks} with the {w.side} {foot}",
    ]


def _kick_plain(w: Words) -> Ways:
    foot = w.one_of("foot", "leg")
    return [
        f"[kick] with {{their}} {w.side} {foot}",
        f"[kick] {{their}} {w.side} {foot} forward",
        f"[kick] with the {w.side} {foot}",
        f"[kick] {w.one_of('a ball', 'something', 'the air')} with {{their}} {w.side} {foot}",
    ]


def _punch_counted(w: Words) -> Ways:
    hand = w.one_of("hand", "fist")
    punches = _many("punch", w.action.count or 1)
    if w.action.side == "both":
        return [
            f"[punch] {w.times} with alternating {hand}s",
            f"[throw] {w.n} {punches} with alternating {hand}s",
            f"[throw] {w.n} {punches} with both {hand}s in turn",
        ]
    return [
        f"[punch] {w.times} with {{their}} {w.side} {hand}",
        f"[throw] {w.n} {punches} with {{their}} {w.side} {hand}",
        f"[punch] forward {w.times} with the {w.side} {hand}",
        f"[throw] {w.n} {w.side} {punches}",
    ]


def _punch_plain(w: Words) -> Ways:
    hand = w.one_of("hand", "fist")
    if w.action.side == "both":
        return [f"[punch] with alternating {hand}s", f"[throw] punches with both {hand}s in turn"]
    return [
        f"[punch] with {{their}} {w.side} {hand}",
        f"[punch] forward with the {w.side} {hand}",
        f"[punch] {w.one_of('the air', 'something')} with the {w.side} {hand}",
    ]


def _wave_counted(w: Words) -> Ways:
    hand = _hand(w)
    ways = [f"[wave] {hand} {w.times}", f"[wave] {w.times} with {hand}"]
    return ways if w.action.side == "both" else [*ways, f"[raise] {hand} and [wave] {w.times}"]


def _wave_plain(w: Words) -> Ways:
    hand = _hand(w)
    to = w.one_of("", "", " to someone", " hello", " goodbye")
    ways = [f"[wave] {hand}", f"[wave]{to} with {hand}"]
    return ways if w.action.side == "both" else [*ways, f"[raise] {hand} and [wave]"]


def _hand(w: Words) -> str:
    part = w.one_of("hand", "hand", "arm")
    return f"both {part}s" if w.action.side == "both" else f"{{their}} {w.side} {part}"


def _raise_counted(w: Words) -> Ways:
    arm, it = _arm(w)
    if w.action.count in (None, 1):
        return [
            f"[raise] {arm} once",
            f"[lift] {arm} up once",
            f"[raise] {arm} and [lower] {it} again",
            f"[lift] {arm} above {{their}} head once",
        ]
    return [
        f"[raise] {arm} {w.times}",
        f"[lift] {arm} up {w.times}",
        f"[raise] {arm} above {{their}} head {w.times}",
        f"[raise] {arm} and [lower] {it} again {w.times}",
    ]


def _raise_plain(w: Words) -> Ways:
    arm, _ = _arm(w)
    if w.action.count in (None, 1):
        return [f"[raise] {arm}", f"[lift] {arm} over {{their}} head", f"[put] {arm} up in the air"]
    return [f"[raise] {arm} up and down", f"[raise] and [lower] {arm} repeatedly", f"[lift] {arm} over {{their}} head"]


def _arm(w: Words) -> tuple[str, str]:
    part = w.one_of("arm", "arm", "hand")
    return (f"both {part}s", "them") if w.action.side == "both" else (f"{{their}} {w.side} {part}", "it")


def _bow_counted(w: Words) -> Ways:
    if w.action.count in (None, 1):
        return ["[bow] once", "[take] a bow", "[bend] forward in a bow"]
    return [f"[bow] {w.times}", f"[take] {w.n} bows", f"[bend] forward and [bow] {w.times}"]


def _bow_plain(w: Words) -> Ways:
    return ["[bow]", "[bow] down"] if w.action.count in (None, 1) else ["[bow]", f"[bow] {w.vaguely}"]


def _clap_counted(w: Words) -> Ways:
    return [f"[clap] {w.times}", f"[clap] {{their}} hands {w.times}"]


def _clap_plain(w: Words) -> Ways:
    ways = ["[clap] {their} hands", "[clap]", "[clap] {their} hands together"]
    return [*ways, f"[clap] {w.vaguely}"] if (w.action.count or 1) > 1 else ways


def _stand_counted(w: Words) -> Ways:
    seconds = w.action.seconds
    if seconds is None or seconds != round(seconds):
        return _stand_plain(w)
    span = f"{number(round(seconds), w.rng)} {_many('second', round(seconds))}"
    return [
        f"[stand] still for {span}",
        f"[stand] in place for {span}",
        f"[{w.one_of('wait', 'pause', 'stop')}] for {span}" if w.after else f"[stand] still for {span}",
        f"[stand] for {span}",
    ]


def _stand_plain(w: Words) -> Ways:
    ways = ["[stand] still", "[stand] in place", "[stand] motionless"]
    if w.after:
        ways += ["[stop]", "[stand] there", "[wait]"]
        if (w.action.seconds or 9) < 3:
            ways += ["[pause] for a moment", "[pause]", "[stop] for a moment"]
    return ways


def _no_side(w: Words) -> Ways:
    """Return phrases that leave open which hand or foot."""
    repeated = (w.action.count or 1) > 1
    often = w.one_of("", f" {w.vaguely}") if repeated else ""
    return {
        "hop": [f"[hop] on one {w.one_of('foot', 'leg')}{often}"],
        "kick": [f"[kick]{often}", f"[kick] forward{often}", "[kick] repeatedly" if repeated else "[do] a kick"],
        "punch": [f"[punch]{often}", "[throw] punches" if repeated else "[throw] a punch", f"[punch] forward{often}"],
        "wave": [f"[wave]{often}", f"[wave]{w.one_of(' hello', ' goodbye', ' to someone')}{often}"],
        "raise_arms": [f"[raise] {w.one_of('arms', '{their} arms')}"]
        if w.action.side == "both"
        else [f"[raise] {w.one_of('one', 'an')} arm"],
    }[w.action.verb]


_NO_SIDE: dict[Verb, _Describe] = dict.fromkeys(("hop", "kick", "punch", "wave", "raise_arms"), _no_side)
"""How a verb is put without a side; the others always tell it."""


def _many(noun: str, count: int) -> str:
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith("ch") else f"{noun}s"


_PHRASES: dict[Verb, tuple[_Describe, _Describe]] = {
    "walk": (_locomotion_counted, _locomotion_plain),
    "run": (_locomotion_counted, _locomotion_plain),
    "jump": (_jump_counted, _jump_plain),
    "hop": (_hop_counted, _hop_plain),
    "turn": (_turn_counted, _turn_plain),
    "sit_down": (_sit_down, _sit_down),
    "stand_up": (_stand_up, _stand_up),
    "lie_down": (_lie_down, _lie_down),
    "get_up": (_get_up, _get_up),
    "crouch": (_crouch_counted, _crouch_plain),
    "kick": (_kick_counted, _kick_plain),
    "punch": (_punch_counted, _punch_plain),
    "wave": (_wave_counted, _wave_plain),
    "raise_arms": (_raise_counted, _raise_plain),
    "bow": (_bow_counted, _bow_plain),
    "clap": (_clap_counted, _clap_plain),
    "stand": (_stand_counted, _stand_plain),
}
"""How each verb is put with its number and without."""
