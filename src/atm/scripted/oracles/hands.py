"""Oracle of the hands: raising, waving, clapping, punching."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from atm.motion.program import Side
from atm.scripted.oracles.body import (
    ELBOW,
    FPS,
    PELVIS,
    SHOULDER,
    SIDES,
    WRIST,
    Body,
    Span,
    rate,
    spans,
)
from atm.scripted.oracles.peaks import find_peaks, prominences

HAND_PER_FOREARM = 0.35
"""The skeleton ends at the wrist; the finger tips are taken this share of the forearm further out."""
UPRIGHT_DEGREES = 50.0
"""Gestures and punches are made by a trunk that is tilted by less; arms of a lying body only support it."""
HAND_UP_SECONDS = 0.2
"""A hand that is up for less than this is swinging past."""
HAND_UP_BRIDGE_SECONDS = 0.4
"""A wide wave dips below the shoulder for less than this and is still one wave."""
HAND_DIP_M = 0.15
"""It stays within this under the shoulder meanwhile."""
TOGETHER_SHARE = 0.4
"""Both hands are raised (or waved) together if they share this part of the shorter span."""

RAISE_SINK_M = 0.15
"""A hand that sinks by this much and goes up again is raised twice."""

RAISE_DEPTH_SHARE = 1.5
"""It is raised twice, and does not wave, if it sinks by this many times its way to the side (a wide arc sinks too)."""

WAVE_TURN_SHARE = 0.5
"""Share of its top speed, 0 to 1, below which a hand turns back in a wave; while it is being raised it is faster."""
WAVE_STROKE_M = 0.015
"""Least travel of the wrist to one side in a wave of a jitter-free body (a wave from the wrist alone moves it 2 cm)."""
WAVE_JITTER_FACTOR = 2.5
"""A stroke must also be this many times larger than the jitter."""
WAVE_STROKE_SHARE = 0.55
"""A stroke is at least this share of the wide strokes of its wave; less is the hand coming to rest."""
WAVE_WIDE_M = 0.08
"""One stroke out and back is a wave from this width on; narrower ones must be repeated."""

WAVE_SINGLE_M = 0.15
"""A single stroke that nothing else surrounds must be this wide: raised hands drift to the side as well."""

CLAP_CLOSE_M = 0.2
"""Wrists of a clap come closer than this (palms touch when wrists are 8 to 12 cm apart)."""
CLAP_OPEN_M = 0.04
"""Wrists part by at least this between two claps."""
CLAP_JITTER_FACTOR = 0.5
"""The wrists part by this many times the jitter more, so that noise alone never claps."""
CLAP_APART_SECONDS = 0.15

PUNCH_REACH_SHARE = 0.8
"""The arm of a punch stretches to this share of its length."""
PUNCH_STRETCH_M = 0.12
"""Wrist-to-shoulder distance grows by this much in a punch."""
PUNCH_HEIGHT_M = 0.3
"""A punch ends within this of shoulder height."""
PUNCH_AHEAD_SHARE = 0.6
"""Part of the reach that points ahead: the cosine of 53 degrees, because hips and shoulders turn into the blow."""


@dataclass(frozen=True)
class HandUp:
    """A time in which a hand (or both) is up."""

    span: Span
    side: Side
    strokes: tuple[int, ...]
    """Frames at which the strokes of a wave are furthest out; none: the hand was only raised."""
    raises: int
    """Times that it went up; between two it sinks by `RAISE_SINK_M`, perhaps without hanging again."""


def hands_up(body: Body) -> list[HandUp]:
    """Return every time that a hand goes up to shoulder height or higher, forearm up; hands that go together count as
    both."""
    each = [[_hand_up(body, side, span) for span in _up_spans(body, side)] for side in (0, 1)]
    merged: list[HandUp] = []
    alone = list(each[1])
    for left in each[0]:
        partner = next((right for right in alone if _together(left.span, right.span)), None)
        if partner is None:
            merged.append(left)
            continue
        alone.remove(partner)
        span = Span(min(left.span.start, partner.span.start), max(left.span.end, partner.span.end))
        strokes = max(left.strokes, partner.strokes, key=len)
        merged.append(HandUp(span, "both", strokes, max(left.raises, partner.raises)))
    return sorted(merged + alone, key=lambda up: up.span)


def _hand_up(body: Body, side: int, span: Span) -> HandUp:
    height = (body.joints[:, WRIST[side]] - body.joints[:, SHOULDER[side]])[span.start : span.end, 1]
    # Padded below, so that a hand that is up at the clip's edge counts.
    low = [height.min() - 1]
    tops = find_peaks(np.concatenate([low, height, low]), prominence=RAISE_SINK_M).frames
    sinks = find_peaks(-height, prominence=RAISE_SINK_M).prominences
    depth = float(np.median(sinks)) if len(sinks) else 0.0
    return HandUp(span, SIDES[side], _strokes(body, side, span, depth), max(1, len(tops)))


def _together(one: Span, other: Span) -> bool:
    return one.shared(other) >= TOGETHER_SHARE * min(one.end - one.start, other.end - other.start)


def _up_spans(body: Body, side: int) -> list[Span]:
    wrist, elbow, shoulder = (body.joints[:, pair[side], 1] for pair in (WRIST, ELBOW, SHOULDER))
    tip = wrist + HAND_PER_FOREARM * (wrist - elbow)
    upright = body.trunk_tilt < UPRIGHT_DEGREES
    up = (tip > shoulder) & (wrist > elbow) & upright
    # A dip is part of the gesture only while the hand stays near the shoulder.
    near = wrist > shoulder - HAND_DIP_M
    runs = [part for run in spans(up | near & upright) for part in _parts(up, run)]
    return [run for run in runs if run.seconds >= HAND_UP_SECONDS]


def _parts(up: np.ndarray, run: Span) -> list[Span]:
    inside = np.zeros(len(up), bool)
    inside[run.start : run.end] = up[run.start : run.end]
    return spans(inside, bridge_seconds=HAND_UP_BRIDGE_SECONDS)


def _strokes(body: Body, side: int, span: Span, depth: float) -> tuple[int, ...]:
    """Return frames where the wrist goes out to one side and comes back while the hand is up.

    A hand that sinks by `depth` between its highest points and goes less far to the side is raised again and again.
    """
    offset = body.seen_from_body(body.joints[:, WRIST[side]] - body.joints[:, SHOULDER[side]])
    outward = offset[span.start : span.end, 0] * (1, -1)[side]
    speed = np.linalg.norm(rate(offset), axis=1)[span.start : span.end]
    turns, is_out = _turning_points(outward, WAVE_STROKE_M + WAVE_JITTER_FACTOR * body.jitter)
    rests = speed[turns] < WAVE_TURN_SHARE * np.quantile(speed, 0.9)
    turns, is_out = turns[rests], is_out[rests]
    if len(turns) < 3:
        single = turns[is_out]
        return _frames(span, single[prominences(outward, single) > WAVE_SINGLE_M])
    widths = np.abs(np.diff(outward[turns]))
    if depth > RAISE_DEPTH_SHARE * np.median(widths):
        return ()
    wide = widths >= WAVE_STROKE_SHARE * np.quantile(widths, 0.75)
    if wide.sum() < 2 or (wide.sum() < 4 and widths.max() < WAVE_WIDE_M):
        return ()
    # Out on one side of the turning point, back on the other; the first or last of them may hide in raising the hand.
    out_and_back = np.append(wide, True) & np.append(True, wide)
    strokes = turns[is_out & out_and_back]
    return _frames(span, strokes if len(strokes) else turns[is_out][:1])


def _frames(span: Span, strokes: Int[np.ndarray, "N"]) -> tuple[int, ...]:
    return tuple((span.start + strokes).tolist())


def _turning_points(signal: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frames where a signal turns back by at least `least`, and whether each is a high point."""
    high = find_peaks(signal, prominence=least).frames
    low = find_peaks(-signal, prominence=least).frames
    frames = np.concatenate([high, low])
    order = np.argsort(frames)
    return frames[order], np.concatenate([np.ones(len(high), bool), np.zeros(len(low), bool)])[order]


def claps(body: Body) -> list[int]:
    """Return frames at which the hands meet in front of the body."""
    left, right = (body.quick[:, wrist] for wrist in WRIST)
    apart = np.linalg.norm(left - right, axis=1)
    ahead = body.seen_from_body((left + right) / 2 - body.joints[:, PELVIS])
    open_at_least = CLAP_OPEN_M + CLAP_JITTER_FACTOR * body.jitter
    meets = find_peaks(-apart, prominence=open_at_least, distance=round(CLAP_APART_SECONDS * FPS)).frames
    in_front = (ahead[:, 2] > 0.1) & (ahead[:, 1] > 0.05)
    return [int(frame) for frame in meets if apart[frame] < CLAP_CLOSE_M and in_front[frame]]


def punches(body: Body, side: int) -> list[int]:
    """Return frames at which the arm of this side (0 left, 1 right) is stretched out ahead by a punch."""
    wrist, elbow, shoulder = (body.joints[:, pair[side]] for pair in (WRIST, ELBOW, SHOULDER))
    length = np.median(np.linalg.norm(wrist - elbow, axis=1)) + np.median(np.linalg.norm(elbow - shoulder, axis=1))
    offset = body.seen_from_body(wrist - shoulder)
    reach = np.linalg.norm(offset, axis=1)
    blows = find_peaks(reach, height=PUNCH_REACH_SHARE * length, prominence=PUNCH_STRETCH_M, distance=4).frames
    return [
        int(frame)
        for frame in blows
        if abs(offset[frame, 1]) < PUNCH_HEIGHT_M
        and offset[frame, 2] > PUNCH_AHEAD_SHARE * reach[frame]
        and body.trunk_tilt[frame] < UPRIGHT_DEGREES
    ]


def raised_hand(joints: np.ndarray | Body) -> Side | None:
    """Return which hand is raised and held up without waving; None: neither."""
    return _which([up.side for up in hands_up(Body.of(joints)) if not up.strokes])


def waving_hand(joints: np.ndarray | Body) -> Side | None:
    """Return which hand waves; None: neither."""
    return _which([up.side for up in hands_up(Body.of(joints)) if up.strokes])


def count_waves(joints: np.ndarray | Body) -> int:
    """Return strokes out and back of the waving hand (of both: of the one that waves more)."""
    return sum(len(up.strokes) for up in hands_up(Body.of(joints)))


def count_claps(joints: np.ndarray | Body) -> int:
    """Return times that the hands meet in front of the body."""
    return len(claps(Body.of(joints)))


def count_punches(joints: np.ndarray | Body) -> dict[str, int]:
    """Return blows with the left and with the right hand."""
    body = Body.of(joints)
    return {SIDES[side]: len(punches(body, side)) for side in (0, 1)}


def _which(sides: list[Side]) -> Side | None:
    if not sides:
        return None
    return sides[0] if len(set(sides)) == 1 else "both"
