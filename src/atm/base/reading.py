"""Files from outside, read within limits: whatever they hold, the answer is their content or one sentence.

A plain file of a size that can be meant, text in UTF-8, JSON and YAML that do not nest without end, arrays that are as
large as their header says, archives that do not unpack to many times their size.
"""

import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from atm.base.arrays import read_dictionary
from atm.base.errors import InputError

_HEAD = 1024
"""Bytes of a file by which it is told what it really is."""
_POINTER = b"version https://git-lfs"
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
MOST_TEXT = 256 * 2**20
"""Bytes of the largest text that is read."""
MOST_UNPACKED = 16 * 2**30
"""Bytes of the largest archive of arrays, unpacked."""
MOST_RATIO = 200
"""Times that an archive may unpack to its own size; motion and weights take 1 to 20."""
ANY_RATIO = 64 * 2**20
"""Bytes up to which an archive may unpack to any multiple of its size."""
DIGITS = 9
"""Digits of the largest whole number that a text may say."""
MOST_VALUES, DEEPEST = 1_000_000, 100
"""Values of a JSON or YAML file, counted as often as they are referred to, and levels of nesting."""


def check_plain(path: Path) -> None:
    """Refuse what is no plain file, since a pipe or a device gives no end, and a page or a pointer in its place.

    Raises:
        InputError: nothing there, no plain file, or `mistaken`; to stand behind the file's name.
    """
    try:
        plain, there = path.is_file(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not plain:
        raise InputError("cannot be read (it is a folder, a pipe or a device)" if there else "is not there")
    if path.stat().st_size and (said := mistaken(path)):
        raise InputError(said)


def mistaken(file: Path) -> str | None:
    """Return what a file is in place of what its name says, and what to do; None: nothing strange at its beginning.

    Told are what a download leaves behind: a Git LFS pointer, a web page, an empty file.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_POINTER):
        return "is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"
    if start.startswith(_PAGES):
        return "is a web page, such as the download page of a file host: download the file itself"
    return "is empty and cannot be read: download or write it again" if not head else None


def read_plain_text(path: Path) -> str:
    """Return a text file in UTF-8; a byte order mark is no part of it.

    Raises:
        InputError: what is wrong with it, to stand behind the file's name.
    """
    check_plain(path)
    try:
        size = path.stat().st_size
        if size > MOST_TEXT:
            raise InputError(f"is too large to be read ({size:,} bytes, at most {MOST_TEXT:,})")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError("is no UTF-8 text") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; errors as of `read_plain_text`."""
    return parse_json(read_plain_text(path))


def parse_json(text: str) -> Any:
    """Return what a JSON text holds.

    Raises:
        InputError: what is wrong with it, to stand behind its name.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise InputError("is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"is no JSON ({_in_short(error)})") from None
    _check_extent(content)
    return content


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds; errors as of `read_plain_text`."""
    text = read_plain_text(path)
    check_brackets(text)
    try:
        content = yaml.safe_load(text)
    except RecursionError:
        raise InputError("is nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"is no YAML ({_in_short(error)})") from None
    _check_extent(content)
    return content


def whole_number(text: str) -> int | None:
    """Return the whole number that a text is, in digits; None: it is none, or has more digits than anything counted.

    `int` alone stumbles over what `str.isdigit` lets pass ("²"), and over more than 4,300 digits.
    """
    return int(text) if text.isdecimal() and len(text) <= DIGITS else None


def check_brackets(text: str) -> None:
    """Refuse YAML whose brackets nest deeper than anything that is meant; its reader takes time by their square.

    Raises:
        InputError: they do, to stand behind the text's name.
    """
    depth = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            raise InputError(f"is nested more than {DEEPEST} levels deep")


_BRACKET = re.compile(r"[][{}]")


def read_arrays(path: Path, *, mapped: bool = False) -> np.ndarray | dict[str, Any]:
    """Return the array of a `.npy` file, or those of a `.npz` archive by name.

    A `.npy` file of a dictionary, as `np.save` writes one, is read without running anything, and comes back as such.

    Args:
        path: told apart by its content.
        mapped: only the shape of a `.npy` is wanted.

    Raises:
        InputError: what is wrong with it, to stand behind the file's name.
    """
    check_plain(path)
    if said := mistaken(path):
        raise InputError(said)  # empty
    try:
        if zipfile.is_zipfile(path):
            check_archive(path)
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if _holds_objects(path):
            return read_dictionary(path)
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or _in_short(error)})") from None
    except Exception as error:  # a damaged file raises whatever zip, zlib or NumPy stumbles over first
        raise InputError(f"cannot be read as a file of plain arrays ({_in_short(error)})") from None
    if not isinstance(array, np.ndarray):
        raise InputError("cannot be read (no array)")
    return array


def _holds_objects(path: Path) -> bool:
    """Return whether an array file holds Python objects; refuse one whose header claims more than the file holds,
    before memory is taken for it."""
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise InputError("cannot be read (it is no file of NumPy's arrays)")
        file.seek(0)
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        claimed, held = math.prod(shape) * dtype.itemsize, path.stat().st_size - file.tell()
    if any(size < 0 for size in shape) or (claimed > held and not dtype.hasobject):
        raise InputError(f"cannot be read (its header says {shape} of {dtype}, {claimed:,} bytes, but {held:,} follow)")
    return dtype.hasobject


def check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than can be meant, before it is unpacked.

    Raises:
        InputError: it does, to stand behind the file's name.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    packed = max(path.stat().st_size, 1)
    if unpacked > MOST_UNPACKED or (unpacked > ANY_RATIO and unpacked > MOST_RATIO * packed):
        raise InputError(f"is no archive of motion or weights: its {packed:,} bytes unpack to {unpacked:,}")


def _check_extent(content: Any) -> None:
    """Refuse what nests without end, or refers to itself again and again."""
    left, waiting = MOST_VALUES, [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        left -= len(inner)
        if depth > DEEPEST:
            raise InputError(f"is nested more than {DEEPEST} levels deep")
        if left < 0:
            raise InputError(f"holds more than {MOST_VALUES:,} values")
        waiting += [(one, depth + 1) for one in inner if isinstance(one, dict | list)]


def _in_short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
