"""All clips of a data folder in one memory-mapped array, built on first use.

One file per clip costs an open, a header and a copy for every crop; one array costs a slice. The store lies beside
the clips (or in the cache folder, where the data folder cannot be written) and is named by their content: names,
sizes and times of change. When a clip changes, another store is built.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atm.cache import cache_folder
from atm.errors import InputError
from atm.progress import progress


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
        """Features of one clip, (T, D); a view."""
        start, frames = self.span[clip_id]
        return self.features[start : start + frames]


def open_store(folder: Path, width: int) -> Store:
    """The store of the clips in `folder`/new_joint_vecs, built when there is none yet.

    Args:
        folder: a data folder in the HumanML3D layout.
        width: features per frame that every clip must have; a clip of another width is skipped and named.

    Raises:
        InputError: no clip can be read.
    """
    files = sorted((folder / "new_joint_vecs").glob("*.npy"))
    if not files:
        raise InputError(f"{folder} holds no clips: expected features as new_joint_vecs/<id>.npy")
    stamps = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([width, stamps]).encode()).hexdigest()[:16]
    for base in (folder / ".atm", _elsewhere(folder)):
        if (base / f"{key}.json").is_file():
            return _load(base, key)
    base = folder / ".atm"
    try:
        base.mkdir(exist_ok=True)
        (base / "probe").touch()
        (base / "probe").unlink()
    except OSError:
        base = _elsewhere(folder)
        base.mkdir(parents=True, exist_ok=True)
    _build(files, width, base, key)
    return _load(base, key)


def _elsewhere(folder: Path) -> Path:
    return cache_folder() / "stores" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def _build(files: list[Path], width: int, base: Path, key: str) -> None:
    span: dict[str, tuple[int, int]] = {}
    skipped: dict[str, str] = {}
    rows = 0
    part = base / f"{key}.{os.getpid()}.part"
    with part.open("wb") as out:
        for file in progress(files, "reading clips"):
            clip, fault = _read(file, width)
            if fault:
                skipped[file.stem] = fault
                continue
            out.write(clip.tobytes())
            span[file.stem] = (rows, len(clip))
            rows += len(clip)
    if not span:
        part.unlink()
        first = next(iter(skipped))
        raise InputError(f"none of the {len(files)} clips can be used; {first}: {skipped[first]}")
    part.rename(base / f"{key}.f32")
    index = base / f"{key}.json.{os.getpid()}.part"
    index.write_text(json.dumps({"width": width, "rows": rows, "span": span, "skipped": skipped}))
    index.rename(base / f"{key}.json")


def _read(file: Path, width: int) -> tuple[np.ndarray, str]:
    """One clip as float32, or what is wrong with it."""
    try:
        clip = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        return np.empty(0), f"cannot be read ({error})"
    if clip.ndim != 2 or clip.shape[1] != width:
        return np.empty(0), f"has shape {clip.shape}, expected (frames, {width})"
    if not len(clip):
        return np.empty(0), "has no frames"
    if not np.isfinite(clip).all():
        return np.empty(0), "holds NaN or infinite values"
    return np.ascontiguousarray(clip, dtype=np.float32), ""


def _load(base: Path, key: str) -> Store:
    index = json.loads((base / f"{key}.json").read_text())
    mapped = np.memmap(base / f"{key}.f32", np.float32, "r", shape=(index["rows"], index["width"]))
    # Viewed as a plain array: slicing a memmap object costs more than the read itself.
    span = {clip_id: (start, frames) for clip_id, (start, frames) in index["span"].items()}
    return Store(mapped.view(np.ndarray), span, index["skipped"])
