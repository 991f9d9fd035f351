"""BVH files of any skeleton, with a captions file, as a data folder."""

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from atm.base.errors import InputError, unknown
from atm.curation.prepare.amc import read_amc
from atm.curation.prepare.bvh import Bvh, Poses, first_frame, joint_names, read_bvh, sample
from atm.curation.prepare.captions import Described, Part, read_captions_file, without_suffix
from atm.curation.prepare.folder import Clip, Source, SourceRead, Summary, drawn_splits, write_folder
from atm.curation.prepare.naming import Roles, find_roles, read_mapping
from atm.curation.prepare.records import MIRRORED, Fault
from atm.curation.prepare.retarget import UP_AXES, measure_body, retarget
from atm.data.humanml3d import FRAMES_LIMIT
from atm.motion import HUMANML3D
from atm.text import tag_words

LONGEST = FRAMES_LIMIT / HUMANML3D.fps
"""Seconds of the longest clip that readers of the layout take: 10."""
_SHORTEST = 1.0
"""Seconds; less is no clip."""
_TRIMMED = 1.0
"""Seconds that may be left out at the end, where that saves a cut: 10.5 s are a clip of 10, not two of 5.25."""
_SUFFIXES = (".bvh", ".BVH", ".amc", ".AMC")
_LOOK_AT = 200
"""Frames that suffice to find out about a body."""


@dataclass(frozen=True)
class _Wanted:
    """Clips that are wanted from one BVH file."""

    base: str
    """Id of its clip, or what the ids of its clips begin with."""
    parts: tuple[Part, ...]
    fps: float | None
    """Frames per second of the file, where its Frame Time is wrong; None: what it says."""


@dataclass(frozen=True)
class _Options:
    mapping: tuple[tuple[str, str], ...]
    fps: float
    window: float
    up: str | None


def prepare_bvh(
    folder: Path | str,
    out: Path | str,
    *,
    captions: Path | str,
    mapping: Path | str | None = None,
    fps: float = HUMANML3D.fps,
    window: float = LONGEST,
    mirror: bool = False,
    up: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,
) -> Summary:
    """Write BVH files (and ASF/AMC, CMU's own) as a data folder in HumanML3D's layout, on HumanML3D's body.

    A second call goes on where the first one stopped, and makes anew what has changed since.

    Args:
        folder: where the BVH or AMC files lie, in folders of any depth; an ASF file beside its AMC files.
        out: the folder to make.
        captions: a CSV or JSON lines file, see `read_captions_file`.
        mapping: names of joints that the built-in table does not know, see `read_mapping`.
        fps: frames per second to write. Every reader of the layout expects 20.
        window: longest clip in seconds, at most 10; what is longer is cut into equal windows.
        mirror: write a mirrored copy of each clip, its captions with left and right exchanged.
        up: upward axis of all files, one of `UP_AXES`; None: found out for each file.
        seed: of the splits, where the captions file names none.
        jobs: processes; None: one for each core, as far as there are files enough.
        progress: show a bar.

    Raises:
        InputError: an option out of range, a captions or mapping file that cannot be read, an `out` that holds
            something else, or no file of which anything could be made.
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise InputError(f"no folder at {folder}: expected one with .bvh or .amc files")
    if not _SHORTEST <= window <= LONGEST:
        raise InputError(f"window = {window:g} s: expected {_SHORTEST:g} to {LONGEST:g}, as readers of the layout do")
    if not 1 <= fps <= 240:
        raise InputError(f"fps = {fps:g}: expected 1 to 240 frames per second")
    if up is not None and up not in UP_AXES:
        raise unknown("axis", up, UP_AXES)
    options = _Options(tuple(sorted(read_mapping(Path(mapping) if mapping else None).items())), fps, window, up)
    files, missing = _files_of(folder, read_captions_file(Path(captions)))
    bases = _bases([described.file for described, _ in files], mirror)
    _check_mapping(options, [file for _, file in files])
    sources = [
        Source(
            name=described.file,
            file=file,
            wanted=_Wanted(bases[described.file], described.parts, described.fps),
            group=described.take or described.file,
            split=described.split,
        )
        for described, file in files
    ]
    summary = write_folder(
        out,
        sources,
        partial(_read, options),
        what="motions prepared from BVH files, in HumanML3D's layout",
        options={"mapping": dict(options.mapping), "window": window, "up": up},
        mirror=mirror,
        fps=fps,
        splits=partial(drawn_splits, seed=seed),
        missing=missing,
        jobs=jobs,
        progress=progress,
    )
    return replace(summary, notes=_notes(folder, files, fps))


def _read(options: _Options, source: Source) -> SourceRead:
    """Return the clips of one file."""
    wanted: _Wanted = source.wanted
    bvh = read_recording(source.file)
    if wanted.fps is not None:
        bvh = replace(bvh, frame_time=1 / wanted.fps)
    roles = find_roles(bvh, dict(options.mapping), source.name)
    first = first_frame(bvh, roles.joints)
    body = measure_body(_some_poses(bvh, roles, first), bvh, roles, options.up)
    found: list[Clip | Fault] = []
    spans: list[tuple[Part, np.ndarray]] = []
    for part in wanted.parts:
        times = _times(bvh, part, first, options)
        if len(times) < _SHORTEST * options.fps:
            span = f"{part.start:g}-{bvh.seconds:g}" if part.end is None else f"{part.start:g}-{part.end:g}"
            lasts = f"{len(times) / options.fps:.2f} s of motion (the file has {bvh.seconds:.2f} s)"
            found.append(Fault(f"{source.name} {span} s", f"{lasts} are too short for a clip"))
        else:
            spans += [(part, window) for window in _windows(times, options)]
    for number, (part, times) in enumerate(spans):
        joints = retarget(sample(bvh, roles.joints, times), body)
        clip = wanted.base if len(spans) == 1 else f"{wanted.base}_w{number:02d}"
        found.append(Clip(clip, joints, _text(part.captions), float(times[0]), float(times[-1])))
    said = [f"{1 / bvh.frame_time:.4g} frames per second", body.assumed, bvh.note if wanted.fps is None else ""]
    if first:
        frames = "first frame" if first == 1 else f"first {first} frames"
        said.append(f"{frames} apart from the motion and left out")
    return SourceRead(found, ", ".join(part for part in said if part))


def _times(bvh: Bvh, part: Part, first: int, options: _Options) -> np.ndarray:
    """Return seconds of the frames to write. They start on a frame of the file, so that most need no interpolation."""
    start = max(round(part.start / bvh.frame_time), first) * bvh.frame_time
    end = bvh.seconds if part.end is None else min(part.end, bvh.seconds)
    count = int(np.floor((end - start) * options.fps + 1e-6)) + 1
    return start + np.arange(max(count, 0)) / options.fps


def _windows(times: np.ndarray, options: _Options) -> list[np.ndarray]:
    most = round(options.window * options.fps)
    pieces = max(int(np.ceil((len(times) - _TRIMMED * options.fps) / most)), 1)
    return np.array_split(times[: pieces * most], pieces)


def _text(captions: tuple[str, ...]) -> str:
    return "".join(f"{caption}#{' '.join(tag_words(caption))}#0.0#0.0\n" for caption in captions)


def _some_poses(bvh: Bvh, roles: Roles, first: int) -> Poses:
    frames = np.unique(np.linspace(first, len(bvh.values) - 1, _LOOK_AT).round())
    return sample(bvh, roles.joints, frames * bvh.frame_time)


def _files_of(folder: Path, described: list[Described]) -> tuple[list[tuple[Described, Path]], list[Fault]]:
    found, missing = [], []
    for one in described:
        stem = without_suffix(one.file)
        paths = [folder / name for name in (one.file, *(stem + suffix for suffix in _SUFFIXES))]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            missing.append(Fault(one.file, f"no such file in {folder}"))
        else:
            found.append((one, path))
    if not found:
        raise InputError(
            f"none of the {len(described)} files of the captions file is in {folder}; the first is "
            f"{described[0].file!r}, expected as a path from there, with or without .bvh (or .amc)"
        )
    return found, missing


def _bases(files: list[str], mirror: bool) -> dict[str, str]:
    """Return an id for each file, made of its name; not one of a hidden file."""
    bases = {file: re.sub(r"[^\w.-]+", "_", without_suffix(file)).lstrip(".") for file in files}
    owners: dict[str, str] = {}
    for file, base in bases.items():
        if base in owners:
            raise InputError(f"{owners[base]!r} and {file!r} would both get the id {base}: rename one")
        owners[base] = file
    for base in owners:
        others = [re.sub(r"_w\d+$", "", base), *([base.removeprefix(MIRRORED)] if mirror else [])]
        for other in others:
            if other != base and other in owners:
                raise InputError(f"{owners[base]!r} has the id that a clip of {owners[other]!r} would get: rename one")
    return bases


def _check_mapping(options: _Options, files: list[Path]) -> None:
    """Refuse a name that no file has, which is a mistake; one that only some files lack is meant for the others."""
    known = {name for file in files for name in _names_of(file)} if options.mapping else set()
    for _, theirs in options.mapping:
        if theirs not in known:
            raise unknown("joint in the mapping, no file has", theirs, known)


def read_recording(file: Path) -> Bvh:
    """Return a BVH file, or an AMC file with the ASF file beside it, as `read_bvh` does."""
    return read_amc(file) if file.suffix.lower() == ".amc" else read_bvh(file)


def _names_of(file: Path) -> tuple[str, ...]:
    return read_amc(file).names if file.suffix.lower() == ".amc" else joint_names(file)


def _notes(folder: Path, files: list[tuple[Described, Path]], fps: float) -> list[str]:
    used = {path for _, path in files}
    unused = [path.suffix.lower() for path in folder.rglob("*") if path.suffix in _SUFFIXES and path not in used]
    kinds = " and ".join(sorted(set(unused), reverse=True))
    notes = [f"{len(unused)} more {kinds} files have no caption and were left out"] if unused else []
    if fps != HUMANML3D.fps:
        notes.append(f"written at {fps:g} frames per second; readers of the layout expect {HUMANML3D.fps:g}")
    return notes
