"""Signals that ask a process to end: training then ends at a step, with a checkpoint to go on from."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")
"""Ctrl-C; kill, systemd and SLURM at the end of its time; a terminal that closes; SLURM's `--signal=USR1`; submitit's
choice of that; Windows' Ctrl-Break. Those that a system does not have are left out."""
OF_CLUSTERS = ("SIGUSR1", "SIGUSR2")
"""Signals that a program around us, such as submitit, may handle: it comes to its turn when we have ended."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], int]]:
    """Give the number of the signal that asked the process to end, 0 as long as none has, for the length of the block.

    A second Ctrl-C ends the process as usual. Other signals may come again and again, as clusters send them, and change
    nothing. What the process ignores (nohup), or what another part of it handles, stays so. But who handles a cluster's
    signals (submitit puts the job back into the queue and exits) gets the one that came when the block has ended.
    """
    asked = 0
    before: dict[int, object] = {}

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        asked = asked or number
        if number == signal.SIGINT:
            signal.signal(number, before[number])

    try:
        for name in ASKING:
            number = getattr(signal, name, None)
            if number is not None and (_ends_the_process(number) or (name in OF_CLUSTERS and _is_handled(number))):
                before[number] = signal.signal(number, ask)
    except ValueError:  # not the main thread: whoever runs us there handles the signals
        pass
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if asked in before and not _ends_the_process(asked):
            signal.raise_signal(asked)


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Let the signals to end that would kill the process at once raise SystemExit, so that it can clean up."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {}
    for name in ASKING[1:]:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ends_the_process(number: int) -> bool:
    handler = signal.getsignal(number)
    ours = getattr(handler, "__module__", "") == __name__
    return ours or handler in (signal.SIG_DFL, signal.default_int_handler)


def _is_handled(number: int) -> bool:
    return callable(signal.getsignal(number))
