"""BAMM's rows of the table of models: the whole, and its own training; tokeniser and residual are MoMask's."""

from atm.generators.bamm.config import BAMMConfig, TransformerConfig
from atm.generators.bamm.model import BAMM
from atm.generators.bamm.stage import build_stage
from atm.generators.bamm.weights import RELEASE
from atm.interface import ModelSpec

HINT = "train MoMask's tokeniser and residual transformer as well, then `atm assemble bamm RUN ...`"
STAGES = {"rvq": "momask_rvq", "transformer": "bamm_transformer", "residual": "momask_residual"}
SPECS = (
    ModelSpec("generator", BAMMConfig, BAMM, release=RELEASE, stages=STAGES),
    ModelSpec("stage", TransformerConfig, build_stage, hint=HINT),
)
