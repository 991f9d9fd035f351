"""Times of scripted actions: where the timeline says that a repetition is done, the motion does it."""

from itertools import pairwise

import numpy as np
import pytest

from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform, perform_timed
from atm.scripted.oracles.body import Body
from atm.scripted.oracles.steps import footfalls

SEEDS = range(4)


def marks_of(action: Action, seed: int):
    joints, (timed,) = perform_timed(Program((action,)), np.random.default_rng(seed))
    return joints, np.array(timed.marks)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "action",
    [
        Action("walk", count=5, direction="forward", path="straight"),
        Action("walk", count=4, direction="left", path="straight"),
        Action("walk", count=3, direction="backward", path="straight", speed="slow"),
    ],
)
def test_a_step_is_done_when_its_foot_is_planted(action, seed):
    joints, marks = marks_of(action, seed)
    landings = np.array([fall.land for fall in footfalls(Body.of(joints))]) / 20
    assert len(marks) == action.count + 1
    np.testing.assert_allclose(landings, marks[1:], atol=0.16)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("direction", ["up", "forward"])
def test_a_jump_is_done_when_the_body_lands(direction, seed):
    """The lowest toe comes down to the floor within two frames of the mark, having been in the air before."""
    joints, marks = marks_of(Action("jump", count=3, direction=direction), seed)
    height = joints[:, [10, 11], 1].min(1)
    for mark in marks[1:]:
        frame = round(mark * 20)
        assert height[frame - 5 : frame - 1].max() > 0.08 and height[frame : frame + 3].min() < 0.05


@pytest.mark.parametrize(
    ("action", "marks"),
    [
        (Action("clap", count=6), 7),
        (Action("wave", count=3, side="left"), 4),
        (Action("punch", count=2, side="right", direction="forward"), 3),
        (Action("kick", count=2, side="left", direction="forward"), 3),
        (Action("raise_arms", count=2, side="both"), 3),
        (Action("hop", count=4, side="left", direction="up"), 5),
        (Action("bow", count=2), 3),
        (Action("crouch", count=2), 3),
        (Action("turn", direction="left", degrees=90.0), 2),
        (Action("sit_down", count=2), 4),
        (Action("lie_down", count=1), 2),
        (Action("stand", seconds=2.0), 0),
    ],
)
def test_an_action_has_a_mark_where_it_begins_and_one_for_each_repetition(action, marks):
    """Who sits down twice stands up in between: three moves. A turn is one; standing has none."""
    assert len(marks_of(action, 0)[1]) == marks


def test_hands_meet_in_the_middle_between_two_marks():
    joints, marks = marks_of(Action("clap", count=4), 1)
    apart = np.linalg.norm(joints[:, 20] - joints[:, 21], axis=-1)
    for first, second in pairwise(marks):
        inside = np.arange(round(first * 20), round(second * 20) + 1)
        assert abs(inside[apart[inside].argmin()] / 20 - 0.5 * (first + second)) < 0.11


def test_timing_changes_nothing_of_the_motion():
    program = Program((Action("walk", count=3, direction="forward", path="straight"), Action("bow", count=1)))
    alone = perform(program, np.random.default_rng(5))
    timed, _ = perform_timed(program, np.random.default_rng(5))
    np.testing.assert_array_equal(alone, timed)
