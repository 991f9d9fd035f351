"""One loop for everything trainable: spaces, evaluators, generators, with the alignment losses or without."""

import math
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from atm.alignment import Alignment
from atm.base.config import save
from atm.base.errors import InputError
from atm.base.progress import progress_bar
from atm.base.signals import stop_on_signals
from atm.base.storage import atomic, check_finite, load_state
from atm.interface import Batch
from atm.models import save_trained
from atm.training.checkpoint import MovingAverage, read_checkpoint, save_checkpoint
from atm.training.config import TrainConfig
from atm.training.distributed import asked_in_parts, gathered, true_anywhere
from atm.training.record import RunFolder
from atm.training.step import Losses, Trainer, step_generator

if TYPE_CHECKING:
    from lightning.fabric import Fabric

BAD_STEPS_LIMIT = 20
"""Steps in a row without a finite loss after which a run gives up."""
VALIDATION_BATCHES = 8


GRADIENT_RATIO_LIMIT = 5.0
"""|weighted alignment gradient| / |own gradient| above which a run warns: the losses then fool the space instead of
improving the motion (our trial of the losses)."""


@dataclass(frozen=True)
class TrainResult:
    """How a call of `train` ended."""

    step: int
    steps: int
    interrupted: bool
    rank: int = 0
    """Rank of the process, where several train together: the first, 0, speaks for all."""
    signal: int = 0
    """Number of the signal that interrupted it; 0: none, or that of another process."""

    @property
    def finished(self) -> bool:
        """Return whether the run has all its steps."""
        return self.step >= self.steps


def train(
    config: TrainConfig,
    model: nn.Module,
    sampler: Callable[[int], Batch],
    run: RunFolder,
    *,
    alignment: Alignment | None = None,
    validation: Callable[[int], Batch] | None = None,
    minutes: float | None = None,
    resume: bool = False,
    from_model: str | None = None,
    fabric: "Fabric | None" = None,
    show_progress: bool = True,
) -> TrainResult:
    """Train `model` into a run folder, to `config.steps` or until the time is over.

    Every random number of step s comes from (seed, s), so a run that was stopped and resumed has the loss curve of
    one that was not, to the bit on a CPU.

    Args:
        config: written to the folder; the model and the sampler must have been built from it.
        model: has `training_step(batch, rng)`.
        sampler: gives the batch of a step.
        run: where everything goes.
        alignment: the losses to add; None is the baseline.
        validation: batches for the validation loss, where `config.validate_every` asks for one.
        minutes: stop after this time (and leave a checkpoint and a model); None: no limit.
        resume: go on from the folder's checkpoint.
        from_model: where the model's weights come from, for the record; None: they are new.
        fabric: the engine, launched; None: this process alone. A step takes as many batches as there are processes,
            one for each, all of which call this. The first writes all files; what it logs is of its rows.
        show_progress: a bar on standard error.

    Raises:
        InputError: nothing to resume, the losses ask for a motion that the model does not give, or twenty steps in a
            row had no finite loss. A run that is resumed after that comes to the same end.
    """
    trainer = Trainer(config, model, alignment, fabric)
    fabric, optimizer = trainer.fabric, trainer.optimizer
    average = MovingAverage(model, config.ema) if config.ema else None
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "best": math.inf, "pending": {}, "skipped": {}}
    state["bad_in_a_row"] = 0
    first = fabric.is_global_zero
    if resume:
        state = _restore(run, model, optimizer, average)
        if first:
            run.drop_metrics_after(state["step"])
    elif first:
        run.create()
        facts = {"seed": config.seed, "data": config.data, "started_in": str(Path.cwd())}
        run.write_record(**facts, processes=fabric.world_size, from_model=from_model)
        with atomic(run.config) as part:
            save(config, part)

    step, begun = state["step"], time.monotonic()
    best, already = state["best"], state["seconds"]
    journal = _Journal(run if first else None, step, pending=state["pending"], skipped=state["skipped"])
    ratios = _GradientRatios(config, model)
    every = 1 if alignment is None else alignment.config.every
    bad_in_a_row = state["bad_in_a_row"]

    def checkpoint() -> None:
        if not first:
            return
        seconds = already + time.monotonic() - begun
        save_checkpoint(
            run.checkpoint,
            {
                "step": step,
                "seconds": seconds,
                "best": best,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.average if average else {},
                "pending": journal.numbers(),
                "skipped": journal.skipped,
                "bad_in_a_row": bad_in_a_row,
            },
        )
        if config.keep == "last" or best == math.inf:
            _save_averaged(run.model, model, average, config)
        run.write_record(step=step, steps=config.steps, minutes=round(seconds / 60, 2), skipped_rows=journal.skipped)

    with (
        stop_on_signals() as interrupted,
        ThreadPoolExecutor(1) as ahead,
        closing(journal),
        progress_bar(show=show_progress and first) as bar,
    ):
        ends = None if minutes is None else begun + minutes * 60
        task = bar.add_task("training", total=config.steps, completed=step, note="", ends=ends)

        def draw(at: int) -> Future[Batch]:
            return ahead.submit(sampler, at * fabric.world_size + fabric.global_rank)

        def is_over() -> bool:
            late = ends is not None and time.monotonic() > ends
            return true_anywhere(fabric, late or interrupted() != 0)

        coming = draw(step)
        while step < config.steps and not is_over():
            batch = coming.result()
            coming = draw(step + 1)
            losses = trainer.forward(batch, step)
            log = ratios.measure(losses, step, every) if losses.aligned is not None else {}
            norm = trainer.backward(losses.loss, step)
            if math.isfinite(norm):
                bad_in_a_row = 0
                # Of the last step before a line on which the losses act.
                with_details = step % config.log_every + every >= config.log_every
                journal.add(log | _numbers_of(losses, norm, with_details=with_details))
            else:
                bad_in_a_row += 1
                finite = torch.isfinite(losses.step.loss).tolist()
                journal.skip(gathered(fabric, [i for i, fine in zip(batch.ids, finite, strict=True) if not fine]))
                if bad_in_a_row == BAD_STEPS_LIMIT:
                    raise InputError(
                        f"no finite loss or gradient in {bad_in_a_row} steps in a row, up to step {step + 1}: lower "
                        f"learning_rate ({config.learning_rate}), or look at the motions that the run named"
                    )
            step += 1
            if average:
                average.update(step)
            if step % config.log_every == 0 or step == config.steps:
                line = journal.write(step, already + time.monotonic() - begun)
                bar.update(task, note=f"loss {line.get('loss', math.nan):.4f}")
            bar.update(task, completed=step)
            if first and validation is not None and config.validate_every and step % config.validate_every == 0:
                loss_val = validation_loss(fabric, model, validation, config.seed, average)
                journal.run.append_metrics({"step": step, "validation_loss": loss_val})
                if config.keep == "best" and loss_val < best:
                    best = loss_val
                    _save_averaged(run.model, model, average, config)
            # A run that gives up leaves the last checkpoint of before, where something can still be changed.
            if step % config.checkpoint_every == 0 and not bad_in_a_row:
                checkpoint()
        checkpoint()
        coming.cancel()
    return TrainResult(step, config.steps, interrupted() != 0, fabric.global_rank, interrupted())


def _numbers_of(losses: Losses, norm: float, *, with_details: bool) -> dict[str, Tensor | float]:
    """Return what the log says of a step; the details of the alignment only where a line is written."""
    log = {"loss": losses.step.loss.detach().mean(), **losses.step.parts}
    if losses.aligned is not None and with_details:
        log |= {f"alignment/{name}": value for name, value in losses.aligned.log.items()}
    return log | {"gradient_norm": norm, "total": losses.loss.detach()}


class _GradientRatios:
    """Norms of both gradients on the weights, every so often; warns once where alignment dwarfs the own loss."""

    def __init__(self, config: TrainConfig, model: nn.Module):
        self._every = config.gradient_log_every
        self._weights = [p for p in model.parameters() if p.requires_grad]
        self._warned = False

    def measure(self, losses: Losses, number: int, every: int) -> dict[str, float]:
        """Measure at the first step from a due one on at which the losses act, which they do on each `every`-th.

        What is told is their share of the mean step, so a loss that acts seldom is not called too strong for that.
        """
        if not self._every or number % self._every >= every:
            return {}
        own, aligned = (self._norm(loss) for loss in (losses.step.loss.mean(), losses.aligned.total / every))
        ratio = aligned / max(own, 1e-12)
        if ratio > GRADIENT_RATIO_LIMIT and not self._warned:
            self._warned = True
            warnings.warn(
                f"at step {number} the gradient of the weighted alignment losses is {ratio:.1f} times that of the "
                "model's own loss: lower alignment.inter.weight and alignment.intra.weight",
                stacklevel=2,
            )
        return {"gradient/own": own, "gradient/alignment": aligned, "gradient/ratio": ratio}

    def _norm(self, loss: Tensor) -> float:
        with asked_in_parts():
            gradients = torch.autograd.grad(loss, self._weights, retain_graph=True, allow_unused=True)
        found = [g for g in gradients if g is not None]
        return torch.stack(torch._foreach_norm(found)).norm().item() if found else 0.0


@torch.no_grad()
def validation_loss(
    fabric: "Fabric",
    model: nn.Module,
    sampler: Callable[[int], Batch],
    seed: int,
    average: MovingAverage | None = None,
) -> float:
    """Return the mean loss over the same few batches and noise each time, in eval mode, of the averaged weights."""
    losses = []
    with _averaged(average):
        model.eval()
        for step in range(VALIDATION_BATCHES):
            batch = sampler(step).to(fabric.device)
            with fabric.autocast():
                losses.append(model.training_step(batch, step_generator(seed + 1, step)).loss.mean().item())
        model.train()
    return float(np.mean(losses))


def _averaged(average: MovingAverage | None) -> AbstractContextManager[None]:
    return average.in_place() if average else nullcontext()


def _restore(run: RunFolder, model: nn.Module, optimizer, average: MovingAverage | None) -> dict[str, Any]:
    saved = read_checkpoint(run.checkpoint)
    check_finite(saved["model"], source=str(run.checkpoint))
    load_state(model, saved["model"], source=str(run.checkpoint))
    optimizer.load_state_dict(saved["optimizer"])
    if average:
        average.load(saved["average"])
    return saved


def _save_averaged(path: Path, model: nn.Module, average: MovingAverage | None, config: TrainConfig) -> None:
    with _averaged(average):
        save_trained(path, model, config.model)


class _Journal:
    """Means of what the steps logged, into metrics.jsonl and TensorBoard; and the rows that had no finite loss."""

    def __init__(
        self, run: RunFolder | None, step: int, *, pending: dict[str, list[Tensor | float]], skipped: dict[str, int]
    ):
        """Take a `run` to write to, from a step on; None: nothing is written."""
        from torch.utils.tensorboard import SummaryWriter

        self.run = run
        self.pending = dict(pending)
        """Values since the last line; in the checkpoint, so that a resumed run's next line is the mean it would be."""
        self.skipped = dict(skipped)
        self._board = SummaryWriter(str(run.path / "tensorboard"), purge_step=step) if run is not None else None

    def add(self, log: dict[str, Tensor | float]) -> None:
        for name, value in log.items():
            self.pending.setdefault(name, []).append(value)

    def numbers(self) -> dict[str, list[float]]:
        """Return what is pending as numbers, with one transfer from the device."""
        tensors = [value for values in self.pending.values() for value in values if isinstance(value, Tensor)]
        read = iter(torch.stack([value.double() for value in tensors]).tolist() if tensors else ())
        self.pending = {
            name: [next(read) if isinstance(value, Tensor) else value for value in values]
            for name, values in self.pending.items()
        }
        return self.pending

    def skip(self, ids: list[str]) -> None:
        for clip_id in ids:
            self.skipped[clip_id] = self.skipped.get(clip_id, 0) + 1
        warnings.warn(f"step skipped, no finite loss for: {', '.join(ids) or 'the batch as a whole'}", stacklevel=2)

    def write(self, step: int, seconds: float) -> dict[str, float]:
        line = {"step": step, "seconds": round(seconds, 2)}
        line |= {name: float(np.mean(values)) for name, values in self.numbers().items()}
        self.pending = {}
        if self.run is None:
            return line
        self.run.append_metrics(line)
        for name, value in line.items():
            if name != "step":
                self._board.add_scalar(name, value, step)
        return line

    def close(self) -> None:
        if self._board is not None:
            self._board.close()
