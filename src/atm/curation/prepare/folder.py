"""A data folder in HumanML3D's layout out of motion files: by all cores, resumable, bad files reported and skipped."""

import csv
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from atm.base.errors import InputError, OutputError
from atm.base.lease import held
from atm.base.progress import progress_bar
from atm.base.storage import atomic
from atm.curation.prepare.records import (
    MIRRORED,
    RECORDS,
    Fault,
    RecordEntry,
    SourceRecord,
    forget_others,
    load_record,
    remove_clips,
    save_record,
)
from atm.curation.prepare.sides import swap_sides_of_line
from atm.data.humanml3d import MIN_FRAMES, TEST_SHARE, VAL_SHARE
from atm.data.pool import cores, in_order
from atm.data.statistics import Moments
from atm.motion import HUMANML3D, features_from_joints, joints_from_features, mirror_joints
from atm.motion.anatomy import doubts

VERSION = 3
"""Goes up whenever the same file gives other clips; what an older version made is made anew."""
SKIPPED = "skipped.txt"
_WORTH_A_PROCESS = 32
"""Files that take as long as the start of another process."""


@dataclass(frozen=True)
class Source:
    """One motion file and what is to be made of it."""

    name: str
    """As messages and index.csv call it."""
    file: Path
    wanted: Any
    """For the reader; must have a `repr` that says all."""
    group: str
    """Clips of one group share a split."""
    split: str | None = None
    """A split that was asked for."""


@dataclass(frozen=True)
class Clip:
    """A motion with its text, ready for features."""

    id: str
    joints: Float[np.ndarray, "T 22 3"]
    """At the folder's frame rate."""
    text: str
    """Content of its text file."""
    start: float
    """Seconds of the source, like `end`."""
    end: float
    mirrored_text: str | None = None
    """None: the text with its sides swapped."""


@dataclass(frozen=True)
class SourceRead:
    """Result of reading one source."""

    found: Sequence[Clip | Fault]
    assumed: str = ""
    """Assumptions about what the file does not state, in words."""


@dataclass(frozen=True)
class Summary:
    """Contents of a folder."""

    splits: Mapping[str, int]
    frames: int
    fps: float
    faults: Sequence[Fault]
    assumed: Mapping[str, int]
    """How many sources were taken for what."""
    short: int
    """Clips too short for training."""
    fresh: int
    """Clips made in this call."""
    seconds: float
    """That this call took to make them."""
    doubtful: Sequence[Fault] = field(default_factory=tuple)
    """Clips that may be no motion of a person, and why."""
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def clips(self) -> int:
        return self.splits["all"]

    def lines(self) -> list[str]:
        """Return the summary as lines of text for people."""
        rate = f"; {self.fresh} made now, {self.fresh / self.seconds:.1f} clips per second" if self.fresh else ""
        lines = [f"{self.clips} clips written, {self.frames / self.fps / 3600:.3f} hours{rate}"]
        lines.append(", ".join(f"{name} {self.splits[name]}" for name in ("train", "val", "test")))
        lines += [f"{count} x {what}" for what, count in self.assumed.items() if what]
        if self.short:
            lines.append(f"{self.short} clips are too short for training, which leaves them out")
        lines += self.notes
        if self.doubtful:
            first = self.doubtful[0]
            lines.append(f"{len(self.doubtful)} clips are doubtful, look at them: {first.where} {first.why}")
        if self.faults:
            lines.append(f"{len(self.faults)} skipped, see skipped.txt:")
            lines += [f"  {fault.where}: {_shortened(fault.why)}" for fault in self.faults[:5]]
        return lines


def write_folder(
    out: Path,
    sources: Sequence[Source],
    read: Callable[[Source], SourceRead],
    *,
    what: str,
    options: Mapping[str, Any],
    mirror: bool,
    fps: float = HUMANML3D.fps,
    splits: Callable[[list[RecordEntry]], dict[str, list[str]]],
    missing: Sequence[Fault] = (),
    jobs: int | None = None,
    progress: bool = True,
) -> Summary:
    """Make clips of all sources and writes features, joints, texts, statistics and splits.

    Beside the layout's own files: `index.csv` (id, source, seconds, frames, split), `skipped.txt` (what was left out,
    and why), `dataset.json` (what this folder is).

    Args:
        out: the folder; one that an earlier call began is completed, and what has changed since is made anew.
        sources: what to read.
        read: makes clips of a source; a function of a module, or a partial of one.
        what: for dataset.json.
        options: all that `read` depends on beside the source, plain values.
        mirror: write a mirrored copy of each clip, too.
        fps: of the clips.
        splits: from what was written to lists of ids for train, val and test; mirrored copies may be in them.
        missing: faults known before.
        jobs: processes; None: one for each core, as far as there are files enough.
        progress: show a bar.

    Raises:
        InputError: `out` holds something else, or nothing could be written.
    """
    _take_over(out)
    with held(out / RECORDS, "the data folder"):
        about = {"version": VERSION, "mirror": mirror, "fps": fps, **options}
        # Before anything is written: a recording that is called otherwise now may get the same ids.
        forget_others(out, [source.name for source in sources])
        begun = time.perf_counter()
        outcomes = list(_made(out, sources, read, about, jobs, progress))
        seconds = time.perf_counter() - begun
        faults = [*missing, *(fault for outcome in outcomes for fault in outcome.faults)]
        (out / SKIPPED).unlink(missing_ok=True)
        if faults:
            _write_whole(out / SKIPPED, "".join(f"{fault.where}\t{fault.why}\n" for fault in faults))
        entries = [entry for outcome in outcomes for entry in outcome.entries]
        if not entries:
            first = f"; {faults[0].where}: {faults[0].why}" if faults else ""
            raise InputError(f"nothing could be written to {out}: {len(faults)} skipped (see skipped.txt there){first}")
        sum((outcome.moments for outcome in outcomes), Moments.none(HUMANML3D.feature_width)).write(out, HUMANML3D)
        lists = _write_splits(out, entries, splits(entries), mirror)
        _write_whole(
            out / "dataset.json", json.dumps({"what": what, "skeleton": HUMANML3D.name, **about}, indent=1) + "\n"
        )
        least = MIN_FRAMES[HUMANML3D.feature_width]
        return Summary(
            splits={name: len(ids) for name, ids in lists.items()},
            frames=sum(entry.frames for entry in entries) * (1 + mirror),
            fps=fps,
            faults=faults,
            assumed=Counter(outcome.assumed for outcome in outcomes if outcome.entries),
            short=sum(entry.frames < least for entry in entries) * (1 + mirror),
            fresh=sum(len(outcome.entries) for outcome in outcomes if outcome.fresh) * (1 + mirror),
            seconds=seconds,
            doubtful=[Fault(entry.id, entry.doubt) for entry in entries if entry.doubt],
        )


def drawn_splits(entries: list[RecordEntry], *, seed: int) -> dict[str, list[str]]:
    """Return splits of about 80, 5 and 15 percent of the clips, groups undivided; a split that was asked for is
    kept."""
    size = Counter(entry.group for entry in entries)
    split_of = {entry.group: entry.split for entry in entries if entry.split is not None}
    free = sorted(group for group in size if group not in split_of)
    np.random.default_rng(seed).shuffle(free)
    clips = sum(size[group] for group in free)
    for split, share in (("test", TEST_SHARE), ("val", VAL_SHARE)):
        taken = 0
        while taken < share * clips and len(free) > 1:
            group = free.pop()
            split_of[group] = split
            taken += size[group]
    split_of |= dict.fromkeys(free, "train")
    return {
        split: [entry.id for entry in entries if split_of[entry.group] == split] for split in ("train", "val", "test")
    }


def _take_over(out: Path) -> None:
    """Make the folder, or checks that it is one of ours."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / RECORDS).is_dir())):
        raise InputError(f"{out} is not empty and was not made by `atm data prepare`: give a new folder")
    try:
        for name in ("new_joint_vecs", "new_joints", "texts", RECORDS):
            (out / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {out}: {error.strerror or error}") from None


def _made(
    out: Path,
    sources: Sequence[Source],
    read: Callable[[Source], SourceRead],
    about: Mapping[str, Any],
    jobs: int | None,
    show: bool,
) -> Iterator[SourceRecord]:
    """Give the outcomes of all sources, in their order: from the records, or made now."""
    keys = [_key(source, about) for source in sources]
    known = {
        source.name: record
        for source, key in zip(sources, keys, strict=True)
        if (record := load_record(out, source.name)) is not None and record.key == key and record.entries
    }
    work = [(source, key) for source, key in zip(sources, keys, strict=True) if source.name not in known]
    make = partial(_make, out, read, bool(about["mirror"]))
    jobs = jobs or min(cores(), -(-len(work) // _WORTH_A_PROCESS))
    clips = 0
    made = {}
    with progress_bar(show=show) as bar:
        task = bar.add_task("preparing files", total=len(sources), completed=len(known), note="")
        for (source, _), outcome in zip(work, in_order(make, work, jobs), strict=True):
            made[source.name] = outcome
            clips += len(outcome.entries)
            bar.update(task, advance=1, note=f"{clips} clips")
    for source in sources:
        yield made.get(source.name) or replace(known[source.name], fresh=False)


def _make(out: Path, read: Callable[[Source], SourceRead], mirror: bool, work: tuple[Source, str]) -> SourceRecord:
    """Return clips of one source, written; a record last, so that what a killed process left is made anew."""
    source, key = work
    remove_clips(out, load_record(out, source.name))
    entries: list[RecordEntry] = []
    faults: list[Fault] = []
    moments = Moments.none(HUMANML3D.feature_width)
    assumed = ""
    try:
        reading = read(source)
        assumed = reading.assumed
        for item in reading.found:
            if isinstance(item, Fault):
                faults.append(item)
                continue
            try:
                entry, of_clip = _write_clip(out, source, item, mirror)
            except OutputError:
                raise
            except InputError as error:
                faults.append(Fault(f"{source.name} {item.start:.2f}-{item.end:.2f} s", str(error)))
                continue
            entries.append(entry)
            moments += of_clip
    except OutputError:
        raise
    except InputError as error:
        faults.append(Fault(source.name, str(error).removeprefix(f"{source.name}: ")))
    # One strange file among thousands must not end hours of work; what it is goes to the list of what was skipped.
    except Exception as error:
        faults.append(Fault(source.name, f"{type(error).__name__}: {error}"))
    outcome = SourceRecord(key, tuple(entries), tuple(faults), assumed, moments)
    save_record(out, source.name, outcome)
    return outcome


def _write_clip(out: Path, source: Source, clip: Clip, mirror: bool) -> tuple[RecordEntry, Moments]:
    joints = torch.from_numpy(np.ascontiguousarray(clip.joints))
    features = features_from_joints(joints, HUMANML3D)
    copies = [(clip.id, features, clip.text)]
    if mirror:
        text = clip.mirrored_text
        if text is None:
            text = "".join(f"{swap_sides_of_line(line)}\n" for line in clip.text.splitlines() if line.strip())
        copies.append((MIRRORED + clip.id, features_from_joints(mirror_joints(joints), HUMANML3D), text))
    moments = Moments.none(HUMANML3D.feature_width)
    for name, rows, text in copies:
        positions = joints_from_features(rows, HUMANML3D)
        for folder, array in (("new_joint_vecs", rows), ("new_joints", positions)):
            with atomic(out / folder / f"{name}.npy", sync=False) as part:
                np.save(part, array.numpy())
        with atomic(out / "texts" / f"{name}.txt", sync=False) as part:
            part.write_text(text, encoding="utf-8")
        moments += Moments.of(rows.numpy())
    start, end = round(clip.start, 3), round(clip.end, 3)
    doubt = next(iter(doubts(joints_from_features(features, HUMANML3D).numpy(), HUMANML3D, features.numpy())), "")
    return RecordEntry(clip.id, source.name, start, end, len(features), source.group, source.split, doubt), moments


def _write_splits(
    out: Path, entries: list[RecordEntry], lists: dict[str, list[str]], mirror: bool
) -> dict[str, list[str]]:
    """Return the lists of ids, mirrored copies with their originals, and index.csv."""
    split_of = {clip: split for split, ids in lists.items() for clip in ids}
    lists = {**lists, "train_val": [*lists["train"], *lists["val"]], "all": [entry.id for entry in entries]}
    if mirror:
        originals = {entry.id for entry in entries}
        lists = {
            name: list(dict.fromkeys([*ids, *(MIRRORED + clip for clip in ids if clip in originals)]))
            for name, ids in lists.items()
        }
    for name, ids in lists.items():
        _write_whole(out / f"{name}.txt", "".join(f"{clip}\n" for clip in ids))
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["id", "source", "start", "end", "frames", "split"])
    for entry in entries:
        rows.writerow([entry.id, entry.source, entry.start, entry.end, entry.frames, split_of.get(entry.id, "")])
    _write_whole(out / "index.csv", table.getvalue())
    return lists


def _key(source: Source, about: Mapping[str, Any]) -> str:
    try:
        stat = source.file.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
    except OSError:
        stamp = []
    content = [source.name, stamp, repr(source.wanted), source.group, source.split, dict(about)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()


def _write_whole(path: Path, text: str) -> None:
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]} ..."
