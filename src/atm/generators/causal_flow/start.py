"""What a new training run takes from its data: the latents."""

from typing import Any

import torch

from atm.generators.causal_flow.model import CausalFlow

ENOUGH = 10_000
"""Motions that the latents are fitted to, evenly spread over a larger split: more change no digit that counts."""


def observe(model: CausalFlow, dataset: Any) -> None:
    """Fit the model's latents to the training split (an `atm.data.humanml3d.MotionDataset`)."""
    every = -(-len(dataset.items) // ENOUGH)
    model.learn_latents(torch.from_numpy(dataset.features(item).copy()) for item in dataset.items[::every])
