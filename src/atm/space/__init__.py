"""The text-motion space: its model (eq. 9), its losses, and how well it retrieves."""

from atm.space.config import SpaceConfig
from atm.space.model import Space
from atm.space.presets import space_humanml3d, space_kit, space_small
from atm.space.weights import find_space, load_space, save_space

__all__ = [
    "Space",
    "SpaceConfig",
    "find_space",
    "load_space",
    "save_space",
    "space_humanml3d",
    "space_kit",
    "space_small",
]
