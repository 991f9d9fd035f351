"""Reading published checkpoints: PyTorch files, safely, and statistics."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atm.errors import InputError
from atm.layers import Normaliser


def read_weights(file: Path, table: str) -> dict[str, Tensor]:
    """The table of weights of this name in a PyTorch file.

    Raises:
        InputError: no such file, a damaged one, one that holds more than tensors and plain values, or no such table.
    """
    content = _read(file)
    weights = content.get(table) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{file} holds no table of weights called {table!r}: it is another system's file")
    return weights


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


def _read(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot read {file} as a file of PyTorch weights: {reason}") from None
