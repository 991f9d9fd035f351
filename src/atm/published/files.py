"""What lies in published checkpoints: tables of weights, statistics, options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from atm.config import Config
from atm.errors import InputError
from atm.layers import Normaliser
from atm.motion import skeleton_of_width
from atm.published.pickles import read_pickle

DATA_SET_STATISTICS = ("Mean.npy", "Std.npy")
"""Statistics as a data set has them."""
OWN_STATISTICS = ("mean.npy", "std.npy")
"""Statistics as published code writes them beside a checkpoint; these may differ from the data set's."""


class Release(NamedTuple):
    """What `atm import` says and asks of a published system."""

    files: str
    """What the published checkpoint is called, as its readers have it on disk."""
    supports: str
    """Which of the published variants can be read."""
    licence: str
    """Of the published code and weights."""
    signs: tuple[str, ...]
    """Keys of weights by which a file of this system is told from those of others."""
    weight_files: Callable[[Path], list[Path]]
    """Of a folder or file that a user gives, the files of weights that are read."""
    presets: tuple[Callable[[], Config], ...]
    """The published models; a function's name ends in the data set or is followed by the variant."""
    statistics: tuple[str, str]
    """Names of the files that hold mean and deviation where a user has to say in which folder they lie."""
    brings_statistics: bool
    """Whether the published checkpoint has them beside it."""
    options: tuple[str, ...] = ()
    """Further files that reading it takes, as keyword arguments."""
    notes: Callable[[Any, Path], list[str]] = lambda _model, _path: []
    """Of the model, and the path that it was read from: what a user should know before using it."""


def read_weights(file: Path, *tables: str, trust: bool = False) -> dict[str, Tensor]:
    """The first of these tables of weights that a PyTorch file has.

    Raises:
        InputError: no such file, a damaged one, one that holds more than weights (see `read_pickle`), or no such table.
    """
    content = read_pickle(file, trust=trust)
    found = [content[table] for table in tables if table in content] if isinstance(content, dict) else []
    if not found or not is_table(found[0]):
        named = " or ".join(repr(table) for table in tables)
        raise InputError(f"{file} holds no table of weights called {named}: it is another system's file")
    return found[0]


def is_table(content: Any) -> bool:
    """Whether this is a table of weights: names to tensors, and nothing else."""
    return isinstance(content, dict) and bool(content) and all(isinstance(value, Tensor) for value in content.values())


def without(weights: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """The weights whose keys do not start with one of these."""
    return {key: value for key, value in weights.items() if not key.startswith(prefixes)}


def read_statistics(mean: Path, std: Path) -> Normaliser:
    """Mean and deviation, one number per feature.

    Raises:
        InputError: a file is missing or damaged, or the two are no rows of one length.
    """
    try:
        rows = [torch.from_numpy(np.load(file, allow_pickle=False)) for file in (mean, std)]
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read the statistics {mean} and {std}: {error}") from None
    if rows[0].ndim != 1 or rows[0].shape != rows[1].shape:
        shapes = " and ".join(str(tuple(row.shape)) for row in rows)
        raise InputError(f"{mean} and {std} must be two rows of one length, got {shapes}")
    return Normaliser(*rows)


def statistics_of(normaliser: Normaliser) -> dict[str, Tensor]:
    """The statistics under the keys that every model stores them by."""
    return {f"normaliser.{name}": value for name, value in normaliser.state_dict().items()}


def check_statistics(normaliser: Normaliser | None, features: int | None, source: Path) -> Normaliser:
    """The normaliser, if there is one, and one for as many features as the weights in `source` take.

    Args:
        normaliser: what was given.
        features: numbers per frame that the weights take; None: their keys do not tell.
        source: of the weights.
    """
    if normaliser is None:
        raise InputError(
            f"{source} holds weights without statistics: give those that the model was trained with (--stats DIR)"
        )
    given = len(normaliser.mean)
    if features not in (None, given):
        raise InputError(
            f"the weights in {source} take {_named(features)}, but the statistics are of {_named(given)}: give those "
            "of the data set that the model was trained on"
        )
    return normaliser


def features_of(weights: dict[str, Tensor], key: str, axis: int = 0) -> int | None:
    """Numbers per frame that the weights take, by the size of one of them; None where it is not there."""
    return weights[key].shape[axis] if key in weights and weights[key].ndim > axis else None


def read_options(file: Path) -> dict[str, bool | int | float | str]:
    """The `key: value` lines of an `opt.txt`; other lines are decoration. Truth values and numbers are read as such,
    all else stays a word, `None` too."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {file}, which published weights of this kind have beside them: {error}"
        ) from None
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): _value(value.strip()) for key, colon, value in pairs if colon}


def _value(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _named(features: int) -> str:
    try:
        return f"{features} features per frame ({skeleton_of_width(features).name})"
    except InputError:
        return f"{features} features per frame"
