"""Checksums of what is kept to be read again: a kept file that is cut, mixed up or zeroed is found, and made anew."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atm.base.storage import atomic

SEAL = ".seal"
"""Ending of the file beside a kept one that has its checksum."""
_SMALL = 64 * 2**20
"""Bytes up to which a file is read whole to be checked, each time that it is opened. A larger one is read only where it
was touched since it was sealed: seconds for every gigabyte."""


@contextmanager
def sealed(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; it becomes `path`, with its checksum beside it, when the block ends well.

    Raises:
        InputError: the operating system refuses.
    """
    with atomic(path) as part:
        yield part
        digest = _digest(part)
    _write_seal(path, digest)


def is_sound(path: Path) -> bool:
    """Return whether a file holds what `sealed` wrote."""
    try:
        about = json.loads(seal_of(path).read_text())
        size, touched = _stamp(path)
        if size != about["size"]:
            return False
        if size > _SMALL and touched == about["touched"]:
            return True
        return _digest(path) == about["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def seal_of(path: Path) -> Path:
    """Return the file beside `path` that has its checksum."""
    return path.with_name(path.name + SEAL)


def _write_seal(path: Path, digest: str) -> None:
    size, touched = _stamp(path)
    with atomic(seal_of(path)) as part:
        part.write_text(json.dumps({"sha256": digest, "size": size, "touched": touched}))


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
