"""What can be trained, by name: `atm presets` prints this table, `atm train NAME` takes a row of it.

Each system's published hyper-parameters stand in its file; what is ours is said there. Another package adds a row by
an entry point (docs/add-a-generator.md).
"""

import warnings

from atm.errors import InputError, unknown
from atm.plugins import is_plugin, load_plugin, plugin_names
from atm.training.config import TrainConfig
from atm.training.presets import bamm, evaluator, mdm, mld, momask, motiondiffuse, remodiffuse, space
from atm.training.presets.row import Preset

PRESETS: dict[str, Preset] = {
    name: row
    for system in (space, evaluator, mdm, mld, motiondiffuse, remodiffuse, momask, bamm)
    for name, row in system.PRESETS.items()
}


GROUP = "atm.presets"
"""Entry points by which another package adds rows: a name, and its `Preset`."""


def all_presets() -> dict[str, Preset]:
    """Every row: the house's, and those of other packages. One that cannot be read costs a warning, not the others."""
    rows = dict(PRESETS)
    for name in plugin_names(GROUP, PRESETS):
        try:
            rows[name] = _plugin(name)
        except InputError as error:
            warnings.warn(str(error), stacklevel=2)
    return rows


def preset(name: str) -> TrainConfig:
    """The config of a row; an InputError names the nearest rows otherwise."""
    if name in PRESETS:
        return PRESETS[name].config()
    if is_plugin(GROUP, name):
        return _plugin(name).config()
    raise unknown("preset", name, all_presets())


def _plugin(name: str) -> Preset:
    """What a package registers, if it is a preset whose config can be made."""
    row = load_plugin(GROUP, name)
    if not isinstance(row, Preset):
        raise InputError(
            f"the entry point {name!r} in {GROUP} must be an atm.training.presets.Preset, but is {type(row).__name__}"
        )
    try:
        row.config()
    except Exception as error:  # code of another package, which may do anything
        raise InputError(f"the preset {name!r} of {GROUP} gives no config: {type(error).__name__}: {error}") from error
    return row
