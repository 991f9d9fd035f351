"""Motion files of any kind into others: one, several formats at once, or whole folders."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from atm.apps.export import STYLED, check_suffix, ending_of, ending_of_format, save_motion
from atm.base.errors import InputError
from atm.base.progress import progress
from atm.export import MotionFile
from atm.export.names import FileStyle
from atm.export.recordings import READ, read_motions

if TYPE_CHECKING:
    from atm.export.own_rig import OwnRig


@dataclass(frozen=True)
class ExportOptions:
    """How files are read and written."""

    formats: tuple[str, ...] = ()
    """Formats of the files in a folder; none: the output's suffix says it."""
    style: FileStyle = field(default_factory=FileStyle)
    text: str = ""
    """Caption in place of the motion's own."""
    rig: Path | None = None
    """BVH or GLB file on whose skeleton the motion comes out; None: on its own."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """HumanML3D's joint name -> that of the rig or, without one, of the source."""


def export_files(source: Path, out: Path, options: ExportOptions, *, show_progress: bool = True) -> list[Path]:
    """Write a motion file, or all of a folder, in other formats.

    Args:
        source: a file, or a folder of any depth.
        out: a file where one becomes one, else a folder, in which the files lie as in the source's.
        options: of reading and writing.
        show_progress: a bar where there are several files; what a format cannot hold is said either way.

    Returns:
        The paths.

    Raises:
        InputError: nothing to read, an unknown format, two files that would become one, a library that is missing, or
            files that cannot be read: the others are written first.
    """
    targets = _targets(source, out, options.formats)
    styles = _styles({ending_of(path) for paths in targets.values() for path in paths}, options.style)
    for ending, style in styles.items():
        check_suffix(f"motion{ending}", style)
    rig = _rig(options, [path for paths in targets.values() for path in paths])
    made, faults = [], []
    for file in progress(list(targets), "exporting", show=show_progress and len(targets) > 1):
        try:
            motions = read_motions(file, mapping=None if rig else options.mapping)
        except InputError as error:
            if len(targets) == 1:
                raise
            faults.append(f"{file}: {error}")
            continue
        for number, motion in enumerate(motions):
            if read := motion.provenance.get("read"):
                _say(f"{file.name}: {read}")
            for path in targets[file]:
                ending = ending_of(path)
                one = path if len(motions) == 1 else path.with_name(f"{path.name[: -len(ending)]}-{number}{ending}")
                made.append(_saved(one, motion, replace(options, style=styles[ending]), rig))
    if faults:
        raise InputError(
            f"{len(faults)} of {len(targets)} files could not be read, the others are written to {out}. The first: "
            f"{faults[0]}"
        )
    return made


def _styles(endings: Collection[str], style: FileStyle) -> dict[str, FileStyle]:
    """Return the style of each format; of several, each takes what it has, and a choice that none has is refused."""
    plain, made = FileStyle(), {}
    chosen = {name for name in vars(plain) if getattr(style, name) != getattr(plain, name)}
    taken = {name for ending in endings for name in STYLED.get(ending, ())}
    for ending in sorted(endings):
        known = {*STYLED.get(ending, ()), *(chosen - taken)}
        made[ending] = FileStyle(**{name: getattr(style, name) for name in known})
    return made


def _targets(source: Path, out: Path, formats: Sequence[str]) -> dict[Path, list[Path]]:
    """Return which files are written of each file."""
    endings = list(dict.fromkeys(ending_of_format(word) for words in formats for word in words.split(",")))
    if not source.exists():
        raise InputError(f"no such motion file or folder: {source}")
    if source.is_file() and not endings:
        ending_of(out)
        return {source: [out]}
    if not endings:
        raise InputError(f"{source} is a folder: say what its files shall become, such as --format bvh,glb")
    if out.is_file() or any(out.name.lower().endswith(ending) for ending in endings):
        raise InputError(f"with --format the output is a folder, got {out}")
    files = [source] if source.is_file() else _motions(source, out)
    folder = source.parent if source.is_file() else source
    targets = {file: [out / file.relative_to(folder).with_name(_stem(file) + end) for end in endings] for file in files}
    owners: dict[Path, Path] = {}
    for file, paths in targets.items():
        for path in paths:
            if owners.setdefault(path, file) != file:
                raise InputError(f"{owners[path]} and {file} would both become {path}: rename one")
            if path.resolve() == file.resolve():
                raise InputError(f"{file} would be overwritten by itself: take another folder than {out}")
    return targets


def _motions(folder: Path, out: Path) -> list[Path]:
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in READ
        and file.is_file()
        and not file.name.startswith(".")
        and (out == folder or out not in file.parents)
    )
    if not found:
        raise InputError(f"{folder} has no motion files: expected some that end in {', '.join(READ)}")
    return found


def _stem(file: Path) -> str:
    """Return a file's name without its ending, of which `.amass.npz` is one."""
    name = file.stem
    return name.rpartition(".")[0] if name.lower().endswith((".amass", ".kimodo")) else name


def _rig(options: ExportOptions, paths: Sequence[Path]) -> "OwnRig | None":
    """Return the rig to write on; None: the motion's own skeleton."""
    if options.rig is None:
        return None
    from atm.export.own_rig import open_rig

    ending = options.rig.suffix.lower()
    for path in paths:
        if ending_of(path) != ending:
            raise InputError(f"on the rig {options.rig} a {ending} file is written, got {path.name}")
    if options.style != FileStyle(fps=options.style.fps):
        raise InputError("a rig has names, unit and axis of its own: leave --names, --unit and --up out")
    return open_rig(options.rig, options.mapping)


def _saved(path: Path, motion: MotionFile, options: ExportOptions, rig: "OwnRig | None") -> Path:
    return save_motion(
        path, motion.joints, skeleton=motion.skeleton, features=motion.features, text=options.text or motion.text,
        provenance=motion.provenance, style=options.style, rig=rig, say=_say,
    )  # fmt: skip


def _say(line: str) -> None:
    print(line, file=sys.stderr)
