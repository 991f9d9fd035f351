"""What token models share: the residual tokeniser, its quantiser, the transformer trunk, draws."""
