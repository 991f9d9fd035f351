"""The learning rate of a step, from the config and the step alone: nothing to store, so nothing to restore."""

import math

from atm.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the rate of optimiser step number `step`, counted from 0.

    Args:
        config: its warm-up, milestones and cosine decay multiply.
        step: below `config.steps`.
    """
    rate = config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
    rate *= config.milestone_factor ** sum(step >= milestone for milestone in config.milestones)
    if config.cosine_to is not None:
        left = (1 + math.cos(math.pi * step / config.steps)) / 2
        rate *= config.cosine_to + (1 - config.cosine_to) * left
    return rate
