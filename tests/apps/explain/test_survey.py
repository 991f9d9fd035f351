"""What the losses do over a run: shares and pairs of batches that are mined again, curves of its log."""

import math

import pytest
from spaces import Recorded, case

from atm.alignment import Alignment, AlignmentConfig
from atm.apps.explain.survey import Pair, Survey, actions_of, survey, survey_html, training_html

BOTH = AlignmentConfig(inter={"weight": 1}, intra={"weight": 1, "gamma": 0.5}, epsilon=0.9)


def test_shares_and_pairs_are_those_of_the_objective():
    space, generated, batch = case(rows=9)
    alignment = Alignment(BOTH, space)
    output = alignment(generated, batch)
    found = survey(Recorded(generated), alignment, [batch, batch], show_progress=False)
    assert found.motions == 18
    for name, share in found.shares.items():
        assert share == pytest.approx(output.log[name])
    assert found.shares.keys() == {"inter/active", "inter/without_negative", "intra/under_gamma", "intra/active"}
    mined = output.inter_result.mined
    wanted = sorted((batch.text[i], batch.text[j]) for i, j in enumerate(mined.index[:, 0].tolist()))
    assert sorted((pair.text, pair.negative) for pair in found.pairs) == sorted(wanted * 2)
    for pair in found.pairs:
        row = batch.text.index(pair.text)
        assert pair.ratio == pytest.approx(mined.ratio[row, 0].item())
        assert pair.ratio == pytest.approx(pair.generated_distance / pair.real_distance, rel=1e-4)


def test_two_that_are_one_anothers_negative_are_one_confused_pair_with_the_larger_loss():
    pairs = [Pair("a", "b", 0.1, 0.5, 0.2, 0.0), Pair("b", "a", 0.1, 0.5, 0.2, 0.3), Pair("c", "a", 0.1, 1, 0.1, 0.4)]
    assert Survey(3, {}, pairs).confused == [pairs[2], pairs[1]]


def test_kinds_count_which_actions_are_taken_for_which():
    texts = [("he walks", "she runs"), ("a man walks forward", "jogging"), ("someone sits down", "he lies down")]
    found = Survey(3, {}, [Pair(*pair, 0.1, 0.5, 0.2, 0.0) for pair in texts])
    assert found.kinds == [("walk", "run", 2), ("sit", "lie", 1)]


def test_actions_are_named_once_each_in_their_order():
    assert actions_of("a person walks, sits down and walks again") == "walk, sit"
    assert actions_of("a lovely day") == "something else"


def line(step: int, **values: float) -> dict:
    return {"step": step, "loss": 1.0} | {f"alignment/{name}": value for name, value in values.items()}


def test_the_log_becomes_curves_of_what_it_holds():
    metrics = [line(step, **{"inter/active": 1 / step, "inter/ratio/p50": 0.5}) for step in range(1, 9)]
    html = training_html(metrics, "Weighed 0.1.")
    assert "Weighed 0.1." in html
    assert "How often each rule acts" in html and "Ratio of the hard negatives" in html
    assert "Margins" not in html
    assert html.count("<svg") == 2


def test_a_log_without_the_losses_says_so():
    assert "trained without the losses" in training_html([{"step": 1, "loss": 1.0}], "")


def test_a_model_file_which_has_no_log_is_not_said_to_be_trained_without_the_losses():
    html = training_html([], "")
    assert "no log" in html and "trained without" not in html


def test_values_that_are_no_numbers_leave_a_gap():
    metrics = [line(1, **{"inter/loss": 1.0}), line(2, **{"inter/loss": math.nan}), line(3, **{"inter/loss": 2.0})]
    assert training_html(metrics, "").count("<svg") == 1


def test_a_survey_without_any_negative_says_so():
    assert "No motion has a negative" in survey_html(Survey(4, {"inter/active": 0.0}, []))
