"""The field's evaluator, its metrics and its protocol, and measures that no training can fool."""
