"""Motions that are there more than once: as the same file, as nearly the same poses, as a mirror image."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from atm.curation.check.scan import Scan

_LEAST_POSES = 10
"""Poses that two motions must share: bodies that stand still are alike without being copies."""
_SHARE = 0.5
"""Share of the shorter motion's poses from which it is a copy, or a cut of the same recording."""
_COMMON = 8
"""A pose of more clips than this is anybody's and tells nothing."""


class Pair(NamedTuple):
    """Two clips that are alike."""

    one: str
    other: str
    how: str
    """In words, to stand between the two ids."""

    def __str__(self) -> str:
        return f"{self.one} {self.how} {self.other}"


def equal_motions(scan: Scan) -> list[tuple[str, ...]]:
    """Return groups of clips whose features are the same numbers."""
    groups: dict[bytes, list[str]] = {}
    for clip_id, clip in scan.clips.items():
        if clip.fault is None:
            groups.setdefault(clip.digest, []).append(clip_id)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def equal_across(scan: Scan, left: Iterable[str], right: Iterable[str]) -> list[Pair]:
    """Return clips of `left` that are clips of `right`, number for number."""
    of = {scan.clips[clip_id].digest: clip_id for clip_id in right if scan.usable(clip_id)}
    same = [(clip_id, of.get(scan.clips[clip_id].digest)) for clip_id in left if scan.usable(clip_id)]
    return [Pair(one, other, "is") for one, other in same if other is not None and other != one]


def similar_across(scan: Scan, left: Iterable[str], right: Iterable[str]) -> list[Pair]:
    """Return clips of `left` that share most of their poses with one of `right`, and are not equal to it."""
    sides = [[clip_id for clip_id in dict.fromkeys(side) if scan.usable(clip_id)] for side in (left, right)]
    clips = sides[0] + sides[1]
    if not all(sides):
        return []
    poses = np.concatenate([scan.clips[clip_id].poses for clip_id in clips])
    owner = np.repeat(np.arange(len(clips)), [len(scan.clips[clip_id].poses) for clip_id in clips])
    order = np.argsort(poses, kind="stable")
    ordered = poses[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counts = np.diff(np.append(starts, len(poses)))
    telling = (counts > 1) & (counts <= _COMMON)
    shared: Counter[tuple[int, int]] = Counter()
    for start, count in zip(starts[telling], counts[telling], strict=True):
        owners = owner[order[start : start + count]]
        from_left, from_right = owners[owners < len(sides[0])], owners[owners >= len(sides[0])]
        shared.update((int(one), int(other)) for one in from_left for other in from_right)
    pairs = []
    for (one, other), count in sorted(shared.items()):
        first, second = scan.clips[clips[one]], scan.clips[clips[other]]
        share = count / min(len(first.poses), len(second.poses))
        if count >= _LEAST_POSES and share >= _SHARE and first.digest != second.digest:
            pairs.append(Pair(clips[one], clips[other], f"shares {share:.0%} of its poses with"))
    return pairs


def mirrored_across(scan: Scan, left: Iterable[str], right: Iterable[str]) -> list[Pair]:
    """Return clips of `left` whose mirror image, by its name, is in `right`."""
    right = set(right)
    return [
        Pair(clip_id, partner, "is the mirror image of")
        for clip_id in left
        if (partner := mirror_of(clip_id)) in right and partner in scan.clips
    ]


def mirror_of(clip_id: str) -> str:
    """Return the name of a clip's mirror image: M000021 for 000021, and the other way round."""
    return clip_id[1:] if clip_id.startswith("M") else f"M{clip_id}"


def family(clip_id: str) -> str:
    """Return one name for a clip and its mirror image."""
    return clip_id.removeprefix("M")
