"""Readings of real motions, kept on disk by content: every evaluation compares a model with the same ones.

A name holds what went in (the motions, the captions) and the source of what read them, so that nothing old is taken for
new. A damaged file is made anew.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from atm.base.cache import cache_folder
from atm.base.errors import InputError
from atm.base.seal import is_sound, sealed


def kept(kind: str, content: Sequence[str], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return an array that was kept, or make and keep it.

    Args:
        kind: first word of the file's name.
        content: what the array follows from: digests of data, of sources, settings.
        make: computes it.
    """
    file = _file(kind, content)
    if is_sound(file):
        return np.load(file, allow_pickle=False)
    made = make()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with sealed(file) as part, part.open("wb") as stream:
            np.save(stream, made, allow_pickle=False)
    except (OSError, InputError) as error:
        warnings.warn(f"not kept for the next evaluation: {error}", stacklevel=2)
    return made


def source_digest(*packages: str) -> str:
    """Return what tells one state of the code of packages or modules from another."""
    digest = hashlib.sha256()
    for package in packages:
        parent, _, name = package.rpartition(".")
        folder = resources.files(parent)
        for file in _sources(folder / name if (folder / name).is_dir() else folder / f"{name}.py"):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _file(kind: str, content: Sequence[str]) -> Path:
    name = hashlib.sha256("\n".join(content).encode()).hexdigest()[:24]
    return cache_folder() / "evaluation" / f"{kind}-{name}.npy"


def _sources(place: Traversable) -> list[Traversable]:
    if not place.is_dir():
        return [place]
    inside = sorted(place.iterdir(), key=lambda one: one.name)
    return [file for one in inside if one.is_dir() or one.name.endswith(".py") for file in _sources(one)]
