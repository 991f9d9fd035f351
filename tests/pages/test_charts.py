"""Charts: every line where its numbers are."""

import re

import numpy as np
import pytest

from atm.pages.charts import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, line_chart


def path_of(svg: str, index: int = 0) -> np.ndarray:
    """(n, 2) points of a line."""
    path = re.findall(r'<path d="([^"]*)" fill="none"', svg)[index]
    return np.array([point.split() for point in re.split("[ML]", path)[1:]], dtype=float)


def test_a_line_runs_from_corner_to_corner_of_its_numbers():
    """x fills the axes; y has 5 % of its range free above and below."""
    points = path_of(line_chart({"loss": ([0, 10], [1.0, 3.0])}, x_label="step", y_label="loss"))
    inner = HEIGHT - TOP - BOTTOM
    room = inner * 0.05 / 1.1
    expected = [[LEFT, HEIGHT - BOTTOM - room], [WIDTH - RIGHT, TOP + room]]
    np.testing.assert_allclose(points, expected, atol=0.06)


def test_a_logarithmic_axis_puts_equal_ratios_at_equal_distances():
    points = path_of(line_chart({"loss": ([0, 1, 2], [100, 10, 1])}, x_label="step", y_label="loss", log_y=True))
    steps = np.diff(points[:, 1])
    assert steps[0] == pytest.approx(steps[1], abs=0.11) and steps[0] > 0


def test_a_gap_is_left_where_a_number_is_missing():
    svg = line_chart({"loss": ([0, 1, 2, 3], [1, 2, np.nan, 3])}, x_label="step", y_label="loss")
    path = re.search(r'<path d="([^"]*)" fill="none"', svg)[1]
    assert path.count("M") == 2 and path.count("L") == 1


def test_a_long_line_is_shown_by_means():
    """4 points per mean: 1, 1, 1, 5 give 2 everywhere, so the line is flat."""
    y = np.tile([1.0, 1.0, 1.0, 5.0], MOST_POINTS)
    points = path_of(line_chart({"loss": (np.arange(len(y)), y)}, x_label="step", y_label="loss"))
    assert len(points) == MOST_POINTS
    assert np.ptp(points[:, 1]) == 0


def test_a_running_mean_stands_before_the_line_as_it_is():
    """0, 3, 0 with one neighbour on each side: means 1.5, 1, 1.5."""
    svg = line_chart({"loss": ([0, 1, 2], [0, 3, 0])}, x_label="step", y_label="loss", smooth=1)
    raw, mean = path_of(svg, 0)[:, 1], path_of(svg, 1)[:, 1]
    per_unit = (raw[0] - raw[1]) / 3
    np.testing.assert_allclose((raw[0] - mean) / per_unit, [1.5, 1, 1.5], atol=0.01)


def test_names_and_labels_are_escaped_and_all_there():
    svg = line_chart({"a<b": ([0], [1]), "c": ([0], [2])}, x_label="x & y", y_label="z", title="<t>")
    assert "a&lt;b" in svg and "x &amp; y" in svg and "&lt;t&gt;" in svg and "<t>" not in svg


def test_many_names_take_more_rows_and_stay_inside():
    names = {f"a rather long name {k}": ([0, 1], [0, k]) for k in range(6)}
    svg = line_chart(names, x_label="x", y_label="y")
    legend = [row for row in re.findall(r"<text [^>]*>(.*?)</text>", svg) if "tspan" in row]
    assert [name for row in legend for name in re.findall(r">(a rather [^<]*)<", row)] == list(names)
    # A letter of 12 units is hardly wider than 7 on the mean; 74 such letters fit between the axis and the right edge.
    assert max(len(re.sub("<.*?>", "", row)) for row in legend) <= 74


def test_a_name_of_the_legend_stands_right_behind_its_colour():
    """The dash is a letter before the name, so that no width has to be guessed."""
    svg = line_chart({"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}, x_label="x", y_label="y")
    (row,) = [row for row in re.findall(r"<text [^>]*>(.*?)</text>", svg) if "tspan" in row]
    assert re.sub("<.*?>", "", row) == "—a—b"
    dashes = re.findall(r'<tspan [^>]*fill="(var[^"]*)"', row)
    assert re.findall(r'fill="none" stroke="(var[^"]*)"', svg) == dashes


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="no number to draw"):
        line_chart({"loss": ([0, 1], [np.nan, np.inf])}, x_label="step", y_label="loss")
    with pytest.raises(ValueError, match="x and y must be of one length"):
        line_chart({"loss": ([0, 1], [1])}, x_label="step", y_label="loss")
