"""A data folder, read once: every clip, every caption line, every list of ids."""

from dataclasses import dataclass
from pathlib import Path

from atm.base.errors import InputError
from atm.base.progress import progress
from atm.curation.check.captions import Text, decoded, read_lines
from atm.curation.check.clips import Clip, look_at
from atm.data.layout import Layout, find_layout
from atm.data.statistics import Moments
from atm.data.store import read_array
from atm.motion import HUMANML3D, KIT, Skeleton

SPLITS = ("train", "val", "test")
"""The lists that share the clips out; every other list repeats some of their ids."""
_SAMPLED = 64
"""Clips whose width decides which skeleton the folder has."""


@dataclass(frozen=True)
class Scan:
    """What is in a folder."""

    layout: Layout
    skeleton: Skeleton
    clips: dict[str, Clip]
    texts: dict[str, Text]
    listed: dict[str, list[str]]
    """Lines of every list of ids (`train`, ..., `all`), as they stand there."""
    encodings: dict[str, str]
    """What each list was read as."""
    moments: dict[str, Moments]
    """Of the usable clips of `train`, and of `all`."""

    @property
    def splits(self) -> dict[str, list[str]]:
        """Ids of train, val and test, where there is such a list; each as its file is named."""
        return {name: [self.file_id(line) for line in self.listed[name]] for name in SPLITS if name in self.listed}

    def file_id(self, line: str) -> str:
        """Return the clip that a line of a list means, where the line spells it in another way."""
        return next((spelling for spelling in spellings(line) if spelling in self.clips), line)

    def usable(self, clip_id: str) -> bool:
        """Return whether a clip is there and can be read."""
        return clip_id in self.clips and self.clips[clip_id].fault is None


def spellings(line: str) -> list[str]:
    """Return the names that a line of a list may stand for, the line itself first.

    `000001.npy` and `new_joint_vecs/000001.npy` are 000001, and so is `1`, as spreadsheets leave of it; `m000001` is
    M000001; KIT's raw names `3_1_gt` and `M_03950_gt` are 31 and M03950, as the published features are named.
    """
    stem = line.replace("\\", "/").rpartition("/")[2]
    for suffix in (".npy", ".txt"):
        stem = stem.removesuffix(suffix)
    padded = [stem.zfill(width) for width in (5, 6)] if stem.isdecimal() else []
    return list(dict.fromkeys([line, stem, stem.upper(), stem.removesuffix("_gt").replace("_", ""), *padded]))


def scan_folder(folder: Path, *, show_progress: bool = True) -> Scan:
    """Read a data folder.

    Raises:
        InputError: no folder, or none that holds clips.
    """
    layout = find_layout(folder)
    files = _files(layout.clips, ".npy")
    if not files:
        raise InputError(
            f"{folder} is no data folder in the HumanML3D layout: expected features as new_joint_vecs/<id>.npy "
            "(or motions/<id>.npy)"
        )
    skeleton = _skeleton(files, layout)
    names = {file.stem for file in files}
    listed, encodings = {}, {}
    for file in _files(layout.folder, ".txt"):
        content, encoding = decoded(file)
        lines = [line.strip() for line in content.splitlines() if line.strip()]
        if file.stem in SPLITS or _lists_clips(lines, names):
            listed[file.stem], encodings[file.stem] = lines, encoding
    train = {spelling for line in listed.get("train", []) for spelling in spellings(line)}
    clips: dict[str, Clip] = {}
    moments = {name: Moments.none(skeleton.feature_width) for name in ("train", "all")}
    for file in progress(files, "checking clips", show=show_progress):
        joints = None if layout.joints is None else layout.joints / file.name
        clips[file.stem], features = look_at(file, joints, skeleton)
        if features is not None:
            own = Moments.of(features)
            moments["all"] += own
            if file.stem in train:
                moments["train"] += own
    text_files = _files(layout.texts, ".txt")
    texts = {file.stem: read_lines(file) for file in progress(text_files, "checking captions", show=show_progress)}
    return Scan(layout, skeleton, clips, texts, listed, encodings, moments)


def _files(folder: Path | None, suffix: str) -> list[Path]:
    """Return what readers take for a clip, a text or a list; hidden files are what file managers leave behind."""
    if folder is None or not folder.is_dir():
        return []
    found = (file for file in folder.glob(f"*{suffix}") if not file.name.startswith("."))
    return sorted(file for file in found if suffix == ".npy" or file.is_file())


def _skeleton(files: list[Path], layout: Layout) -> Skeleton:
    """By the width that most clips have; where none has a known one, by that of the statistics."""
    known = {skeleton.feature_width: skeleton for skeleton in (HUMANML3D, KIT)}
    widths = [_width(file) for file in files[:: max(1, len(files) // _SAMPLED)]]
    found = [width for width in widths if width in known]
    if not found and layout.mean is not None:
        found = [width for width in [_width(layout.mean)] if width in known]
    if not found:
        raise InputError(
            f"the clips of {layout.folder} have {widths[0] or 'no'} numbers per frame (first of {len(files)}); "
            "expected 263 (HumanML3D) or 251 (KIT-ML): these are other features, convert them first"
        )
    return known[max(set(found), key=found.count)]


def _width(file: Path) -> int | None:
    try:
        shape = read_array(file, mapped=True).shape
    except InputError:
        return None
    return shape[-1] if shape else None


def _lists_clips(lines: list[str], names: set[str]) -> bool:
    """Return whether a text file beside the splits is a list of clips, too, and no read-me."""
    return sum(any(name in names for name in spellings(line)) for line in lines) * 2 > len(lines)
