"""CausalFlow's row of the table of models."""

from atm.generators.causal_flow.config import CausalFlowConfig
from atm.generators.causal_flow.model import CausalFlow
from atm.generators.causal_flow.start import observe
from atm.interface import ModelSpec

SPECS = (ModelSpec("generator", CausalFlowConfig, CausalFlow, observe=observe),)
