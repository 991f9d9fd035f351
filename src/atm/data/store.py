"""Store of a data folder: its thousands of small files, gathered into few that open at once.

One file per clip costs an open, a header and a copy for every crop; one memory-mapped array costs a slice. The
captions are gathered likewise, so that a run starts in a second. Both lie in `.atm` beside the files (or in the cache
folder, where the data folder cannot be written) and are named by what they were made of: names, sizes and times of
change. When a file changes, another is built, and the old one goes.
"""

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from atm.base.arrays import mistaken
from atm.base.cache import cache_folder
from atm.base.errors import InputError
from atm.base.progress import progress
from atm.base.storage import atomic
from atm.motion import HUMANML3D, KIT

_FARTHEST = 1000.0
"""Metres; no number of a frame may be larger: positions count from the body, steps from frame to frame."""


@dataclass(frozen=True)
class Store:
    """Features of every readable clip of a folder."""

    features: np.ndarray
    """(all frames, D) float32, memory-mapped."""
    span: dict[str, tuple[int, int]]
    """First row and number of frames of each clip."""
    skipped: dict[str, str]
    """Clips that cannot be used, and why."""

    def clip(self, clip_id: str) -> np.ndarray:
        """Return features of one clip, (T, D); a view."""
        start, frames = self.span[clip_id]
        return self.features[start : start + frames]


def open_store(clips: Path, width: int) -> Store:
    """Return the store of the clips in a folder, built when there is none yet.

    Args:
        clips: a folder of features, one `<id>.npy` per clip.
        width: features per frame that every clip must have; a clip of another width is skipped and named.

    Raises:
        InputError: no clip can be read.
    """
    names, key = _listed(clips, ".npy", width)
    if not names:
        raise InputError(f"{clips} holds no clips: expected features as <id>.npy")
    index = _found_or_built(clips, f"{key}.json", lambda file: _build(clips, names, width, file))
    about = json.loads(index.read_text())
    mapped = np.memmap(index.with_suffix(".f32"), np.float32, "r", shape=(about["rows"], about["width"]))
    span = {clip_id: (start, frames) for clip_id, (start, frames) in about["span"].items()}
    # Viewed as a plain array: slicing a memmap object costs more than the read itself.
    return Store(mapped.view(np.ndarray), span, about["skipped"])


def open_texts(texts: Path) -> dict[str, str]:
    """Return what stands in every `<id>.txt` of a folder, by id; files that are no UTF-8 are left out."""
    names, key = _listed(texts, ".txt", "texts")
    index = _found_or_built(texts, f"{key}.texts.json", lambda file: _gather(texts, names, file))
    return json.loads(index.read_text())


class Fault(NamedTuple):
    """Why a clip cannot be used."""

    kind: Literal["unreadable", "wrong width", "no frames", "not finite", "impossible"]
    said: str
    """In words, to stand behind the clip's name."""


def read_array(file: Path, *, mapped: bool = False) -> np.ndarray:
    """Return a file of numbers; `mapped`: only its shape is wanted.

    Raises:
        InputError: what is wrong with it, to stand behind the file's name.
    """
    try:
        array = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        said = "Python objects, no array of numbers" if "pickle" in str(error) else str(error)
        raise InputError(mistaken(file) or f"cannot be read ({said})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError("cannot be read (no array of numbers)")
    return array


def read_clip(file: Path, width: int) -> tuple[np.ndarray, Fault | None]:
    """Return one clip as float32 (T, D), or what is wrong with it."""
    try:
        clip = read_array(file)
    except InputError as error:
        return np.empty(0), Fault("unreadable", str(error))
    if clip.ndim != 2 or clip.shape[1] != width:
        return np.empty(0), Fault("wrong width", f"has shape {clip.shape}, expected (frames, {width})")
    if not len(clip):
        return np.empty(0), Fault("no frames", "has no frames")
    if not np.isfinite(clip).all():
        return np.empty(0), Fault("not finite", "holds NaN or infinite values")
    if (largest := float(np.abs(clip).max())) > _largest(width):
        return np.empty(0), Fault("impossible", f"holds values up to {largest:.1e}")
    return np.ascontiguousarray(clip, dtype=np.float32), None


def _largest(width: int) -> float:
    metres = next((one.metres_per_unit for one in (HUMANML3D, KIT) if one.feature_width == width), 0.001)
    return _FARTHEST / metres


def read_text(file: Path) -> str | None:
    """Return a text file's content, None where it is no UTF-8. A byte order mark is no part of it."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _listed(folder: Path, suffix: str, made: int | str) -> tuple[list[str], str]:
    """Return the folder's files of a suffix in order, and a key that changes when one of them does, or what is `made`.

    Hidden files are left out: some systems lay one beside every file, of the same suffix (`._000000.npy`).
    """
    with os.scandir(folder) as entries:
        stamps = sorted(
            (entry.name, (stat := entry.stat()).st_size, stat.st_mtime_ns)
            for entry in entries
            if entry.name.endswith(suffix) and not entry.name.startswith(".") and entry.is_file()
        )
    key = hashlib.sha256(json.dumps([made, stamps]).encode()).hexdigest()[:16]
    return [name for name, _, _ in stamps], key


def _found_or_built(source: Path, name: str, build: Callable[[Path], None]) -> Path:
    """Return the file of this name that belongs to a folder, beside it or in the cache folder."""
    beside = source.parent / ".atm"
    elsewhere = cache_folder() / "stores" / hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:16]
    for base in (beside, elsewhere):
        if (base / name).is_file():
            return base / name
    base = beside
    try:
        base.mkdir(exist_ok=True)
        (base / "probe").touch()
        (base / "probe").unlink()
    except OSError:
        base = elsewhere
        base.mkdir(parents=True, exist_ok=True)
    build(base / name)
    return base / name


def _build(clips: Path, names: list[str], width: int, index: Path) -> None:
    span: dict[str, tuple[int, int]] = {}
    skipped: dict[str, str] = {}
    rows = 0
    with atomic(index.with_suffix(".f32")) as part:
        with part.open("wb") as out:
            for name in progress(names, "reading clips"):
                clip, fault = read_clip(clips / name, width)
                clip_id = name.removesuffix(".npy")
                if fault is not None:
                    skipped[clip_id] = fault.said
                    continue
                out.write(clip.tobytes())
                span[clip_id] = (rows, len(clip))
                rows += len(clip)
        if not span:
            first = next(iter(skipped))
            raise InputError(f"none of the {len(names)} clips can be used; {first}: {skipped[first]}")
    _write_json(index, {"width": width, "rows": rows, "span": span, "skipped": skipped})
    _forget_others(index, ("f32", "json"))


def _gather(texts: Path, names: list[str], index: Path) -> None:
    content = {name.removesuffix(".txt"): read_text(texts / name) for name in progress(names, "reading captions")}
    _write_json(index, {clip_id: text for clip_id, text in content.items() if text is not None})
    _forget_others(index, ("texts.json",))


def _write_json(file: Path, content: object) -> None:
    with atomic(file) as part:
        part.write_text(json.dumps(content))


def _forget_others(index: Path, suffixes: tuple[str, ...]) -> None:
    """Remove what was built of earlier contents: gigabytes that would not be used again."""
    key = index.name.partition(".")[0]
    for file in index.parent.iterdir():
        other, _, suffix = file.name.partition(".")
        if suffix in suffixes and other != key:
            # A run that reads the old store keeps it until it ends; Windows refuses, and then it stays.
            with contextlib.suppress(OSError):
                file.unlink()
