"""CausalFlow (ours): a causal transformer over continuous motion latents with a flow-matching head."""

from atm.generators.causal_flow.config import CausalFlowConfig

__all__ = ["CausalFlowConfig"]
