"""ReMoDiffuse's row of the table of models."""

from atm.generators.remodiffuse.config import ReMoDiffuseConfig
from atm.generators.remodiffuse.model import ReMoDiffuse, begin
from atm.generators.remodiffuse.weights import RELEASE
from atm.interface import ModelSpec

SPECS = (ModelSpec("generator", ReMoDiffuseConfig, ReMoDiffuse, begin=begin, release=RELEASE),)
