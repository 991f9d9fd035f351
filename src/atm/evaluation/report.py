"""Results of an evaluation: every replication's numbers, their means with 95 % intervals, a table, a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ValidationError
from rich.table import Table

from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.reading import read_json
from atm.base.storage import atomic
from atm.evaluation.evaluator import Tail
from atm.evaluation.metrics import Estimate, interval

REAL = "real motions"
REPEATS = 20
"""Replications as published; fewer make a short protocol."""
SAMPLES = 1000
"""Generated motions of a replication as published for MDM; fewer make a short protocol, where the split has more."""


class Column(NamedTuple):
    """How a metric is printed."""

    title: str
    digits: int
    better: Literal["↑", "↓", "→"]
    """Higher, lower, or like real motions."""


METRICS = {
    "r_precision_1": Column("R-Precision top 1", 3, "↑"),
    "r_precision_2": Column("top 2", 3, "↑"),
    "r_precision_3": Column("top 3", 3, "↑"),
    "fid": Column("FID", 3, "↓"),
    "mm_dist": Column("MM-Dist", 3, "↓"),
    "diversity": Column("Diversity", 3, "→"),
    "multimodality": Column("MultiModality", 3, "↑"),
    "kinematic_fid": Column("kinematic FID", 1, "↓"),
    "kinematic_fid_small": Column("kinematic FID, main directions", 2, "↓"),
    "acceleration": Column("acceleration cm/frame²", 2, "→"),
    "jerk": Column("jerk m/s³", 1, "→"),
    "foot_skate": Column("foot skate cm/s", 2, "→"),
    "bone_stretch": Column("bone stretch cm", 2, "↓"),
}
"""The metrics by their keys in the file. Oracle scores are `oracle_` and the attribute."""
ORACLE = "oracle_"
PROGRAM = "program"
"""Oracle score of all that a scripted motion was made to do, whether its caption says it or not."""
PART = "part"
"""Oracle score of sequences: share of their actions that are done in their own part of the motion."""
HELD_OUT = "_held_out"
"""Behind an oracle score: of the clips alone that have a combination of action and number or side which training never
shows."""


class Multimodality(Config):
    """How MultiModality is measured; the defaults are those of Guo et al. 2022, and cost 3,000 motions a replication.

    MDM takes 128 texts and MoMask 96, whole batches of 32: see `atm.evaluation.published`.
    """

    texts: int = 100
    repeats: int = 30
    """Motions of each text."""
    pairs: int = 10
    """Pairs of them that are compared; less than `repeats`."""


class Protocol(Config):
    """Conditions of a measurement; two evaluations compare only where these agree."""

    samples: int
    """Generated motions of a replication."""
    real: int
    """Real motions of a replication."""
    tail: Tail
    """Frames behind the end of generated motions: zeroed, or as they came. Real motions are always zeroed."""
    seed: int
    multimodality: Multimodality | None
    evaluator: str
    """Digest of the evaluator's weights."""
    data: str
    """Digest of the entries."""
    model: str
    """Identity of the model, to tell it from others: any text that the caller gave."""
    rules: Literal["ours", "published"] = "ours"
    """Every system in the same way, or each as its authors measured it."""


class Report(Config):
    """Numbers of one model beside those of real motions."""

    name: str
    """Name of the model, as tables show it."""
    protocol: Protocol
    notes: tuple[str, ...]
    """Notes that a reader should know before comparing."""
    replications: tuple[dict[str, dict[str, float | None]], ...] = ()
    """Per replication: row (real motions, the model), metric, value."""

    @property
    def short(self) -> bool:
        """Fewer replications or motions than published: an impression, not a result."""
        return len(self.replications) < REPEATS or self.protocol.samples < min(self.protocol.real, SAMPLES)

    def estimates(self, row: str) -> dict[str, Estimate]:
        """Return the mean and 95 % interval of each metric of a row: `REAL`, or the model's name."""
        values: dict[str, list[float]] = {}
        for replication in self.replications:
            for metric, value in replication[row].items():
                if value is not None:
                    values.setdefault(metric, []).append(value)
        return {metric: interval(np.array(of_metric)) for metric, of_metric in values.items()}

    def write(self, path: Path) -> None:
        """Write the report as JSON, with a summary on top; replace an older file only when complete."""
        summary = {
            row: {metric: estimate._asdict() for metric, estimate in self.estimates(row).items()}
            for row in (REAL, self.name)
        }
        data = {"name": self.name, "short": self.short, "summary": summary, **self.model_dump(mode="json")}
        with atomic(path) as part:
            part.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Report":
        """Return what `write` wrote.

        Raises:
            InputError: no such file, or another one.
        """
        try:
            data = read_json(path)
            for derived in ("short", "summary"):
                data.pop(derived, None)
            return Report.model_validate(data)
        except InputError as error:
            raise InputError(f"cannot read the evaluation: {path} {error}") from None
        except (ValueError, AttributeError, TypeError, ValidationError) as error:
            raise InputError(f"cannot read the evaluation {path}: {str(error).splitlines()[0]}") from None


def table(reports: Sequence[Report]) -> Table:
    """Return metrics down, methods across: real motions first, then each report's model.

    Raises:
        InputError: the reports were made with different evaluators or data, so their numbers do not compare.
    """
    first = reports[0].protocol
    for report in reports[1:]:
        for what in ("rules", "evaluator", "data", "tail", "samples"):
            if getattr(report.protocol, what) != getattr(first, what):
                raise InputError(
                    f"{reports[0].name} and {report.name} were evaluated with different {what}: their numbers do not "
                    "compare. Evaluate them again in the same way."
                )
    rows = {REAL: reports[0].estimates(REAL)} | {report.name: report.estimates(report.name) for report in reports}
    counts = sorted({len(report.replications) for report in reports})
    title = f"{first.samples} motions, {' or '.join(map(str, counts))} replications, mean ± 95 % interval"
    lines = Table(title=f"SHORT PROTOCOL: {title}" if any(r.short for r in reports) else title)
    lines.add_column("")
    for name in rows:
        lines.add_column(name, justify="right")
    for metric in metrics_of(rows):
        column = column_of(metric)
        cells = [_cell(estimates.get(metric), column.digits) for estimates in rows.values()]
        lines.add_row(f"{column.title} {column.better}", *cells)
    lines.caption = "\n".join(dict.fromkeys(note for report in reports for note in report.notes))
    return lines


def metrics_of(rows: dict[str, dict[str, Estimate]]) -> list[str]:
    """Return the metrics that any row has, in the order of tables."""
    present = [metric for estimates in rows.values() for metric in estimates]
    oracles = [metric for metric in dict.fromkeys(present) if metric.startswith(ORACLE)]
    return [metric for metric in METRICS if metric in present] + oracles


def column_of(metric: str) -> Column:
    """Return how a metric is printed."""
    if metric.startswith(ORACLE):
        name = metric.removeprefix(ORACLE).replace(HELD_OUT, ", held out")
        name = name.replace(PROGRAM, "all, said or not").replace(PART, "each in its part")
        return Column(f"as asked: {name}", 3, "↑")
    return METRICS[metric]


def _cell(estimate: Estimate | None, digits: int) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.mean:.{digits}f} ± {estimate.interval:.{digits}f}"
