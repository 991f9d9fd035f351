"""The scripted body does what its program says: each promise measured from the joints alone."""

import numpy as np
import pytest

from atm.data.scripted.perform import duration, perform
from atm.data.scripted.program import Action, Program
from atm.errors import InputError
from atm.motion import HUMANML3D

BONES = np.array(HUMANML3D.bone_lengths)
PARENTS = np.array(HUMANML3D.parents)
J = {name: i for i, name in enumerate(HUMANML3D.joint_names)}
FPS = HUMANML3D.fps

ONE_OF_EACH = [
    Action("walk", 4, None, "forward", "straight"),
    Action("walk", 3, None, "backward", "straight"),
    Action("walk", 4, None, "left", "straight"),
    Action("walk", 6, "left", "forward", "curve", 90.0),
    Action("walk", 8, "right", "forward", "circle", 360.0),
    Action("run", 6, None, "forward", "straight"),
    Action("jump", 2, None, "up"),
    Action("jump", 1, None, "forward"),
    Action("hop", 3, "left", "up"),
    Action("hop", 2, "right", "forward"),
    Action("turn", None, None, "right", None, 135.0),
    Action("sit_down", 1),
    Action("stand_up", 1),
    Action("lie_down", 1),
    Action("get_up", 1),
    Action("crouch", 1),
    Action("kick", 2, "left", "forward"),
    Action("punch", 3, "both", "forward"),
    Action("wave", 3, "left"),
    Action("raise_arms", 1, "both"),
    Action("bow", 1),
    Action("clap", 4),
    Action("stand", seconds=3.0),
]


def do(*actions: Action, seed: int = 0) -> np.ndarray:
    return perform(Program(actions), np.random.default_rng(seed))


def footfalls(joints: np.ndarray, least: float = 0.12) -> list[tuple[int, int, float]]:
    """(first frame, last frame, metres) of every swing of a toe that travels so far."""
    falls = []
    for toe in (J["left_foot"], J["right_foot"]):
        ground = joints[:, toe][:, [0, 2]]
        moving = np.linalg.norm(np.diff(ground, axis=0), axis=-1) * FPS > 0.25
        edges = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]])))
        for first, last in edges.reshape(-1, 2):
            travel = np.linalg.norm(ground[last] - ground[first])
            if travel > least:
                falls.append((int(first), int(last), float(travel)))
    return sorted(falls)


@pytest.mark.parametrize("action", ONE_OF_EACH, ids=lambda a: f"{a.verb}-{a.direction or a.side}-{a.path}")
def test_every_verb_keeps_bones_floor_and_length(action):
    joints = do(action, seed=3)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
    np.testing.assert_allclose(bones, np.broadcast_to(BONES[1:], bones.shape), atol=1e-4)
    assert joints[..., 1].min() > -0.005
    assert 40 <= len(joints) <= 196
    assert joints.dtype == np.float32
    np.testing.assert_allclose(joints[0, 0, [0, 2]], 0, atol=1e-6)


@pytest.mark.parametrize("speed", ["slow", "normal", "fast"])
@pytest.mark.parametrize("direction", ["forward", "backward", "left", "right"])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_a_walk_of_n_steps_has_n_footfalls(direction, count, speed):
    for seed in range(3):
        joints = do(Action("walk", count, None, direction, "straight", None, speed), seed=seed)
        assert len(footfalls(joints)) == count


def test_the_same_seed_gives_the_same_motion_and_another_seed_another():
    action = Action("walk", 4, None, "forward", "straight")
    np.testing.assert_array_equal(do(action, seed=5), do(action, seed=5))
    assert not np.array_equal(do(action, seed=5)[:40], do(action, seed=6)[:40])


def test_a_program_that_is_too_long_is_refused_with_its_length():
    slow_walks = Program((Action("walk", 8, None, "forward", "straight", None, "slow"),) * 2)
    with pytest.raises(InputError, match=r"needs \d+\.\d s, but a clip lasts at most 9\.8 s"):
        perform(slow_walks, np.random.default_rng(0))
    assert duration(slow_walks, np.random.default_rng(0)) > 9.8


def test_a_body_that_sits_does_not_walk():
    with pytest.raises(ValueError, match="walk starts standing, but the body is seated"):
        do(Action("sit_down", 1), Action("walk", 2, None, "forward", "straight"))
