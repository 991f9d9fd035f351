"""Faults in the motions of a folder."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from atm.curation.check.clips import Clip
from atm.curation.check.findings import Finding
from atm.curation.check.movement import Movement
from atm.curation.check.scan import Scan
from atm.data.humanml3d import FRAMES_LIMIT, MIN_FRAMES
from atm.motion.anatomy import LEGS

GRAVITY = 9.81
_FALLS_OFF = 1.35
"""Factor by which the frame rate must be off for falling bodies to tell it: landings and swinging arms blur less."""
WALK_RATIO = 0.38
"""Metre seconds; the median over the walks of captured people."""
_WALKS_DOUBT, _WALKS_OFF = 1.45, 1.9
"""The same for steps: from the first on to be looked at, from the second on certain."""
_CLIP_RATIOS = (0.1, 1.0)
"""Metre seconds; between these lies the walk of nearly every clip."""
_ENOUGH = 8
"""Clips that must have a clock, before they tell the frame rate of all."""
_LIMB_SPEEDS = (0.6, 5.0)
"""m/s; the median over the clips of a data set of everyday motion lies well inside: 2 to 3."""
_TOP_SPEED = 20.0
"""m/s; the fastest joint of captured people, a fist or a foot, stays below 15."""
_PACE_OFF = 0.1
_LEG_OFF = 0.05
_FLOOR = (-0.05, 0.25)
"""Metres between which the lowest joint of a clip is where the floor was set to 0; a part of a clip may be a jump."""
_STILL = 1e-3
"""m/s; who stands as still as can be has faster joints."""
_MANY = 0.2
"""Share of clips from which a note becomes a warning."""

_KINDS = {
    "unreadable": ("clips that cannot be read", "Damaged files, or no arrays."),
    "wrong width": ("clips of another width", "Other features, or another body."),
    "no frames": ("clips without frames", "Nothing in them."),
    "not finite": ("clips with NaN or infinite values", "One such frame turns a whole training into NaN."),
    "impossible": ("clips with impossible values", "They are no positions of a body, in whatever unit."),
}


def motion_findings(scan: Scan) -> Iterator[Finding]:
    """Give findings about files, lengths, movement and joint positions."""
    usable = {clip_id: clip for clip_id, clip in scan.clips.items() if clip.fault is None}
    for kind, (what, meaning) in _KINDS.items():
        found = [f"{clip_id} {clip.fault.said}" for clip_id, clip in scan.clips.items() if _fault(clip) == kind]
        if found:
            yield Finding(
                "error",
                f"clips_{kind.replace(' ', '_')}",
                what,
                f"{meaning} Training leaves them out.",
                tuple(found),
                "drops them",
            )
    yield from _lengths(scan, usable)
    if wide := [clip_id for clip_id, clip in usable.items() if clip.wide]:
        yield Finding(
            "note",
            "clips_float64",
            "clips stored as float64",
            "Twice the size; the features have float32 precision.",
            tuple(wide),
            "stores them as float32",
        )
    yield from _columns(usable)
    if other_unit := _unit(scan, usable):
        # Speeds, steps and heights say nothing then.
        yield other_unit
    else:
        yield from _pace(scan, usable)
        yield from _body(scan, usable)
        yield from _persons(usable)
    yield from _joints(usable)


def _fault(clip: Clip) -> str | None:
    return None if clip.fault is None else clip.fault.kind


def _lengths(scan: Scan, usable: dict[str, Clip]) -> Iterator[Finding]:
    least = MIN_FRAMES[scan.skeleton.feature_width]
    short = [f"{clip_id} ({clip.frames})" for clip_id, clip in usable.items() if clip.frames < least]
    long = [f"{clip_id} ({clip.frames})" for clip_id, clip in usable.items() if clip.frames >= FRAMES_LIMIT]
    for found, name, what in (
        (short, "clips_short", f"clips of under {least} frames"),
        (long, "clips_long", f"clips of {FRAMES_LIMIT} frames or more"),
    ):
        if not found:
            continue
        if len(short) + len(long) == len(usable):
            severity, then = "error", "No clip is left to train on: cut them, or prepare them at the right frame rate."
        else:
            severity = "warning" if len(found) > _MANY * len(usable) else "note"
            then = "By the published rule they take no part, and neither do parts of them with captions of their own."
        yield Finding(severity, name, what, then, tuple(found))


def _columns(usable: dict[str, Clip]) -> Iterator[Finding]:
    """Give whether the columns of a clip agree with one another."""
    off = [
        f"{clip_id} (by velocities a way of {clip.movement.column_pace:.2f} times that of positions)"
        for clip_id, clip in usable.items()
        if clip.movement.column_pace is not None and not 1 - _PACE_OFF < clip.movement.column_pace < 1 + _PACE_OFF
    ]
    if off:
        yield Finding(
            "error",
            "clips_resampled",
            "clips whose velocities are not those of their positions",
            "Rows were dropped, repeated or put between after the features were made: their frame rate is wrong. "
            "Resample joint positions and make features of them.",
            tuple(off),
            "drops them",
        )
    if strange := [f"{clip_id} {clip.strange}" for clip_id, clip in usable.items() if clip.strange is not None]:
        yield Finding(
            "warning",
            "clips_columns",
            "clips whose rotations or contacts are none",
            "Models learn these columns as they are, pictures do not show them: make the features again from joint "
            "positions.",
            tuple(strange),
        )


def _pace(scan: Scan, usable: dict[str, Clip]) -> Iterator[Finding]:
    """Give whether time runs as the frame rate says."""
    moving = {clip_id: clip.movement for clip_id, clip in usable.items()}
    fast = [
        f"{clip_id} ({movement.peak_speed:.0f} m/s)"
        for clip_id, movement in moving.items()
        if not movement.peak_speed < _TOP_SPEED
    ]
    if fast:
        yield Finding(
            "warning",
            "clips_too_fast",
            f"clips with a joint faster than {_TOP_SPEED:.0f} m/s",
            "No person moves so: a jump in the capture, a wrong frame rate, or a fast turn past the back of the first "
            "frame, which the published features take the wrong way round.",
            tuple(fast),
        )
    still = [clip_id for clip_id, movement in moving.items() if movement.peak_speed < _STILL]
    if still:
        yield Finding(
            "warning",
            "clips_still",
            "clips in which nothing moves",
            "A pose that was held, no captured motion.",
            tuple(still),
        )
    yield from _frame_rate(scan, moving)


class _Clock(NamedTuple):
    """Frame rate of a folder, as its motions tell it."""

    factor: float
    """True frames per second over those that the features stand for."""
    seen: str
    clips: tuple[str, ...]
    """That it was read from."""
    doubtful: float
    """Factor from which the frame rate is to be doubted."""
    certain: float
    """Factor from which it is wrong."""


def _clock(moving: dict[str, Movement]) -> _Clock | None:
    """Estimate the frame rate by falling bodies if there are enough, else by steps."""
    falls = {clip_id: float(np.median(movement.falls)) for clip_id, movement in moving.items() if movement.falls}
    if len(falls) >= _ENOUGH:
        fall = float(np.median(list(falls.values())))
        seen = f"bodies fall at {fall:.1f} m/s² where gravity gives {GRAVITY}"
        return _Clock((GRAVITY / max(fall, 1e-3)) ** 0.5, seen, tuple(falls), _FALLS_OFF, _FALLS_OFF)
    ratios = {clip_id: m.walk_ratio for clip_id, m in moving.items() if m.walk_ratio is not None}
    if len(ratios) >= _ENOUGH:
        ratio = float(np.median(list(ratios.values())))
        seen = f"steps of {ratio:.2f} m for one step a second, where people take {WALK_RATIO}"
        return _Clock(ratio / WALK_RATIO, seen, tuple(ratios), _WALKS_DOUBT, _WALKS_OFF)
    return None


def _frame_rate(scan: Scan, moving: dict[str, Movement]) -> Iterator[Finding]:
    fps = scan.skeleton.fps
    clock = _clock(moving)
    if clock is not None and not 1 / clock.certain < clock.factor < clock.certain:
        yield Finding(
            "error",
            "frame_rate",
            clock.seen,
            f"The clips have about {clock.factor * fps:.0f} frames a second, not {fps:g}. No repair of files changes "
            "that: resample the joint positions and make features of them.",
            clock.clips,
        )
    elif clock is not None and not 1 / clock.doubtful < clock.factor < clock.doubtful:
        yield Finding(
            "warning",
            "pace",
            clock.seen,
            f"As with {clock.factor * fps:.0f} frames a second in place of {fps:g}; but marching and shuffling look "
            "so, too. Look at some clips.",
            clock.clips,
        )
    typical = float(np.median([movement.limb_speed for movement in moving.values()])) if moving else 0.0
    if clock is None and len(moving) >= _ENOUGH and not _LIMB_SPEEDS[0] < typical < _LIMB_SPEEDS[1]:
        yield Finding(
            "warning",
            "pace",
            f"limbs typically move at {typical:.2f} m/s",
            f"Everyday motion has 1 to 4 m/s. If these clips were captured at another rate than {fps:g} frames a "
            "second, they were not resampled. (Too few jumps and walks to be sure.)",
            tuple(moving),
        )
    odd = [
        f"{clip_id} ({movement.walk_ratio:.2f} m for one step a second)"
        for clip_id, movement in moving.items()
        if movement.walk_ratio is not None and not _CLIP_RATIOS[0] < movement.walk_ratio < _CLIP_RATIOS[1]
    ]
    if odd and (clock is None or 1 / clock.doubtful < clock.factor < clock.doubtful):
        yield Finding(
            "note",
            "clips_pace",
            "clips with steps that people do not take",
            f"People take steps of {WALK_RATIO} m for one step a second, 0.8 m for two. Some of these may have another "
            "frame rate than the rest.",
            tuple(odd),
        )


def _unit(scan: Scan, usable: dict[str, Clip]) -> Finding | None:
    """Return whether bodies are as large as people."""
    legs = [clip.movement.leg for clip in usable.values()]
    if not legs or LEGS[0] < (typical := float(np.median(legs))) < LEGS[1]:
        return None
    unit = "metres" if scan.skeleton.metres_per_unit == 1 else "millimetres"
    return Finding(
        "warning",
        "unit",
        f"legs of {typical:.3g} m",
        f"{scan.skeleton.name} features are in {unit}; these look like another unit.",
        tuple(usable),
    )


def _body(scan: Scan, usable: dict[str, Clip]) -> Iterator[Finding]:
    lowest = {clip_id: clip.movement.lowest for clip_id, clip in usable.items()}
    floating = [f"{clip_id} ({low:.2f} m)" for clip_id, low in lowest.items() if not _FLOOR[0] < low < _FLOOR[1]]
    if floating:
        yield Finding(
            "warning",
            "clips_off_floor",
            "clips whose lowest joint is not on the floor",
            "The published step that sets it to height 0 was left out: a height means something else in each clip.",
            tuple(floating),
        )
    legs = {clip_id: clip.movement.leg for clip_id, clip in usable.items()}
    target = float(np.median(list(legs.values()) or [1.0]))
    if scan.skeleton.bone_lengths is not None:
        target = sum(scan.skeleton.bone_lengths[joint] for joint in scan.skeleton.leg_joints)
    other = [f"{clip_id} ({leg:.2f} m)" for clip_id, leg in legs.items() if not abs(leg / target - 1) < _LEG_OFF]
    if other:
        yield Finding(
            "warning",
            "clips_other_body",
            f"clips of a body whose legs have not {target:.2f} m",
            "The published step that puts every motion on one body was left out: size becomes part of what is learnt.",
            tuple(other),
        )


def _persons(usable: dict[str, Clip]) -> Iterator[Finding]:
    if found := [f"{clip_id} {clip.doubts[0]}" for clip_id, clip in usable.items() if clip.doubts]:
        yield Finding(
            "warning",
            "clips_no_person",
            "clips that may be no motion of a person",
            "Normalised features, another upward axis, sides exchanged or limbs that stretch: look at some.",
            tuple(found),
        )


def _joints(usable: dict[str, Clip]) -> Iterator[Finding]:
    lacking = [clip_id for clip_id, clip in usable.items() if clip.joints == "is missing"]
    if lacking:
        yield Finding(
            "note",
            "joints_missing",
            "clips without a file in new_joints",
            "Nothing here reads that folder; other tools do.",
            tuple(lacking),
            "makes them of the features",
        )
    wrong = [
        f"{clip_id} {clip.joints}"
        for clip_id, clip in usable.items()
        if clip.joints is not None and clip.joints != "is missing"
    ]
    if wrong:
        yield Finding(
            "error",
            "joints_differ",
            "joint positions that are not those of the features",
            "One of the two is of another motion, another frame rate or another unit: look at some before you train.",
            tuple(wrong),
            "makes the joints of the features, and trusts these",
        )
