"""The text-motion space's row of the table of models."""

from atm.interface import ModelSpec
from atm.space.config import SpaceConfig
from atm.space.model import Space
from atm.space.weights import RELEASE

SPECS = (ModelSpec("space", SpaceConfig, Space, release=RELEASE),)
