"""How high and how upright the body is: sitting, lying, crouching, bowing, standing still."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from atm.scripted.oracles.body import ANKLE, FPS, Body, Span, rate, smooth, spans
from atm.scripted.oracles.peaks import find_peaks, sides

LOW_SHARE = 0.78
"""A body whose pelvis is under this share of its standing height is down."""
UP_SHARE = 0.86
"""It is up again over this share."""
CALM_FRAMES = 1.0
"""Low-pass of the signals of posture: bodies do not change posture within 0.1 s."""

SEAT_M = (0.33, 0.7)
"""Height of the pelvis of somebody who sits on a chair (thighs level: .57)."""
SEAT_BEHIND_M = 0.03
"""A seated body's centre of mass is behind its ankles by at least this: without the seat it would fall."""
SEAT_SECONDS = 0.3
"""A seat is kept for at least this long."""
LIE_M = 0.35
"""Pelvis of a lying body is lower than this."""
LIE_DEGREES = 55.0
"""Trunk of a lying body is tilted by more than this."""
LIE_SECONDS = 0.3

BOW_DEGREES = 15.0
"""Trunk leans ahead by at least this in a bow, more than before and after it."""
BOW_KNEES_SHARE = 0.84
"""In a bow the pelvis stays over this share of its standing height."""
BOW_APART_SECONDS = 0.4

Place = Literal["up", "seat", "floor", "crouch"]


@dataclass(frozen=True)
class Change:
    """The body goes from one posture to another."""

    verb: Literal["sit_down", "stand_up", "lie_down", "get_up", "crouch", "bow"]
    span: Span


def changes(body: Body) -> list[Change]:
    """Return every change of posture, in order. A crouch holds its way down and its way up."""
    height = smooth(body.pelvis[:, 1], CALM_FRAMES) / body.standing_height
    result: list[Change] = []
    for low in _low_spans(height):
        result += _changes_while_low(body, low, height)
    return sorted(result, key=lambda change: change.span)


def _low_spans(height: np.ndarray) -> list[Span]:
    """Return times in which the pelvis is down, from leaving the standing height to reaching it again (hysteresis)."""
    return [span for span in spans(height < UP_SHARE) if height[span.start : span.end].min() < LOW_SHARE]


def _changes_while_low(body: Body, low: Span, height: np.ndarray) -> list[Change]:
    inside = slice(low.start, low.end)
    pelvis = smooth(body.pelvis[:, 1], CALM_FRAMES)
    sinking = np.abs(rate(pelvis)) > 0.25
    lying = (pelvis < LIE_M) & (smooth(body.trunk_tilt, CALM_FRAMES) > LIE_DEGREES)
    behind = -smooth(_ahead_of_ankles(body), CALM_FRAMES)
    seated = (pelvis > SEAT_M[0]) & (pelvis < SEAT_M[1]) & (behind > SEAT_BEHIND_M) & ~lying & ~sinking
    stays: list[tuple[Span, Place]] = []
    for flags, place, seconds in ((lying, "floor", LIE_SECONDS), (seated, "seat", SEAT_SECONDS)):
        masked = np.zeros(len(body), bool)
        masked[inside] = flags[inside]
        stays += [(span, place) for span in spans(masked, min_seconds=seconds, bridge_seconds=0.5)]
    stays.sort()
    starts_up, ends_up = low.start > 0, low.end < len(body)
    if not stays:
        return [Change("crouch", low)] if starts_up or ends_up else []
    result = []
    places: list[tuple[Span, Place]] = ([(Span(low.start, low.start), "up")] if starts_up else []) + stays
    places += [(Span(low.end, low.end), "up")] if ends_up else []
    for (before, place), (after, next_place) in pairwise(places):
        verb = _VERBS.get((place, next_place))
        if verb:
            result.append(Change(verb, Span(before.end, after.start)))
    return result


_VERBS = {
    ("up", "seat"): "sit_down",
    ("floor", "seat"): "get_up",
    ("seat", "up"): "stand_up",
    ("up", "floor"): "lie_down",
    ("seat", "floor"): "lie_down",
    ("floor", "up"): "get_up",
}


def _ahead_of_ankles(body: Body) -> np.ndarray:
    """Return how far the centre of mass is ahead of the middle of the ankles, in metres."""
    ankles = body.joints[:, list(ANKLE)].mean(1)
    return body.seen_from_body(body.mass_centre - ankles)[:, 2]


def bows(body: Body) -> list[Span]:
    """Return times in which the trunk leans ahead and comes back over nearly straight legs."""
    lean = smooth(body.trunk_lean, CALM_FRAMES)
    height = smooth(body.pelvis[:, 1], CALM_FRAMES) / body.standing_height
    padded = np.concatenate([[lean.min()], lean, [lean.min()]])
    bent = find_peaks(padded, prominence=BOW_DEGREES, height=BOW_DEGREES, distance=round(BOW_APART_SECONDS * FPS))
    result = []
    for top, (begin, end) in zip((bent.frames - 1).tolist(), sides(padded, bent, sink=0.6), strict=True):
        if end - begin < 1:
            continue
        span = Span(max(0, int(begin) - 1), min(len(body), int(end) + 1))
        if height[span.start : span.end].min() > BOW_KNEES_SHARE and top < len(body) - 1:
            result.append(span)
    return result


def count_sits(joints: np.ndarray | Body) -> int:
    """Return times that the body sits down from standing."""
    return _count(joints, "sit_down")


def count_stands(joints: np.ndarray | Body) -> int:
    """Return times that the body stands up from a seat."""
    return _count(joints, "stand_up")


def count_lies(joints: np.ndarray | Body) -> int:
    """Return times that the body lies down."""
    return _count(joints, "lie_down")


def count_get_ups(joints: np.ndarray | Body) -> int:
    """Return times that the body gets up from lying."""
    return _count(joints, "get_up")


def count_crouches(joints: np.ndarray | Body) -> int:
    """Return times that the body goes down over its feet (and up again, where the motion lasts)."""
    return _count(joints, "crouch")


def count_bows(joints: np.ndarray | Body) -> int:
    """Return times that the trunk bends ahead over nearly straight legs."""
    return len(bows(Body.of(joints)))


def _count(joints: np.ndarray | Body, verb: str) -> int:
    return sum(change.verb == verb for change in changes(Body.of(joints)))
