"""MotionDiffuse's row of the table of models."""

from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.motiondiffuse.weights import RELEASE
from atm.interface import ModelSpec

SPECS = (ModelSpec("generator", MotionDiffuseConfig, MotionDiffuse, release=RELEASE),)
