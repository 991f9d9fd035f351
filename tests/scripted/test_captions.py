import re
from dataclasses import astuple
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from atm.motion.program import Action, Program, Verb
from atm.scripted.asked import asked_of
from atm.scripted.captions.captions import describe, inflect
from atm.scripted.sampling import HELD_OUT, _action, held_out, sample_program

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
NUMBER_OF = {word: number for number, word in enumerate(WORDS.split())} | {"once": 1, "twice": 2}
TURN_NAMES = {"quarter turn": 90, "half turn": 180, "three quarter turn": 270, "full turn": 360, "around": 180,
              "around once": 360, "full circle": 360}  # fmt: skip
# Says less than it means.
VAGUE = re.compile(r"\b(one|two|three)\b(?= (?:person|quarter))")


def sampled(count: int) -> list[tuple[Program, list[str]]]:
    found = []
    for i in range(count):
        rng = np.random.default_rng([11, i])
        program = sample_program(rng)
        found.append((program, describe(program, rng)))
    return found


SAMPLED = sampled(300)


def numbers_in(caption: str) -> list[int]:
    words = re.findall(r"[a-z]+|\d+", VAGUE.sub("", caption))
    return [int(word) if word.isdigit() else NUMBER_OF[word] for word in words if word.isdigit() or word in NUMBER_OF]


def numbers_of(program: Program) -> set[int]:
    numbers = {value for a in program.actions for value in (a.count, a.degrees, a.seconds) if value is not None}
    pairs = len(program.actions) // 2
    return {int(number) for number in numbers} | ({pairs} if program.actions == program.actions[:2] * pairs else set())


def sides_of(program: Program) -> set[str]:
    return {side for action in program.actions for side in (action.side, action.direction) if side in ("left", "right")}


def test_each_program_gets_three_different_captions_that_fit_the_file_format():
    for _, captions in SAMPLED:
        assert len(set(captions)) == 3
        for caption in captions:
            assert re.fullmatch(r"[a-z0-9 ,.]+", caption), caption
            assert "  " not in caption


def test_no_caption_names_a_number_that_the_program_does_not_have():
    for program, captions in SAMPLED:
        for caption in captions:
            assert set(numbers_in(caption)) <= numbers_of(program) | {1}, (program, caption)


def test_no_caption_names_a_side_that_the_program_does_not_have():
    for program, captions in SAMPLED:
        for caption in captions:
            words = set(re.findall("[a-z]+", caption))
            said = words & {"left", "right"}
            said |= {"left"} if "counterclockwise" in words else set()
            said |= {"right"} if "clockwise" in words else set()
            assert said <= sides_of(program), (program, caption)


def test_one_of_the_three_captions_tells_every_number_side_and_speed():
    slow = {"slowly", "slow", "unhurriedly"}
    fast = {"quickly", "fast", "rapidly", "sprint", "sprints", "sprinting"}

    def complete(program: Program, caption: str) -> bool:
        words = set(re.findall("[a-z]+", caption))
        numbers = set(numbers_in(caption)) | {d for name, d in TURN_NAMES.items() if name in caption}
        again = program.actions[:2] == program.actions[2:4]
        told = all(
            (again or (a.count or 1) == 1 or a.count in numbers)
            and (a.verb != "turn" or a.degrees in numbers)
            and (a.seconds is None or a.seconds in numbers)
            and (a.speed == "normal" or words & (slow if a.speed == "slow" else fast))
            for a in program.actions
        )
        side = {"counterclockwise": "left", "clockwise": "right"}
        return told and sides_of(program) <= words | {side[word] for word in words & set(side)}

    for program, captions in SAMPLED:
        assert any(complete(program, caption) for caption in captions), (program, captions)


def test_captions_tell_the_actions_in_the_order_in_which_they_happen():
    """Also with "before" and "after": the grammar never turns the order round."""
    program = Program((Action("clap", count=3), Action("walk", count=4, direction="backward", path="straight"),
                       Action("sit_down", count=1)))  # fmt: skip
    for i in range(50):
        for caption in describe(program, np.random.default_rng(i)):
            back = min(caption.find(word) for word in ("backing", "backs", "back") if word in caption)
            seat = max(caption.find(word) for word in ("sit", "seat"))
            assert caption.find("clap") < back < seat, caption


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([Action("walk", 5, direction="backward", path="straight")], "a person takes five steps backwards"),
        ([Action("walk", 5, direction="backward", path="straight")], "a person walks 5 steps backward"),
        ([Action("sit_down", 1), Action("stand_up", 1)] * 2, "a person sits down and stands back up twice"),
        ([Action("sit_down", 1), Action("stand_up", 1)] * 3, "someone sits down and stands back up three times"),
        ([Action("kick", 2, "left", "forward")], "a man kicks twice with his left leg"),
        ([Action("turn", direction="left", degrees=180.0)], "a person turns around to the left"),
        ([Action("turn", direction="right", degrees=90.0)], "a person turns 90 degrees clockwise"),
        ([Action("wave", 3, "right")], "a person raises their right hand and waves three times"),
        (
            [Action("walk", 4, direction="forward", path="straight"), Action("sit_down", 1)],
            "a person walks forward and sits down",
        ),
    ],
)
def test_the_grammar_says_what_people_say(actions, expected):
    program, rng = Program(tuple(actions)), np.random.default_rng(0)
    captions = (caption.rstrip(".") for _ in range(3000) for caption in describe(program, rng))
    assert any(caption == expected for caption in captions)


def test_a_waving_person_does_not_walk_at_the_same_time():
    """Plain "and" between an arm and a walk would say both at once."""
    program = Program((Action("wave", 2, "left"), Action("walk", 3, direction="forward", path="straight")))
    for i in range(100):
        for caption in describe(program, np.random.default_rng(i)):
            assert re.search(r"then|before|after", caption), caption


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([Action("wave", 2, "left"), Action("wave", 2, "right")],
         r"waves with .* left (hand|arm) twice(, then| and then| then) with the right"),
        ([Action("turn", direction="left", degrees=90.0), Action("turn", direction="right", degrees=90.0)],
         r"turns left(, then| and then| then) right"),
        ([Action("walk", 2, direction="left", path="straight"), Action("walk", 2, direction="right", path="straight")],
         r"takes (two|2) steps .*left(, then| and then| then) (two|2) (steps )?.*right"),
        ([Action("kick", 1, "left", "forward"), Action("kick", 1, "right", "forward")],
         r"kicks with .* left (foot|leg)(, then| and then| then) with the right"),
    ],
)  # fmt: skip
def test_what_is_done_to_one_side_and_then_to_the_other_is_said_with_one_verb(actions, expected):
    program, rng = Program(tuple(actions)), np.random.default_rng(0)
    assert any(re.search(expected, caption) for _ in range(300) for caption in describe(program, rng))


def test_three_actions_are_also_said_as_a_list_and_as_an_order():
    program = Program((Action("clap", 3), Action("jump", 2, direction="up"), Action("bow", 1)))
    captions = [caption for i in range(300) for caption in describe(program, np.random.default_rng(i))]
    assert any(re.search(r"claps three times, jumps twice in place,? and bows once", caption) for caption in captions)
    assert any(re.match(r"clap three times, jump .* and then (bow|take a bow)", caption) for caption in captions)


def test_nearly_every_caption_is_read_as_its_program():
    """What a sentence is read to ask, its program does. "Repeatedly" says no number of times to sit and stand."""
    wrong = []
    for program, captions in SAMPLED:
        for caption in captions:
            actions = asked_of(caption).program.actions if asked_of(caption).program else ()
            alike = [a.verb for a in actions] == [a.verb for a in program.actions] and all(
                said in (None, "normal", done)
                for ours, theirs in zip(actions, program.actions, strict=True)
                for said, done in zip(astuple(ours), astuple(theirs), strict=True)
            )
            if not alike and "repeatedly" not in caption:
                wrong.append((caption, program))
    assert len(wrong) <= 0.003 * 3 * len(SAMPLED), wrong


def test_the_same_random_numbers_give_the_same_captions():
    program = sample_program(np.random.default_rng(3))
    assert describe(program, np.random.default_rng(5)) == describe(program, np.random.default_rng(5))


@pytest.mark.parametrize(
    ("verb", "walks", "walking"),
    [
        ("walk", "walks", "walking"), ("sit", "sits", "sitting"), ("raise", "raises", "raising"),
        ("do", "does", "doing"),
        ("crouch", "crouches", "crouching"), ("lie", "lies", "lying"), ("clap", "claps", "clapping"),
        ("bow", "bows", "bowing"), ("sidestep", "sidesteps", "sidestepping"),
    ],
)  # fmt: skip
def test_verbs_are_inflected(verb, walks, walking):
    assert (inflect(verb, "walks"), inflect(verb, "walking"), inflect(verb, "walk")) == (walks, walking, verb)


def test_drawn_programs_can_be_done():
    """Seated people only use their arms or stand up, lying ones get up; what begins with rising begins down there."""
    after = {"sit_down": "seated", "lie_down": "lying", "stand_up": "standing", "get_up": "standing"}
    for program, _ in SAMPLED:
        rising = next((a.verb for a in program.actions if a.verb in after), None)
        posture = {"stand_up": "seated", "get_up": "lying"}.get(rising, "standing")
        for action in program.actions:
            if posture == "seated":
                assert action.verb in ("stand_up", "wave", "raise_arms", "clap")
            elif posture == "lying":
                assert action.verb == "get_up"
            else:
                assert action.verb not in ("stand_up", "get_up")
            posture = after.get(action.verb, posture)


def test_every_verb_side_direction_and_speed_is_drawn():
    actions = [action for program, _ in SAMPLED for action in program.actions]
    assert {action.verb for action in actions} == set(get_args(Verb))
    assert {(a.direction, a.path) for a in actions if a.verb == "walk"} == {
        ("forward", "straight"), ("forward", "curve"), ("forward", "circle"), ("backward", "straight"),
        ("left", "straight"), ("right", "straight"),
    }  # fmt: skip
    for verb in ("hop", "kick", "punch", "wave", "raise_arms"):
        assert {"left", "right"} <= {action.side for action in actions if action.verb == verb}
    assert {action.speed for action in actions} == {"slow", "normal", "fast"}


def test_some_programs_do_the_same_to_the_other_side_and_some_sit_down_again():
    pairs = [pair for program, _ in SAMPLED for pair in pairwise(program.actions)]
    ways = [(a, b) for a, b in pairs if a.verb == b.verb and (a.side, a.direction) != (b.side, b.direction)]
    assert len(ways) > 0.04 * len(pairs)
    verbs = {tuple(action.verb for action in program.actions) for program, _ in SAMPLED}
    assert ("sit_down", "stand_up", "sit_down") in verbs


def test_held_out_looks_at_each_action():
    kick = Action("kick", 3, "left", "forward")
    clap = Action("clap", 2)
    assert held_out(Program((clap, kick)))
    assert not held_out(Program((clap, Action("kick", 3, "right", "forward"))))
    assert not held_out(Program((clap, Action("kick", 2, "left", "forward"))))


def test_every_held_out_number_is_in_training_with_another_verb():
    """Else a model could not know what the number means."""
    shown = [action for program, _ in SAMPLED if not held_out(program) for action in program.actions]
    for combination in HELD_OUT:
        number = "degrees" if combination["verb"] == "turn" else "count"
        others = [a for a in shown if getattr(a, number) == combination[number]]
        assert any(a.verb != combination["verb"] or a.direction != combination.get("direction") for a in others)


def test_every_held_out_combination_is_drawn_but_together_they_are_few():
    rng = np.random.default_rng(1)
    for combination in HELD_OUT:
        drawn = (_action(rng, combination["verb"], alone=True) for _ in range(3000))
        assert any(held_out(Program((action,))) for action in drawn), combination
    assert 0.02 < np.mean([held_out(program) for program, _ in SAMPLED]) < 0.12
