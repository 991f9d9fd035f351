"""HumanML3D and KIT-ML folders as users have them on disk.

    new_joint_vecs/<id>.npy   (T, 263) or (T, 251) features       Mean.npy, Std.npy   statistics of the features
    texts/<id>.txt            caption#word/POS ...#from#to         <split>.txt         one id per line
    programs.json             scripted data only: what each clip does

Facts: `from` and `to` are seconds; both 0 (or nan): the caption belongs to the whole motion. Otherwise it belongs to
frames int(from * 20) to int(to * 20), which become an entry of their own. The published code takes 20 for KIT-ML too.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atm.data.scripted.program import Program
from atm.data.store import Store, open_store
from atm.errors import InputError
from atm.motion import Skeleton, skeleton_of_width

SUB_CAPTION_RATE = 20
"""Frames per second that `from` and `to` are multiplied with, for both data sets (as published)."""
FRAMES_LIMIT = 200
"""A motion or sub-motion of this many frames or more is left out (as published)."""
MIN_FRAMES = {263: 40, 251: 24}
"""Shortest motion that takes part, by features per frame (as published)."""


@dataclass(frozen=True)
class Caption:
    """One sentence about a motion."""

    text: str
    words: tuple[str, ...]
    """`word/CLASS` tokens, as the file has them."""


@dataclass(frozen=True)
class Item:
    """A motion, or the part of one that has its own captions."""

    id: str
    """The file's name, with `from-to` behind it where the item is a part."""
    start: int
    """First row in the store."""
    frames: int
    captions: tuple[Caption, ...]
    program: Program | None = None


class MotionDataset:
    """One split of a data folder. Features are read from a memory-mapped store when they are asked for."""

    def __init__(self, folder: Path, skeleton: Skeleton, items: list[Item], store: Store):
        self.folder = folder
        self.skeleton = skeleton
        self.items = items
        self.mean: np.ndarray = np.load(folder / "Mean.npy").astype(np.float32)
        self.std: np.ndarray = np.load(folder / "Std.npy").astype(np.float32)
        self.skipped = store.skipped
        self._features = store.features

    def __len__(self) -> int:
        return len(self.items)

    def features(self, item: Item) -> np.ndarray:
        """(T, D) float32 in published units; a view into the store."""
        return self._features[item.start : item.start + item.frames]

    def captions(self) -> list[str]:
        """Every different caption of the split, in order of first use."""
        return list(dict.fromkeys(caption.text for item in self.items for caption in item.captions))


def open_dataset(folder: str | Path, split: str, *, min_frames: int | None = None) -> MotionDataset:
    """A split of a HumanML3D or KIT-ML folder.

    Args:
        folder: the data folder.
        split: `train`, `val`, `test`, ...: the name of a list of ids in the folder.
        min_frames: shortest motion that takes part; None: the published rule (40, KIT 24).

    Raises:
        InputError: not such a folder, a file is missing, a text file holds no caption, or no motion is left.
    """
    folder = Path(folder)
    skeleton = check_layout(folder)
    ids = read_split(folder, split)
    store = open_store(folder, skeleton.feature_width)
    least = MIN_FRAMES[skeleton.feature_width] if min_frames is None else min_frames
    programs_file = folder / "programs.json"
    programs = json.loads(programs_file.read_text()) if programs_file.is_file() else {}
    items = [
        item for clip_id in ids if clip_id in store.span for item in _items(folder, clip_id, store, least, programs)
    ]
    if not items:
        raise InputError(
            f"split {split!r} of {folder} has no usable motion: {len(ids)} ids are listed, motions of {least} to "
            f"{FRAMES_LIMIT - 1} frames take part"
        )
    return MotionDataset(folder, skeleton, items, store)


def check_layout(folder: Path) -> Skeleton:
    """The skeleton of a data folder, by the width of its statistics; says what is missing otherwise."""
    if not folder.is_dir():
        raise InputError(f"no data folder at {folder}; `atm data scripted {folder}` writes one of scripted motions")
    for name in ("new_joint_vecs", "texts", "Mean.npy", "Std.npy"):
        if not (folder / name).exists():
            raise InputError(f"{folder} has no {name}: expected a folder in the HumanML3D layout")
    mean, std = (_read_row(folder / name) for name in ("Mean.npy", "Std.npy"))
    if mean.ndim != 1 or mean.shape != std.shape:
        raise InputError(f"Mean.npy {mean.shape} and Std.npy {std.shape} of {folder} must be one row of equal length")
    return skeleton_of_width(len(mean))


def _read_row(file: Path) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read {file} as an array of numbers: {error}") from None


def read_split(folder: Path, split: str) -> list[str]:
    """The ids of a split, in file order."""
    file = folder / f"{split}.txt"
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.txt"))
        raise InputError(
            f"{folder} has no split {split!r}: expected {file.name}; there are {', '.join(known) or 'none'}"
        )
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def read_captions(file: Path) -> list[tuple[Caption, float, float]]:
    """The lines of a text file as caption, from, to (seconds; 0, 0 is the whole motion).

    Raises:
        InputError: the file is missing, holds no caption, or a line has another form.
    """
    try:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the captions {file}: {error}") from None
    if not lines:
        raise InputError(f"{file} holds no caption: expected lines of the form caption#word/POS ...#from#to")
    return [_caption(line, file) for line in lines]


def _caption(line: str, file: Path) -> tuple[Caption, float, float]:
    parts = line.strip().split("#")
    try:
        text, words, start, end = parts
        times = [0.0 if math.isnan(float(time)) else float(time) for time in (start, end)]
    except ValueError:
        raise InputError(f"{file}: expected caption#word/POS ...#from#to, got {line!r}") from None
    return Caption(text.strip(), tuple(words.split())), times[0], times[1]


def _items(folder: Path, clip_id: str, store: Store, least: int, programs: dict) -> list[Item]:
    """A clip's entries: the whole motion, and each part that has captions of its own."""
    start, frames = store.span[clip_id]
    spans: dict[tuple[int, int], list[Caption]] = {}
    for caption, begin, end in read_captions(folder / "texts" / f"{clip_id}.txt"):
        span = (0, frames)
        if begin or end:
            span = int(begin * SUB_CAPTION_RATE), min(int(end * SUB_CAPTION_RATE), frames)
        spans.setdefault(span, []).append(caption)
    program = Program.from_json(programs[clip_id]) if clip_id in programs else None
    items = []
    for (begin, end), captions in spans.items():
        if least <= end - begin < FRAMES_LIMIT:
            whole = (begin, end) == (0, frames)
            name = clip_id if whole else f"{clip_id}@{begin}-{end}"
            items.append(Item(name, start + begin, end - begin, tuple(captions), program if whole else None))
    return items


def write_text(file: Path, captions: Sequence[Caption]) -> None:
    """Captions of a whole motion, in the layout's form."""
    lines = [f"{caption.text}#{' '.join(caption.words)}#0.0#0.0" for caption in captions]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
