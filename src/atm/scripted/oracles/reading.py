"""Reading of a body over time: the single oracles put together into an ordered list of actions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from atm.motion.program import Direction, Path, Side, Speed, Verb
from atm.scripted.oracles.body import FPS, SIDES, Body, Span, rate, smooth, spans
from atm.scripted.oracles.flights import flights
from atm.scripted.oracles.hands import claps, hands_up, punches
from atm.scripted.oracles.kicks import kicks
from atm.scripted.oracles.pace import speed_of
from atm.scripted.oracles.posture import bows, changes
from atm.scripted.oracles.steps import Travel, heading_change, path_of, travels, turns

GROUP_SECONDS = 1.6
"""Repetitions with no more than this between them are one action done several times."""
BLOW_SECONDS = 0.3
"""A blow or a clap takes this long before and after the frame where it ends."""
GUARD_SECONDS = 0.6
"""Fists are up for so long before and after a punch."""
GUARD_SHARE = 0.5
"""Hands that are up while the body boxes, claps or jumps for this share of the time are a guard, not a gesture."""
DIP_FRAMES = 8
"""A body dips within 0.4 s of a flight to take off and to land; that is neither a crouch nor a bow."""
IN_TURN_SHARE = 0.6
"""Left and right punch in turn if the hand changes between this share of the blows; else one after the other."""
STAND_SECONDS = 0.8
"""Shortest pause that is a standing of its own."""
STAND_SPEED_M_S = 0.15
"""Pelvis of somebody who stands is slower than this."""

REPEATED = ("jump", "hop", "kick", "punch", "clap", "crouch", "bow", "raise_arms")
"""Verbs that come back to where they began, so that they can follow on themselves."""


@dataclass(frozen=True)
class Observed:
    """One action that the joints show; fields as in `atm.motion.program.Action`."""

    verb: Verb
    span: Span
    count: int | None = None
    side: Side | None = None
    direction: Direction | None = None
    path: Path | None = None
    degrees: float | None = None
    """Change of heading, >= 0; `side` or `direction` says which way."""
    speed: Speed | None = None
    """None: the verb has none, or a single repetition does not show it."""
    beats: tuple[float, ...] = ()
    """Frame of each repetition: a foot planted, a stroke furthest out, a blow, the middle of a flight."""

    def __str__(self) -> str:
        said = [str(part) for part in (self.speed, self.count, self.verb, self.path, self.direction, self.side) if part]
        if self.degrees is not None:
            said.append(f"{self.degrees:.0f}°")
        return " ".join(said) + f" ({self.span.start / FPS:.1f}-{self.span.end / FPS:.1f} s)"


@dataclass(frozen=True)
class Reading:
    """Actions that the joints of one motion show."""

    actions: tuple[Observed, ...]
    """In order of their beginning; repetitions are counted into one action."""

    def __str__(self) -> str:
        return ", then ".join(map(str, self.actions)) or "nothing but standing"


def read(joints: np.ndarray | Body) -> Reading:
    """Return what a body does, in order, from joint positions alone.

    Args:
        joints: (T, 22, 3) in metres, y up, 20 frames a second; one clip without padding.

    Raises:
        InputError: another shape, no frames, or numbers that are not finite.
    """
    body = Body.of(joints)
    return Reading(tuple(grouped(body, observe(body))))


def observe(joints: np.ndarray | Body) -> list[Observed]:
    """Return every single occurrence, in order: three jumps are three entries, a walk of five steps is one."""
    body = Body.of(joints)
    posture = changes(body)
    low = [change.span for change in posture]
    blows = _blows(body)
    kicking = [blow.span for blow in blows if blow.verb == "kick"]
    walks = [_walk(body, travel) for travel in travels(body, [span.trimmed(2) for span in low] + kicking)]
    walking = [walk.span for walk in walks]
    in_air = flights(body, walking)
    flying = [flight.span for flight in in_air]
    strikes = _strikes(body, blows, walking + flying)
    striking = [strike.span for strike in strikes]
    result = walks + strikes
    for flight in in_air:
        direction = "up" if flight.direction == "up" else "forward"
        middle = (flight.span.start + flight.span.end - 1) / 2
        result.append(Observed(flight.kind, flight.span, 1, flight.foot, direction, beats=(middle,)))
    result += [
        Observed(change.verb, change.span, 1)
        for change in posture
        if change.verb != "crouch" or not _dips(change.span, flying)
    ]
    for span, degrees in turns(body, walking + low + flying):
        way = "left" if degrees > 0 else "right"
        result.append(Observed("turn", span, direction=way, degrees=abs(degrees)))
    boxing = spans(_marked(body, [one.span for one in strikes if one.verb == "punch"], GUARD_SECONDS))
    result += _gestures(body, boxing + striking + flying)
    busy = walking + low + striking
    result += [
        Observed("bow", span, 1)
        for span in bows(body)
        if not any(span.inside(other) for other in busy) and not _dips(span, flying)
    ]
    result += _stands(body, [seen.span for seen in result])
    return sorted(result, key=lambda seen: seen.span)


def _marked(body: Body, marks: Sequence[Span], margin_seconds: float) -> np.ndarray:
    """Return true in the spans and for so long around them."""
    margin = round(margin_seconds * FPS)
    flags = np.zeros(len(body), bool)
    for span in marks:
        flags[max(0, span.start - margin) : span.end + margin] = True
    return flags


def _dips(span: Span, flying: Sequence[Span]) -> bool:
    """Return true for the dip before a take-off and after a landing."""
    return any(span.inside(Span(flight.start - DIP_FRAMES, flight.end + DIP_FRAMES)) for flight in flying)


def _walk(body: Body, travel: Travel) -> Observed:
    span = travel.span
    margin = round(0.3 * FPS)
    degrees = heading_change(body, Span(max(0, span.start - margin), min(len(body), span.end + margin)))
    path = path_of(degrees)
    return Observed(
        verb="run" if travel.runs else "walk",
        span=span,
        count=len(travel.footfalls),
        direction=travel.direction,
        path=path,
        side=None if path == "straight" else ("left" if degrees > 0 else "right"),
        degrees=None if path == "straight" else abs(degrees),
        beats=tuple(fall.land for fall in travel.footfalls),
    )


def _blows(body: Body) -> list[Observed]:
    return [
        Observed(verb, _around(body, frame), 1, SIDES[side], "forward", beats=(frame,))
        for verb, oracle in (("kick", kicks), ("punch", punches))
        for side in (0, 1)
        for frame in oracle(body, side)
    ]


def _strikes(body: Body, blows: Sequence[Observed], busy: Sequence[Span]) -> list[Observed]:
    """Return kicks, punches and claps. Fists that pass each other in boxing do not clap."""
    blows = [blow for blow in blows if not any(blow.span.inside(span) for span in busy)]
    meets = [Observed("clap", _around(body, frame), 1, beats=(frame,)) for frame in claps(body)]
    return blows + [clap for clap in meets if not any(clap.span.overlaps(blow.span) for blow in blows)]


def _around(body: Body, frame: int) -> Span:
    half = round(BLOW_SECONDS * FPS)
    return Span(max(0, frame - half), min(len(body), frame + half + 1))


def _gestures(body: Body, busy: Sequence[Span]) -> list[Observed]:
    """Return raising and waving; hands that are up because the body boxes or jumps do neither."""
    result = []
    for up in hands_up(body):
        if max((up.span.shared(span) for span in busy), default=0) > GUARD_SHARE * (up.span.end - up.span.start):
            continue
        verb, count = ("wave", len(up.strokes)) if up.strokes else ("raise_arms", up.raises)
        result.append(Observed(verb, up.span, count, up.side, beats=up.strokes))
    return result


def _stands(body: Body, busy: Sequence[Span]) -> list[Observed]:
    still = np.linalg.norm(rate(smooth(body.pelvis, 2.0)), axis=1) < STAND_SPEED_M_S
    still &= body.pelvis[:, 1] > 0.85 * body.standing_height
    for span in busy:
        still[max(0, span.start) : span.end] = False
    return [Observed("stand", span) for span in spans(still, min_seconds=STAND_SECONDS)]


def grouped(body: Body, seen: Sequence[Observed]) -> list[Observed]:
    """Return repetitions of one verb, side and direction counted together, with their pace; blows in turn become
    "both"."""
    result: list[Observed] = []
    for one in _in_turn(seen):
        again = next((i for i in range(len(result) - 1, -1, -1) if _repeats(result[i], one)), None)
        if again is None:
            result.append(one)
        else:
            result[again] = _joined([result[again], one])
    return [_with_speed(body, one) for one in result]


def _repeats(last: Observed, one: Observed) -> bool:
    same = (last.verb, last.side, last.direction) == (one.verb, one.side, one.direction)
    return same and one.verb in REPEATED and one.span.start - last.span.end <= GROUP_SECONDS * FPS


def _joined(parts: Sequence[Observed]) -> Observed:
    span = Span(parts[0].span.start, max(part.span.end for part in parts))
    beats = tuple(beat for part in parts for beat in part.beats)
    return replace(parts[0], span=span, count=sum(part.count or 0 for part in parts), beats=beats)


def _with_speed(body: Body, one: Observed) -> Observed:
    speed = speed_of(body, one.verb, one.span, beats=one.beats, direction=one.direction, degrees=one.degrees)
    return replace(one, speed=speed)


def _repeats(last: Observed, one: Observed) -> bool:
    same = (last.verb, last.side, last.direction) == (one.verb, one.side, one.direction)
    return same and one.verb in REPEATED and one.span.start - last.span.end <= GROUP_SECONDS * FPS


def _in_turn(seen: Sequence[Observed]) -> list[Observed]:
    """Return joins punches of one bout that change hands at every other blow or more often; their side is "both"."""
    bouts: list[list[Observed]] = []
    for blow in (one for one in seen if one.verb == "punch"):
        if not bouts or blow.span.start - bouts[-1][-1].span.end > GROUP_SECONDS * FPS:
            bouts.append([])
        bouts[-1].append(blow)
    result = [one for one in seen if one.verb != "punch"]
    for bout in bouts:
        changes_of_hand = sum(one.side != other.side for one, other in pairwise(bout))
        in_turn = changes_of_hand > 0 and changes_of_hand >= IN_TURN_SHARE * (len(bout) - 1)
        result += [replace(_joined(bout), side="both")] if in_turn else bout
    return sorted(result, key=lambda one: one.span)
