"""MoMask's rows of the table of models: the whole, and its four trainings."""

from atm.generators.momask.config import LengthConfig, MaskConfig, MoMaskConfig
from atm.generators.momask.model import MoMask
from atm.generators.momask.stages import begin_stage, build_stage
from atm.generators.momask.weights import RELEASE
from atm.generators.tokens.config import ResidualConfig, RVQConfig
from atm.interface import ModelSpec

HINT = "train the other stages of MoMask as well, then `atm assemble momask RUN ...`"
STAGES = {"rvq": "momask_rvq", "mask": "momask_mask", "residual": "momask_residual", "length": "momask_length"}
SPECS = (
    ModelSpec("generator", MoMaskConfig, MoMask, release=RELEASE, stages=STAGES, optional=("length",)),
    *(
        ModelSpec("stage", config, build_stage, begin=begin_stage, hint=HINT)
        for config in (RVQConfig, MaskConfig, ResidualConfig, LengthConfig)
    ),
)
