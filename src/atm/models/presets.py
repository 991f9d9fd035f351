"""Every preset by name, as the models' folders and other packages have them: how each is trained, as plain values."""

import warnings

from atm.base.errors import InputError
from atm.base.plugins import is_plugin, load_plugin, plugin_names
from atm.evaluation.presets import PRESETS as EVALUATOR
from atm.generators.bamm.presets import PRESETS as BAMM
from atm.generators.causal_flow.presets import PRESETS as CAUSAL_FLOW
from atm.generators.mdm.presets import PRESETS as MDM
from atm.generators.mld.presets import PRESETS as MLD
from atm.generators.momask.presets import PRESETS as MOMASK
from atm.generators.motiondiffuse.presets import PRESETS as MOTIONDIFFUSE
from atm.generators.remodiffuse.presets import PRESETS as REMODIFFUSE
from atm.interface import Preset
from atm.models import find_spec
from atm.space.presets import PRESETS as SPACE

PRESETS: dict[str, Preset] = SPACE | EVALUATOR | MDM | MLD | MOTIONDIFFUSE | REMODIFFUSE | MOMASK | BAMM | CAUSAL_FLOW
GROUP = "atm.presets"
"""Entry points by which another package adds rows: a name, and its `Preset`."""


def find_preset(name: str) -> Preset | None:
    """Return the row of this name, or None.

    Raises:
        InputError: another package registers it, and its row cannot be read.
    """
    if name in PRESETS or not is_plugin(GROUP, name):
        return PRESETS.get(name)
    return _plugin(name)


def preset_rows() -> dict[str, Preset]:
    """Return every row: the project's, and those of other packages. One that cannot be read costs a warning."""
    rows = dict(PRESETS)
    for name in plugin_names(GROUP, PRESETS):
        try:
            rows[name] = _plugin(name)
        except InputError as error:
            warnings.warn(str(error), stacklevel=2)
    return rows


def _plugin(name: str) -> Preset:
    """Return what a package registers, if it is a preset."""
    row = load_plugin(GROUP, name)
    if not isinstance(row, Preset):
        raise InputError(
            f"the entry point {name!r} in {GROUP} must be an atm.interface.Preset, but is {type(row).__name__}"
        )
    try:
        find_spec(getattr(row.model(), "name", ""))  # a preset of a model that cannot be read is none
    except InputError:
        raise
    except Exception as error:  # code of another package, which may do anything
        raise InputError(f"the preset {name!r} of {GROUP} gives no config: {type(error).__name__}: {error}") from error
    return row
