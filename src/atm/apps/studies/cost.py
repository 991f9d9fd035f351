"""The paper's table 8: what a training step costs with and without the losses.

All rows are timed in one process, a few steps of each in turn, so that whatever else the machine does meets them
alike. A step is what the training loop takes; batches are drawn before, as the loop draws them in the background.
"""

import itertools
import time
from collections.abc import Callable

import torch

from atm.apps.studies.jobs import Job, JobFolder, Result, run_config
from atm.apps.train import prepare
from atm.base.progress import progress_bar
from atm.training.record import provenance
from atm.training.step import Trainer

WARM_UP_STEPS, ROUNDS, STEPS_A_ROUND = 5, 20, 5
QUICK_STEPS = 1, 3, 1
"""The same three of a quick study."""
MS_AN_HOUR = 3.6e6


def time_steps(job: Job, folder: JobFolder, *, show_progress: bool = True) -> Result:
    """Return milliseconds of one step of each row, a value for each round; and hours of all its steps."""
    warm_up, rounds, steps = QUICK_STEPS if job.plan.quick else (WARM_UP_STEPS, ROUNDS, STEPS_A_ROUND)
    configs = {row: run_config(job, row, folder.path.parent) for row in job.configs}
    # Gradient norms are measured every so often for the log; here they would fall on some rounds and not on others.
    ready = {
        row: prepare(config.model_copy(update={"gradient_log_every": 0}), show_progress=show_progress)
        for row, config in configs.items()
    }
    timers = {row: _timer(one) for row, one in ready.items()}
    found: dict[str, list[float]] = {row: [] for row in timers}
    with progress_bar(show=show_progress) as bar:
        task = bar.add_task("timing steps", total=(warm_up + rounds * steps) * len(timers), note="")
        for row, timer in timers.items():
            bar.update(task, note=row)
            timer(warm_up)
            bar.advance(task, warm_up)
        for _ in range(rounds):
            for row, timer in timers.items():
                found[row].append(timer(steps) / steps)
                bar.update(task, advance=steps, note=row)
    values = {
        row: {"step_ms": times, "hours": [ms * configs[row].steps / MS_AN_HOUR for ms in times]}
        for row, times in found.items()
    }
    batch = {f"batch of {row}": one.sampler.batch_size for row, one in ready.items()}
    made_by = {key: value for key, value in provenance().items() if key in ("machine", "commit")}
    return Result(values=values, facts={**made_by, "threads": torch.get_num_threads(), **batch})


def _timer(ready) -> Callable[[int], float]:
    """Take that many steps and gives their milliseconds."""
    trainer = Trainer(ready.config, ready.model, ready.alignment)
    numbers = itertools.count()

    def take(steps: int) -> float:
        drawn = [(number, ready.sampler(number)) for number in itertools.islice(numbers, steps)]
        _wait(trainer.fabric.device)
        begun = time.perf_counter()
        for number, batch in drawn:
            trainer.backward(trainer.forward(batch, number).loss, number)
        _wait(trainer.fabric.device)
        return (time.perf_counter() - begun) * 1000

    return take


def _wait(device: torch.device) -> None:
    """Wait for the GPU, which works behind the program; its time counts, too."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
