"""What a study says of the paper: counted by hand on figures that are chosen here."""

import math

import pytest
from fakes import plan, small_study

from atm.apps.studies.agreement import comparisons, in_words
from atm.apps.studies.jobs import Result
from atm.apps.studies.registry import find_study
from atm.apps.studies.results import StudyResults
from atm.apps.studies.study import Row
from atm.evaluation.report import REAL


def outcome(values: dict[str, list[list[float]]], metric: str = "r_precision_1", study=None) -> StudyResults:
    """One metric: of each row a list of replications for each seed."""
    (seeds,) = {len(of_seeds) for of_seeds in values.values()}
    results = {
        seed: [Result(values={row: {metric: of_seeds[seed]}}) for row, of_seeds in values.items()]
        for seed in range(seeds)
    }
    return StudyResults(study or small_study(metrics=(metric,)), plan("data"), results, {})


def test_the_order_holds_where_ours_lies_on_the_papers_side():
    """The paper: inter (0.502) and both (0.519) above none (0.425). Ours: inter above, both below."""
    found = comparisons(outcome({"none": [[0.4, 0.4]], "inter": [[0.5, 0.5]], "both": [[0.3, 0.3]]}))
    assert [(one.row, one.paper, one.ours, one.holds) for one in found] == [
        ("inter", "better", "better", True),
        ("both", "better", "worse", False),
    ]
    assert in_words(found) == [
        "R-Precision top 1: the paper's order holds in 1 of 2 rows, in 1 of them beyond the 95 % interval. Not in: "
        "both is worse than none (clearly)."
    ]


def test_lower_is_better_where_the_metric_says_so():
    """The paper's FID falls from 0.570 to 0.383 and 0.320; so does ours."""
    found = comparisons(outcome({"none": [[9.0]], "inter": [[8.0]], "both": [[7.0]]}, metric="fid"))
    assert [one.holds for one in found] == [True, True]
    assert in_words(found) == ["FID: the paper's order holds in 2 of 2 rows."]


def test_rows_that_are_equal_hold_no_order():
    found = comparisons(outcome({"none": [[0.4]], "inter": [[0.4]]}))
    assert [one.holds for one in found] == [False]
    assert "inter equals none" in in_words(found)[0]


def test_rows_without_a_figure_are_not_counted():
    assert [one.row for one in comparisons(outcome({"none": [[0.4]], "both": [[0.5]]}))] == ["both"]
    assert comparisons(outcome({"both": [[0.5]]})) == []


def test_seeds_are_compared_in_pairs():
    """Differences 0.10, 0.11, 0.12 of seeds that lie far apart: mean 0.11, deviation 0.01, so half of the interval is
    4.303 · 0.01 / sqrt(3) = 0.0248, and 0.11 is beyond it, though the rows' own intervals overlap by far."""
    values = {"none": [[0.1], [0.4], [0.7]], "inter": [[0.2], [0.51], [0.82]]}
    study = outcome(values)
    gap, half = study.difference("inter", "none", "r_precision_1")
    assert gap == pytest.approx(0.11) and half == pytest.approx(4.303 * 0.01 / math.sqrt(3), rel=1e-3)
    assert comparisons(study)[0].clear
    row = study.figure("none", "r_precision_1")
    assert row.value == pytest.approx(0.4) and row.half == pytest.approx(4.303 * 0.3 / math.sqrt(3), rel=1e-3)
    assert row.count == 3


def test_with_one_seed_replications_are_compared_in_pairs():
    study = outcome({"none": [[0.1, 0.5]], "inter": [[0.2, 0.6]]})
    gap, half = study.difference("inter", "none", "r_precision_1")
    assert gap == pytest.approx(0.1) and half == pytest.approx(0.0, abs=1e-9)


def test_rows_are_compared_on_the_seeds_that_both_have():
    """`inter` lacks seed 1, on which `none` is far better; on the seed of both the difference is 0.1."""
    of_seed = {0: {"none": [0.1], "inter": [0.2]}, 1: {"none": [0.9]}}
    results = {
        seed: [Result(values={row: {"r_precision_1": values}}) for row, values in rows.items()]
        for seed, rows in of_seed.items()
    }
    study = StudyResults(small_study(), plan("data"), results, {})
    assert study.difference("inter", "none", "r_precision_1") == (pytest.approx(0.1), None)
    alone = StudyResults(small_study(), plan("data"), {0: results[0][:1], 1: results[0][1:]}, {})
    assert alone.difference("inter", "none", "r_precision_1") is None and comparisons(alone) == []


def test_one_replication_of_one_seed_has_no_interval():
    study = outcome({"none": [[0.1]], "inter": [[0.2]]})
    assert study.figure("none", "r_precision_1").half is None
    assert comparisons(study)[0].clear is None


def test_the_paper_can_say_without_a_figure_that_a_row_is_no_better():
    """128 may be worse, equal, or above within the interval; not clearly better."""
    study = find_study("batch").model_copy(update={"metrics": ("r_precision_1",)})
    for larger, holds in (([0.4, 0.42], True), ([0.5, 0.54], True), ([0.60, 0.61], False), ([0.51, 0.63], True)):
        (one,) = comparisons(outcome({"64": [[0.5, 0.52]], "128": [larger]}, study=study))
        assert (one.paper, one.holds) == ("no better", holds), larger


def test_what_the_paper_says_in_words_is_about_its_first_metric():
    study = find_study("margins")
    words = {row.name: row.said for row in study.rows}
    assert words == dict.fromkeys(("0.1", "0.2", "0.3", "0.4", "0.5"), "worse") | {"adaptive": None}
    values = {"0.1": [[0.3]], "adaptive": [[0.4]]}
    assert [one.holds for one in comparisons(outcome(values, study=study))] == [True]
    assert comparisons(outcome(values, metric="fid", study=study)) == []


def test_a_row_can_have_a_reference_of_its_own():
    rows = (Row(name="a"), Row(name="b", against="a", said="better"), Row(name="c", said="worse"))
    study = small_study(rows=rows, against="b", metrics=("r_precision_1",))
    found = comparisons(outcome({"a": [[0.1]], "b": [[0.3]], "c": [[0.2]]}, study=study))
    assert [(one.row, one.against, one.holds) for one in found] == [("b", "a", True), ("c", "b", True)]


def test_a_cost_is_a_median_with_quartiles():
    """Of 1, 2, 3, 4, 100 the median is 3, and the quartiles are 2 and 4."""
    study = find_study("cost")
    found = outcome({"baseline": [[1, 2, 3, 4, 100]]}, metric="step_ms", study=study).figure("baseline", "step_ms")
    assert tuple(found) == (3, 1, 5)


def test_real_motions_are_taken_once_a_seed():
    """Every row of a seed is evaluated on the same draws, so all have the same real row."""
    both = [Result(values={row: {"fid": [1.0]}, REAL: {"fid": [0.25]}}) for row in ("none", "both")]
    study = StudyResults(small_study(), plan("data"), {0: both}, {})
    assert study.figure(REAL, "fid").value == 0.25 and study.figure(REAL, "fid").count == 1
