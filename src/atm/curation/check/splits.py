"""Faults in the lists of ids, and ids that stand in two lists but should stand in one."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from atm.curation.check.findings import Finding
from atm.curation.check.likeness import Pair, equal_across, equal_motions, mirrored_across, similar_across
from atm.curation.check.scan import SPLITS, Scan

_LEARNT = "The test counts what was learnt by heart. In a published split, leave them where numbers are to compare."


def split_findings(scan: Scan) -> Iterator[Finding]:
    """Give findings about the lists, and about motions that are there twice."""
    yield from _lists(scan)
    yield from _members(scan)
    yield from _leaks(scan)
    groups = equal_motions(scan)
    inside = [" = ".join(group) for group in groups if len(_homes(scan, group)) <= 1]
    if inside:
        yield Finding(
            "note",
            "clips_equal",
            "groups of clips with the same motion, inside one split",
            "It weighs as often as it is there.",
            tuple(inside),
        )


def _homes(scan: Scan, clips: tuple[str, ...]) -> set[str]:
    return {name for name, ids in scan.splits.items() if not set(ids).isdisjoint(clips)}


def _lists(scan: Scan) -> Iterator[Finding]:
    if "train" not in scan.listed:
        yield Finding(
            "error",
            "split_missing",
            "no train.txt",
            "There is nothing to train on.",
            ("train.txt",),
            "makes it of the clips that are in no other split, or draws all three where there is none",
        )
    lacking = [f"{name}.txt" for name in SPLITS[1:] if name not in scan.listed]
    if lacking:
        yield Finding(
            "warning",
            "split_missing",
            "no val.txt or test.txt",
            "The best weights are chosen on val, and results are of test.",
            tuple(lacking),
        )
    empty = [f"{name}.txt" for name, ids in scan.listed.items() if not ids]
    if empty:
        yield Finding(
            "error" if "train.txt" in empty else "warning",
            "split_empty",
            "lists without an id",
            "Nothing is in them.",
            tuple(empty),
            "fills train.txt with what is in no other split; drops other lists",
        )
    encoded = [f"{name}.txt (read as {encoding})" for name, encoding in scan.encodings.items() if encoding != "utf-8"]
    if encoded:
        yield Finding(
            "error",
            "lists_not_utf8",
            "lists that are no UTF-8",
            "Reading these splits stops there.",
            tuple(encoded),
            "rewrites them",
        )
    spelled = [
        f"{name}.txt: {line}, the file is {scan.file_id(line)}"
        for name, lines in scan.listed.items()
        for line in lines
        if scan.file_id(line) != line
    ]
    if spelled:
        yield Finding(
            "error",
            "ids_spelled",
            "ids that are not spelled as their files",
            "As they stand, they are not found.",
            tuple(spelled),
            "spells them as the files",
        )
    if {"train", "val", "train_val"} <= scan.listed.keys():
        both = {*scan.splits["train"], *scan.splits["val"]}
        apart = sorted(both ^ {scan.file_id(line) for line in scan.listed["train_val"]})
        if apart:
            yield Finding(
                "warning",
                "train_val",
                "ids by which train_val.txt is not train and val together",
                "Who trains on train_val trains on something else.",
                tuple(apart),
                "makes it of the two",
            )


def _members(scan: Scan) -> Iterator[Finding]:
    """Give whether lists and files go together."""
    fileless = [
        f"{name}.txt: {clip_id}"
        for name, lines in scan.listed.items()
        for clip_id in dict.fromkeys(map(scan.file_id, lines))
        if clip_id not in scan.clips
    ]
    if fileless:
        yield Finding(
            "error",
            "ids_without_file",
            "ids in a list without a clip",
            "They are left out: the split is not what it should be, and results do not compare.",
            tuple(fileless),
            "drops them",
        )
    listed = {clip_id for ids in scan.splits.values() for clip_id in ids}
    unlisted = [clip_id for clip_id in scan.clips if clip_id not in listed]
    if unlisted and scan.splits:
        yield Finding(
            "warning", "clips_in_no_split", "clips in none of train, val, test", "They are never read.", tuple(unlisted)
        )
    twice = [
        f"{name}.txt: {clip_id}"
        for name, lines in scan.listed.items()
        for clip_id, count in Counter(map(scan.file_id, lines)).items()
        if count > 1
    ]
    if twice:
        yield Finding(
            "warning",
            "ids_twice",
            "ids that a list has more than once",
            "They weigh more than the others.",
            tuple(twice),
            "keeps the first",
        )
    both = [
        f"{clip_id} ({one}, {other})"
        for one, other in combinations(scan.splits, 2)
        for clip_id in sorted({*scan.splits[one]} & {*scan.splits[other]})
    ]
    if both:
        yield Finding(
            "error",
            "ids_in_two_splits",
            "ids that two of train, val and test have",
            _LEARNT,
            tuple(both),
            "keeps them in test, else in val",
        )


class Leak(NamedTuple):
    """A motion of an earlier split that a later one has, too."""

    early: str
    late: str
    pair: Pair
    """First the clip of the earlier split."""

    def __str__(self) -> str:
        return f"{self.early} {self.pair.one} {self.pair.how} {self.late} {self.pair.other}"


def leaks(scan: Scan) -> dict[str, list[Leak]]:
    """Return motions of val and test that are in train, and of test that are in val, by how they are alike."""
    found: dict[str, list[Leak]] = {"equal": [], "similar": [], "mirrored": []}
    for early, late in (("train", "test"), ("train", "val"), ("val", "test")):
        later = scan.splits.get(late, [])
        # Ids that stand in both lists are another finding.
        inside = set(later)
        earlier = [clip_id for clip_id in scan.splits.get(early, []) if clip_id not in inside]
        for how, search in (("equal", equal_across), ("similar", similar_across), ("mirrored", mirrored_across)):
            found[how] += [Leak(early, late, pair) for pair in search(scan, earlier, later)]
    return found


def _leaks(scan: Scan) -> Iterator[Finding]:
    found = leaks(scan)
    for how, severity, what in (
        ("equal", "error", "clips of one split that are motions of another, number for number"),
        ("similar", "warning", "clips of one split that are nearly motions of another"),
        ("mirrored", "warning", "clips of one split that are mirror images of clips of another"),
    ):
        if found[how]:
            yield Finding(
                severity,
                f"duplicates_{how}",
                what,
                _LEARNT,
                tuple(map(str, found[how])),
                "drops the one in train (or val)",
            )
