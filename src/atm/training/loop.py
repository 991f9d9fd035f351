"""One loop for everything trainable: spaces, evaluators, generators, with the alignment losses or without."""

import math
import signal
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from atm.alignment import Alignment
from atm.base.config import save
from atm.base.errors import InputError
from atm.base.progress import progress_bar
from atm.base.storage import atomic, load_state, save_model
from atm.interface import Batch
from atm.models import find_spec
from atm.training.checkpoint import MovingAverage, read_checkpoint, save_checkpoint
from atm.training.config import TrainConfig
from atm.training.distributed import Team
from atm.training.optimise import Optimisation, step_generator, to_device
from atm.training.record import RunFolder

BAD_STEPS_LIMIT = 20
"""Steps in a row without a finite loss after which a run gives up."""
VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended."""

    step: int
    steps: int
    interrupted: bool

    @property
    def finished(self) -> bool:
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
    team: Team | None = None,
    show_progress: bool = True,
) -> Outcome:
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
        team: the processes that train together, all of which call this; None: this one alone. A step then takes as
            many batches as there are processes, one for each. The first writes all files; what it logs is of its rows.
        show_progress: a bar on standard error.

    Raises:
        InputError: nothing to resume, the losses ask for a motion that the model does not give, or twenty steps in a
            row had no finite loss.
    """
    optimisation = Optimisation(config, model, alignment, team)
    team = optimisation.team
    optimizer = optimisation.optimizer
    average = MovingAverage(model, config.ema) if config.ema else None
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "best": math.inf, "pending": {}, "skipped": {}}
    if resume:
        state = _restore(run, model, optimizer, average)
        if team.first:
            run.drop_metrics_after(state["step"])
    elif team.first:
        run.create()
        with atomic(run.config) as part:
            save(config, part)
        run.write_record(seed=config.seed, data=config.data, processes=team.size)

    step, begun = state["step"], time.monotonic()
    best, already = state["best"], state["seconds"]
    journal = _Journal(run if team.first else None, pending=state["pending"], skipped=state["skipped"])
    bad_in_a_row = 0

    def checkpoint() -> None:
        if not team.first:
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
                "pending": journal.pending,
                "skipped": journal.skipped,
            },
        )
        if config.keep == "last" or best == math.inf:
            _save_averaged(run.model, model, average, config)
        run.write_record(step=step, steps=config.steps, minutes=round(seconds / 60, 2), skipped_rows=journal.skipped)

    with (
        optimisation.attention(),
        _stop_on_interrupt() as interrupted,
        ThreadPoolExecutor(1) as ahead,
        closing(journal),
        progress_bar(show=show_progress and team.first) as bar,
    ):
        ends = None if minutes is None else begun + minutes * 60
        task = bar.add_task("training", total=config.steps, completed=step, note="", ends=ends)

        def draw(at: int) -> Future[Batch]:
            return ahead.submit(sampler, at * team.size + team.rank)

        def is_over() -> bool:
            late = ends is not None and time.monotonic() > ends
            return team.any(late or interrupted())

        coming = draw(step)
        while step < config.steps and not is_over():
            batch = coming.result()
            coming = draw(step + 1)
            stepped = optimisation.step(batch, step)
            if stepped.skipped is None:
                bad_in_a_row = 0
            else:
                bad_in_a_row += 1
                journal.skip(stepped.skipped)
                if bad_in_a_row == BAD_STEPS_LIMIT:
                    raise InputError(
                        f"no finite loss or gradient in {bad_in_a_row} steps in a row, up to step {step + 1}: lower "
                        f"learning_rate ({config.learning_rate}), or look at the motions that the run named"
                    )
            step += 1
            if average:
                average.update(step)
            journal.add(stepped.log)
            if step % config.log_every == 0 or step == config.steps:
                line = journal.write(step, already + time.monotonic() - begun)
                bar.update(task, note=f"loss {line.get('loss', math.nan):.4f}")
            bar.update(task, completed=step)
            if team.first and validation is not None and config.validate_every and step % config.validate_every == 0:
                loss_val = validation_loss(model, validation, config.seed, optimisation.device, average)
                journal.run.append_metrics({"step": step, "validation_loss": loss_val})
                if config.keep == "best" and loss_val < best:
                    best = loss_val
                    _save_averaged(run.model, model, average, config)
            if step % config.checkpoint_every == 0:
                checkpoint()
        checkpoint()
        coming.cancel()
    return Outcome(step, config.steps, interrupted())


@torch.no_grad()
def validation_loss(
    model: nn.Module,
    sampler: Callable[[int], Batch],
    seed: int,
    device: torch.device,
    average: MovingAverage | None = None,
) -> float:
    """Mean loss over the same few batches and noise each time, in eval mode, of the averaged weights if there are."""
    if average:
        average.swap()
    model.eval()
    losses = []
    for step in range(VALIDATION_BATCHES):
        batch = to_device(sampler(step), device)
        losses.append(model.training_step(batch, step_generator(seed + 1, step)).loss.mean().item())
    model.train()
    if average:
        average.swap()
    return float(np.mean(losses))


def _restore(run: RunFolder, model: nn.Module, optimizer, average: MovingAverage | None) -> dict[str, Any]:
    saved = read_checkpoint(run.checkpoint)
    load_state(model, saved["model"], source=str(run.checkpoint))
    optimizer.load_state_dict(saved["optimizer"])
    if average:
        average.load(saved["average"])
    return saved


def _save_averaged(path: Path, model: nn.Module, average: MovingAverage | None, config: TrainConfig) -> None:
    if average:
        average.swap()
    try:
        save_model(path, model, config.model, find_spec(config.model.name).kind)
    finally:
        if average:
            average.swap()


class _Journal:
    """Means of what the steps logged, into metrics.jsonl and TensorBoard; and the rows that had no finite loss."""

    def __init__(self, run: RunFolder | None, *, pending: dict[str, list[float]], skipped: dict[str, int]):
        """`run` None: nothing is written."""
        from torch.utils.tensorboard import SummaryWriter

        self.run = run
        self.pending = dict(pending)
        """Values since the last line; in the checkpoint, so that a resumed run's next line is the mean it would be."""
        self.skipped = dict(skipped)
        self._board = SummaryWriter(str(run.path / "tensorboard")) if run is not None else None

    def add(self, log: dict[str, float]) -> None:
        for name, value in log.items():
            self.pending.setdefault(name, []).append(value)

    def skip(self, ids: list[str]) -> None:
        for clip_id in ids:
            self.skipped[clip_id] = self.skipped.get(clip_id, 0) + 1
        warnings.warn(f"step skipped, no finite loss for: {', '.join(ids) or 'the batch as a whole'}", stacklevel=2)

    def write(self, step: int, seconds: float) -> dict[str, float]:
        line = {"step": step, "seconds": round(seconds, 2)}
        line |= {name: float(np.mean(values)) for name, values in self.pending.items()}
        self.pending.clear()
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


@contextmanager
def _stop_on_interrupt():
    """Ctrl-C ends the loop after the running step; a second one ends the process as usual."""
    stopped = False

    def stop(_number, _frame) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: whoever runs us there handles the signal
        yield lambda: False
        return
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, before)
