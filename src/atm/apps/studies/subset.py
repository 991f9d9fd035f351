"""A few clips of a data folder as a data folder of their own, for a quick look at everything."""

import shutil
from pathlib import Path

from atm.base.errors import InputError
from atm.base.storage import appearing
from atm.data.humanml3d import read_split, read_statistics
from atm.data.layout import Layout, find_layout

CLIPS = {"train": 160, "val": 16, "test": 64}
"""How many of each split; an evaluation ranks within 32, and some motions are too short to take part."""


def write_subset(source: Path, out: Path) -> Path:
    """Return the first clips of each split of `source`, linked where the file system can, else copied.

    Args:
        source: a data folder.
        out: the folder to make; one that is there is taken as it is.

    Raises:
        InputError: `source` is no data folder, or lacks a split.
    """
    layout = find_layout(source)
    read_statistics(layout)
    splits = {split: read_split(layout.folder, split)[:count] for split, count in CLIPS.items()}
    if out.is_dir():
        return out
    try:
        with appearing(out) as part:
            _fill(part, layout, splits)
    except InputError:
        if not out.is_dir():  # else another process was faster
            raise
    return out


def _fill(part: Path, layout: Layout, splits: dict[str, list[str]]) -> None:
    for folder, name, suffix in ((layout.clips, "new_joint_vecs", ".npy"), (layout.texts, "texts", ".txt")):
        (part / name).mkdir(parents=True)
        for clip in {clip for ids in splits.values() for clip in ids}:
            _link(folder / f"{clip}{suffix}", part / name / f"{clip}{suffix}")
    for file, name in ((layout.mean, "Mean.npy"), (layout.std, "Std.npy")):
        _link(file, part / name)
    _link(layout.folder / "programs.json", part / "programs.json")
    for split, ids in splits.items():
        (part / f"{split}.txt").write_text("".join(f"{clip}\n" for clip in ids))


def _link(source: Path, target: Path) -> None:
    """Link a file, if there is one: a clip may lack its file, and real motions have no programs."""
    if not source.is_file():
        return
    try:
        target.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)
