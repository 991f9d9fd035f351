"""Reading published checkpoints: PyTorch files, safely, and statistics."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atm.errors import InputError
from atm.layers import Normaliser


def read_weights(file: Path, *tables: str) -> dict[str, Tensor]:
    """A table of weights in a PyTorch file: the first that it has of those named.

    Raises:
        InputError: no such file, a damaged one, one that holds more than tensors and plain values, or no such table.
    """
    content = _read(file)
    weights = (
        next((content[table] for table in tables if table in content), None) if isinstance(content, dict) else None
    )
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        names = " or ".join(map(repr, tables))
        raise InputError(f"{file} holds no table of weights called {names}: it is another system's file")
    return weights


def read_options(file: Path) -> dict[str, bool | int | float | str]:
    """The `key: value` lines of an `opt.txt`; lines of another form are decoration.

    Truth values and numbers become what they are; all else stays a word, None too.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}, which such published weights have beside them: {error}") from None
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): _value(value.strip()) for key, colon, value in pairs if colon}


def without(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose keys do not start with `prefix`."""
    return {key: value for key, value in weights.items() if not key.startswith(prefix)}


def read_statistics(mean: Path, std: Path) -> Normaliser:
    """Mean and deviation that a published checkpoint has beside it."""
    try:
        return Normaliser(*(torch.from_numpy(np.load(file, allow_pickle=False)) for file in (mean, std)))
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read the statistics {mean} and {std}: {error}") from None


def _value(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot read {file} as a file of PyTorch weights: {reason}") from None
