"""How two ways of doing one thing are compared: in turn in one process, processor time beside wall time, ratios.

Seconds depend on the machine and on what else it does; the ratio of two sides that were measured in turn hardly does.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from atm.base.errors import InputError
from atm.base.outputs import output
from atm.base.progress import progress_bar
from atm.base.reading import read_json
from atm.training.record import provenance

MARGIN = 0.15
"""Share by which a ratio may be worse than an earlier one before `compare` says so."""

Work = Callable[[int], Any]
"""One piece of work of a side; its argument is the number of the round, 0 for the one that does not count."""


@dataclass(frozen=True)
class Times:
    """Seconds that one side took, round by round."""

    wall: list[float]
    cpu: list[float]
    """Processor time of all threads."""
    latency: list[float] = field(default_factory=list)
    """Seconds of each request of all rounds, of sides that answer requests."""
    refused: int = 0
    """Requests that were told to come again."""
    peak: list[float] = field(default_factory=list)
    """Most memory of the process in each round, MiB, where it was asked for and the system tells."""

    @property
    def per_second(self) -> float:
        """Requests that were answered in a second."""
        return len(self.latency) / sum(self.wall)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        told: dict[str, Any] = {"wall": self.wall, "cpu": self.cpu}
        if self.peak:
            told["peak"] = self.peak
        if self.latency:
            median, late = np.quantile(self.latency, [0.5, 0.95]).tolist()
            told |= {"per_second": self.per_second, "latency": {"median": median, "p95": late, "all": self.latency}}
            told |= {"refused": self.refused}
        return told


@dataclass(frozen=True)
class Comparison:
    """Sides that did the same thing in turn; the first is what the others are compared with."""

    what: str
    times: Mapping[str, Times]

    def ratios(self, side: str) -> list[float]:
        """Return processor time over that of the first side, of each round, in order of size."""
        base = next(iter(self.times.values()))
        return sorted(mine / theirs for mine, theirs in zip(self.times[side].cpu, base.cpu, strict=True))


def measure(
    what: str,
    sides: Mapping[str, Work],
    *,
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    show: bool,
    memory: bool = False,
) -> Comparison:
    """Run all sides in turn, every second round backwards, after a round that does not count.

    Args:
        what: is compared.
        sides: work by name; the first is what the others are compared with.
        rounds: that count.
        clock: seconds of processor time.
        show: a bar.
        memory: also measure the most memory that each side took.
    """
    found = {name: Times([], []) for name in sides}
    with progress_bar(show=show) as bar:
        task = bar.add_task(what, total=(rounds + 1) * len(sides), note="")
        for number in range(rounds + 1):
            for name in list(sides)[:: -1 if number % 2 else 1]:
                bar.update(task, note=name)
                _wait()
                if memory:
                    _forget_peak()
                wall, cpu = time.perf_counter(), clock()
                sides[name](number)
                _wait()
                cpu, wall = clock() - cpu, time.perf_counter() - wall
                if number:
                    found[name].wall.append(wall)
                    found[name].cpu.append(cpu)
                    if memory and (peak := _peak()) is not None:
                        found[name].peak.append(peak)
                bar.advance(task)
    return Comparison(what, found)


@dataclass(frozen=True)
class BenchReport:
    """Everything that one run measured, and on what."""

    comparisons: Sequence[Comparison]
    quick: bool
    """Tiny sizes and few rounds: shows that all runs, and nothing of how fast."""

    def tables(self) -> list[Table]:
        """Return a table of each comparison: medians of both times, ratios with the middle half of the rounds."""
        served = [one for one in self.comparisons if any(times.latency for times in one.times.values())]
        return [_table(one) for one in self.comparisons] + ([_answers(served)] if served else [])

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values; times in seconds."""
        facts = provenance()
        kept = {name: facts[name] for name in ("started", "commit", "changed_since_commit", "versions", "machine")}
        return {
            **kept,
            "threads": torch.get_num_threads(),
            "quick": self.quick,
            "comparisons": [
                {
                    "what": one.what,
                    "sides": {
                        name: times.as_json() | {"ratio": statistics.median(one.ratios(name))}
                        for name, times in one.times.items()
                    },
                }
                for one in self.comparisons
            ],
        }

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        with output(file) as part:
            part.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def machine_line() -> str:
    """Return machine, threads and versions in a line."""
    facts = provenance()
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("atm", "torch", "numpy"))
    return (
        f"{facts['machine']}; threads: {torch.get_num_threads()}; {versions}; commit {facts['commit'][:9] or 'unknown'}"
    )


def compare(report: BenchReport, old: Path, *, margin: float = MARGIN) -> list[str]:
    """Return which ratios are worse than those of an earlier report by more than a margin; seconds are not compared.

    Raises:
        InputError: the file is no such report, or has nothing in common with this one.
    """
    before, quick = read_ratios(old)
    now = {(one.what, side): statistics.median(one.ratios(side)) for one in report.comparisons for side in one.times}
    common = [key for key in now if key in before]
    if not common or quick != report.quick:
        raise InputError(f"{old} has none of the comparisons made here: measure the same ones, both quick or neither")
    return [
        f"{what}, {side}: {now[what, side]:.2f} times, {before[what, side]:.2f} before"
        for what, side in common
        if now[what, side] > before[what, side] * (1 + margin)
    ]


def read_ratios(old: Path) -> tuple[dict[tuple[str, str], float], bool]:
    """Return (what, side) -> ratio of an earlier report, and whether it was a quick one.

    Raises:
        InputError: the file is no such report.
    """
    try:
        known = read_json(old)
        before = {
            (one["what"], side): float(values["ratio"])
            for one in known["comparisons"]
            for side, values in one["sides"].items()
        }
        return before, bool(known["quick"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{old} is no report of atm bench: give a file that --json wrote") from None


def _table(one: Comparison) -> Table:
    rounds = len(next(iter(one.times.values())).cpu)
    table = Table(title=f"{one.what}: medians, rounds in turn: {rounds}")
    remembered = any(times.peak for times in one.times.values())
    memory = ("most memory, MiB",) if remembered else ()
    for column in ("", "CPU ms", "wall ms", "CPU, times the first", "middle half", *memory):
        table.add_column(column, justify="right" if column else "left")
    for name, times in one.times.items():
        ratios = one.ratios(name)
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        most = (f"{max(times.peak):,.0f}",) if times.peak else ()
        table.add_row(
            name, _ms(times.cpu), _ms(times.wall), f"{statistics.median(ratios):.2f}", f"{low:.2f} to {high:.2f}", *most
        )
    return table


def _answers(served: Sequence[Comparison]) -> Table:
    """Return a table of how many requests were answered in a second, and how long each took."""
    table = Table(title="requests: in a second, and seconds until the answer")
    for column in ("", "a second", "median", "95 %", "told to come again"):
        table.add_column(column, justify="right" if column else "left")
    for one in served:
        for name, times in one.times.items():
            median, late = np.quantile(times.latency, [0.5, 0.95])
            table.add_row(
                f"{one.what}, {name}", f"{times.per_second:.2f}", f"{median:.2f}", f"{late:.2f}", str(times.refused)
            )
    return table


def _ms(seconds: list[float]) -> str:
    ms = statistics.median(seconds) * 1000
    return f"{ms:,.1f}" if ms < 100 else f"{ms:,.0f}"


def _wait() -> None:
    """Wait for the GPU, which works behind the program; its time counts, too."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Files in which Linux tells the most memory of this process, and forgets it."""


def _forget_peak() -> None:
    """Let the most memory be counted from now on: of the GPU where there is one, else of the process on Linux."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif _FORGET.exists():
        _FORGET.write_text("5")


def _peak() -> float | None:
    """Return the most memory since `_forget_peak`, MiB; None: the system does not tell."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    if not _FORGET.exists():
        return None
    found = [line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
    return float(found[0]) / 1024 if found else None
