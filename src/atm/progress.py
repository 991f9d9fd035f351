"""Progress bars, on standard error, so that standard output stays clean for results."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def progress_bar(*, show: bool = True) -> Progress:
    """A bar with counts, elapsed and remaining time; a context manager. Shows nothing where `show` is False."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=not show,
    )


def progress(items: Sequence[T], description: str, *, show: bool = True) -> Iterable[T]:
    """The items one by one, with a bar."""
    with progress_bar(show=show) as bar:
        task = bar.add_task(description, total=len(items), note="")
        for item in items:
            yield item
            bar.advance(task)
