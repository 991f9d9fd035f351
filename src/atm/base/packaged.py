"""The weights that come with the package: made by this project (see weights/README.md), each with its SHA-256."""

import functools
import hashlib
import re
from importlib.resources import files
from pathlib import Path

from atm.base.errors import InputError, unknown

NAMES = {
    "generator": "causal_flow_small.safetensors",
    "space": "space_scripted.safetensors",
    "space_meaning": "space_scripted.safetensors",
    "evaluator": "evaluator_scripted.safetensors",
    "early": "causal_flow_tiny.safetensors",
}
"""`space_meaning` is a name of before, when a second space came with the package: it is the one space now.
`early` is the generator of the demo: stopped while there was still something to learn."""

FOLDER = Path(str(files("atm") / "weights"))
SUMS = "SHA256SUMS"
"""File with the SHA-256 of each packaged weight, as `sha256sum` writes and checks it."""


def named(model: Path) -> Path:
    """Return a path as it is; where nothing is there and it is the name of a packaged model, that model's file."""
    return packaged(str(model)) if str(model) in NAMES and not model.exists() else model


def packaged(name: str) -> Path:
    """Return the file of a packaged model."""
    if name not in NAMES:
        raise unknown("packaged model", name, NAMES)
    path = FOLDER / NAMES[name]
    if not path.is_file():
        raise InputError(f"this installation lacks the packaged weights {path.name}; give a model of your own")
    return path


def check_packaged(file: Path) -> None:
    """Refuse a packaged weight that is not the file that was packaged; any other file is left to its reader.

    It is read whole, once per process: 17 MB take 20 ms.

    Raises:
        InputError: its SHA-256 is another than in `SHA256SUMS`, or not there.
        OSError: the system does not let it be read.
    """
    if not file.is_file() or file.resolve().parent != FOLDER.resolve():
        return
    about = file.stat()
    if (digest := read_sums(FOLDER).get(file.name)) is None:
        raise InputError(f"{FOLDER / SUMS} has no line for {file.name}: install atm again")
    if _sha256(file, about.st_size, about.st_mtime_ns) != digest:
        raise InputError(f"the packaged weights {file} are damaged: they are not what {SUMS} says; install atm again")


def read_sums(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of the `SHA256SUMS` of a folder; empty where there is none."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = (re.fullmatch(r"([0-9a-f]{64})  (\S+)", line) for line in lines)
    return {match[2]: match[1] for match in found if match}


@functools.cache
def _sha256(file: Path, _size: int, _touched: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
