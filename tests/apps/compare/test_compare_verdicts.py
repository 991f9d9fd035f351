"""What is said of a motion: bodies perform one program and are asked for another."""

from dataclasses import replace

import numpy as np
import pytest

from atm.motion.program import Action, Program
from atm.scripted.asked import Asked, asked_of
from atm.scripted.examine import examine
from atm.scripted.motion.perform import perform
from atm.scripted.oracles import oracle_scores

SIT, STAND = Action("sit_down"), Action("stand_up")


def made(*actions: Action, seed: int = 0) -> np.ndarray:
    return perform(Program(actions), np.random.default_rng(seed))


def said(sentence: str, *actions: Action) -> str:
    return str(examine(made(*actions), asked_of(sentence)))


@pytest.mark.parametrize(
    ("sentence", "actions", "verdict"),
    [
        (
            "a person quickly takes 5 steps backwards",
            [Action("walk", 4, direction="backward", speed="fast")],
            "✗ asked 5 steps backwards quickly, made 4",
        ),
        (
            "a person takes 4 steps backwards",
            [Action("walk", 4, direction="backward")],
            "✓ 4 steps backwards",
        ),
        (
            "a person takes five steps backwards",
            [Action("walk", 4, direction="forward")],
            "✗ asked 5 steps backwards, made 4 forwards",
        ),
        ("he claps 3 times", [Action("bow", 1)], "✗ asked 3 claps, made none · seen instead: 1 bow"),
        (
            "she kicks twice with her left leg",
            [Action("kick", 2, side="right")],
            "✗ asked 2 kicks with the left foot, made 2 with the right foot",
        ),
        ("someone waves his right hand", [Action("wave", 3, side="right")], "✓ wave with the right hand"),
        (
            "someone waves his right hand",
            [Action("wave", 3, side="left")],
            "✗ asked to wave with the right hand, did it with the left hand",
        ),
        ("a person bows", [Action("clap", 3)], "✗ asked to bow, did not · seen instead: 3 claps"),
        (
            "a person takes 3 steps to the left",
            [Action("run", 6, direction="forward", path="straight")],
            "✗ asked 3 steps to the left, made none · seen instead: 6 running steps straight forwards",
        ),
        (
            "he raises both arms",
            [Action("raise_arms", 1, side="left")],
            "✗ asked to raise with both arms, did it with the left arm",
        ),
    ],
)
def test_a_verdict_is_a_sentence(sentence, actions, verdict):
    assert said(sentence, *actions) == verdict


def test_what_is_repeated_is_told_by_how_often_it_was_done():
    """The paper's second failure: the sitting is repeated, the standing up is not."""
    sentence = "person sits down then stands back up and repeats twice"
    assert said(sentence, SIT, STAND, SIT, STAND) == "✓ sit down twice · ✓ stand up twice"
    assert said(sentence, SIT, STAND, SIT) == "✓ sit down twice · ✗ asked to stand up twice, did it once"
    fast = [replace(SIT, speed="fast"), replace(STAND, speed="fast")]
    thrice = said(sentence, *fast * 3)
    assert thrice == "✗ asked to sit down twice, did it 3 times · ✗ asked to stand up twice, did it 3 times"


def test_an_order_is_told_where_all_was_done():
    turned_round = said("he claps 3 times and then bows", Action("bow", 1), Action("clap", 3))
    assert turned_round.startswith("✓ 3 claps · ✓ bow · ✗ asked for clap, bow, in this order; made bow, clap")
    assert "order" not in said("he claps 3 times while he bows", Action("bow", 1), Action("clap", 3))


def test_a_sentence_that_asks_for_nothing_known_has_no_verdict():
    assert examine(made(Action("bow", 1)), Asked(None)) is None


def test_the_checks_behind_the_findings_score_as_the_oracles_do():
    """Two of three motions have the right count; the repeated sitting down is a count, too."""
    asked = asked_of("he claps 3 times")
    found = [examine(made(Action("clap", count)), asked) for count in (3, 3, 4)]
    scores = oracle_scores(one.verdict for one in found)
    assert scores["count"]["right"] == pytest.approx(2 / 3)
    twice = examine(made(SIT, STAND, SIT), asked_of("he sits down and stands up twice"))
    counts = [(check.verb, check.made, check.right) for check in twice.verdict.checks if check.attribute == "count"]
    assert counts == [("sit_down", 2, True), ("stand_up", 1, False)]
