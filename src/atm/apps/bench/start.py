"""Time until the first motion: whole processes, from the shell."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from atm.apps.bench.measure import Comparison, measure
from atm.base.errors import InputError

ROUNDS, QUICK_ROUNDS = 5, 1


def bench_start(*, quick: bool, show: bool) -> list[Comparison]:
    """Compare the help and a first motion with a process that only imports torch."""
    with tempfile.TemporaryDirectory() as folder:
        motion = str(Path(folder) / "motion.npz")
        commands = {
            "import torch": ["-c", "import torch"],
            "atm --help": ["-m", "atm", "--help"],
            "atm generate, 4 s": ["-m", "atm", "generate", "a person walks", "--seconds", "4", "--out", motion, "-q"],
        }
        sides = {name: lambda _, words=words: _run(words) for name, words in commands.items()}
        rounds = QUICK_ROUNDS if quick else ROUNDS
        return [measure("processes from the shell", sides, rounds=rounds, clock=_of_children, show=show)]


def _run(words: list[str]) -> None:
    # As a user has it: Python keeps what it compiled for the next process.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=kept)
    if done.returncode:
        raise InputError(f"python {' '.join(words)} failed: {done.stderr[-500:]}")


def _of_children() -> float:
    """Return the processor time of the processes that this one started and that have ended."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
