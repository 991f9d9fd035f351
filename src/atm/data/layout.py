"""Where the parts of a data folder lie, under the names that circulate.

    HumanML3D, KIT-ML as published      new_joint_vecs/  new_joints/  texts/  Mean.npy  Std.npy
    the collections of mmhuman's users  motions/                      texts/  mean.npy  std.npy

The splits (`train.txt`, ...) stand beside them in both. An archive that was unpacked into a folder of its own name
(`HumanML3D/HumanML3D/`, `texts/texts/`) is looked into.
"""

from dataclasses import dataclass
from pathlib import Path

from atm.base.errors import InputError

CLIPS = ("new_joint_vecs", "motions")
JOINTS = ("new_joints",)
TEXTS = ("texts",)
MEAN = ("Mean.npy", "mean.npy")
STD = ("Std.npy", "std.npy")


@dataclass(frozen=True)
class Layout:
    """The parts of a data folder; None: there is none."""

    folder: Path
    """Where the splits and the statistics lie: the folder that was given, or the one inside it that holds them."""
    clips: Path | None
    texts: Path | None
    joints: Path | None
    mean: Path | None
    std: Path | None

    def split_file(self, split: str) -> Path:
        return self.folder / f"{split}.txt"


def find_layout(folder: str | Path) -> Layout:
    """Return what is there of a data folder.

    Raises:
        InputError: no folder, or one that holds several data folders.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"no data folder at {folder}; `atm data scripted {folder}` writes one of scripted motions")
    if _first(folder, CLIPS) is None:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and _first(path, CLIPS))
        if len(inner) > 1:
            names = ", ".join(path.name for path in inner)
            raise InputError(f"{folder} holds several data folders ({names}): give the path of one")
        folder = inner[0] if inner else folder
    clips, texts, joints = (_unpacked(_first(folder, names)) for names in (CLIPS, TEXTS, JOINTS))
    return Layout(folder, clips, texts, joints, _first(folder, MEAN), _first(folder, STD))


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def _unpacked(folder: Path | None) -> Path | None:
    """Return the folder of the same name inside, where there is one."""
    if folder is not None and (folder / folder.name).is_dir():
        return folder / folder.name
    return folder
