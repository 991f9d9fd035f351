"""Charts: every line where its numbers are."""

import re

import numpy as np
import pytest

from atm.pages.charts import MOST_POINTS, SERIES_COLOURS, WIDTH, line_chart


def paths_of(svg: str) -> list[str]:
    """The commands of a chart's only line, before them those of the line as it is, where it is smoothed."""
    return re.findall(r'<path d="([^"]*)" style="fill: none; stroke: var\(--series', svg)[:-1]  # the last: the legend


def points_of(path: str) -> np.ndarray:
    """(n, 2) points of a line."""
    return np.array([point.split() for point in re.split("[ML]", path)[1:]], dtype=float)


def axis_of(svg: str) -> np.ndarray:
    """(2, 2) ends of the line along the bottom."""
    (path,) = re.findall(r'<path d="([^"]*)" style="fill: none; opacity: 0.4; stroke: currentColor', svg)
    return points_of(path)


def test_a_line_runs_from_corner_to_corner_of_its_numbers():
    """x fills the axes; y has 5 % of its range free below."""
    svg = line_chart({"loss": ([0, 10], [1.0, 3.0])}, x_label="step", y_label="loss")
    points, axis = points_of(paths_of(svg)[0]), axis_of(svg)
    np.testing.assert_allclose(points[:, 0], axis[:, 0], atol=0.02)
    rise = points[0, 1] - points[1, 1]
    assert axis[0, 1] - points[0, 1] == pytest.approx(0.05 * rise, abs=0.05) and rise > 150


def test_a_logarithmic_axis_puts_equal_ratios_at_equal_distances():
    svg = line_chart({"loss": ([0, 1, 2], [100, 10, 1])}, x_label="step", y_label="loss", log_y=True)
    steps = np.diff(points_of(paths_of(svg)[0])[:, 1])
    assert steps[0] == pytest.approx(steps[1], abs=0.03) and steps[0] > 0


def test_a_gap_is_left_where_a_number_is_missing():
    svg = line_chart({"loss": ([0, 1, 2, 3, 4], [1, 2, np.nan, 3, 4])}, x_label="step", y_label="loss")
    (path,) = paths_of(svg)
    assert path.count("M") == 2 and path.count("L") == 2


def test_a_long_line_is_shown_by_means():
    """4 points per mean: 1, 1, 1, 5 give 2 everywhere, so the line is flat."""
    y = np.tile([1.0, 1.0, 1.0, 5.0], MOST_POINTS)
    points = points_of(paths_of(line_chart({"loss": (np.arange(len(y)), y)}, x_label="step", y_label="loss"))[0])
    assert len(points) <= MOST_POINTS
    assert np.ptp(points[:, 1]) == 0


def test_a_running_mean_stands_before_the_line_as_it_is():
    """0, 3, 0 with one neighbour on each side: means 1.5, 1, 1.5."""
    svg = line_chart({"loss": ([0, 1, 2], [0, 3, 0])}, x_label="step", y_label="loss", smooth=1)
    raw, mean = (points_of(path)[:, 1] for path in paths_of(svg))
    per_unit = (raw[0] - raw[1]) / 3
    np.testing.assert_allclose((raw[0] - mean) / per_unit, [1.5, 1, 1.5], atol=0.01)


def test_names_and_labels_are_escaped_and_all_there():
    svg = line_chart({"a<b": ([0], [1]), "c": ([0], [2])}, x_label="x & y", y_label="z", title="<t>")
    assert "a&lt;b" in svg and "x &amp; y" in svg and "&lt;t&gt;" in svg and "<t>" not in svg


def test_many_names_take_more_rows_and_stay_inside():
    names = {f"a rather long name {k}": ([0, 1], [0, k]) for k in range(6)}
    svg = line_chart(names, x_label="x", y_label="y")
    found = re.findall(r"<text [^>]*translate\(([\d.]+) ([\d.]+)\)[^>]*>(a rather [^<]*)<", svg)
    found = found or re.findall(r'<text [^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(a rather [^<]*)<', svg)
    assert [name for *_, name in found] == list(names)
    assert len({y for _, y, _ in found}) > 1
    # A letter of 11.5 points is hardly wider than 7 on the mean.
    assert all(20 < float(x) < WIDTH - 7 * len(name) * 0.9 for x, _, name in found)


def test_a_chart_is_the_same_every_time_and_takes_the_colours_and_the_font_of_its_page():
    once, again = (line_chart({"a": ([0, 1], [0, 1])}, x_label="x", y_label="y") for _ in range(2))
    assert once == again
    assert "currentColor" in once and f"var(--series-2,{SERIES_COLOURS[1]})" in once
    assert "DejaVu" not in once and "matplotlib" not in once.lower()
    assert not re.findall(r' id="(?![mp][0-9a-f]{10}")', once)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no number to draw"):
        line_chart({"loss": ([0, 1], [np.nan, np.inf])}, x_label="step", y_label="loss")
    with pytest.raises(ValueError, match="x and y must be of one length"):
        line_chart({"loss": ([0, 1], [1])}, x_label="step", y_label="loss")
