"""Dictionaries of arrays and texts that `np.save` wrote as a pickle, read so that nothing in them runs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from atm.base.errors import InputError

_NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"), ("numpy", "dtype"),
}  # fmt: skip
"""All that arrays and numbers are made of in a pickle; beside `_codecs.encode`, by which old ones spell bytes."""


def read_dictionary(file: Path) -> dict[str, Any]:
    """Return a dictionary that `np.save` wrote as an array of one object; nothing in it runs.

    Raises:
        InputError: what is wrong with it, to stand behind the file's name.
    """
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
