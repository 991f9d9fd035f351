"""Charts as inline SVG: they take the page's colours, light or dark, and need nothing but the page."""

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Real

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = Sequence[float] | Real[np.ndarray, "_"]
Series = tuple[Numbers, Numbers]
"""x and y of one line; y may hold NaN, which leaves a gap."""

WIDTH, HEIGHT = 560, 300
INK = "#232120"
"""Words and axes outside of our pages; on them, the page's own ink."""
SERIES_COLOURS = ("#8d8a83", "#c25a2c", "#2e7fa3", "#6f58b5", "#3f8f5e", "#b98a1e")
"""Outside of our pages, where `--series-1` ... are not set."""
MOST_POINTS = 400
"""A longer line is shown by means of neighbouring points: no screen has more, and every page would carry them."""


def line_chart(
    series: Mapping[str, Series],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log_y: bool = False,
    smooth: int = 0,
) -> str:
    """Draw lines over one pair of axes, with a legend; colours in the order of the series, grey first (a baseline).

    Args:
        series: x and y of each line by its name.
        x_label: what x is, with its unit, like `y_label`.
        title: one line above.
        log_y: logarithmic y; values <= 0 are left out.
        smooth: points on each side that a running mean takes in; the line as it is then stands faintly behind. 0: none.

    Raises:
        ValueError: x and y of different lengths, or not one number that can be drawn.
    """
    lines = {name: _cleaned(name, x, y, log_y) for name, (x, y) in series.items()}
    if not any(np.isfinite(y).any() for _, y in lines.values()):
        raise ValueError(f"chart {title or y_label!r} has no number to draw")
    # Imported where it is used: every command of `atm` reads this module, few draw.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), layout="constrained")
    axes = figure.add_subplot()
    for index, (name, (x, y)) in enumerate(lines.items(), start=len(lines) == 1):  # one line alone is no baseline
        colour = SERIES_COLOURS[index % len(SERIES_COLOURS)]
        if smooth:
            axes.plot(x, _shown(y, log_y), color=colour, linewidth=1, alpha=0.3, clip_on=False)
            y = _running_mean(y, smooth)
        dots = "o" if np.isfinite(y).sum() <= 12 else ""
        style = {"linewidth": 2, "marker": dots, "markersize": 5.5, "clip_on": False}
        axes.plot(x, _shown(y, log_y), color=colour, label=name, **style)
    _dress(axes, x_label, y_label, log_y)
    _head(axes, title)
    drawn = figure_svg(figure, page=True, label=f"{title or y_label}: {', '.join(lines)}")
    return drawn.replace("<svg", '<svg class="chart"', 1)


def figure_svg(figure: "Figure", *, page: bool, label: str = "") -> str:
    """Return a matplotlib figure as SVG text, the same for the same figure, whatever the day and the machine.

    Args:
        figure: drawn with `INK` and `SERIES_COLOURS`.
        page: for one of our pages, whose colours and font it takes; False: for a file of its own.
        label: what is to be seen, for who cannot see it.
    """
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "atm"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()[out.getvalue().index("<svg") :]
    # Versions, a style that would hold for all of a page, names that nothing refers to, turns by nothing.
    for pattern in (
        r"<metadata>.*?</metadata>\s*",
        r"<style.*?</style>",
        r' id="[\w.]+_\d+"',
        r' transform="rotate\(-0 .*?"',
    ):
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r"""(?<=[ "])(-?\d+\.\d\d)\d+""", r"\1", text)  # a hundredth of a point is enough
    style = 'stroke-linejoin="round"'
    if page:
        for index, colour in enumerate(SERIES_COLOURS, start=1):
            text = text.replace(colour, f"var(--series-{index},{colour})")
        text = re.sub(r" font-family: [^;]*;", "", text).replace(INK, "currentColor")
        style += f' font-family="system-ui, sans-serif" role="img" aria-label="{html.escape(label, quote=True)}"'
    return text.replace("<svg", f"<svg {style}", 1)


def _cleaned(name: str, x: Numbers, y: Numbers, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (its logarithm, where the axis is one), at most `MOST_POINTS` of them."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"series {name!r}: x and y must be of one length, got shapes {x.shape} and {y.shape}")
    if log_y:
        y = np.log10(np.where(y > 0, y, np.nan))
    y = np.where(np.isfinite(y), y, np.nan)
    if len(x) > MOST_POINTS:
        edges = np.linspace(0, len(x), MOST_POINTS + 1).round().astype(int)[:-1]
        counts = np.diff([*edges, len(x)])
        x, y = np.add.reduceat(x, edges) / counts, np.add.reduceat(y, edges) / counts
    return x, y


def _running_mean(y: np.ndarray, reach: int) -> np.ndarray:
    """Return the mean over the known neighbours; a gap stays a gap."""
    known = np.isfinite(y)
    window = np.ones(2 * reach + 1)
    half = slice(reach, reach + len(y))
    total = np.convolve(np.where(known, y, 0.0), window)[half]
    return np.where(known, total / np.maximum(np.convolve(known, window)[half], 1), np.nan)


def _shown(y: np.ndarray, log_y: bool) -> np.ndarray:
    return 10.0**y if log_y else y


def _dress(axes: "Axes", x_label: str, y_label: str, log_y: bool) -> None:
    """Set scales, ticks and words; a quiet grid, no frame."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    axes.margins(x=0, y=0.05)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if log_y:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if high > 300 * low else (1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
        axes.ticklabel_format(axis="y", style="plain")
    axes.set_xlabel(x_label, color=INK, alpha=0.75, fontsize=11.5)
    axes.set_ylabel(y_label, color=INK, alpha=0.75, fontsize=11.5)
    axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.8)
    axes.tick_params(length=0, labelcolor=INK, labelsize=11.5)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=INK, alpha=0.4)


def _head(axes: "Axes", title: str) -> None:
    """Set the title on the left and, below it, the legend on the right, in as many rows as it needs."""
    width = 0.9 * WIDTH / 72 * axes.figure.dpi
    names = len(axes.get_legend_handles_labels()[1])
    for columns in range(names, 0, -1):
        legend = axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=columns,
            frameon=False,
            labelcolor=INK,
            fontsize=11.5,
            borderaxespad=0,
            handlelength=1.2,
            handletextpad=0.5,
            columnspacing=1.3,
        )
        if legend.get_window_extent().width <= width:
            break
    if title:
        pad = legend.get_window_extent().height * 72 / axes.figure.dpi
        axes.set_title(title, loc="left", pad=pad, fontsize=13, fontweight="bold", color=INK)
