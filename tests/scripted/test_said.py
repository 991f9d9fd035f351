"""Verdicts on what a caption says, and not on what only the program knows."""

import numpy as np
import pytest

from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform
from atm.scripted.oracles import judge
from atm.scripted.said import as_said

KICKS = Program((Action("kick", count=3, side="left", direction="forward", speed="fast"), Action("bow", count=1)))


@pytest.fixture(scope="module")
def other():
    """Verdict on a motion that kicks twice, slowly, with the other leg, and bows."""
    done = Program((Action("kick", count=2, side="right", direction="forward", speed="slow"), Action("bow", count=1)))
    return judge(perform(done, np.random.default_rng(1)), KICKS)


def wrong(verdict):
    return {check.attribute for check in verdict.checks if not check.right}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("a person kicks and then bows", set()),
        ("a person kicks three times and then bows", {"count"}),
        ("a person kicks with the left leg and then bows", {"side"}),
        ("a person quickly kicks three times with the left leg and then bows", {"count", "side", "speed"}),
    ],
)
def test_only_what_the_sentence_says_is_judged(other, sentence, expected):
    assert wrong(other) == {"count", "side", "speed"}
    assert wrong(as_said(other, KICKS, sentence)) == expected


def test_that_an_action_occurs_and_the_order_are_always_judged(other):
    kept = as_said(other, KICKS, "a person kicks and then bows")
    assert [check.attribute for check in kept.checks] == ["occurs", "occurs", "order"]


@pytest.mark.parametrize("sentence", ["a person bows", "a person bows and then kicks", "xyzzy"])
def test_of_a_sentence_that_is_not_read_as_the_program_nothing_is_left_out(other, sentence):
    assert as_said(other, KICKS, sentence) == other
