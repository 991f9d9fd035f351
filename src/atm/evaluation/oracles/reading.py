"""What a body does over time: the single oracles put together into an ordered list of actions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from atm.data.scripted.program import Direction, Path, Side, Speed, Verb
from atm.evaluation.oracles.body import FPS, SIDES, Body, Span, rate, smooth, spans
from atm.evaluation.oracles.flights import flights
from atm.evaluation.oracles.hands import claps, hands_up, punches
from atm.evaluation.oracles.kicks import kicks
from atm.evaluation.oracles.posture import bows, changes
from atm.evaluation.oracles.steps import Travel, heading_change, path_of, travels, turns

GROUP_SECONDS = 1.6
"""Repetitions with no more than this between them are one action done several times."""
BLOW_SECONDS = 0.3
"""A blow or a clap takes this long before and after the frame where it ends."""
GUARD_SHARE = 0.3
"""Hands that are up while the body strikes or claps for this share of the time are a guard, not a gesture."""
RUN_FLIGHT_SHARE = 0.4
"""Who runs is in flight in at least this share of the steps; who walks never is."""
RUN_SPEED_M_S = 2.1
"""Bodies change from walking to running at this speed; it decides where flights are too short to be seen."""
STAND_SECONDS = 0.8
"""Shortest pause that is a standing of its own."""
STAND_SPEED_M_S = 0.15
"""Pelvis of somebody who stands is slower than this."""

COUNTED = ("jump", "hop", "kick", "punch", "clap", "crouch", "bow", "raise_arms", "sit_down", "stand_up", "lie_down")
COUNTED += ("get_up",)
"""Verbs whose single occurrences are counted by grouping."""


@dataclass(frozen=True)
class Observed:
    """One action that the joints show; fields as in `atm.data.scripted.program.Action`."""

    verb: Verb
    span: Span
    count: int | None = None
    side: Side | None = None
    direction: Direction | None = None
    path: Path | None = None
    degrees: float | None = None
    """Change of heading, >= 0; `side` or `direction` says which way."""
    speed: Speed | None = None

    def __str__(self) -> str:
        said = [str(part) for part in (self.count, self.verb, self.path, self.direction, self.side) if part]
        if self.degrees is not None:
            said.append(f"{self.degrees:.0f}°")
        return " ".join(said) + f" ({self.span.start / FPS:.1f}-{self.span.end / FPS:.1f} s)"


@dataclass(frozen=True)
class Reading:
    """What the joints of one motion show."""

    actions: tuple[Observed, ...]
    """In order of their beginning; repetitions are counted into one action."""

    def __str__(self) -> str:
        return ", then ".join(map(str, self.actions)) or "nothing but standing"


def read(joints: np.ndarray | Body) -> Reading:
    """What a body does, in order, from joint positions alone.

    Args:
        joints: (T, 22, 3) in metres, y up, 20 frames a second; one clip without padding.

    Raises:
        InputError: another shape, no frames, or numbers that are not finite.
    """
    return Reading(tuple(grouped(observe(joints))))


def observe(joints: np.ndarray | Body) -> list[Observed]:
    """Every single occurrence, in order: three jumps are three entries, a walk of five steps is one."""
    body = Body.of(joints)
    in_air = flights(body)
    posture = changes(body)
    jumps = [flight for flight in in_air if flight.kind in ("jump", "hop")]
    low = [change.span for change in posture]
    found = travels(body, [flight.span for flight in jumps] + _merged_low(body, low))
    walks = [_walk(body, travel, in_air) for travel in found]
    walking = [walk.span for walk in walks]
    result = walks
    for flight in jumps:
        if not _inside(flight.span, [w.span for w in walks if w.verb == "run"]):
            direction = "up" if flight.direction == "up" else "forward"
            result.append(Observed(flight.kind, flight.span, 1, flight.foot, direction))
    for change in posture:
        if change.verb == "crouch" and _near_flight(change.span, jumps):
            continue
        result.append(Observed(change.verb, change.span, 1))
    for span, degrees in turns(body, walking + low):
        way = "left" if degrees > 0 else "right"
        result.append(Observed("turn", span, direction=way, degrees=abs(degrees)))
    blows = _blows(body, walking)
    result += blows
    result += _hand_actions(body, [blow.span for blow in blows])
    busy = walking + low + [flight.span for flight in jumps] + [blow.span for blow in blows]
    result += [Observed("bow", span, 1) for span in bows(body) if not _inside(span, busy)]
    result += _stands(body, [seen.span for seen in result])
    return sorted(result, key=lambda seen: seen.span)


def _inside(span: Span, others: Iterable[Span]) -> bool:
    """True if a third of the span is shared with one of the others."""
    return any(span.shared(other) * 3 > span.end - span.start for other in others)


def _merged_low(body: Body, low: Sequence[Span]) -> list[Span]:
    """Spans without the frames at their edges, in which the last step ends and the first one begins."""
    return [Span(span.start + 2, max(span.start + 2, span.end - 2)) for span in low]


def _near_flight(span: Span, jumps: Sequence) -> bool:
    """True for the dip before a take-off and after a landing."""
    wide = Span(span.start - 6, span.end + 6)
    return any(wide.overlaps(flight.span) for flight in jumps)


def _walk(body: Body, travel: Travel, in_air: Sequence) -> Observed:
    span = travel.span
    steps = len(travel.footfalls)
    seconds = max(span.seconds, 1 / FPS)
    strides = sum(flight.kind == "stride" and span.overlaps(flight.span) for flight in in_air)
    ground = np.linalg.norm(body.pelvis[span.end - 1, [0, 2]] - body.pelvis[span.start, [0, 2]])
    runs = strides >= RUN_FLIGHT_SHARE * steps or ground / seconds > RUN_SPEED_M_S
    degrees = heading_change(body, span)
    path = path_of(degrees)
    return Observed(
        verb="run" if runs else "walk",
        span=span,
        count=steps,
        direction=travel.direction,
        path=path,
        side=None if path == "straight" else ("left" if degrees > 0 else "right"),
        degrees=None if path == "straight" else abs(degrees),
    )


def _blows(body: Body, walking: Sequence[Span]) -> list[Observed]:
    half = round(BLOW_SECONDS * FPS)
    result = []
    for verb, side, frames in (
        *(("kick", side, kicks(body, side)) for side in (0, 1)),
        *(("punch", side, punches(body, side)) for side in (0, 1)),
        ("clap", None, claps(body)),
    ):
        for frame in frames:
            span = Span(max(0, frame - half), min(len(body), frame + half + 1))
            name = None if side is None else SIDES[side]
            result.append(Observed(verb, span, 1, name, "forward" if side is not None else None))
    return result


def _hand_actions(body: Body, blows: Sequence[Span]) -> list[Observed]:
    """Raising and waving; a guard that is up while the body boxes or claps is neither."""
    result = []
    for up in hands_up(body):
        striking = sum(up.span.shared(blow) for blow in blows)
        if striking > GUARD_SHARE * (up.span.end - up.span.start):
            continue
        if up.waves:
            result.append(Observed("wave", up.span, up.waves, up.side))
        else:
            result.append(Observed("raise_arms", up.span, 1, up.side))
    return result


def _stands(body: Body, busy: Sequence[Span]) -> list[Observed]:
    still = np.linalg.norm(rate(smooth(body.pelvis, 2.0)), axis=1) < STAND_SPEED_M_S
    still &= body.pelvis[:, 1] > 0.85 * body.standing_height
    for span in busy:
        still[max(0, span.start) : span.end] = False
    return [Observed("stand", span) for span in spans(still, min_seconds=STAND_SECONDS)]


def grouped(seen: Sequence[Observed]) -> list[Observed]:
    """Repetitions of one verb, side and direction counted together; left and right blows in turn become "both"."""
    result: list[Observed] = []
    for one in seen:
        if result and _repeats(result[-1], one):
            last = result[-1]
            span = Span(last.span.start, max(last.span.end, one.span.end))
            result[-1] = replace(last, span=span, count=last.count + one.count)
        else:
            result.append(one)
    return _in_turn(result)


def _repeats(last: Observed, one: Observed) -> bool:
    same = (last.verb, last.side, last.direction) == (one.verb, one.side, one.direction)
    return same and one.verb in COUNTED and one.span.start - last.span.end <= GROUP_SECONDS * FPS


def _in_turn(actions: list[Observed]) -> list[Observed]:
    """Joins punches that go left, right, left, ... one each."""
    result: list[Observed] = []
    for one in actions:
        last = result[-1] if result else None
        if (
            last is not None
            and last.verb == one.verb == "punch"
            and one.count == 1
            and (last.count == 1 or last.side == "both")
            and last.side != one.side
            and one.span.start - last.span.end <= GROUP_SECONDS * FPS
        ):
            result[-1] = replace(last, span=Span(last.span.start, one.span.end), count=last.count + 1, side="both")
        else:
            result.append(one)
    return result
