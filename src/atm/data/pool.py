"""Work on all cores, results in order."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Sequence[T], jobs: int | None) -> Iterator[R]:
    """Give the results of all items, in their order.

    Args:
        work: a function of a module (or a partial of one), since other processes must find it.
        items: what to work on.
        jobs: processes; None: one for each core that this process may use. With 1 all is done in this process.
    """
    jobs = min(jobs or cores(), len(items))
    if jobs <= 1:
        yield from map(work, items)
        return
    # Not fork: the parent may hold threads and a GPU.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_be_a_worker)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Return those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _be_a_worker() -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches every process; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
