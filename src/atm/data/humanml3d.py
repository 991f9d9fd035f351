"""HumanML3D and KIT-ML folders as users have them on disk.

    new_joint_vecs/<id>.npy   (T, 263) or (T, 251) features       Mean.npy, Std.npy   statistics of the features
    texts/<id>.txt            caption#word/POS ...#from#to         <split>.txt         one id per line
    programs.json             scripted data only: what each clip does

Other names that circulate are read too, see `atm.data.layout`. Facts: `from` and `to` are seconds; both 0 (or nan):
the caption belongs to the whole motion. Otherwise it belongs to frames int(from * 20) to int(to * 20), which become an
entry of their own, one for each such line. The published code takes 20 for KIT-ML too.
"""

import gc
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from atm.base.errors import InputError
from atm.base.reading import read_json
from atm.data.layout import CLIPS, Layout, find_layout
from atm.data.store import Store, open_store, open_texts, read_array, read_text
from atm.motion import Skeleton, skeleton_of_width

T = TypeVar("T")

LONGEST_TIME = 1e6
"""Seconds; a caption that begins or ends later lies outside of every clip all the same."""
SUB_CAPTION_RATE = 20
"""Frames per second that `from` and `to` are multiplied with, for both data sets (as published)."""
FRAMES_LIMIT = 200
"""A motion or part of this many frames or more is left out (as published)."""
MIN_FRAMES = {263: 40, 251: 24}
"""Shortest motion that takes part, by features per frame (as published)."""
VAL_SHARE, TEST_SHARE = 0.05, 0.15
"""Shares of all clips in the published splits, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Caption:
    """One sentence about a motion."""

    text: str
    words: tuple[str, ...]
    """`word/CLASS` tokens, as the file has them."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames of a motion that make an entry of the published data set."""

    first: int
    """First frame, inside the motion."""
    frames: int
    lines: tuple[int, ...]
    """Caption lines that belong to these frames, by their place in the text file."""
    whole: bool
    """The entry is the motion itself, and no part of it; a part can have all the motion's frames, too."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry: a motion, or the part of one that has a caption of its own."""

    id: str
    """The clip's name; of a part with `@from-to` in frames behind it, and `_2`, ... where lines share a part."""
    clip: str
    """The file's name, without its suffix."""
    first: int
    """First frame, inside the clip."""
    start: int
    """First row in the store."""
    frames: int
    captions: tuple[Caption, ...]
    program: Any = None
    """Script of the motion, as in `programs.json`; None: unknown."""


class MotionDataset:
    """One split of a data folder. Features are read from a memory-mapped store when they are asked for."""

    def __init__(
        self,
        skeleton: Skeleton,
        items: list[Item],
        *,
        mean: np.ndarray,
        std: np.ndarray,
        store: Store,
        skipped: dict[str, str],
    ):
        """Take `skipped`, ids of the split whose clip cannot be used, and why; the rest as `open_dataset` makes it."""
        self.skeleton = skeleton
        self.items = items
        self.mean = mean.astype(np.float32)
        self.std = std.astype(np.float32)
        self.skipped = skipped
        self._features = store.features

    def __len__(self) -> int:
        return len(self.items)

    def features(self, item: Item) -> np.ndarray:
        """Return (T, D) float32 in published units; a view into the store."""
        return self._features[item.start : item.start + item.frames]

    def captions(self) -> list[str]:
        """Return every different caption of the split, in order of first use."""
        return list(dict.fromkeys(caption.text for item in self.items for caption in item.captions))


def open_dataset(folder: str | Path, split: str, *, min_frames: int | None = None) -> MotionDataset:
    """Return a split of a HumanML3D or KIT-ML folder.

    Args:
        folder: the data folder.
        split: `train`, `val`, `test`, ...: the name of a list of ids in the folder.
        min_frames: shortest motion and part of one that take part; None: the published rule (40, KIT 24).

    Raises:
        InputError: not such a folder, a file is missing, a text file holds no caption, or no motion is left.
    """
    layout = find_layout(folder)
    mean, std, skeleton = read_statistics(layout)
    ids = read_split(layout.folder, split)
    store = open_store(layout.clips, skeleton.feature_width)
    least = MIN_FRAMES[skeleton.feature_width] if min_frames is None else min_frames
    with _without_collector():
        source = _Source(layout.texts, open_texts(layout.texts), read_programs(layout.folder, ids), store)
        items = [item for clip_id in ids if clip_id in store.span for item in _items(source, clip_id, least)]
    if not items:
        raise InputError(
            f"split {split!r} of {folder} has no usable motion: {len(ids)} ids are listed, motions of {least} to "
            f"{FRAMES_LIMIT - 1} frames take part; `atm data check {folder}` says what is wrong"
        )
    skipped = {clip_id: store.skipped.get(clip_id, "has no file") for clip_id in ids if clip_id not in store.span}
    return MotionDataset(skeleton, items, mean=mean, std=std, store=store, skipped=skipped)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Give ten thousands of small objects are made here, and all stay: looking for garbage among them again and again
    would cost a third of a run's start."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def read_statistics(layout: Layout) -> tuple[np.ndarray, np.ndarray, Skeleton]:
    """Return the mean, deviations and, by their width, the skeleton of a data folder; says what is missing of the
    folder."""
    parts = {CLIPS[0]: layout.clips, "texts": layout.texts, "Mean.npy": layout.mean, "Std.npy": layout.std}
    for name, path in parts.items():
        if path is None:
            raise InputError(f"{layout.folder} has no {name}: expected a folder in the HumanML3D layout")
    mean, std = _read_row(layout.mean), _read_row(layout.std)
    if mean.ndim != 1 or mean.shape != std.shape:
        raise InputError(
            f"{layout.mean.name} {mean.shape} and {layout.std.name} {std.shape} of {layout.folder} must be one row of "
            "equal length"
        )
    return mean, std, skeleton_of_width(len(mean))


def _read_row(file: Path) -> np.ndarray:
    try:
        return read_array(file)
    except InputError as error:
        raise InputError(f"{file} {error}: expected an array of numbers") from None


def read_split(folder: Path, split: str) -> list[str]:
    """Return the ids of a split, in file order."""
    file = folder / f"{split}.txt"
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.txt"))
        raise InputError(
            f"{folder} has no split {split!r}: expected {file.name}; there are {', '.join(known) or 'none'}"
        )
    content = read_text(file)
    if content is None:
        raise InputError(f"{file} is no UTF-8: expected one id per line; `atm data check` says which of them are meant")
    return [line.strip() for line in content.splitlines() if line.strip()]


def read_captions(file: Path) -> list[tuple[Caption, float, float]]:
    """Return the lines of a text file as caption, from, to (seconds; 0, 0 is the whole motion).

    Raises:
        InputError: the file is missing, holds no caption, or a line has another form.
    """
    try:
        content = read_text(file)
    except InputError as error:
        raise InputError(f"cannot read the captions: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read the captions {file}: {error.strerror}") from None
    if content is None:
        raise InputError(f"cannot read the captions {file}: it is no UTF-8; `atm data check --fix OUT` rewrites it")
    return _captions(content, file)


def _captions(content: str, file: Path) -> list[tuple[Caption, float, float]]:
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{file} holds no caption: expected lines of the form caption#word/POS ...#from#to")
    return [_caption(line, file) for line in lines]


def _caption(line: str, file: Path) -> tuple[Caption, float, float]:
    parts = line.strip().split("#")
    try:
        text, words, start, end = parts
        times = [_seconds(time) for time in (start, end)]
    except ValueError:
        raise InputError(f"{file}: expected caption#word/POS ...#from#to, got {line!r}") from None
    return Caption(text.strip(), tuple(words.split())), times[0], times[1]


def _seconds(word: str) -> float:
    """Return a time in seconds; NaN and infinity stand for none, and what no clip lasts for the longest."""
    time = float(word)
    return min(max(time, -LONGEST_TIME), LONGEST_TIME) if math.isfinite(time) else 0.0


def _actions(done: Any) -> list[dict[str, Any]]:
    """Return a clip's actions, if they are a list of named values; what they mean is the scripted world's to say."""
    if not isinstance(done, list) or not all(isinstance(action, dict) for action in done):
        raise TypeError("a clip's program is a list of actions")
    return done


def read_programs(folder: Path, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what each of these clips does, of scripted ones; nothing where the motions are not scripted."""
    file = folder / "programs.json"
    if not file.is_file():
        return {}
    try:
        programs = read_json(file)
        return {clip_id: _actions(done) for clip_id in ids if (done := programs.get(clip_id)) is not None}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"cannot read {file} ({error}): expected what `atm data scripted` writes; write the data set again, or "
            "remove the file, and the motions count as not scripted"
        ) from None


@dataclass(frozen=True)
class _Source:
    """Files and data from which the entries of a split are made."""

    texts: Path
    content: dict[str, str]
    programs: dict[str, list[dict[str, Any]]]
    store: Store


def _items(source: _Source, clip_id: str, least: int) -> list[Item]:
    """Return a clip's entries: each part that has a caption of its own, then the whole motion."""
    start, frames = source.store.span[clip_id]
    content = source.content.get(clip_id)
    file = source.texts / f"{clip_id}.txt"
    lines = read_captions(file) if content is None else _captions(content, file)
    items: list[Item] = []
    ids: dict[str, int] = {}
    for span in published_spans(frames, [(begin, end) for _, begin, end in lines], least=least):
        name = clip_id if span.whole else f"{clip_id}@{span.first}-{span.first + span.frames}"
        ids[name] = ids.get(name, 0) + 1
        if ids[name] > 1:
            name = f"{name}_{ids[name]}"
        captions = tuple(lines[line][0] for line in span.lines)
        program = source.programs.get(clip_id) if span.whole else None
        items.append(Item(name, clip_id, span.first, start + span.first, span.frames, captions, program))
    return items


def published_spans(frames: int, times: Sequence[tuple[float, float]], *, least: int) -> list[Span]:
    """Return the entries that the published data set classes make of a motion: its parts by line, then the whole.

    A motion that is too short or too long has no entry at all, whatever its parts are. Each line with times makes an
    entry of its own, also where another line has the same times. Only lines without times make the whole an entry.

    Source: data set classes of Guo et al. 2022, which MDM and MoMask share.

    Args:
        frames: of the motion.
        times: from and to of each caption line in seconds, in file order; both 0: the whole motion.
        least: frames of the shortest motion and of the shortest part.
    """
    if not least <= frames < FRAMES_LIMIT:
        return []
    spans, whole = [], []
    for line, (begin, end) in enumerate(times):
        if not (begin or end):
            whole.append(line)
            continue
        first, last = int(begin * SUB_CAPTION_RATE), min(int(end * SUB_CAPTION_RATE), frames)
        if first >= 0 and least <= last - first < FRAMES_LIMIT:
            spans.append(Span(first, last - first, (line,), whole=False))
    return [*spans, Span(0, frames, tuple(whole), whole=True)] if whole else spans


def by_length(entries: Iterable[T]) -> list[T]:
    """Return entries, whatever has `frames`, in the order of the published data set classes: equals in file order."""
    return sorted(entries, key=lambda entry: entry.frames)


def write_text(file: Path, captions: Sequence[Caption], times: Sequence[tuple[float, float]] | None = None) -> None:
    """Write captions in the layout's form; `times` are from and to in seconds, None: all are of the whole motion."""
    spans = [(0.0, 0.0)] * len(captions) if times is None else times
    lines = [
        f"{caption.text}#{' '.join(caption.words)}#{start}#{end}"
        for caption, (start, end) in zip(captions, spans, strict=True)
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
