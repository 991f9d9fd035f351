"""Progress bars, on standard error, so that standard output stays clean for results."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

T = TypeVar("T")

LINE_EVERY = 10.0
"""Seconds between lines where standard error is no terminal."""

_allowed = True


def allow_bars(allowed: bool) -> None:
    """Allow or forbid bars in this process; False is `--quiet`, which also hides bars that no caller knows of."""
    global _allowed
    _allowed = allowed


def time_left(task: Task) -> float | None:
    """Return seconds until the task is done or, where it has a field `ends` (of `time.monotonic()`), is stopped; None:
    not known yet."""
    ends = task.fields.get("ends")
    limits = [] if ends is None or task.finished else [max(0.0, ends - time.monotonic())]
    return min([*limits, *([] if task.time_remaining is None else [task.time_remaining])], default=None)


class _TimeLeft(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = time_left(task)
        return Text("-:--:--" if left is None else str(timedelta(seconds=round(left))), style="progress.remaining")


class _Lines(Progress):
    """A bar for a log file: a line now and then, since rich draws nothing there before the end."""

    said = 0.0

    def start(self) -> None:
        self.said = time.monotonic()
        super().start()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._say(task_id)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._say(task_id)

    def _say(self, task_id: TaskID) -> None:
        if self.disable or time.monotonic() - self.said < LINE_EVERY:
            return
        self.said = time.monotonic()
        task = next(task for task in self.tasks if task.id == task_id)
        seconds = time_left(task)
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        done = f"{task.completed:,.0f} of {task.total:,.0f}" if task.total is not None else f"{task.completed:,.0f}"
        spent = timedelta(seconds=round(task.elapsed or 0))
        self.console.print(f"{task.description}: {done} after {spent}{left} {task.fields['note']}".rstrip())


def progress_bar(*, show: bool = True) -> Progress:
    """Return a bar with counts, elapsed and remaining time; a context manager. Shows nothing where `show` is False or
    bars are not allowed.

    Where standard error is a file or a pipe, it writes a line every ten seconds instead.
    """
    console = Console(stderr=True)
    return (Progress if console.is_terminal else _Lines)(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not (show and _allowed),
    )


Watcher = Callable[[int, int], None]
"""Called after each item of a loop with how many are done, and of how many; an error that it raises ends the loop."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def progress(items: Sequence[T], description: str, *, show: bool = True) -> Iterable[T]:
    """Give the items one by one, with a bar, and tell who watches."""
    watcher = _watcher.get()
    with progress_bar(show=show) as bar:
        task = bar.add_task(description, total=len(items), note="")
        for done, item in enumerate(items, start=1):
            yield item
            bar.advance(task)
            if watcher is not None:
                watcher(done, len(items))


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` of every step of the loops of `progress` inside the block, in this thread."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
