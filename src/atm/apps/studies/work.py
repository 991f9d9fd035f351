"""One job from claim to result. Every caller runs this, wherever it stands: here, in a process, on a cluster."""

import traceback
from collections.abc import Callable
from pathlib import Path

from atm.apps.studies.jobs import Job, JobFolder, Result
from atm.base.errors import InputError
from atm.base.lease import claimed

ATTEMPTS = 2
"""A row that crashes is tried once more, from its last checkpoint."""

Runner = Callable[[Job, JobFolder], Result]
"""Does a job, or goes on with it where an earlier try stopped."""


def work(path: Path, runner: Runner) -> None:
    """Run the job in this folder, unless it has ended or somebody else runs it.

    Leaves a result, or the reason of a failure: a crash is tried once more, bad input is not. A job that is
    interrupted (Ctrl-C, the end of its time on a cluster) leaves neither, and the next call goes on with it.
    """
    folder = JobFolder(path)
    with claimed(path) as mine:
        if not mine or folder.finished:
            return
        job = folder.job()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = runner(job, folder)
            except InputError as error:
                folder.fail(str(error))
                return
            except Exception as error:  # whatever a row stumbles over must not stop the others
                if attempt == ATTEMPTS:
                    where = "".join(traceback.format_exception(error))
                    folder.fail(f"crashed {ATTEMPTS} times, at last with {_in_short(error)}\n\n{where}")
            else:
                folder.succeed(result)
                return


def _in_short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
