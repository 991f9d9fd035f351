"""Who works in a folder: a lease in it, so that two processes on one file system never do so both.

The holder shows that it lives by touching the file. A holder that died on this machine is found by its process; one
elsewhere by a minute without a touch, counted by the waiting machine's own clock. Portable: no locks of the system.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from atm.base.errors import InputError

BEAT_SECONDS = 10.0
"""Time between two touches."""
DEAD_AFTER_SECONDS = 60.0
"""Time without a touch after which a lease is taken over."""
_MOMENT = 1.0
"""Seconds that somebody else's look at a lease may take, see `is_free`."""


def lease(folder: Path) -> SoftFileLease:
    """Return the lease of a folder, not yet taken; the same object must watch it to see it grow old."""
    return SoftFileLease(
        folder / "claim.lock",
        lease_duration=DEAD_AFTER_SECONDS,
        heartbeat_interval=BEAT_SECONDS,
        thread_local=False,
    )


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Hold a folder for the length of the block; False: somebody else does."""
    try:
        hold = lease(folder).acquire(timeout=_MOMENT)
    except Timeout:
        yield False
        return
    with hold:
        yield True


@contextmanager
def held(folder: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for the length of the block. It is made where it is missing, and goes again where it stays empty.

    Args:
        folder: to hold.
        what: it is, in words, for messages.
        wait: until whoever holds it has ended; False: only as long as it takes to see that they are dead.

    Raises:
        InputError: another process holds it, or it cannot be written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    watched = lease(folder)
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, made)
            _acquire(watched, folder, what, wait)
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror or error}") from None
        stack.callback(watched.release)
        yield


def _acquire(watched: SoftFileLease, folder: Path, what: str, wait: bool) -> None:
    with suppress(Timeout):
        watched.acquire(timeout=_MOMENT)
        return
    owner = watched.owner
    holder = "another process" if owner is None else f"process {owner.pid} on {owner.hostname}"
    if wait:
        print(f"waiting for {holder}, which works in {folder}", file=sys.stderr)
        watched.acquire()
        return
    elsewhere = owner is not None and owner.hostname != socket.gethostname()
    try:
        # Whether a process of another machine lives, only its touches say.
        watched.acquire(timeout=DEAD_AFTER_SECONDS + _MOMENT if elsewhere else 0.0)
    except Timeout:
        raise InputError(f"{holder} works in {what} {folder} now: wait until it has ended, or stop it") from None


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def is_free(watched: SoftFileLease, *, wait: float = 0.0) -> bool:
    """Return True if no running process holds the folder: it can be taken, within `wait` seconds."""
    try:
        watched.acquire(timeout=wait)
    except Timeout:
        return False
    watched.release()
    return True
