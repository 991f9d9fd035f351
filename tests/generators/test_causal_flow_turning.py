"""Turns that come out as asked, measured on the joints."""

import numpy as np
import pytest
import torch

from atm.generators.causal_flow.columns import features_of_core
from atm.generators.causal_flow.plan import plan_of
from atm.generators.causal_flow.turning import turn_as_asked
from atm.motion import HUMANML3D, Motion, facing, features_from_joints
from atm.motion.program import Action, Program, TimedAction
from atm.scripted.motion.perform import perform_timed


def performed(*actions: Action, seed: int = 0):
    joints, timeline = perform_timed(Program(actions), np.random.default_rng(seed))
    features = features_from_joints(joints, HUMANML3D)
    return features[None, :, :67], timeline


def turned(core: torch.Tensor, first: int = 0, last: int = -1) -> float:
    """Return degrees to the right that hips and shoulders turn from one frame to another."""
    joints = Motion(features_of_core(core, HUMANML3D), torch.tensor([core.shape[1]])).joints[0]
    ahead = facing(joints, HUMANML3D)
    heading = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))
    return float(-np.degrees(heading[last] - heading[first]))


def corrected(core: torch.Tensor, timeline) -> torch.Tensor:
    lengths = torch.tensor([core.shape[1]])
    return turn_as_asked(core, plan_of([timeline], lengths, 20.0), lengths, HUMANML3D)


@pytest.mark.parametrize(("way", "sign"), [("right", 1), ("left", -1)])
@pytest.mark.parametrize("degrees", [90.0, 180.0])
def test_a_turn_that_is_not_far_enough_is_made_so(way, sign, degrees):
    """A turn of the root by four fifths only."""
    core, timeline = performed(Action("turn", direction=way, degrees=degrees))
    short = core.clone()
    short[..., 0] *= 0.8
    assert abs(turned(short)) < 0.9 * degrees
    assert turned(corrected(short, timeline)) == pytest.approx(sign * degrees, abs=3)


def test_a_right_turn_is_left_as_it_is():
    core, timeline = performed(Action("turn", direction="left", degrees=90.0))
    torch.testing.assert_close(corrected(core, timeline), core, atol=2e-3, rtol=0)


def test_a_curve_bends_as_far_as_is_asked():
    walk = Action("walk", count=6, direction="forward", path="curve", side="right", degrees=90.0)
    core, timeline = performed(walk)
    more = core.clone()
    more[..., 0] *= 1.3
    assert turned(corrected(more, timeline)) == pytest.approx(90, abs=3)


def test_only_the_action_that_asks_for_a_turn_is_changed():
    actions = (Action("bow", count=1), Action("turn", direction="left", degrees=90.0))
    core, timeline = performed(*actions)
    short = core.clone()
    short[..., 0] *= 0.8
    begin = round(20 * timeline[1].begin)
    made = corrected(short, timeline)
    torch.testing.assert_close(made[:, :begin], short[:, :begin])
    assert not torch.allclose(made[:, begin:], short[:, begin:])


@pytest.mark.parametrize("factor", [0.2, -1.0])
def test_a_turn_that_was_not_understood_is_not_bent_into_one(factor):
    core, timeline = performed(Action("turn", direction="left", degrees=180.0))
    wrong = core.clone()
    wrong[..., 0] *= factor
    torch.testing.assert_close(corrected(wrong, timeline), wrong)


def test_what_asks_for_no_turn_is_left_alone():
    core, _ = performed(Action("walk", count=4, direction="forward", path="straight"))
    timeline = (TimedAction(Action("kick", count=1, side="right"), 0.0, (0.2, 1.0), 2.0),)
    torch.testing.assert_close(corrected(core, timeline), core)
