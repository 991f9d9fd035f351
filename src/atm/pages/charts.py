"""Charts as inline SVG: they take the page's colours, light or dark, and need nothing but the page."""

import html
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Real

Numbers = Sequence[float] | Real[np.ndarray, "_"]
Series = tuple[Numbers, Numbers]
"""x and y of one line; y may hold NaN, which leaves a gap."""

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 34, 46
SERIES_COLOURS = ("#8d8a83", "#c25a2c", "#2e7fa3", "#6f58b5", "#3f8f5e", "#b98a1e")
"""Outside of our pages, where `--series-1` ... are not set."""
MOST_POINTS = 400
"""A longer line is shown by means of neighbouring points: no screen has more, and every page would carry them."""
LETTER = 7.2
"""Width of a letter, guessed: SVG cannot be asked for it before it is shown."""


def line_chart(
    series: Mapping[str, Series],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log_y: bool = False,
    smooth: int = 0,
) -> str:
    """Lines over one pair of axes, with a legend; colours in the order of the series, grey first (a baseline).

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
    known = [(x, y) for x, y in lines.values() if np.isfinite(y).any()]
    if not known:
        raise ValueError(f"chart {title or y_label!r} has no number to draw")
    x_low, x_high = _span(np.concatenate([x[np.isfinite(y)] for x, y in known]))
    y_low, y_high = _span(np.concatenate([y[np.isfinite(y)] for _, y in known]), room=0.05)
    x_ticks, y_ticks = _ticks(x_low, x_high, 6), _log_ticks(y_low, y_high) if log_y else _ticks(y_low, y_high, 5)

    rows = _legend_rows(list(lines))
    top = TOP + 16 * (len(rows) - 1)

    def to_x(x: np.ndarray | float) -> np.ndarray | float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def to_y(y: np.ndarray | float) -> np.ndarray | float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - top - BOTTOM)

    # One line alone is no baseline.
    colours = {name: _colour(index + (len(lines) == 1)) for index, name in enumerate(lines)}
    parts = [_grid(to_x, to_y, x_ticks, y_ticks)]
    if smooth:
        parts += [_line(to_x(x), to_y(y), colours[name], faint=True) for name, (x, y) in lines.items()]
        lines = {name: (x, _running_mean(y, smooth)) for name, (x, y) in lines.items()}
    parts += [_line(to_x(x), to_y(y), colours[name]) for name, (x, y) in lines.items()]
    parts += [_words(x_label, y_label, title), _legend(rows, colours)]
    label = html.escape(f"{title or y_label}: {', '.join(lines)}", quote=True)
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _cleaned(name: str, x: Numbers, y: Numbers, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
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
    """Mean over the known neighbours; a gap stays a gap."""
    known = np.isfinite(y)
    window = np.ones(2 * reach + 1)
    half = slice(reach, reach + len(y))
    total = np.convolve(np.where(known, y, 0.0), window)[half]
    return np.where(known, total / np.maximum(np.convolve(known, window)[half], 1), np.nan)


def _span(values: np.ndarray, room: float = 0.0) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    return low - room * (high - low), high + room * (high - low)


def _ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """Round numbers (1, 2 or 5 times a power of ten apart) with how they are written."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step - 1e-9)
    values = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, f"{value:,.{digits}f}" if abs(value) > step / 2 else "0") for value in values]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    factors = (1,) if high - low > 2.5 else (1, 2, 5)
    values = [
        (math.log10(factor) + power, f"{factor * 10.0**power:g}")
        for power in range(math.floor(low), math.ceil(high) + 1)
        for factor in factors
    ]
    return [(value, label) for value, label in values if low <= value <= high]


def _grid(
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
    x_ticks: list[tuple[float, str]],
    y_ticks: list[tuple[float, str]],
) -> str:
    parts = []
    for value, label in y_ticks:
        y = to_y(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.12"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for value, label in x_ticks:
        x = to_x(value)
        parts.append(f'<path d="M{x:.1f} {HEIGHT - BOTTOM}v5" stroke="currentColor" stroke-opacity="0.4"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    axis = f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.4"/>'
    return f'<g fill="currentColor" fill-opacity="0.7">{"".join(parts)}{axis}</g>'


def _line(x: np.ndarray, y: np.ndarray, colour: str, *, faint: bool = False) -> str:
    commands, pen_down = [], False
    for px, py in zip(x, y, strict=True):
        if np.isnan(py):
            pen_down = False
            continue
        commands.append(f"{'L' if pen_down else 'M'}{px:.1f} {py:.1f}")
        pen_down = True
    dots = ""
    if len(commands) <= 12 and not faint:
        points = [(px, py) for px, py in zip(x, y, strict=True) if not np.isnan(py)]
        dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.2" fill="{colour}"/>' for px, py in points)
    path = "".join(commands)
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{1 if faint else 2}" '
        f'stroke-opacity="{0.3 if faint else 1}" stroke-linejoin="round" stroke-linecap="round"/>{dots}'
    )


def _words(x_label: str, y_label: str, title: str) -> str:
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    heading = f'<text x="{LEFT}" y="16" font-size="13.5" font-weight="600">{html.escape(title)}</text>' if title else ""
    return (
        f'<g fill="currentColor">{heading}'
        f'<text x="{middle_x}" y="{HEIGHT - 8}" text-anchor="middle" fill-opacity="0.7">{html.escape(x_label)}</text>'
        f'<text transform="translate(14 {middle_y}) rotate(-90)" text-anchor="middle" fill-opacity="0.7">'
        f"{html.escape(y_label)}</text></g>"
    )


def _legend_rows(names: list[str]) -> list[list[str]]:
    """The names in as many rows as they need."""
    rows, free = [[]], 0.0
    for name in names:
        needed = _legend_width(name)
        if rows[-1] and needed > free:
            rows.append([])
        if not rows[-1]:
            free = WIDTH - LEFT - RIGHT
        rows[-1].append(name)
        free -= needed
    return rows


def _legend_width(name: str) -> float:
    return LETTER * len(name) + 30


def _legend(rows: list[list[str]], colours: dict[str, str]) -> str:
    """Names behind dashes of their colours, flush right. Dashes are letters, so that they stand where the names begin,
    whatever the font."""
    parts = []
    for row, names in enumerate(rows):
        named = (
            f'<tspan dx="{14 if place else 0}" fill="{colours[name]}" stroke="{colours[name]}" stroke-width="1.6">—'
            f'</tspan><tspan dx="5">{html.escape(name)}</tspan>'
            for place, name in enumerate(names)
        )
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{30 + 16 * row}" text-anchor="end" fill="currentColor">'
            f"{''.join(named)}</text>"
        )
    return "".join(parts)


def _colour(index: int) -> str:
    k = index % len(SERIES_COLOURS)
    return f"var(--series-{k + 1},{SERIES_COLOURS[k]})"
