"""MDM's row of the table of models."""

from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.generators.mdm.weights import RELEASE
from atm.interface import ModelSpec

SPECS = (ModelSpec("generator", MDMConfig, MDM, release=RELEASE),)
