"""The figures of a study as tables: in the terminal, as Markdown, as CSV."""

import csv
import io
from typing import NamedTuple

from rich import box
from rich.table import Table

from atm.apps.studies.agreement import HOW, comparisons, in_words
from atm.apps.studies.results import StudyResults, column_of
from atm.evaluation.report import ORACLE, REAL

MAIN = ("r_precision_1", "fid", "mm_dist", "kinematic_fid", f"{ORACLE}all", "step_ms", "hours")
"""Metrics of the table that is looked at first; all others are in the second one."""
BESIDE = ("kinematic_fid", f"{ORACLE}all")
"""Shown next to the metrics that the paper prints."""
WIDE = 100
"""Letters of a terminal that has room for the paper's figures beside ours."""
QUICK_NOTE = "QUICK STUDY: everything was as small as it can be. THESE FIGURES MEAN NOTHING."


class Printed(NamedTuple):
    """A column of what the paper prints."""

    data: str
    metric: str

    @property
    def source(self) -> str:
        return f"paper, {self.data}"


def main_metrics(outcome: StudyResults) -> list[str]:
    """Return the metrics of the first table."""
    known = outcome.metrics([row.name for row in outcome.rows])
    return [metric for metric in dict.fromkeys((*MAIN, *outcome.study.metrics)) if metric in known]


def judged_metrics(outcome: StudyResults) -> list[str]:
    """Return what the order of rows is judged by, and what no training can fool."""
    known = main_metrics(outcome)
    return [metric for metric in dict.fromkeys((*outcome.study.metrics, *BESIDE)) if metric in known]


def all_metrics(outcome: StudyResults) -> list[str]:
    """Return all metrics, in the order of evaluations."""
    return outcome.metrics([REAL, *(row.name for row in outcome.rows)])


def with_printed(outcome: StudyResults, metrics: list[str]) -> list[str | Printed]:
    """Return metrics, each with what the paper prints of it behind it."""
    sets = list(dict.fromkeys(data for row in outcome.rows for data in row.published))
    columns: list[str | Printed] = []
    for metric in metrics:
        columns.append(metric)
        columns += [
            Printed(data, metric) for data in sets if any(metric in row.published.get(data, {}) for row in outcome.rows)
        ]
    return columns


def cautions(outcome: StudyResults) -> list[str]:
    """Return what a reader has to know before the figures."""
    notes = [QUICK_NOTE] if outcome.plan.quick else []
    if outcome.study.kind == "cost":
        return [*notes, "Median over rounds ± half of the range between the quartiles."]
    seeds, plan = len(outcome.results), outcome.plan
    if seeds > 1:
        notes.append(f"Mean over {seeds} seeds ± half of the 95 % interval over seeds (Student's t).")
        notes += _fewer_seeds(outcome, seeds)
    else:
        interval = (
            f"mean ± 95 % interval over {plan.repeats} replications of the evaluation" if plan.repeats > 1 else ""
        )
        notes.append(
            f"One seed: {interval or 'one replication of the evaluation'}. The spread of training is not in it: give "
            "--seeds 0,1,2."
        )
    if plan.protocol == "published":
        notes.append(
            "The published protocol: each system as its authors measured it, frames behind a motion's end as they came."
        )
    if plan.short and not plan.quick:
        notes.append("A short protocol: the field's has 20 replications of all test motions.")
    return notes


def _fewer_seeds(outcome: StudyResults, seeds: int) -> list[str]:
    counts = {row.name: len(outcome.values(row.name, judged_metrics(outcome)[0])) for row in outcome.finished}
    fewer = [
        f"{name} {'one, its interval is over replications' if count == 1 else count}"
        for name, count in counts.items()
        if count < seeds
    ]
    return [f"Fewer seeds so far: {'; '.join(fewer)}."] if fewer else []


IN_PAIRS = (
    "Taken in pairs: of rows of the same seed, which see the same batches and are evaluated on the same draws. This is "
    "what a row gains; the intervals of the rows themselves also hold what one seed does to all of them."
)


def differences(outcome: StudyResults) -> list[tuple[str, dict[str, tuple[float, float | None]]]]:
    """Return how much each row is above the one that it is compared with, by `main_metrics`; not of a cost study, whose
    main table says it. See `StudyResults.difference`."""
    found = []
    for row in outcome.finished if outcome.study.kind != "cost" else ():
        against = row.against or outcome.study.against
        if against is None or against == row.name:
            continue
        gaps = {metric: outcome.difference(row.name, against, metric) for metric in main_metrics(outcome)}
        gaps = {metric: gap for metric, gap in gaps.items() if gap is not None}
        if gaps:
            found.append((f"{row.name} − {against}", gaps))
    return found


def difference_text(metric: str, gap: tuple[float, float | None] | None) -> str:
    """Return a difference with its sign and half of its interval, if there is one."""
    if gap is None:
        return "–"
    value, half = gap
    digits = column_of(metric).digits
    return f"{value:+.{digits}f}" + ("" if half is None else f" ± {half:.{digits}f}")


def terminal_table(outcome: StudyResults, *, width: int) -> Table:
    """Return rows down; across the judged metrics and two beside, and what the paper prints where `width` has room for
    it."""
    metrics = judged_metrics(outcome)
    columns = with_printed(outcome, metrics) if width >= WIDE else metrics
    notes = "\n".join(cautions(outcome))
    table = Table(title=outcome.study.title, caption=notes, caption_justify="left", box=box.SIMPLE)
    table.add_column("")
    for one in columns:
        style = None if isinstance(one, str) else "dim"
        table.add_column(_title(one).replace(" ", "\n"), justify="right", style=style, overflow="fold")
    for name in names(outcome):
        table.add_row(name, *(_text(outcome, name, one) for one in columns))
    return table


def markdown(outcome: StudyResults) -> str:
    """Return the study as a page of Markdown: notes, agreement, the main table, all metrics, failures."""
    study, lines_of = outcome.study, names(outcome)
    parts = [f"# {study.title}", study.about, *(f"**{note}**" for note in cautions(outcome))]
    words = in_words(comparisons(outcome))
    if words:
        parts += ["\n".join(f"- {line}" for line in words), HOW]
    columns = with_printed(outcome, main_metrics(outcome))
    lines = [[name, *(_text(outcome, name, one) for one in columns)] for name in lines_of]
    parts.append(_markdown_table(["row", *(_title(one) for one in columns)], lines))
    gaps, metrics = differences(outcome), main_metrics(outcome)
    if gaps:
        lines = [[name, *(difference_text(metric, of.get(metric)) for metric in metrics)] for name, of in gaps]
        parts += ["## The differences", IN_PAIRS, _markdown_table(["", *map(_title, metrics)], lines)]
    others = [metric for metric in all_metrics(outcome) if metric not in columns]
    if others:
        every = [[_title(metric), *(_text(outcome, name, metric) for name in lines_of)] for metric in others]
        parts += ["## The other measures", _markdown_table(["", *lines_of], every)]
    described = [f"- `{row.name}`: {row.what}" for row in outcome.rows if row.what]
    if described:
        parts += ["## The rows", "\n".join(described)]
    if outcome.failures:
        failed = [f"- `{name}`: {reason.splitlines()[0]}" for name, reason in outcome.failures.items()]
        parts += ["## Failed", "\n".join(failed)]
    if outcome.waiting:
        parts += [f"Not run yet: {', '.join(f'`{name}`' for name in outcome.waiting)}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def comma_separated(outcome: StudyResults) -> str:
    """Return every figure in one long table: a line for each row, metric and seed, and one over all seeds."""
    out = io.StringIO()
    sets = list(dict.fromkeys(data for row in outcome.rows for data in row.published))
    writer = csv.writer(out, lineterminator="\n")
    head = ["study", "row", "seed", "metric", "value", "half_interval", "count"]
    writer.writerow([*head, *(f"paper {data}" for data in sets), "caution"])
    caution = QUICK_NOTE if outcome.plan.quick else "short protocol" if outcome.plan.short else ""
    for name in names(outcome):
        for metric in outcome.metrics([name]):
            paper = [published_text(outcome, name, Printed(data, metric)) for data in sets]
            for seed in (None, *outcome.results):
                part = outcome if seed is None else _of_seed(outcome, seed)
                figure = part.figure(name, metric)
                if figure is not None:
                    shown = "all" if seed is None else seed
                    writer.writerow([outcome.study.name, name, shown, metric, *figure, *paper, caution])
    return out.getvalue()


def row_line(outcome: StudyResults, job: str, seed: int, row: str) -> str:
    """Return one line for a job that has just ended, for the terminal."""
    if job in outcome.failures:
        return f"{row:24} seed {seed}  failed: {outcome.failures[job].splitlines()[0]}"
    part = _of_seed(outcome, seed)
    shown = [
        f"{column_of(metric).title} {figure_text(part, row, metric)}"
        for metric in main_metrics(part)
        if part.figure(row, metric) is not None
    ]
    return f"{row:24} seed {seed}  " + ("   ".join(shown[:5]) or "trained")


def figure_text(outcome: StudyResults, row: str, metric: str) -> str:
    """Return `mean ± half`, the value alone where there is but one, or a dash."""
    found, digits = outcome.figure(row, metric), column_of(metric).digits
    if found is None:
        return "–"
    return f"{found.value:.{digits}f}" + ("" if found.half is None else f" ± {found.half:.{digits}f}")


def published_text(outcome: StudyResults, name: str, one: Printed) -> str:
    """Return what the paper prints of a row, or nothing."""
    if name == REAL:
        return ""
    value = outcome.study.row(name).published.get(one.data, {}).get(one.metric)
    return "" if value is None else f"{value:.{_decimals(outcome, one)}f}"


def _decimals(outcome: StudyResults, one: Printed) -> int:
    """Return the number of decimals that the figures of a column need: the paper prints 0.570 below 0.383."""
    figures = (row.published.get(one.data, {}).get(one.metric) for row in outcome.study.rows)
    return max(len(f"{value:g}".partition(".")[2]) for value in figures if value is not None)


def _text(outcome: StudyResults, name: str, one: str | Printed) -> str:
    return figure_text(outcome, name, one) if isinstance(one, str) else published_text(outcome, name, one)


def _title(one: str | Printed) -> str:
    if isinstance(one, Printed):
        return one.source
    column = column_of(one)
    return f"{column.title} {column.better}"


def names(outcome: StudyResults) -> list[str]:
    """Return names of the table's lines; real motions first, where there are any."""
    return [*([REAL] if outcome.metrics([REAL]) else []), *(row.name for row in outcome.rows)]


def _of_seed(outcome: StudyResults, seed: int) -> StudyResults:
    return StudyResults(outcome.study, outcome.plan, {seed: outcome.results.get(seed, [])}, outcome.failures)


def _markdown_table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
