"""Several data folders as one, so that a model trains on scripted and captured motion together."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atm.base.errors import InputError
from atm.base.progress import progress
from atm.base.reading import DIGITS, whole_number
from atm.base.storage import appearing
from atm.data.humanml3d import read_programs, read_statistics
from atm.data.layout import Layout, find_layout
from atm.data.statistics import Moments

ALWAYS = ("train", "val", "test")
"""Splits that the result has in any case."""


@dataclass(frozen=True)
class Part:
    """One folder that goes in."""

    folder: Path
    times: int = 1
    """How often its clips stand in the list that is trained on."""

    @staticmethod
    def read(word: str) -> "Part":
        """Read `FOLDER` or `FOLDER:3`, as the command line has it.

        Raises:
            InputError: a number below 1.
        """
        folder, _, number = word.rpartition(":")
        if not folder or not number.isdecimal():
            return Part(Path(word))
        times = whole_number(number)
        if not times:
            raise InputError(f"{folder}: a folder's clips are listed 1 to {10**DIGITS - 1} times, got {number[:40]}")
        return Part(Path(folder), times)


def join_folders(parts: list[Part], out: Path, *, show_progress: bool = True) -> Path:
    """Write a data folder that holds the clips, texts, lists and programs of several; they are left as they are.

    Statistics are those of the joined training list, each clip counted as often as it stands in it.

    Args:
        parts: at least two folders of one kind of features, whose clips have different names.
        out: the folder to write; must not exist, or be empty.
        show_progress: show a bar.

    Raises:
        InputError: `out` holds something, a folder is none or has other features, or two have a clip of one name.
    """
    if len(parts) < 2:
        raise InputError(f"expected two data folders or more to join, got {len(parts)}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} exists already: give a new folder")
    layouts = [find_layout(part.folder) for part in parts]
    skeleton = read_statistics(layouts[0])[2]
    for layout in layouts[1:]:
        if read_statistics(layout)[2] is not skeleton:
            raise InputError(f"{layout.folder} has other features than {layouts[0].folder}: they cannot be joined")
    with appearing(out) as new:
        for folder in ("new_joint_vecs", "texts"):
            (new / folder).mkdir(parents=True)
        programs: dict[str, list] = {}
        for layout in layouts:
            programs |= _copy(layout, new, show_progress=show_progress)
        if programs:
            (new / "programs.json").write_text(json.dumps(programs))
        listed = _write_lists(parts, layouts, new)
        moments = Moments.none(skeleton.feature_width)
        for clip in progress(listed, "statistics", show=show_progress):
            file = new / "new_joint_vecs" / f"{clip}.npy"
            if file.is_file():
                moments += Moments.of(np.load(file))
        moments.write(new, skeleton)
    return out


def _copy(layout: Layout, new: Path, *, show_progress: bool) -> dict[str, list]:
    """Copy clips and texts, and return what scripted clips do."""
    files = sorted(layout.clips.glob("*.npy"))
    for file in progress(files, f"copying {layout.folder.name}", show=show_progress):
        place = new / "new_joint_vecs" / file.name
        if place.exists():
            raise InputError(f"two folders have a clip {file.stem}: rename one of them, its text and its list entries")
        shutil.copyfile(file, place)
        text = layout.texts / f"{file.stem}.txt"
        if text.is_file():
            shutil.copyfile(text, new / "texts" / text.name)
    return read_programs(layout.folder, [file.stem for file in files])


def _write_lists(parts: list[Part], layouts: list[Layout], new: Path) -> list[str]:
    """Write every list that one of the folders has, and return the training list."""
    names = {*ALWAYS, *(file.stem for layout in layouts for file in layout.folder.glob("*.txt"))}
    for name in sorted(names):
        lines: list[str] = []
        for part, layout in zip(parts, layouts, strict=True):
            file = layout.split_file(name)
            own = file.read_text().split() if file.is_file() else []
            lines += own * (part.times if name == "train" else 1)
        (new / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return (new / "train.txt").read_text().split()
