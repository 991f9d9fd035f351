"""The demo: what it asks, and what its page says of two arms."""

import pytest

from atm.apps.demo.report import _verdict
from atm.apps.demo.run import ACTIONS, GENERATOR, prompts
from atm.apps.reading import program_as_read
from atm.evaluation.report import REAL, Protocol, Report
from atm.training.presets import preset


def test_both_arms_differ_in_the_losses_alone():
    baseline, aligned = preset(GENERATOR), preset(f"{GENERATOR}_atm")
    assert baseline.alignment is None or not baseline.alignment.weighs_anything()
    assert (aligned.alignment.inter.weight, aligned.alignment.intra.weight) == (0.3, 0.3)
    assert baseline.model_copy(update={"alignment": aligned.alignment}) == aligned


def test_the_sentences_of_the_page_ask_for_as_many_actions_as_the_model_learns():
    asked = prompts()
    assert len(asked) >= 5
    for prompt in asked:
        assert len(program_as_read(prompt.text).actions) == ACTIONS, prompt.text


def reports(baseline: dict[str, float], aligned: dict[str, float]) -> dict[str, Report]:
    """Two arms of three replications with hardly any spread."""
    made = {}
    for arm, scores in (("baseline", baseline), ("aligned", aligned)):
        protocol = Protocol(
            samples=32, real=32, tail="zero", seed=0, multimodality=None, evaluator="", data="", model=arm
        )
        rows = tuple(
            {REAL: dict.fromkeys(scores, 1.0), arm: {name: value + shift for name, value in scores.items()}}
            for shift in (-0.001, 0.0, 0.001)
        )
        made[arm] = Report(name=arm, protocol=protocol, notes=(), replications=rows)
    return made


@pytest.mark.parametrize(
    ("aligned", "counted"),
    [
        ({"r_precision_1": 0.4, "oracle_all": 0.2, "kinematic_fid": 9.0}, "2 of 3 measures are better"),
        ({"r_precision_1": 0.2, "oracle_all": 0.05, "kinematic_fid": 7.0}, "1 of 3 measures are better"),
        ({"r_precision_1": 0.3, "oracle_all": 0.1, "kinematic_fid": 8.0}, "0 of 3 measures are better"),
    ],
)
def test_the_verdict_says_which_way_the_numbers_point_in_at_most_three_lines(aligned, counted):
    lines = "".join(_verdict(reports({"r_precision_1": 0.3, "oracle_all": 0.1, "kinematic_fid": 8.0}, aligned)))
    assert f"{aligned['r_precision_1']:.2f} with the losses, 0.30 without" in lines
    assert f"{aligned['oracle_all']:.2f} with the losses, 0.10 without" in lines and counted in lines
    assert lines.count("<li>") <= 2
