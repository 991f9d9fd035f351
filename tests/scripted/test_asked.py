"""Free sentences as programs that the oracles can judge."""

import numpy as np
import pytest

from atm.apps.compare.prompts import packaged_prompts
from atm.motion.program import Action, Program
from atm.scripted.asked import asked_of
from atm.scripted.captions.captions import describe
from atm.scripted.sampling import sample_program

BACKWARD = Action("walk", 5, direction="backward", speed="fast")
SIT, STAND = Action("sit_down"), Action("stand_up")


@pytest.mark.parametrize(
    ("sentence", "actions"),
    [
        ("a person quickly takes 5 steps backwards", [BACKWARD]),
        ("person sits down then stands back up and repeats twice", [SIT, STAND, SIT, STAND]),
        ("he sits down and stands up three times", [SIT, STAND] * 3),
        ("she kicks twice with her left leg", [Action("kick", 2, side="left")]),
        ("a man jumps forward four times", [Action("jump", 4, direction="forward")]),
        ("jumping up and down", [Action("jump", direction="up")]),
        ("a person hops on the right foot", [Action("hop", side="right")]),
        ("someone turns around to the right", [Action("turn", direction="right", degrees=180.0)]),
        ("a person walks in a circle counterclockwise", [Action("walk", side="left", path="circle")]),
        ("he waves with both hands and bows", [Action("wave", side="both"), Action("bow")]),
        ("the person lies down and gets up", [Action("lie_down"), Action("get_up")]),
        ("someone gets up from the floor", [Action("get_up")]),
        ("a person walks a few steps", [Action("walk")]),
        ("slowly raises the right arm", [Action("raise_arms", side="right", speed="slow")]),
        ("stands still for three seconds", [Action("stand")]),
    ],
)
def test_a_sentence_asks_for_these_actions_and_nothing_is_guessed(sentence, actions):
    assert asked_of(sentence).program == Program(tuple(actions))


def test_what_the_oracles_do_not_know_is_named_and_the_rest_is_judged():
    asked = asked_of("a person dances and then claps twice")
    assert asked.program == Program((Action("clap", 2),))
    assert asked.unread == ("dance",)
    assert asked_of("he juggles").program is None
    assert asked_of("she runs in place").unread == ("run",)


def test_actions_at_the_same_time_have_no_order():
    assert asked_of("a man walks, then waves").ordered
    assert not asked_of("a man walks while waving his right hand").ordered


def test_the_packaged_prompts_are_understood_and_hold_the_papers_two():
    prompts = {prompt.text: prompt for prompt in packaged_prompts()}
    assert "a person quickly takes 5 steps backwards" in prompts
    assert "person sits down then stands back up and repeats twice" in prompts
    for prompt in prompts.values():
        assert prompt.asked.program is not None and not prompt.asked.unread, prompt.text
        named = [action for action in prompt.asked.program.actions if action.count or action.side or action.direction]
        repeated = len(prompt.asked.program.actions) > len(set(prompt.asked.program.actions))
        assert named or repeated or "back to his feet" in prompt.text


def test_captions_of_scripted_motions_are_read_as_what_was_scripted():
    """The verbs in their order ("repeatedly" says no number, so repetitions may lack), and no other attribute."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        program = sample_program(rng)
        for caption in describe(program, rng, 2):
            asked = asked_of(caption).program.actions
            if "repeatedly" in caption:
                assert {action.verb for action in asked} == {action.verb for action in program.actions}, caption
                continue
            assert [action.verb for action in asked] == [action.verb for action in program.actions], caption
            for read, made in zip(asked, program.actions, strict=True):
                for name in ("count", "side", "direction", "path", "degrees"):
                    assert getattr(read, name) in (None, getattr(made, name)), (caption, name)
                assert read.speed in ("normal", made.speed), caption
