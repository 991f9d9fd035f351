"""The report of a study: one self-contained HTML page."""

from atm.apps.studies.agreement import HOW, comparisons, in_words
from atm.apps.studies.figure import draw
from atm.apps.studies.results import StudyResults, column_of
from atm.apps.studies.study import Row
from atm.apps.studies.tables import (
    IN_PAIRS,
    QUICK_NOTE,
    all_metrics,
    cautions,
    difference_text,
    differences,
    figure_text,
    main_metrics,
    names,
    published_text,
    with_printed,
)
from atm.evaluation.report import REAL
from atm.pages.charts import figure_svg
from atm.pages.page import Column, Interval, TableRow, contents, figure, note, page, paragraph, section, table


def report(outcome: StudyResults, command: str) -> str:
    """Return the page.

    Args:
        outcome: what there is so far.
        command: what was typed, so that a reader can do it again.
    """
    parts = {
        "Beside the paper": _agreement(outcome),
        "The figure": _figure(outcome),
        "The table": [_main_table(outcome)],
        "The differences": _differences(outcome),
        "Every measure": _every_measure(outcome),
        "What was run": _runs(outcome, command),
    }
    shown = {heading: content for heading, content in parts.items() if content}
    head = [note(QUICK_NOTE, "bad")] if outcome.plan.quick else []
    head += [note(line, "warn" if index else "") for index, line in enumerate(cautions(outcome)[outcome.plan.quick :])]
    if outcome.failures:
        head.append(note(f"{len(outcome.failures)} of the runs failed, see below.", "bad"))
    return page(
        outcome.study.title,
        [contents(list(shown)), *head, *(section(heading, *content) for heading, content in shown.items())],
        kicker=f"atm study {outcome.study.name}",
        lead=outcome.study.about,
        footer=(
            "All rows are timed in one process, a few steps of each in turn."
            if outcome.study.kind == "cost"
            else "Rows of one seed see the same batches and are evaluated on the same draws."
        ),
    )


def _agreement(outcome: StudyResults) -> list[str]:
    found = comparisons(outcome)
    if not found:
        return []
    held = sum(one.holds for one in found)
    kind = "good" if held == len(found) else "warn" if held else "bad"
    return [*(note(line, "" if outcome.plan.quick else kind) for line in in_words(found)), paragraph(HOW)]


def _figure(outcome: StudyResults) -> list[str]:
    drawn = draw(outcome)
    if drawn is None:
        return []
    ours = "median and quartiles" if outcome.study.kind == "cost" else "with 95 % intervals"
    caption = f"Ours in orange ({ours})"
    if any(row.published for row in outcome.rows):
        caption += ", the paper's own figures in blue"
    caption += "; each on an axis of its own."
    return [figure(figure_svg(drawn, page=True, label=outcome.study.title), caption)]


def _main_table(outcome: StudyResults) -> str:
    shown = with_printed(outcome, main_metrics(outcome))
    columns = [
        Column(column_of(one).title, column_of(one).better) if isinstance(one, str) else Column("paper", one.data)
        for one in shown
    ]
    lines = []
    for name in names(outcome):
        cells = [
            _cell(outcome, name, one) if isinstance(one, str) else published_text(outcome, name, one) for one in shown
        ]
        best = [i for i, one in enumerate(shown) if isinstance(one, str) and _is_best(outcome, name, one)]
        lines.append(TableRow(name, cells, reference=name == REAL, best=best))
    caption = "↑ higher is better, ↓ lower is better"
    if outcome.study.kind != "cost":
        caption += ", → like real motions is better"
    if any(line.best for line in lines):
        caption += "; the best of a column is coloured"
    return table("", columns, lines, caption=f"{caption}.")


def _differences(outcome: StudyResults) -> list[str]:
    found, metrics = differences(outcome), main_metrics(outcome)
    if not found:
        return []
    columns = [Column(column_of(metric).title, column_of(metric).better) for metric in metrics]
    lines = [TableRow(name, [difference_text(metric, gaps.get(metric)) for metric in metrics]) for name, gaps in found]
    return [table("", columns, lines, caption=IN_PAIRS)]


def _every_measure(outcome: StudyResults) -> list[str]:
    others = [metric for metric in all_metrics(outcome) if metric not in main_metrics(outcome)]
    if not others:
        return []
    lines = [
        TableRow(
            f"{column_of(one).title} {column_of(one).better}", [_cell(outcome, name, one) for name in names(outcome)]
        )
        for one in others
    ]
    return [table("", names(outcome), lines)]


def _runs(outcome: StudyResults, command: str) -> list[str]:
    plan, facts = outcome.plan, [result.facts for results in outcome.results.values() for result in results]
    machines = sorted({str(one["machine"]) for one in facts if "machine" in one})
    commits = sorted({str(one["commit"])[:12] for one in facts if one.get("commit")})
    steps = sorted({int(one["step"]) for one in facts if "step" in one})
    lines = [f"Again: `{command}`", f"Data: `{plan.data}`; seeds {', '.join(map(str, plan.seeds))}."]
    if steps:
        least_most = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
        minutes = sum(float(one.get("minutes", 0)) for one in facts)
        lines.append(f"Trained for {least_most} steps a row, {minutes:.1f} minutes in all.")
    if machines:
        lines.append(f"Machine: {'; '.join(machines)}. Code: {', '.join(commits) or 'no commit known'}.")
    parts = [paragraph(line) for line in lines]
    rows = [TableRow(row.name, [row.what, _made_of(outcome, row)]) for row in outcome.study.rows]
    parts.append(table("row", [Column("what", prose=True), Column("made of", prose=True)], rows))
    if outcome.failures:
        parts.append(note("Failed:", "bad"))
        lines = [TableRow(name, [reason.splitlines()[0]]) for name, reason in outcome.failures.items()]
        parts.append(table("run", [Column("why", prose=True)], lines))
    if outcome.waiting:
        parts.append(note(f"Not run yet: {', '.join(outcome.waiting)}.", "warn"))
    return parts


def _made_of(outcome: StudyResults, row: Row) -> str:
    """Return base and settings of a row, or the rows that it is put together from."""
    if row.assembles is not None:
        return f"{row.assembles} of {', '.join(row.of)}"
    base = row.base or outcome.study.base
    named = base if isinstance(base, str) else "the base" if row.base is None else "a base of its own"
    return " ".join([named, *outcome.study.settings, *row.settings])


def _cell(outcome: StudyResults, row: str, metric: str) -> Interval | str | None:
    found = outcome.figure(row, metric)
    if found is None or found.half is None:
        return None if found is None else figure_text(outcome, row, metric)
    return Interval(found.value, found.half, column_of(metric).digits)


def _is_best(outcome: StudyResults, row: str, metric: str) -> bool:
    sign = {"↑": 1, "↓": -1, "→": 0}[column_of(metric).better]
    # What costs least is the baseline, which is no merit of it.
    if outcome.plan.quick or outcome.study.kind == "cost" or sign == 0:
        return False
    figures = {one.name: outcome.figure(one.name, metric) for one in outcome.rows}
    values = {name: sign * found.value for name, found in figures.items() if found is not None}
    return len(values) > 1 and row in values and values[row] == max(values.values())
