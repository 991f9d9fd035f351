"""Results of a study so far: figures of its rows with their intervals, and failures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from atm.apps.studies.jobs import JobFolder, Plan, Result
from atm.apps.studies.study import Row, Study
from atm.evaluation.metrics import interval
from atm.evaluation.report import REAL, Column
from atm.evaluation.report import column_of as evaluation_column

COST_COLUMNS = {"step_ms": Column("ms a step", 1, "↓"), "hours": Column("hours in all", 2, "↓")}


class Estimate(NamedTuple):
    """Figure of a row, with its spread."""

    value: float
    """Mean over seeds, or over replications where there is one seed; of a cost study the median over rounds."""
    half: float | None
    """Half of its 95 % interval, None where there is one value only; of a cost study half of the range between the
    quartiles."""
    count: int
    """Seeds, replications or rounds."""


@dataclass(frozen=True)
class StudyResults:
    """Finished jobs of a study."""

    study: Study
    plan: Plan
    results: dict[int, list[Result]]
    """By seed."""
    failures: dict[str, str]
    """Reasons of failure, by the name of the job."""
    waiting: tuple[str, ...] = ()
    """Names of jobs that have not ended."""

    @property
    def rows(self) -> list[Row]:
        """The rows that stand in tables."""
        return [row for row in self.study.rows if row.measured]

    @property
    def finished(self) -> list[Row]:
        """Those that have a figure."""
        return [row for row in self.rows if self.metrics([row.name])]

    def values(self, row: str, metric: str) -> dict[int, np.ndarray]:
        """Return each replication's value, by seed; for real motions by the first row of the seed that has them."""
        found = {}
        for seed, results in self.results.items():
            for result in results:
                if metric in result.values.get(row, {}):
                    found.setdefault(seed, np.array(result.values[row][metric], dtype=float))
        return found

    def metrics(self, rows: Iterable[str]) -> list[str]:
        """Return what any of these rows has a value of, in the order of evaluations."""
        of_rows = [
            result.values.get(row, {}) for row in rows for results in self.results.values() for result in results
        ]
        return list(dict.fromkeys(metric for values in of_rows for metric in values))

    def figure(self, row: str, metric: str) -> Estimate | None:
        """Return the figure of a row, or of real motions; None if there is none yet."""
        by_seed = self.values(row, metric)
        if not by_seed:
            return None
        if self.study.kind == "cost":
            rounds = np.concatenate(list(by_seed.values()))
            low, middle, high = np.quantile(rounds, [0.25, 0.5, 0.75])
            return Estimate(float(middle), float(high - low) / 2, len(rounds))
        if len(by_seed) > 1:
            return Estimate(*mean_and_half([values.mean() for values in by_seed.values()]), len(by_seed))
        (values,) = by_seed.values()
        mean, half = interval(values)
        return Estimate(mean, half if len(values) > 1 else None, len(values))

    def difference(self, row: str, against: str, metric: str) -> tuple[float, float | None] | None:
        """Return how much a row's figure is above another's, and half of the 95 % interval of that.

        Rows of one seed see the same batches and are evaluated on the same draws, so they are compared in pairs: seed
        by seed, or with one seed replication by replication. Of a cost study: the medians, with the interval of the
        differences round by round.

        Returns:
            None where the two have no seed in common.
        """
        ours, theirs = self.values(row, metric), self.values(against, metric)
        seeds = [seed for seed in ours if seed in theirs]
        if not seeds:
            return None
        if len(seeds) > 1 and self.study.kind != "cost":
            return mean_and_half([ours[seed].mean() - theirs[seed].mean() for seed in seeds])
        # A row that was evaluated more often has more replications; the common ones have the same draws.
        pairs = [a - b for seed in seeds for a, b in zip(ours[seed], theirs[seed], strict=False)]
        mean, half = mean_and_half(pairs)
        if self.study.kind == "cost":
            mean = self.figure(row, metric).value - self.figure(against, metric).value
        return mean, half


def gather(study: Study, plan: Plan, folders: Sequence[JobFolder]) -> StudyResults:
    """Read what the jobs of a study have left."""
    results: dict[int, list[Result]] = {}
    for folder in folders:
        if folder.finished:
            results.setdefault(folder.job().seed, []).append(folder.outcome())
    failures = {folder.path.name: folder.error.read_text() for folder in folders if folder.failed}
    waiting = tuple(folder.path.name for folder in folders if not (folder.finished or folder.failed))
    return StudyResults(study, plan, results, failures, waiting)


def mean_and_half(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half of its 95 % interval by Student's t: a handful of seeds has wide ones, one value has
    none."""
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float(values.mean()) if len(values) else math.nan, None
    factor = float(stdtrit(len(values) - 1, 0.975))
    return float(values.mean()), factor * float(values.std(ddof=1)) / math.sqrt(len(values))


def column_of(metric: str) -> Column:
    """Return how a metric is printed."""
    return COST_COLUMNS[metric] if metric in COST_COLUMNS else evaluation_column(metric)


__all__ = ["REAL", "Estimate", "StudyResults", "column_of", "gather", "mean_and_half"]
