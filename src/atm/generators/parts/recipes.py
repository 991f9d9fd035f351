"""Common settings of the training recipes of several published systems."""

HUMANML3D = 23_384
"""Motions of HumanML3D's published training split."""
KIT = 4_888
"""Motions of KIT-ML's published training split."""
SMALL = {"batch_size": 64, "learning_rate": 5e-4, "warmup_steps": 200, "ema": 0.9995, "sort_over": 8}
"""Recipe of the small diffusion models (ours)."""


def epochs(count: int, *, motions: int, batch: int) -> int:
    """Return the optimiser steps of so many passes over a training split."""
    return round(count * motions / batch)
