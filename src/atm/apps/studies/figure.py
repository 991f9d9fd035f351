"""The figure of a study: what was measured, beside what the paper prints, each on an axis of its own."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from atm.apps.studies.results import StudyResults, column_of
from atm.apps.studies.tables import Printed, judged_metrics, with_printed
from atm.evaluation.report import REAL
from atm.pages.charts import INK, SERIES_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, PAPER = SERIES_COLOURS[1:3]


def draw(outcome: StudyResults) -> "Figure | None":
    """Return a panel for each metric, the paper's beside ours, with 95 % intervals; a line where the rows are values of
    one quantity.

    Returns:
        None while there is no figure to draw.
    """
    from matplotlib.figure import Figure

    rows = outcome.finished
    panels = with_printed(outcome, judged_metrics(outcome))
    if not rows or not panels:
        return None
    upright = bool(outcome.study.x_label)
    across = min(max(2, 1 + len({one.data for one in panels if isinstance(one, Printed)})), len(panels))
    down = -(-len(panels) // across)
    height = 2.7 if upright else 1.0 + 0.34 * len(rows)
    figure = Figure(figsize=(1.2 + 3.9 * across, height * down + 0.3), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, hspace=0.08)
    grid = figure.subplots(down, across, squeeze=False, sharex=upright, sharey=not upright)
    for axes, panel in itertools.zip_longest(grid.flat, panels):
        if panel is None:
            axes.set_visible(False)
        else:
            _panel(axes, outcome, panel, upright=upright)
    if outcome.plan.quick:
        figure.suptitle("quick study: these figures mean nothing", color="#b23b36", fontsize=11)
    return figure


def _panel(axes: "Axes", outcome: StudyResults, panel: str | Printed, *, upright: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    metric = panel if isinstance(panel, str) else panel.metric
    column = column_of(metric)
    rows = outcome.finished
    places = np.arange(len(rows))
    if isinstance(panel, str):
        found = [outcome.figure(row.name, metric) for row in rows]
        values = np.array([one.value if one else np.nan for one in found])
        halves = np.array([one.half or 0.0 if one else np.nan for one in found])
        title, colour = f"{column.title} {column.better}", OURS
        real = outcome.figure(REAL, metric)
    else:
        values = np.array([row.published.get(panel.data, {}).get(metric, np.nan) for row in rows])
        halves, real = None, None
        title, colour = f"{column.title}, {panel.source}", PAPER
    style = {"color": colour, "markersize": 5, "capsize": 2.5, "elinewidth": 1.2}
    if upright:
        axes.errorbar(places, values, yerr=halves, fmt="o-", linewidth=1.4, **style)
        axes.set_xticks(places, [row.name for row in rows])
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(outcome.study.x_label, color=INK, fontsize=9)
    else:
        axes.errorbar(values, places, xerr=halves, fmt="o", **style)
        axes.set_yticks(places, [row.name for row in rows])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.margins(x=0.08)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    if real is not None:
        line = axes.axhline if upright else axes.axvline
        line(real.value, color=INK, linewidth=1, linestyle=(0, (2, 2)), alpha=0.6)
        axes.annotate(
            "real", (1, real.value) if upright else (real.value, 1), fontsize=7.5, color=INK, alpha=0.7,
            xycoords=("axes fraction", "data") if upright else ("data", "axes fraction"),
            textcoords="offset points", xytext=(-2, 2) if upright else (2, -8), ha="right" if upright else "left",
        )  # fmt: skip
    axes.set_title(title, fontsize=9.5, color=INK, loc="left")
    axes.grid(axis="y" if upright else "x", color=INK, alpha=0.13, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=8.5, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == ("bottom" if upright else "left"))
        spine.set_color(INK)
        spine.set_alpha(0.4)
