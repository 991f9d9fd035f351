"""NumPy files of strangers: plain arrays, and dictionaries of arrays and texts in which nothing runs."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from atm.base.errors import InputError

_HEAD = 1024
"""Bytes of a file by which it is told what it really is."""
_POINTER = b"version https://git-lfs"
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
_NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"), ("numpy", "dtype"),
}  # fmt: skip
"""All that arrays and numbers are made of in a pickle; beside `_codecs.encode`, by which old ones spell bytes."""


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


def read_arrays(file: Path) -> np.ndarray | dict[str, Any]:
    """Return what a `.npy` file holds, or the arrays of a `.npz` file by name.

    A `.npy` file of a dictionary, as `np.save` writes one, is read without running anything, and comes back as such.

    Raises:
        InputError: what is wrong with it and what to do, to stand behind the file's name.
    """
    if said := mistaken(file):
        raise InputError(said)
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            return {name: content[name] for name in content.files}
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, MemoryError, KeyError, zipfile.BadZipFile, zipfile.zlib.error) as error:
        if "pickle" not in str(error):
            raise InputError(f"cannot be read ({error})") from None
    return _read_dictionary(file)


def read_json(file: Path) -> Any:
    """Return what a JSON file holds; a byte order mark is no part of it.

    Raises:
        InputError: what is wrong with it, to stand behind the file's name.
    """
    if said := mistaken(file):
        raise InputError(said)
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON ({error})") from None


def _read_dictionary(file: Path) -> dict[str, Any]:
    """Return a dictionary that `np.save` wrote as an array of one object."""
    try:
        with file.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            read(stream)
            content = _Unpickler(stream, encoding="latin1").load()
    except _NotPlainError as error:
        raise InputError(str(error)) from None
    except Exception as error:  # a damaged pickle raises whatever it stumbles over first
        raise InputError(f"holds no plain array and cannot be read ({type(error).__name__})") from None
    found = content.item() if isinstance(content, np.ndarray) and content.size == 1 else content
    if not isinstance(found, dict):
        raise InputError(f"holds Python objects ({type(found).__name__}), expected an array of numbers")
    return {str(name): value for name, value in found.items()}


class _NotPlainError(Exception):
    """A pickle asks for more than arrays, numbers and texts."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NUMPY:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):
            return encode_latin1
        raise _NotPlainError(f"holds more than arrays and texts: to read it, Python would have to run {module}.{name}")


def encode_latin1(text: str, encoding: str) -> bytes:
    """Return bytes that an old pickle spells as a text; the one use of `_codecs.encode` in files of numbers.

    Raises:
        ValueError: another encoding, which no file of numbers needs.
    """
    if encoding != "latin1":
        raise ValueError(f"bytes are spelled in latin1, not {encoding}")
    return text.encode(encoding)
