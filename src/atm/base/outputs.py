"""Files that a user names: replaced without a word only where they are what atm wrote there itself.

What atm writes to a path that it was given is remembered in the cache folder, by path and SHA-256. A file that stands
there with other bytes is somebody else's, or was changed since: it is replaced with `--force` only.
"""

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atm.base.cache import cache_folder
from atm.base.errors import InputError
from atm.base.storage import atomic

MOST_RECORDS = 50_000
"""Paths that are remembered; of more, those that were written to longest ago are forgotten."""

_replacing = False


def allow_replacing(allowed: bool) -> None:
    """Allow or forbid in this process that files of others are replaced; True is `--force`."""
    global _replacing
    _replacing = allowed


@contextmanager
def output(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` when the block ends well; folders on the way are made.

    Args:
        path: as the user named it.
        force: replace whatever file stands there.

    Raises:
        InputError: a file stands there that atm did not write, or the system refuses; what stands there is unchanged.
    """
    check_output(path, force=force)
    make_folder_of(path)
    with atomic(path) as part:
        yield part
        # Before it is moved: whichever of the two stands there after a crash is known.
        _remember(path, {_digest(part)} | ({_digest(path)} & _known(path) if path.is_file() else set()))


def make_folder_of(path: Path) -> None:
    """Make the folders on the way to a file.

    Raises:
        InputError: the system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def check_output(path: Path, *, force: bool = False) -> None:
    """Refuse a path where a file stands that atm did not write, before any work is done for it.

    Raises:
        InputError: there is one, and neither `force` nor `--force` is given.
    """
    if force or _replacing or not path.is_file():
        return
    try:
        ours = _digest(path) in _known(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    if not ours:
        raise InputError(
            f"{path} is there already, and it is not what atm wrote there: name another file, or give --force "
            "(force=True in Python) to replace it"
        )


def _forget_old(folder: Path) -> None:
    """Keep the younger half of more records than anybody needs."""
    records = sorted(folder.iterdir(), key=lambda record: record.stat().st_mtime_ns)
    if len(records) > MOST_RECORDS:
        for record in records[: len(records) // 2]:
            record.unlink(missing_ok=True)


def _known(path: Path) -> set[str]:
    """Return the digests of what atm wrote to a path."""
    try:
        return set(_record(path).read_text().split())
    except (OSError, UnicodeDecodeError):
        return set()


def _remember(path: Path, digests: set[str]) -> None:
    record = _record(path)
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        with atomic(record, sync=False) as part:
            part.write_text("\n".join(sorted(digests)) + "\n")
        if record.name.startswith("00"):  # now and then
            _forget_old(record.parent)
    except (OSError, InputError) as error:
        warnings.warn(f"cannot remember in {record.parent} that {path} is atm's: {error}", stacklevel=4)


def _record(path: Path) -> Path:
    return cache_folder() / "outputs" / hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
