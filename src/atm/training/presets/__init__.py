"""What can be trained, by name: `atm presets` prints this table, `atm train NAME` takes a row of it.

Each system's published hyper-parameters stand in its file; what is ours is said there.
"""

from atm.errors import unknown
from atm.training.config import TrainConfig
from atm.training.presets import bamm, evaluator, mdm, mld, momask, motiondiffuse, remodiffuse, space
from atm.training.presets.row import Preset

PRESETS: dict[str, Preset] = {
    name: row
    for system in (space, evaluator, mdm, mld, motiondiffuse, remodiffuse, momask, bamm)
    for name, row in system.PRESETS.items()
}


def preset(name: str) -> TrainConfig:
    """The config of a row; an InputError names the nearest rows otherwise."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name].config()
