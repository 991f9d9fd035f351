"""Places where jobs run: in this process, in several beside it, or on a cluster; and the one loop that starts them."""

import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol, runtime_checkable

from atm.apps.studies.jobs import JobFolder
from atm.apps.studies.work import ATTEMPTS, Runner, work
from atm.base.errors import InputError

POLL_SECONDS = 2.0
"""Between looks at jobs that run elsewhere."""
REQUEUED = 1000
"""How often a cluster's job may go back into the queue when its time is over."""


@runtime_checkable
class Handle(Protocol):
    """A job that was begun."""

    def done(self) -> bool: ...

    def trouble(self) -> str | None:
        """Return how a job that is done failed from outside its own program; None: it ended by itself."""
        ...


@runtime_checkable
class Launcher(Protocol):
    """Begins jobs."""

    slots: int
    """Jobs that may run at once."""

    def start(self, path: Path) -> Handle: ...

    def stop(self) -> None:
        """Let what runs come to an end soon, at a place from where it can go on."""
        ...


def run_jobs(
    folders: Sequence[JobFolder],
    launcher: Launcher,
    *,
    needs: Callable[[JobFolder], Sequence[JobFolder]],
    ended: Callable[[JobFolder], None],
) -> None:
    """Run every job that has not ended, each when those that it needs have; return when all have ended.

    Jobs that another caller runs are waited for, and taken over when that caller dies. What ran a job and died with
    it (out of memory, a node that went away) is started once more.

    Args:
        folders: prepared, in the order in which they are begun.
        launcher: begins them.
        needs: the jobs that one builds on.
        ended: is called once for each job, when it has a result or has failed.
    """
    left, running, deaths = list(folders), {}, Counter()
    try:
        while left:
            before = len(left), len(running)
            for folder in [one for one in running if running[one].done()]:
                trouble = running.pop(folder).trouble()
                if trouble and not (folder.finished or folder.failed):
                    deaths[folder] += 1
                    if deaths[folder] == ATTEMPTS:
                        folder.fail(trouble)
            for folder in list(left):
                if folder.finished or folder.failed:
                    left.remove(folder)
                    ended(folder)
                elif folder not in running:
                    failed = [need.path.name for need in needs(folder) if need.failed]
                    if failed:
                        folder.fail(f"not run: it builds on {', '.join(failed)}, which failed")
                    elif _may_start(folder, needs(folder), launcher, len(running)):
                        running[folder] = launcher.start(folder.path)
                        break  # its end may free another; rows begin in their order
            if (len(left), len(running)) == before and left:
                time.sleep(POLL_SECONDS)
    except BaseException:
        launcher.stop()
        raise


def _may_start(folder: JobFolder, needed: Sequence[JobFolder], launcher: Launcher, running: int) -> bool:
    return running < launcher.slots and all(one.finished for one in needed) and not folder.claimed


class Here:
    """One job after the other, in this process."""

    slots = 1

    def __init__(self, runner: Runner):
        self.runner = runner

    def start(self, path: Path) -> Handle:
        work(path, self.runner)
        return _Ended()

    def stop(self) -> None:
        pass


class _Ended:
    def done(self) -> bool:
        return True

    def trouble(self) -> str | None:
        return None


class Processes:
    """Several jobs side by side, each in a process of its own; one GPU for each in turn, where there are several.

    What a job prints goes to its log.txt. A job outlives this process if that is killed: the next call waits for it.
    """

    def __init__(self, runner: Runner, slots: int):
        self.runner = runner
        self.slots = slots
        self._processes: list[BaseProcess | None] = [None] * slots

    def start(self, path: Path) -> Handle:
        slot = next(i for i, process in enumerate(self._processes) if process is None or not process.is_alive())
        # Not fork: the parent may hold threads and a GPU.
        process = multiprocessing.get_context("spawn").Process(
            target=_work_apart, args=(path, self.runner, slot, self.slots)
        )
        process.start()
        self._processes[slot] = process
        return _Process(process, path)

    def stop(self) -> None:
        alive = [process for process in self._processes if process is not None and process.is_alive()]
        for process in alive:
            os.kill(process.pid, signal.SIGINT)
        for process in alive:
            process.join()


class _Process:
    def __init__(self, process: BaseProcess, path: Path):
        self.process = process
        self.path = path

    def done(self) -> bool:
        return not self.process.is_alive()

    def trouble(self) -> str | None:
        code = self.process.exitcode
        if code == 0:
            return None
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"its process {how} {ATTEMPTS} times; see {JobFolder(self.path).log}"


def _work_apart(path: Path, runner: Runner, slot: int, slots: int) -> None:
    # Ctrl-C in a terminal reaches every process of the group; the parent passes it on, once.
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    log = os.open(JobFolder(path).log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    _share_machine(slot, slots)
    work(path, runner)


def _share_machine(slot: int, slots: int) -> None:
    """Give this process its part of the GPUs, or of the cores."""
    import torch

    devices = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    if devices:
        chosen = devices.split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen[slot % len(chosen)]
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // slots))


class Cluster:
    """Every job as one of a SLURM cluster's, by submitit; they meet in the study's folder, on a shared file system.

    Args:
        runner: does a job; a function of a module, since it is pickled.
        folder: for submitit's scripts and logs.
        parameters: submitit's own, such as `timeout_min=600 slurm_partition=gpu gpus_per_node=1`.
        cluster: submitit's name of what runs the jobs: `slurm`, or `local` (processes) for a trial.

    Raises:
        InputError: submitit is not installed, there is no SLURM here, or a parameter is unknown to it.
    """

    slots = sys.maxsize

    def __init__(self, runner: Runner, folder: Path, parameters: dict[str, object], *, cluster: str = "slurm"):
        try:
            import submitit
        except ImportError:
            raise InputError("rows as cluster jobs need submitit: pip install 'atm-motion[slurm]'") from None
        self.runner = runner
        try:
            self.executor = submitit.AutoExecutor(folder=folder, cluster=cluster, slurm_max_num_timeout=REQUEUED)
            self.executor.update_parameters(name="atm-study", **parameters)
        except (RuntimeError, NameError, TypeError, AssertionError) as error:
            raise InputError(f"submitit refuses these jobs: {error}") from None

    def start(self, path: Path) -> Handle:
        return _Submitted(self.executor.submit(Resumable(self.runner), path))

    def stop(self) -> None:
        """Tell the user that submitted jobs go on."""
        print("what was submitted goes on; the same command meets it again", file=sys.stderr)


class _Submitted:
    def __init__(self, job):
        self.job = job

    def done(self) -> bool:
        return self.job.done()

    def trouble(self) -> str | None:
        error = self.job.exception()
        return None if error is None else f"cluster job {self.job.job_id} died {ATTEMPTS} times: {error}"


class Resumable:
    """`work`, as submitit wants it: at the end of its time, or before others, a job goes back into the queue."""

    def __init__(self, runner: Runner):
        self.runner = runner

    def __call__(self, path: Path) -> None:
        work(path, self.runner)

    def checkpoint(self, path: Path):
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, path)
