"""How fast training gets its data: crops and batches per second, the start of a run, memory.

Every way of reading is measured in one process, in turn, on the same crops, after a round that does not count.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from atm.apps.bench.measure import Comparison, measure
from atm.base.errors import InputError
from atm.base.progress import progress
from atm.data.batches import MAX_FRAMES, BatchSampler, crop_of
from atm.data.humanml3d import Item, MotionDataset, open_dataset
from atm.data.layout import find_layout
from atm.data.store import open_store
from atm.interface import TextEncoder

Way = Callable[[Item, int, int], np.ndarray]
"""Reads rows of an item: which, from which row, how many."""

CROPS, BATCHES = 1000, 50
"""Number of crops and of batches in one round."""
ROUNDS = 9
STARTS = 3
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Speed:
    """How often something is done in a second."""

    what: str
    median: float
    low: float
    """A quarter of the rounds was slower."""
    high: float
    """A quarter of the rounds was faster."""


@dataclass(frozen=True)
class DataReport:
    """Results of the measurement."""

    clips: int
    frames: int
    crops: tuple[Speed, ...]
    """Crops per second; first the store."""
    batches: Speed
    starts: dict[str, float]
    """Seconds until a run can draw its first batch, models and embeddings apart."""
    memory: dict[str, float]
    """Megabytes that a process needs for itself to draw crops, beside what the libraries need: mapped files lie in the
    system's page cache and do not count. Empty where the system does not tell."""

    @property
    def ratio(self) -> float:
        """Crops per second of the store over one `.npy` per clip, opened for each crop."""
        return self.crops[0].median / self.crops[1].median

    def tables(self) -> list[Table]:
        speeds = Table(title=f"{self.clips:,} motions, {self.frames:,} frames: per second, in {ROUNDS} rounds")
        for column in ("", "median", "middle half of the rounds", "times as slow as the store"):
            speeds.add_column(column, justify="right" if column else "left")
        for speed in self.crops:
            slower = self.crops[0].median / speed.median
            speeds.add_row(speed.what, *_cells(speed), f"{slower:.1f}")
        speeds.add_row(self.batches.what, *_cells(self.batches), "")
        costs = Table(title="start and memory")
        for column in ("", "seconds", "memory, MB"):
            costs.add_column(column, justify="right" if column else "left")
        for what, seconds in self.starts.items():
            costs.add_row(what, f"{seconds:.2f}", f"{self.memory[what]:,.0f}" if what in self.memory else "")
        return [speeds, costs]


STORE = "the store: a slice of one memory-mapped array"
PER_CLIP = "one .npy per clip, read for each crop"
MAPPED = "one .npy per clip, mapped for each crop"
IN_MEMORY = "all clips read into memory first"
SECOND_START = "a run that finds the store"
FIRST_START = "a run that builds the store"


def bench_data(
    folder: Path,
    text_encoder: TextEncoder,
    *,
    split: str = "train",
    batch_size: int = 64,
    build: bool = False,
    show_progress: bool = True,
) -> DataReport:
    """Return measure how a data folder is read.

    Args:
        folder: a HumanML3D or KIT-ML folder.
        text_encoder: as training has it, with the captions of the split in memory.
        split: what is drawn from.
        batch_size: rows of a batch.
        build: also build the store anew (in a folder for temporary files) and read all clips into memory.
        show_progress: show a bar.
    """
    dataset = open_dataset(folder, split)
    ways = ways_to_read(dataset, folder)
    sampler = BatchSampler(dataset, text_encoder, batch_size=batch_size, seed=0)
    crop_times: dict[str, list[float]] = {way: [] for way in ways}
    batch_times: list[float] = []
    for number in progress(range(ROUNDS + 1), "measuring", show=show_progress):
        drawn = _crops(dataset, np.random.default_rng([number, CROPS]), CROPS)
        for way, read in ways.items():
            crop_times[way].append(_seconds(partial(_read_all, drawn, read)) / CROPS)
        steps = range(number * BATCHES, (number + 1) * BATCHES)
        batch_times.append(_seconds(partial(_run_all, sampler, steps)) / BATCHES)
    starts = {SECOND_START: _median_start(folder, split)}
    if build:
        clips = find_layout(folder).clips
        starts[FIRST_START] = starts[SECOND_START] + _seconds_to_build(clips, dataset.skeleton.feature_width)
        starts[IN_MEMORY] = _seconds(lambda: _all_clips(dataset, clips))
    memory = {SECOND_START: _memory(_draw_from_store, folder, split)}
    if build:
        memory[IN_MEMORY] = _memory(_draw_from_memory, folder, split)
    return DataReport(
        clips=len(dataset),
        frames=sum(item.frames for item in dataset.items),
        crops=tuple(_speed(way, times[1:]) for way, times in crop_times.items()),
        batches=_speed(f"batches of {batch_size}, with their captions' embeddings", batch_times[1:]),
        starts=starts,
        memory={what: sizes for what, sizes in memory.items() if sizes is not None},
    )


def bench_reading(folder: Path, *, quick: bool, show: bool) -> list[Comparison]:
    """Compare the ways in which crops can be read, one .npy per clip first; `bench_data` says more of them."""
    dataset = open_dataset(folder, "train")
    crops = CROPS // 50 if quick else CROPS

    def side(read: Way) -> Callable[[int], None]:
        return lambda number: _read_all(_crops(dataset, np.random.default_rng([number, crops]), crops), read)

    ways = ways_to_read(dataset, folder)
    sides = {way: side(ways[way]) for way in (PER_CLIP, MAPPED, STORE)}
    return [measure(f"{crops} crops", sides, rounds=2 if quick else ROUNDS, show=show)]


def ways_to_read(dataset: MotionDataset, folder: Path) -> dict[str, Way]:
    """Return how rows of an item can be read: from the store, and from one file per clip as the field's loaders keep
    them."""
    clips = find_layout(folder).clips
    return {
        STORE: lambda item, first, frames: dataset.features(item)[first : first + frames],
        PER_CLIP: lambda item, first, frames: _rows_of(np.load(clips / _file(item)), item, first, frames),
        MAPPED: lambda item, first, frames: _rows_of(np.load(clips / _file(item), mmap_mode="r"), item, first, frames),
    }


def _cells(speed: Speed) -> tuple[str, str]:
    return f"{speed.median:,.0f}", f"{speed.low:,.0f} to {speed.high:,.0f}"


def _speed(what: str, times: list[float]) -> Speed:
    low, median, high = np.quantile(1 / np.array(times), [0.25, 0.5, 0.75])
    return Speed(what, float(median), float(low), float(high))


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _crops(dataset: MotionDataset, rng: np.random.Generator, count: int) -> list[tuple[Item, int, int]]:
    items = [dataset.items[row] for row in rng.integers(len(dataset), size=count)]
    return [(item, *crop_of(item.frames, rng)) for item in items]


def _read_all(crops: list[tuple[Item, int, int]], read: Way) -> None:
    """Read and copy each crop, as a batch copies it: a slice that is never read costs nothing."""
    row = np.empty((MAX_FRAMES, read(*crops[0]).shape[1]), np.float32)
    for item, first, frames in crops:
        row[:frames] = read(item, first, frames)


def _run_all(sampler: BatchSampler, steps: range) -> None:
    for step in steps:
        sampler(step)


def _file(item: Item) -> str:
    return f"{item.clip}.npy"


def _rows_of(clip: np.ndarray, item: Item, first: int, frames: int) -> np.ndarray:
    """Return rows of a whole clip, where the item may be a part of it."""
    start = item.first + first
    return clip[start : start + frames]


def _median_start(folder: Path, split: str) -> float:
    return float(np.median([_seconds(lambda: open_dataset(folder, split)) for _ in range(STARTS)]))


def _seconds_to_build(clips: Path, width: int) -> float:
    """Return the seconds that it takes to build a store of the same clips in another place.

    Links stand for the clips, so that all of it can be deleted again.
    """
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / clips.name).mkdir()
        for file in clips.glob("*.npy"):
            (Path(place) / clips.name / file.name).symlink_to(file.resolve())
        return _seconds(lambda: open_store(Path(place) / clips.name, width))


def _all_clips(dataset: MotionDataset, clips: Path) -> list[np.ndarray]:
    return [np.load(clips / _file(item)) for item in dataset.items]


def _draw_from_store(folder: Path, split: str) -> MotionDataset:
    dataset = open_dataset(folder, split)
    read = ways_to_read(dataset, folder)[STORE]
    for number in range(ROUNDS):
        _read_all(_crops(dataset, np.random.default_rng(number), CROPS), read)
    return dataset


def _draw_from_memory(folder: Path, split: str) -> dict[str, np.ndarray]:
    dataset = open_dataset(folder, split)
    clips = _all_clips(dataset, find_layout(folder).clips)
    kept = {item.id: clip for item, clip in zip(dataset.items, clips, strict=True)}
    for number in range(ROUNDS):
        crops = _crops(dataset, np.random.default_rng(number), CROPS)
        _read_all(crops, lambda item, first, frames: _rows_of(kept[item.id], item, first, frames))
    return kept


def _memory(work: Callable[[Path, str], Any], folder: Path, split: str) -> float | None:
    """Return megabytes that a process of its own needs for some work, beside what the libraries need."""
    if not _STATUS.is_file():
        return None
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe()
    process = context.Process(target=_work_and_tell, args=(work, folder, split, ours))
    process.start()
    ours.close()
    try:
        return theirs.recv()
    except EOFError:
        raise InputError(f"the process that was to measure memory ended early, with code {process.exitcode}") from None
    finally:
        process.join()


def _work_and_tell(work: Callable[[Path, str], Any], folder: Path, split: str, pipe: Connection) -> None:
    before = _own_memory()
    kept = work(folder, split)
    pipe.send(_own_memory() - before)
    del kept


def _own_memory() -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) / 1024
