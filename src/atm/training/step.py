"""One training step: the project in three lines, and what any optimiser makes of a loss."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from atm.alignment import Alignment, AlignmentOutput
from atm.interface import Batch, StepOutput
from atm.training.config import TrainConfig
from atm.training.distributed import make_fabric
from atm.training.schedule import learning_rate

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Losses(NamedTuple):
    """Losses of one forward pass, before any weight changes."""

    loss: Float[Tensor, ""]
    """The generator's own, and the weighted alignment losses."""
    step: StepOutput
    aligned: AlignmentOutput | None
    """None: the baseline, or a step on which they do not act (`AlignmentConfig.every`)."""


class Trainer:
    """A model on its device with its optimiser, the engine, and the losses that are added to its own.

    Args:
        config: the model must have been built from it.
        model: has `training_step(batch, rng)`.
        alignment: the losses to add; None is the baseline.
        fabric: the engine, launched; None: this process alone.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: nn.Module,
        alignment: Alignment | None = None,
        fabric: "Fabric | None" = None,
    ):
        self.config = config
        self.alignment = alignment
        self.fabric = fabric or make_fabric(config.precision)
        model.requires_grad_(True)
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,  # one pass over the weights: a tenth of a small model's step less than one kernel per operation
        )
        self.generator, self.optimizer = self.fabric.setup(model, optimizer)
        self.generator.mark_forward_method("training_step")
        if alignment is not None and isinstance(alignment.space, nn.Module):
            alignment.space.to(self.fabric.device)

    def forward(self, batch: Batch, number: int) -> Losses:
        """Compute the loss of step `number`, counted from 0; its randomness comes from (seed, number, rank) alone."""
        generator, alignment = self.generator.train(), self.alignment
        batch = batch.to(self.fabric.device)
        rng = step_generator(self.config.seed, number, self.fabric.global_rank)
        with self.fabric.autocast():
            step = generator.training_step(batch, rng)  # text -> generator -> motion
        if alignment is None or number % alignment.config.every:
            return Losses(step.loss.mean(), step, None)
        aligned = alignment(step.motion, batch, step.noise_level)  # motion -> embedding -> losses
        loss = step.loss.mean() + aligned.total
        return Losses(loss, step, aligned)

    def backward(self, loss: Tensor, number: int) -> float:
        """Move the weights, and return the gradient's norm; where that is not finite, in any process, they stay."""
        self.fabric.backward(loss)
        weights = [p for p in self.generator.parameters() if p.grad is not None]
        total = nn.utils.get_total_norm([p.grad for p in weights])
        norm = total.item()  # the one time that a step waits for the device
        if math.isfinite(norm):
            if self.config.gradient_clip is not None:
                nn.utils.clip_grads_with_norm_(weights, self.config.gradient_clip, total)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.config, number)
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """Return the random numbers of a step; also set the global state that dropout draws from."""
    state = np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(2)
    torch.manual_seed(int(state[0]))
    return torch.Generator().manual_seed(int(state[1]))
