"""When the body leaves the ground: jumps from both feet, hops on one. The flights of running are steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from atm.motion.program import Direction, Side
from atm.scripted.oracles.body import FPS, JITTER_FREE_M, SIDES, Body, Span, direction_of, rate, smooth
from atm.scripted.oracles.peaks import find_peaks
from atm.scripted.oracles.steps import travels

FALL_M_S2 = 4.0
"""In flight the centre of mass falls at 9.81 m/s²; a warped, low-passed or clumsy one at this much at least."""
FALL_FILTER_FRAMES = 1.0
FLIGHT_RISE_M = 0.04
"""The centre of mass rises by this much to the top of a flight."""
FLIGHT_CLEARANCE_M = 0.025
"""Both soles are higher than this at the top of a flight."""
FLIGHT_REACH_SECONDS = 0.4
"""Take-off and landing are looked for within this of the top."""
ONE_FOOT_M = 0.07
"""One sole is higher than the other by this much when only the other foot takes off or lands."""
CONTACT_FRAMES = 2
"""Take-off and landing are judged by so many frames before and after a flight (0.1 s)."""
FORWARD_M = 0.15
"""The centre of mass travels at least this far in the flight of a forward jump."""


@dataclass(frozen=True)
class Flight:
    """Both feet are off the ground."""

    kind: Literal["jump", "hop"]
    """From both feet, or on one."""
    span: Span
    foot: Side | None
    """Foot hopped on."""
    direction: Direction
    """up, or where the flight goes."""


def flights(body: Body, walking: Sequence[Span]) -> list[Flight]:
    """Return every jump and hop, in order.

    Args:
        body: joints.
        walking: spans of walking and running; flights in there are strides.
    """
    height = body.mass_centre[:, 1]
    if body.jitter > JITTER_FREE_M:
        height = smooth(height, FALL_FILTER_FRAMES / 2)
    fall = -rate(rate(smooth(height, FALL_FILTER_FRAMES)))
    tops = find_peaks(height, prominence=FLIGHT_RISE_M).frames
    result = []
    for top in tops.tolist():
        near = slice(max(0, top - 1), top + 2)
        if fall[near].max() < FALL_M_S2 or body.clearance[:, near].min(0).max() < FLIGHT_CLEARANCE_M:
            continue
        flight = _flight(body, top)
        if not any(flight.span.inside(span) for span in walking):
            result.append(flight)
    return result


def _flight(body: Body, top: int) -> Flight:
    off = body.clearance.min(0) > FLIGHT_CLEARANCE_M
    reach = round(FLIGHT_REACH_SECONDS * FPS)
    start = end = top
    while start > max(0, top - reach) and off[start - 1]:
        start -= 1
    while end < min(len(body) - 1, top + reach) and off[end + 1]:
        end += 1
    span = Span(start, end + 1)
    leaving = _lower_foot(body, Span(max(0, start - CONTACT_FRAMES), start))
    landing = _lower_foot(body, Span(end + 1, min(len(body), end + 1 + CONTACT_FRAMES)))
    one_foot = leaving is not None and leaving == landing
    kind, foot = ("hop", SIDES[leaving]) if one_foot else ("jump", None)
    return Flight(kind, span, foot, _direction(body, span))


def _lower_foot(body: Body, span: Span) -> int | None:
    """Return the foot that alone is on the ground; None: both are, or the clip has ended."""
    if span.end <= span.start:
        return None
    left, right = body.clearance[:, span.start : span.end].mean(1)
    if abs(left - right) < ONE_FOOT_M:
        return None
    return 0 if left < right else 1


def _direction(body: Body, span: Span) -> Direction:
    first, last = max(0, span.start - 1), min(len(body) - 1, span.end)
    gone = (body.mass_centre[last] - body.mass_centre[first])[[0, 2]]
    if np.linalg.norm(gone) < FORWARD_M:
        return "up"
    return direction_of(np.array([gone @ body.left[first], gone @ body.ahead[first]]))


def count_jumps(joints: np.ndarray | Body) -> int:
    """Return flights from both feet to both feet."""
    return sum(flight.kind == "jump" for flight in _flights_of(joints))


def count_hops(joints: np.ndarray | Body) -> dict[str, int]:
    """Return flights on the left foot and on the right foot alone."""
    found = _flights_of(joints)
    return {side: sum(f.kind == "hop" and f.foot == side for f in found) for side in ("left", "right")}


def _flights_of(joints: np.ndarray | Body) -> list[Flight]:
    body = Body.of(joints)
    return flights(body, [travel.span for travel in travels(body)])
