"""Who runs a job: a lease in the job's folder, so that two callers on one file system never run it both.

The holder shows that it lives by touching the file. A holder that died on this machine is found by its process; one
elsewhere by a minute without a touch, counted by the waiting machine's own clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import SoftFileLease, Timeout

BEAT_SECONDS = 10.0
"""Time between two touches."""
DEAD_AFTER_SECONDS = 60.0
"""A lease that nobody touches for this long is taken over."""


def lease(folder: Path) -> SoftFileLease:
    """Return the lease of the job in this folder, not yet taken; the same object must watch it to see it grow old."""
    return SoftFileLease(
        folder / "claim.lock",
        lease_duration=DEAD_AFTER_SECONDS,
        heartbeat_interval=BEAT_SECONDS,
        thread_local=False,
    )


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Hold the job in this folder for the length of the block; False: somebody else does."""
    try:
        hold = lease(folder).acquire(timeout=1.0)  # another caller's look at it takes a moment, see `is_free`
    except Timeout:
        yield False
        return
    with hold:
        yield True


def is_free(watched: SoftFileLease, *, wait: float = 0.0) -> bool:
    """Return whether nobody who lives holds the job: whether it can be taken, within `wait` seconds."""
    try:
        watched.acquire(timeout=wait)
    except Timeout:
        return False
    watched.release()
    return True
