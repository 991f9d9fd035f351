"""The page that the demo leaves: figures side by side, the table, the curves, one example explained."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from atm.apps.compare import Answer
from atm.apps.compare.sections import answer_view
from atm.apps.demo.result import ARMS, DemoResult
from atm.apps.explain import explanation_html
from atm.evaluation.report import REAL, Report, column_of, metrics_of
from atm.pages.charts import line_chart
from atm.pages.page import (
    Interval,
    TableRow,
    bullets,
    contents,
    figure,
    note,
    page,
    paragraph,
    section,
    side_by_side,
    table,
)
from atm.training.record import RunFolder, machine_class

JUDGED = ("r_precision_1", "fid", "mm_dist", "kinematic_fid")
HEADLINE = {
    "r_precision_1": "R-Precision (is a motion nearest to its own sentence?)",
    "oracle_all": "motions that do everything that the sentence says",
}
"""Measures that the first line of the verdict says in numbers, and how it calls them."""
LONGER = (
    "Ten seeds of this page: docs/results/2026-11-30_demo.md. Longer trainings: 2026-11-23_realmocap.md there "
    "(captured motion, three seeds: R-Precision .10 better), and 2026-11-30_causal_flow.md (the generator of the "
    "package, which is trained without the losses)."
)
"""Paragraph below the table."""
SECTIONS = ("The verdict", "What they do", "The table", "How they learned", "One example, explained")


def write_report(result: DemoResult) -> str:
    """Return the page as one self-contained HTML text."""
    parts = [
        contents(SECTIONS),
        section(SECTIONS[0], *_verdict(result.reports)),
        section(SECTIONS[1], *_figures(result.answers)),
        section(SECTIONS[2], _table(result), paragraph(LONGER)),
        section(SECTIONS[3], *_curves(result.runs)),
        section(SECTIONS[4], explanation_html(result.explanation)),
    ]
    records = {arm: run.read_record() for arm, run in result.runs.items()}
    times = ", ".join(f"{arm} {record['minutes']:.1f} minutes" for arm, record in records.items())
    steps = records["baseline"]["step"]
    return page(
        "Does the motion say what the sentence says?",
        parts,
        kicker="atm demo",
        lead=(
            "One tiny text-to-motion model (MDM, 1.2 million numbers), trained twice from the same first weights by "
            "the same number of steps: once without and once with the alignment losses. Drag to turn, scroll to zoom, "
            "space to play."
        ),
        footer=f"{result.clips} scripted motions; {steps:,} steps a model on {machine_class()}; {times}",
    )


def _verdict(reports: Mapping[str, Report]) -> list[str]:
    """Return in three lines what the numbers say, whichever way they point."""
    baseline, aligned = (reports[arm].estimates(reports[arm].name) for arm in ARMS)
    named: dict[str, list[str]] = {"better": [], "worse": [], "alike": []}
    for metric in metrics_of({"baseline": baseline, "aligned": aligned}):
        if metric not in baseline or metric not in aligned or not (metric in JUDGED or metric.startswith("oracle")):
            continue
        column = column_of(metric)
        sign = {"↑": 1, "↓": -1}.get(column.better, 0)
        gap = sign * (aligned[metric].mean - baseline[metric].mean)
        if sign:
            clear = abs(gap) > aligned[metric].interval + baseline[metric].interval
            named["alike" if not clear else "better" if gap > 0 else "worse"].append(column.title)
    better, worse = named["better"], named["worse"]
    measures = sum(map(len, named.values()))
    told = [
        f"{what} {aligned[metric].mean:.2f} with the losses, {baseline[metric].mean:.2f} without"
        for metric, what in HEADLINE.items()
        if metric in baseline and metric in aligned
    ]
    counted = f"{len(better)} of {measures} measures are better beyond their intervals, {len(worse)} worse."
    head = f"{'; '.join(told)}. {counted}" if told else counted
    tone = "good" if better and not worse else "bad" if worse and not better else "warn"
    lines = [
        f"{word.capitalize()}: {', '.join(titles)}."
        for word, titles in (("better", better), ("worse", worse))
        if titles
    ]
    caution = note(
        "A short protocol after a short training of a tiny model: an impression, not a result.",
    )
    return [note(head, tone), *([bullets(lines)] if lines else []), caution]


def _figures(answers: Sequence[Answer]) -> list[str]:
    parts = [
        paragraph(
            "Left limbs are warm, right limbs cool. Below each figure: what the oracle, which sees joint positions "
            "only, says of it. These sentences are in no training set."
        )
    ]
    for _, own in groupby(answers, key=lambda answer: answer.prompt):
        parts.append(answer_view(list(own), ARMS))
    return parts


def _table(result: DemoResult) -> str:
    reports: dict[str, Report] = result.reports
    first = reports["baseline"]
    rows = {REAL: first.estimates(REAL)} | {arm: report.estimates(report.name) for arm, report in reports.items()}
    lines = []
    for metric in metrics_of(rows):
        shown = column_of(metric)
        cells = [
            Interval(estimates[metric].mean, estimates[metric].interval, shown.digits) if metric in estimates else None
            for estimates in rows.values()
        ]
        lines.append(TableRow(f"{shown.title} {shown.better}", cells))
    protocol = first.protocol
    caption = (
        f"Short protocol: {protocol.samples} test motions, {len(first.replications)} replications, mean ± 95 % "
        f"interval, frames behind the end {'zeroed' if protocol.tail == 'zero' else 'as generated'}. ↑ higher is "
        "better, ↓ lower is better, → like real motions is better."
    )
    return table("", [REAL, *(f"{arm}, {what}" for arm, what in ARMS.items())], lines, caption=caption)


def _curves(runs: dict[str, RunFolder]) -> list[str]:
    metrics = {arm: [line for line in run.read_metrics() if "loss" in line] for arm, run in runs.items()}
    own = {arm: _smooth(lines, "loss") for arm, lines in metrics.items() if lines}
    if not own:
        return [paragraph("The arms were too short to log a curve.")]
    charts = [
        figure(
            line_chart(own, x_label="step", y_label="loss", title="the model's own loss"),
            "Both arms. The noise levels and batches of a step are the same in both.",
        )
    ]
    aligned = metrics["aligned"]
    losses = {
        name: _smooth(aligned, key)
        for name, key in (("inter", "alignment/inter/loss"), ("intra", "alignment/intra/loss"))
        if any(key in line for line in aligned)
    }
    if losses:
        charts.append(
            figure(
                line_chart(losses, x_label="step", y_label="loss", title="the alignment losses"),
                "Of the aligned arm, before their weights.",
            )
        )
    return [side_by_side(*charts)]


def _smooth(lines: list[dict], key: str, window: int = 5) -> tuple[list[float], list[float]]:
    """Return a running mean over lines that have the key, against steps."""
    points = [(line["step"], line[key]) for line in lines if key in line]
    steps, values = np.array(points).T
    window = max(1, min(window, len(values)))
    return steps[window - 1 :].tolist(), np.convolve(values, np.ones(window) / window, "valid").tolist()
