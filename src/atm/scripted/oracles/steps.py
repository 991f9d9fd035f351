"""Oracle of the feet: footfalls, walking and running with direction and path, turning on the spot."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from atm.motion.program import Direction, Path
from atm.scripted.oracles.body import FPS, Body, Span, direction_of, rate, smooth, spans
from atm.scripted.oracles.peaks import find_peaks

SWING_SPEED_M_S = 0.4
"""A swinging foot gets at least this fast over the ground."""
SWING_PROMINENCE_SHARE = 0.5
"""Between two swings of a foot its speed falls by at least this share of the slower swing's top speed."""
SWING_EDGE_SHARE = 0.2
"""A swing lasts while the foot is faster than this share of its top speed."""
STEP_TRAVEL_M = 0.12
"""A step carries its foot at least this far over the ground."""

PLANTED_M = 0.06
"""Sole of a foot that stands is lower than this."""
STEP_ALONG_SHARE = 0.7
"""It does so along the way of the body: by this share of `STEP_TRAVEL_M`."""
BODY_ALONG_SHARE = 0.25
"""The body goes the same way by this share of the foot's travel at least; in a turn on the spot it stays."""
BODY_FRAMES = 4
"""The body's way is taken from so long before to so long after the swing (0.2 s)."""
TOGETHER_SHARE = 0.6
"""Two feet that share this part of their swings (intersection over union) jump or hop; they do not step."""
RUN_OVERLAP_SHARE = -0.03
"""Who runs lifts a foot before the other one has landed, who walks after. Overlap of two swings as a share of a step;
the edges of a swing are cut at `SWING_EDGE_SHARE`, so that an overlap of none measures a little less than 0."""
RUN_SPEED_M_S = 2.1
"""A single step cannot show that; at this speed bodies change from walking to running."""

TRAVEL_SPEED_M_S = 0.12
"""The pelvis of somebody who walks is faster than this, over half a second."""
TRAVEL_FILTER_FRAMES = 4.0
TRAVEL_BRIDGE_SECONDS = 0.5
TRAVEL_M = 0.08
"""Whoever walks gets at least this far: half of a small step."""
STEP_MARGIN_SECONDS = 0.4
"""The first foot swings before the pelvis travels, the last one closes after it has stopped."""

STOP_SECONDS = 0.3
STOP_TIMES = 1.8
"""A walk ends where both feet stand for longer than this, and for so many times as long as between its other steps."""

CURVE_DEGREES = 30.0
"""A path whose heading changes by less is straight."""
CIRCLE_DEGREES = 290.0
"""A path whose heading changes by this much closes a circle."""

TURN_DEGREES = 25.0
"""A smaller change of heading is no turn."""
TURN_RATE_DEG_S = 12.0
"""Slowest turning that still counts."""
TURN_FEET_SHARE = 0.5
"""In a turn the feet come along by at least this share; else the body only twists, as in a punch."""
TWIST_DEGREES = 15.0
"""Difference between turns of trunk and feet above which the trunk is twisted and the feet count, degrees."""
TURN_FILTER_FRAMES = 4.0
TURN_ENDS_SECONDS = 0.25
"""Headings before and after a turn are means over this time."""


@dataclass(frozen=True)
class Footfall:
    """A foot left its place, moved over the ground, and was planted again."""

    foot: int
    """0 left, 1 right."""
    lift: float
    """When it leaves, in frames."""
    land: float
    """When it is planted, in frames."""
    travel: Float[np.ndarray, "2"]
    """From place to place on the ground (x, z), in metres."""

    @property
    def swing(self) -> Span:
        return Span(round(self.lift), round(self.land))


@dataclass(frozen=True)
class Travel:
    """A time in which the body goes somewhere on its feet, in one direction."""

    span: Span
    direction: Direction
    footfalls: tuple[Footfall, ...]
    runs: bool


def footfalls(body: Body) -> list[Footfall]:
    """Return every swing of one foot that carries it over the ground, in order of planting; not those of both feet at
    once."""
    left, right = _footfalls(body, 0), _footfalls(body, 1)
    found = [fall for own, others in ((left, right), (right, left)) for fall in own if not _together(fall, others)]
    return sorted(found, key=lambda fall: fall.land)


def _together(fall: Footfall, others: Sequence[Footfall]) -> bool:
    for other in others:
        union = max(fall.swing.end, other.swing.end) - min(fall.swing.start, other.swing.start)
        if fall.swing.shared(other.swing) > TOGETHER_SHARE * union:
            return True
    return False


def _footfalls(body: Body, foot: int) -> list[Footfall]:
    place = body.feet[foot][:, [0, 2]]
    speed = np.linalg.norm(rate(place), axis=1)
    # Padded with rest, so that a swing that the clip's edge cuts is a peak as well.
    peaks = find_peaks(np.concatenate([[0], speed, [0]]), height=SWING_SPEED_M_S, prominence=0.2)
    whole = peaks.prominences >= SWING_PROMINENCE_SHARE * peaks.heights
    result = []
    tops = (peaks.frames[whole] - 1).tolist()
    for i, top in enumerate(tops):
        edge = SWING_EDGE_SHARE * speed[top]
        first = tops[i - 1] if i else 0
        last = tops[i + 1] if i + 1 < len(tops) else len(speed) - 1
        lift = _valley(speed, top, first, edge)
        land = _valley(speed, top, last, edge)
        travel = place[round(land)] - place[round(lift)]
        if np.linalg.norm(travel) >= STEP_TRAVEL_M and _is_planted(body, foot, lift, land):
            result.append(Footfall(foot, lift, land, travel))
    return result


def _is_planted(body: Body, foot: int, lift: float, land: float) -> bool:
    """Return the foot comes down, and the other one has stood meanwhile; a foot that is held up in a hop does not."""
    after = slice(max(0, round(land) - 1), round(land) + 3)
    during = slice(round(lift), round(land) + 1)
    own, other = body.clearance[foot, after].min(), body.clearance[1 - foot, during].min()
    return bool(own < PLANTED_M and other < PLANTED_M)


def _valley(speed: np.ndarray, top: int, limit: int, edge: float) -> float:
    """Return the frame, from a peak towards `limit`, at which the speed falls under `edge`, else the slowest frame."""
    frames = np.arange(top, limit + 1) if limit >= top else np.arange(top, limit - 1, -1)
    below = np.flatnonzero(speed[frames] < edge)
    if not len(below):
        return float(frames[speed[frames].argmin()])
    under, over = frames[below[0]], frames[below[0] - 1]
    return float(under + (over - under) * (edge - speed[under]) / (speed[over] - speed[under]))


def _ground_velocity(body: Body) -> Float[np.ndarray, "T 2"]:
    """Return the velocity of the pelvis, to the left and ahead of the body, in m/s, over half a second."""
    velocity = rate(smooth(body.pelvis[:, [0, 2]], TRAVEL_FILTER_FRAMES))
    return np.stack([(velocity * body.left).sum(1), (velocity * body.ahead).sum(1)], axis=1)


def travels(body: Body, busy: Sequence[Span] = ()) -> list[Travel]:
    """Return walks and runs in order; each has one direction.

    Args:
        body: joints.
        busy: spans in which the body sits, lies or crouches.
    """
    velocity = _ground_velocity(body)
    speed = np.linalg.norm(velocity, axis=1)
    moving = speed > TRAVEL_SPEED_M_S
    for span in busy:
        moving[span.start : span.end] = False
    names = np.array([direction_of(v) for v in velocity])
    result: list[Travel] = []
    falls = [fall for fall in footfalls(body) if not any(fall.swing.shared(span) > 2 for span in busy)]
    for span in spans(moving, bridge_seconds=TRAVEL_BRIDGE_SECONDS):
        for part in _one_direction(names, span):
            result += _travels(body, velocity, falls, part)
    return result


def _one_direction(names: np.ndarray, span: Span) -> list[Span]:
    """Return cuts a span where the direction of travel changes for half a second or longer."""
    parts: list[Span] = []
    labels: list[str] = []
    for name in ("forward", "backward", "left", "right"):
        inside = np.zeros(len(names), bool)
        inside[span.start : span.end] = names[span.start : span.end] == name
        for part in spans(inside, min_seconds=0.5, bridge_seconds=0.3):
            parts.append(part)
            labels.append(name)
    order = np.argsort([part.start for part in parts])
    return [parts[i] for i in order] or [span]


def _travels(body: Body, velocity: np.ndarray, falls: list[Footfall], span: Span) -> list[Travel]:
    inside = slice(span.start, span.end)
    mean = velocity[inside].mean(0)
    if np.linalg.norm(mean) * span.seconds < TRAVEL_M:
        return []
    margin = round(STEP_MARGIN_SECONDS * FPS)
    wide = Span(span.start - margin, span.end + margin)
    direction = direction_of(mean)
    own = []
    for fall in falls:
        middle = round((fall.lift + fall.land) / 2)
        way = (mean[0] * body.left[middle] + mean[1] * body.ahead[middle]) / np.linalg.norm(mean)
        before, after = max(0, fall.swing.start - BODY_FRAMES), min(len(body) - 1, fall.swing.end + BODY_FRAMES)
        body_goes = (body.pelvis[after] - body.pelvis[before])[[0, 2]] @ way
        foot_goes = fall.travel @ way
        if (
            wide.start <= middle < wide.end
            and foot_goes > STEP_ALONG_SHARE * STEP_TRAVEL_M
            and body_goes > BODY_ALONG_SHARE * foot_goes
        ):
            own.append(fall)
    if not own:
        return []
    return [_piece(body, velocity, direction, piece) for piece in _pieces(own)]


def _pieces(falls: Sequence[Footfall]) -> list[list[Footfall]]:
    """Return cuts where the body comes to a stand between two steps."""
    gaps = np.array([max(0.0, after.lift - before.land) for before, after in pairwise(falls)])
    pieces = [[falls[0]]]
    for i, fall in enumerate(falls[1:]):
        others = np.delete(gaps, i)
        usual = float(np.median(others)) if len(others) else STOP_SECONDS * FPS
        if gaps[i] > STOP_SECONDS * FPS and gaps[i] > STOP_TIMES * usual:
            pieces.append([])
        pieces[-1].append(fall)
    return pieces


def _piece(body: Body, velocity: np.ndarray, direction: Direction, own: list[Footfall]) -> Travel:
    span = Span(min(fall.swing.start for fall in own), own[-1].swing.end)
    return Travel(span, direction, tuple(own), _runs(body, own, velocity[span.start : span.end]))


def _runs(body: Body, own: Sequence[Footfall], velocity: Float[np.ndarray, "F 2"]) -> bool:
    pairs = [pair for pair in pairwise(own) if pair[0].foot != pair[1].foot]
    if len(pairs) < 2:
        return float(np.linalg.norm(velocity, axis=1).max()) > RUN_SPEED_M_S
    # The low-pass makes every swing longer.
    overlaps = [
        (before.land - after.lift - body.filter_frames) / max(1, after.land - before.land) for before, after in pairs
    ]
    return float(np.median(overlaps)) > RUN_OVERLAP_SHARE


def heading_change(body: Body, span: Span) -> float:
    """Return degrees by which the heading changes within a span, > 0 to the left."""
    return _change(body.yaw, span)


def _change(heading: Float[np.ndarray, "T"], span: Span) -> float:
    inside = heading[max(0, span.start) : span.end]
    ends = min(len(inside), round(TURN_ENDS_SECONDS * FPS))
    return float(inside[-ends:].mean() - inside[:ends].mean())


def turns(body: Body, busy: Sequence[Span] = ()) -> list[tuple[Span, float]]:
    """Turn on the spot, with their degrees (> 0 to the left).

    Args:
        body: joints.
        busy: spans of walking, jumping, lying: a change of heading there belongs to them.
    """
    turning = rate(smooth(body.yaw, TURN_FILTER_FRAMES))
    free = np.ones(len(body), bool)
    for span in busy:
        free[max(0, span.start) : span.end] = False
    result = []
    for sign in (1, -1):
        for span in spans((sign * turning > TURN_RATE_DEG_S) & free, bridge_seconds=0.4, min_seconds=0.3):
            wide = Span(max(0, span.start - 5), min(len(body), span.end + 5))
            degrees = heading_change(body, wide)
            feet = _change(body.feet_yaw, wide)
            if sign * feet < TURN_FEET_SHARE * sign * degrees:
                continue
            if abs(degrees - feet) > TWIST_DEGREES:
                degrees = feet
            if sign * degrees >= TURN_DEGREES:
                result.append((span, degrees))
    return sorted(result, key=lambda turn: turn[0])


def path_of(degrees: float) -> Path:
    """Name a path whose heading changes by so many degrees."""
    if abs(degrees) < CURVE_DEGREES:
        return "straight"
    return "circle" if abs(degrees) >= CIRCLE_DEGREES else "curve"


def count_steps(joints: np.ndarray | Body) -> int:
    """Return footfalls that travel, the closing one included."""
    return sum(len(travel.footfalls) for travel in travels(Body.of(joints)))


def travel_direction(joints: np.ndarray | Body) -> Direction | None:
    """Return where the body goes, relative to where it faces; None: it stays. Of several travels the longest."""
    found = travels(Body.of(joints))
    return max(found, key=lambda travel: travel.span.seconds).direction if found else None


def travel_path(joints: np.ndarray | Body) -> Path | None:
    """Return straight, curve or circle; None: the body stays. Of several travels the longest counts."""
    body = Body.of(joints)
    found = travels(body)
    if not found:
        return None
    return path_of(heading_change(body, max(found, key=lambda travel: travel.span.seconds).span))


def turn_degrees(joints: np.ndarray | Body) -> float:
    """Change of heading from the first to the last frames, in degrees; > 0 to the left."""
    body = Body.of(joints)
    return heading_change(body, Span(0, len(body)))
