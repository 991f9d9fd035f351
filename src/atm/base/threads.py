"""Threads of the arithmetic: how many, and how they wait for one another. Set before torch is first imported."""

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Processor time that a container may use: microseconds, or `max`, and the period that they are of."""


def settle_threads() -> None:
    """Set how threads of this process and of those that it starts wait, and how many there are; a user's own
    OMP_WAIT_POLICY and OMP_NUM_THREADS stand.

    They wait passively: a thread that waits for another spins by default, and takes the core that the other waits for
    where something else runs on the machine (docs/results/2026-11-30_speed.md). There are as many as cores that this
    process may run on, which OpenMP finds, or as the quota of its container pays for, which it does not look at.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    paid = quota_cores()
    if paid is not None and paid < len(os.sched_getaffinity(0)):
        os.environ.setdefault("OMP_NUM_THREADS", str(paid))


def quota_cores() -> int | None:
    """Return how many whole cores the container's quota pays for, at least 1; None: there is no quota."""
    try:
        allowed, period = QUOTA.read_text().split()
    except (OSError, ValueError):
        return None
    return None if allowed == "max" else max(1, math.floor(int(allowed) / int(period)))
