"""Table of everything that can be trained, by name: `atm presets` prints it, `atm train NAME` takes a row of it.

How a model is trained stands in `presets.py` of its folder; `NAME_atm`, the preset NAME with both losses, is made here.
"""

import warnings
from typing import NamedTuple

from atm.alignment.config import MINILM_EPSILON, AlignmentConfig
from atm.base.config import changed
from atm.base.errors import InputError, unknown
from atm.interface import Preset
from atm.models.presets import find_preset, preset_rows
from atm.training.config import TrainConfig

ALIGNED = "_atm"
"""Ending of the name of a preset with both losses."""
PAPER_WEIGHT = 0.01
"""The paper's lambda, of both losses."""
SMALL_WEIGHT = 0.1
"""Lambda of the small presets, if nothing else is said: their own loss is a mean over elements, and at the paper's
0.01 the gain of the losses lies within the noise of the seed at this scale (docs/paper.md)."""


class NamedConfig(NamedTuple):
    """A row of the table that `atm presets` prints."""

    config: TrainConfig
    what: str
    time: str


def preset(name: str) -> TrainConfig:
    """Return the config of a preset.

    Raises:
        InputError: no such preset (the nearest is named), or another package's cannot be made.
    """
    row = find_preset(name)
    if row is not None:
        return _config(name, row)
    base = name.removesuffix(ALIGNED)
    row = find_preset(base)
    if row is not None and row.losses is not None:
        return aligned(_config(base, row), row)
    raise unknown("preset", name, _names(preset_rows()))


def all_presets() -> dict[str, NamedConfig]:
    """Return the whole table, each preset followed by its variant with the losses."""
    rows = preset_rows()
    table = {}
    for name in list(rows):
        row = rows[name]
        try:
            config = _config(name, row)
        except InputError as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        table[name] = NamedConfig(config, row.what, row.time)
        if row.losses is not None:
            what = f"{row.what.removesuffix(', baseline')} with both losses"
            table[name + ALIGNED] = NamedConfig(aligned(config, row), what, row.losses_time)
    return table


def aligned(config: TrainConfig, row: Preset) -> TrainConfig:
    """Return the same run with both losses, as the preset's row asks for them."""
    weight = SMALL_WEIGHT if row.small else PAPER_WEIGHT
    choices = {"inter.weight": weight, "intra.weight": weight}
    if row.small:  # its captions are read by the small language model
        choices |= {"epsilon": MINILM_EPSILON, "sentence_encoder": "minilm"}
    return config.model_copy(update={"alignment": changed(AlignmentConfig(), {**choices, **(row.losses or {})})})


def _config(name: str, row: Preset) -> TrainConfig:
    try:
        return TrainConfig(model=row.model(), **row.training)
    except Exception as error:  # the row may be another package's, which may hold anything
        raise InputError(f"the preset {name!r} gives no config: {type(error).__name__}: {error}") from error


def _names(rows: dict[str, Preset]) -> list[str]:
    return [*rows, *(name + ALIGNED for name, row in rows.items() if row.losses is not None)]
