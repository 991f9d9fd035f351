"""Who runs a job: a claim in the job's folder, so that two callers on one file system never run it both.

Claims are numbered. The highest number holds; whoever wants a job whose claim is given back or dead makes the next
number, which the file system lets only one do. Nothing is ever deleted or renamed, so there is no moment in between.
"""

import json
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atm.base.storage import atomic

BEAT_SECONDS = 10.0
"""How often the holder of a claim shows that it lives: the claim's time of change."""
DEAD_AFTER_SECONDS = 60.0
"""A claim without a beat for this long is dead."""


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Hold the job in this folder for the length of the block; False: somebody else does."""
    claim = _take(folder)
    if claim is None:
        yield False
        return
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(claim, over), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        over.set()
        beat.join()
        with atomic(claim) as part:
            part.write_text(json.dumps({"given_back": True}))


def is_claimed(folder: Path) -> bool:
    """Whether somebody who lives holds the job."""
    found = _claims(folder)
    return bool(found) and _lives(found[-1])


def _take(folder: Path) -> Path | None:
    found = _claims(folder)
    if found and _lives(found[-1]):
        return None
    number = _number(found[-1]) + 1 if found else 1
    path = folder / f"claim-{number:04d}.json"
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    with os.fdopen(file, "w") as out:
        json.dump({"machine": _machine(), "pid": os.getpid()}, out)
    # Two numbers further on while we looked: then ours is not the highest, and is nobody's.
    return path if _claims(folder)[-1] == path else None


def _lives(path: Path) -> bool:
    try:
        held = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        held = {}  # its maker is just writing it
    if held.get("given_back"):
        return False
    if held.get("machine") == _machine() and not _runs(held["pid"]):
        return False
    return _now(path.parent) - path.stat().st_mtime < DEAD_AFTER_SECONDS


def _beat(claim: Path, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        os.utime(claim)


def _claims(folder: Path) -> list[Path]:
    return sorted(folder.glob("claim-*.json"), key=_number)


def _number(claim: Path) -> int:
    return int(claim.stem.removeprefix("claim-"))


def _machine() -> str:
    """This machine, and the process numbers that it counts by: containers have numbers of their own."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    return f"{platform.node()} {numbers}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now(folder: Path) -> float:
    """The time by the clock of the file system, which need not be that of this machine."""
    probe = folder / f".now-{os.getpid()}-{threading.get_ident()}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
