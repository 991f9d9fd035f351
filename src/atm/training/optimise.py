"""One step of training: forward, the losses, backward, update. The loop takes it, and the study of costs times it."""

import math
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from atm.alignment import Alignment, AlignmentOutput
from atm.base.errors import InputError
from atm.interface import Batch, StepOutput
from atm.training.config import TrainConfig
from atm.training.distributed import Team
from atm.training.schedule import learning_rate

GRADIENT_RATIO_LIMIT = 5.0
"""|weighted alignment gradient| / |own gradient| above which a run warns: the losses then fool the space instead of
improving the motion (our trial of the losses)."""


@dataclass(frozen=True)
class Stepped:
    """What a step did."""

    log: dict[str, float]
    """Named scalars; empty where the step was skipped."""
    skipped: list[str] | None = None
    """None: the weights moved. Else they did not, for want of a finite loss or gradient: the motions at fault."""


class Optimisation:
    """A model on its device, with its optimiser and the losses that are added to its own.

    Args:
        config: the model must have been built from it.
        model: has `training_step(batch, rng)`.
        alignment: the losses to add; None is the baseline.
        team: the processes that train it together; None: this one alone. Each has rows of its own; gradients are
            averaged over all.
    """

    def __init__(
        self, config: TrainConfig, model: nn.Module, alignment: Alignment | None = None, team: Team | None = None
    ):
        self.config = config
        self.model = model
        self.alignment = alignment
        self.team = team or Team(config.precision)
        self.device = self.team.fabric.device
        model.to(self.device).requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
        )
        self._forward = model.training_step if self.team.size == 1 else _over_processes(model, self.device)
        if alignment is not None and isinstance(alignment.space, nn.Module):
            alignment.space.to(self.device)
        self._warned = False

    def step(self, batch: Batch, number: int) -> Stepped:
        """Step `number`, counted from 0, on a batch anywhere. Random numbers come from (seed, number, rank) alone."""
        config, model = self.config, self.model
        batch = to_device(batch, self.device)
        rng = step_generator(config.seed, number, self.team.rank)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, number)

        model.train()
        output = self._forward(batch, rng)
        own = output.loss.mean()
        loss, log = own, {"loss": own.item(), **output.parts}
        if self.alignment is not None:
            aligned = _align(self.alignment, output, batch, rng)
            if config.gradient_log_every and number % config.gradient_log_every == 0:
                log |= self._gradients(own, aligned.total, number)
            loss = own + aligned.total
            log |= {f"alignment/{name}": value for name, value in aligned.log.items()}
        norm = math.nan
        if not self.team.any(not torch.isfinite(loss).item()):
            loss.backward()
            norm = _gradient_norm(model)
        moves = math.isfinite(norm)
        if moves:
            if config.gradient_clip:
                nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if moves:
            return Stepped(log | {"gradient_norm": norm, "total": loss.item()})
        at_fault = [i for i, row in zip(batch.ids, output.loss, strict=True) if not torch.isfinite(row)]
        return Stepped({}, self.team.together(at_fault))

    def attention(self):
        """A block in which attention is computed as is quickest here.

        On a CPU, the fused attention's backward pass takes several times as long as plain products at our lengths.
        """
        return sdpa_kernel(SDPBackend.MATH) if self.device.type == "cpu" else nullcontext()

    def _gradients(self, own: Tensor, aligned: Tensor, number: int) -> dict[str, float]:
        """Norms of both gradients on the weights; warns once where alignment dwarfs the model's own loss."""
        norms = []
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        for loss in (own, aligned):
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            found = [g for g in gradients if g is not None]
            norms.append(torch.stack(torch._foreach_norm(found)).norm().item() if found else 0.0)
        ratio = norms[1] / max(norms[0], 1e-12)
        if ratio > GRADIENT_RATIO_LIMIT and not self._warned:
            self._warned = True
            warnings.warn(
                f"at step {number} the gradient of the weighted alignment losses is {ratio:.1f} times that of the "
                "model's own loss: lower alignment.inter_weight and alignment.intra_weight",
                stacklevel=2,
            )
        return {"gradient/own": norms[0], "gradient/alignment": norms[1], "gradient/ratio": ratio}


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The random numbers of a step; also sets the global state that dropout draws from."""
    state = np.random.SeedSequence([seed, step, *([rank] if rank else [])]).generate_state(2)
    torch.manual_seed(int(state[0]))
    return torch.Generator().manual_seed(int(state[1]))


class _AsForward(nn.Module):
    """A model's training step as `forward`, which is what DDP watches, with tensors that it finds."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor | None, StepOutput]:
        output = self.model.training_step(batch, rng)
        return output.loss, None if output.motion is None else output.motion.features, output


def _over_processes(model: nn.Module, device: torch.device) -> Callable[[Batch, torch.Generator], StepOutput]:
    """The model's training step, after which a backward pass averages the gradients of all processes."""
    parallel = nn.parallel.DistributedDataParallel(
        _AsForward(model),
        device_ids=[device] if device.type == "cuda" else None,
        # Some generators have parameters that a step does not use, by chance or by design.
        find_unused_parameters=True,
    )

    def training_step(batch: Batch, rng: torch.Generator) -> StepOutput:
        loss, features, output = parallel(batch, rng)
        motion = None if features is None else replace(output.motion, features=features)
        return replace(output, loss=loss, motion=motion)

    return training_step


def to_device(batch: Batch, device: torch.device) -> Batch:
    return replace(batch, motion=batch.motion.to(device), sentence=batch.sentence.to(device))


def _align(alignment: Alignment, output: StepOutput, batch: Batch, rng: torch.Generator) -> AlignmentOutput:
    if output.motion is None:
        raise InputError("the alignment losses need a motion, and this model's training step gives none")
    # Margins and ratios are differences of small distances: half precision would drown them.
    with torch.autocast(batch.sentence.device.type, enabled=False):
        motion = replace(output.motion, features=output.motion.features.float())
        return alignment(motion, batch, output.noise_level, rng)


def _gradient_norm(model: nn.Module) -> float:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm().item() if gradients else 0.0
