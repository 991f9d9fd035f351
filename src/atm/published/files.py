"""Contents of published checkpoints: tables of weights, statistics, options; and what each system has of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.reading import read_arrays
from atm.motion import skeleton_of_width
from atm.motion.layers import Normaliser
from atm.published.pickles import read_pickle

DATA_SET_FILES = "Mean.npy and Std.npy of the data set that it was trained on"
OWN_FILES = "the mean.npy and std.npy that were published with it"
"""Files to ask for from a user who has weights without statistics."""


class Release(NamedTuple):
    """Details that `atm import` prints and needs of a published system."""

    read: Callable[..., nn.Module]
    """(path, statistics or None, trust=, and what `options` name) to the model with the published weights."""
    weight_files: Callable[[Path], list[Path]]
    """Function from a path that a user gives to the files of weights that `read` reads."""
    statistics: Callable[[Path], Normaliser]
    """Reads those in a folder that a user names, where the checkpoint has none beside it."""
    files: str
    """Names of the published checkpoint on disk."""
    supports: str
    """Which of the published variants can be read."""
    licence: str
    """Licence of the published code and weights."""
    signs: tuple[str, ...]
    """Keys by which a file of this system is told from those of others."""
    presets: tuple[Callable[[], Config], ...] = ()
    """Configs of the published models; `humanml3d` or `kit` in a function's name says for which data set."""
    options: tuple[str, ...] = ()
    """Further files that `read` takes, by keyword."""
    notes: Callable[[Any, Path], list[str]] = lambda _model, _path: []
    """Function from the model, and the path that it was read from, to notes for a user before using it."""


def read_weights(file: Path, *tables: str, trust: bool = False) -> dict[str, Tensor]:
    """Return the first of these tables of weights that a PyTorch file has.

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
    """Return whether this is a table of weights: names to tensors, and nothing else."""
    return isinstance(content, dict) and bool(content) and all(isinstance(value, Tensor) for value in content.values())


def without(weights: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return the weights whose keys do not start with one of these."""
    return {key: value for key, value in weights.items() if not key.startswith(prefixes)}


def data_set_statistics(folder: Path) -> Normaliser:
    """Return the mean and deviation as a data set has them, in `Mean.npy` and `Std.npy`."""
    return _read_statistics(folder / "Mean.npy", folder / "Std.npy")


def own_statistics(folder: Path) -> Normaliser:
    """Return the mean and deviation as published code writes them beside a checkpoint, in `mean.npy` and `std.npy`;
    these may differ from the data set's."""
    return _read_statistics(folder / "mean.npy", folder / "std.npy")


def statistics_of(normaliser: Normaliser) -> dict[str, Tensor]:
    """Return the statistics under the keys that every model stores them by."""
    return {f"normaliser.{name}": value for name, value in normaliser.state_dict().items()}


def check_statistics(normaliser: Normaliser | None, features: int | None, source: Path, *, files: str) -> Normaliser:
    """Return the normaliser, if there is one, and one for as many features as the weights in `source` take.

    Args:
        normaliser: what was given or found.
        features: numbers per frame that the weights take; None: their keys do not tell.
        source: of the weights.
        files: what to ask for where there is none.
    """
    if normaliser is None:
        raise InputError(f"{source} has no statistics beside its weights: give the folder with {files} (--stats DIR)")
    given = len(normaliser.mean)
    if features not in (None, given):
        raise InputError(
            f"the weights in {source} take {_named(features)}, but the statistics are of {_named(given)}: give those "
            "of the data set that the model was trained on"
        )
    return normaliser


def features_of(weights: dict[str, Tensor], key: str, axis: int = 0) -> int | None:
    """Return numbers per frame that the weights take, by the size of one of them; None where it is not there."""
    return weights[key].shape[axis] if key in weights and weights[key].ndim > axis else None


def read_options(file: Path) -> dict[str, bool | int | float | str]:
    """Return the `key: value` lines of an `opt.txt`; other lines are decoration. Truth values and numbers are read as
    such, all else stays a word, `None` too."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {file}, which published weights of this kind have beside them: {error}"
        ) from None
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): _value(value.strip()) for key, colon, value in pairs if colon}


def _read_statistics(*files: Path) -> Normaliser:
    """Return two rows of one length.

    Raises:
        InputError: a file is missing or damaged, or they are no such rows.
    """
    try:
        rows = [torch.from_numpy(_row(file)) for file in files]
    except (InputError, TypeError) as error:
        raise InputError(f"cannot read the statistics {' and '.join(map(str, files))}: {error}") from None
    if rows[0].ndim != 1 or rows[0].shape != rows[1].shape:
        shapes = " and ".join(str(tuple(row.shape)) for row in rows)
        raise InputError(f"{' and '.join(map(str, files))} must be two rows of one length, got {shapes}")
    return Normaliser(*rows)


def _row(file: Path) -> np.ndarray:
    try:
        content = read_arrays(file)
    except InputError as error:
        raise InputError(f"the statistics {file}: {error}") from None
    if not isinstance(content, np.ndarray):
        raise InputError(f"the statistics {file}: expected one row of numbers, got arrays {', '.join(content)}")
    if not np.isfinite(content).all():
        raise InputError(f"the statistics {file} hold NaN or infinite values: take those of the data set anew")
    return content


def _value(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)  # a ValueError also where a number has thousands of digits
        except ValueError:
            continue
    return text


def _named(features: int) -> str:
    try:
        return f"{features} features per frame ({skeleton_of_width(features).name})"
    except InputError:
        return f"{features} features per frame"
