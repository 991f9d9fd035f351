"""Common parts of token models: the residual tokeniser, its quantiser, the transformer trunk, draws."""
