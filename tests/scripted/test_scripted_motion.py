"""The scripted body does what its program says: each promise measured from the joints alone."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.signal import find_peaks

from atm.base.errors import InputError
from atm.motion import HUMANML3D
from atm.motion.measures import foot_skate
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import duration, perform

BONES = np.array(HUMANML3D.bone_lengths)
PARENTS = np.array(HUMANML3D.parents)
J = {name: i for i, name in enumerate(HUMANML3D.joint_names)}
FPS = HUMANML3D.fps
SIDES = ("left", "right")

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
COUNTED = [Action(a.verb, 1, a.side, a.direction, a.path) for a in ONE_OF_EACH if a.count]


def named(action: Action) -> str:
    return "-".join(str(part) for part in (action.verb, action.direction, action.side, action.path) if part)


def do(*actions: Action, seed: int = 0) -> np.ndarray:
    return perform(Program(actions), np.random.default_rng(seed))


def footfalls(joints: np.ndarray, least: float = 0.12) -> list[str]:
    """Side of every swing of a toe that travels so many metres, in order of its start."""
    falls = []
    for side in SIDES:
        ground = joints[:, J[f"{side}_foot"]][:, [0, 2]]
        moving = np.linalg.norm(np.diff(ground, axis=0), axis=-1) * FPS > 0.25
        edges = np.flatnonzero(np.diff(np.concatenate([[0], moving.astype(int), [0]])))
        for first, last in edges.reshape(-1, 2):
            if np.linalg.norm(ground[last] - ground[first]) > least:
                falls.append((int(first), side))
    return [side for _, side in sorted(falls)]


def heading(joints: np.ndarray) -> np.ndarray:
    """Degrees that the hips face, + turned left, unwrapped."""
    across = joints[:, J["left_hip"]] - joints[:, J["right_hip"]]
    return np.degrees(np.unwrap(np.arctan2(-across[:, 2], across[:, 0])))


def runs(flags: np.ndarray) -> int:
    """Runs of True."""
    return int((np.diff(np.concatenate([[0], flags.astype(int)])) == 1).sum())


def bend(joints: np.ndarray, first: str, middle: str, last: str) -> np.ndarray:
    """Degrees between two bones in a row, 0 straight."""
    upper, lower = joints[:, J[middle]] - joints[:, J[first]], joints[:, J[last]] - joints[:, J[middle]]
    cosine = (upper * lower).sum(-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(lower, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize("action", ONE_OF_EACH, ids=named)
def test_every_verb_keeps_its_bones_stays_above_the_floor_and_within_the_length_of_a_clip(action):
    joints = do(action, seed=3)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
    np.testing.assert_allclose(bones, np.broadcast_to(BONES[1:], bones.shape), atol=1e-4)
    assert joints[..., 1].min() > -0.005
    assert 40 <= len(joints) <= 196
    assert joints.dtype == np.float32
    np.testing.assert_allclose(joints[0, 0, [0, 2]], 0, atol=1e-6)
    assert abs(heading(joints)[0]) < 10


@pytest.mark.parametrize("seed", [0, 183, 285, 392])
def test_lying_down_after_a_single_step_keeps_bones_and_floor(seed):
    """A foot left far ahead is drawn in first; it was pulled through the floor. The elbow that comes to rest on the
    floor carries its wrist; the forearm was 4 mm too long."""
    joints = do(Action("walk", 1, None, "forward", "straight"), Action("lie_down", 1), seed=seed)
    bones = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
    np.testing.assert_allclose(bones, np.broadcast_to(BONES[1:], bones.shape), atol=1e-4)
    assert joints[..., 1].min() > -0.005


@pytest.mark.parametrize("action", ONE_OF_EACH, ids=named)
def test_joints_stay_within_human_ranges(action):
    joints = do(action, seed=4)
    for side in SIDES:
        knee = bend(joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        elbow = bend(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        assert knee.min() > 2
        assert knee.max() < 152
        assert elbow.min() > 3, "an elbow is never straight"
        assert elbow.max() < 146


@pytest.mark.parametrize("action", ONE_OF_EACH, ids=named)
def test_planted_feet_slide_less_than_those_of_captured_people(action):
    """Captured walks slide 1.7 to 9.6 cm/s by this measure, captured gestures up to 0.38."""
    assert foot_skate(torch.from_numpy(do(action, seed=5)), HUMANML3D) < 0.38


WALKS = list(product(["forward", "backward", "left", "right"], [1, 2, 5], ["normal"]))
WALKS += [("forward", 8, "slow"), ("backward", 8, "slow"), ("left", 8, "fast"), ("forward", 12, "fast")]


@pytest.mark.parametrize(("direction", "count", "speed"), WALKS)
def test_a_walk_of_n_steps_has_n_footfalls_of_alternating_feet(direction, count, speed):
    falls = footfalls(do(Action("walk", count, None, direction, "straight", None, speed), seed=count))
    assert len(falls) == count
    assert all(one != other for one, other in pairwise(falls))


@pytest.mark.parametrize("count", [3, 6, 12])
def test_a_run_of_n_steps_has_n_footfalls_and_a_flight_before_all_but_the_first_landing(count):
    joints = do(Action("run", count, None, "forward", "straight"), seed=count)
    assert len(footfalls(joints)) == count
    in_air = (joints[:, [J["left_foot"], J["right_foot"]], 1] > 0.012).all(1)
    assert runs(in_air) == count - 1


@pytest.mark.parametrize(
    ("direction", "way"), [("forward", (0, 1)), ("backward", (0, -1)), ("left", (1, 0)), ("right", (-1, 0))]
)
def test_a_walk_goes_in_its_direction_and_keeps_facing_ahead(direction, way):
    joints = do(Action("walk", 4, None, direction, "straight"), seed=1)
    gone = joints[-1, 0, [0, 2]] - joints[0, 0, [0, 2]]
    assert gone @ way > 0.5
    assert abs(gone[0] * way[1] - gone[1] * way[0]) < 0.1
    assert abs(heading(joints)[-1] - heading(joints)[0]) < 8


@pytest.mark.parametrize("degrees", [45, 90, 180, 360])
@pytest.mark.parametrize("side", SIDES)
def test_a_turn_changes_the_heading_by_its_degrees_and_stays_on_the_spot(side, degrees):
    joints = do(Action("turn", None, None, side, None, float(degrees)), seed=degrees)
    change = np.median(heading(joints)[-6:]) - np.median(heading(joints)[:4])
    assert change == pytest.approx(degrees if side == "left" else -degrees, abs=8)
    assert np.linalg.norm(joints[-1, 0, [0, 2]] - joints[0, 0, [0, 2]]) < 0.12


@pytest.mark.parametrize(("path", "degrees"), [("curve", 60.0), ("curve", 120.0), ("circle", 360.0)])
@pytest.mark.parametrize("side", SIDES)
def test_a_curve_turns_to_its_side_by_its_degrees_with_exact_steps(side, path, degrees):
    joints = do(Action("walk", 8, side, "forward", path, degrees), seed=2)
    change = np.median(heading(joints)[-6:]) - np.median(heading(joints)[:4])
    assert change == pytest.approx(degrees if side == "left" else -degrees, abs=8)
    assert len(footfalls(joints)) == 8
    if path == "circle":
        assert np.linalg.norm(joints[-1, 0, [0, 2]] - joints[0, 0, [0, 2]]) < 0.15


@pytest.mark.parametrize(("count", "direction"), [(1, "up"), (3, "up"), (2, "forward")])
def test_every_jump_is_a_free_fall_with_both_feet_off_the_floor(count, direction):
    joints = do(Action("jump", count, None, direction), seed=count)
    air = (joints[:, [J["left_foot"], J["right_foot"]], 1] > 0.03).all(1)
    assert runs(air) == count
    fall = np.diff(joints[:, 0, 1], n=2) * FPS**2
    inside = air[:-2] & air[1:-1] & air[2:]
    assert np.median(fall[inside]) == pytest.approx(-9.81, abs=0.6)
    gone = joints[-1, 0, 2] - joints[0, 0, 2]
    assert gone > 0.6 * count if direction == "forward" else abs(gone) < 0.1


@pytest.mark.parametrize(
    ("side", "direction", "count"), [("left", "up", 3), ("right", "forward", 4), ("left", "up", 1)]
)
def test_every_hop_takes_off_and_lands_on_its_foot_alone(side, direction, count):
    joints = do(Action("hop", count, side, direction), seed=count)
    other = "right" if side == "left" else "left"
    hopping, free = (joints[:, J[f"{name}_foot"], 1] for name in (side, other))
    assert runs((hopping > 0.03) & (free > 0.03)) == count
    first, last = np.flatnonzero(hopping > 0.03)[[0, -1]]
    assert free[first : last + 1].min() > 0.10


@pytest.mark.parametrize(("side", "count"), [("left", 1), ("right", 3)])
def test_a_kick_swings_that_foot_up_and_out_and_no_other(side, count):
    joints = do(Action("kick", count, side, "forward"), seed=count)
    other = "right" if side == "left" else "left"
    out = joints[:, J[f"{side}_ankle"], 2] - joints[:, J["pelvis"], 2]
    peaks, _ = find_peaks(out, height=0.55, prominence=0.2)
    assert len(peaks) == count
    assert joints[peaks, J[f"{side}_ankle"], 1].min() > 0.5
    assert joints[:, J[f"{other}_ankle"], 1].max() < 0.1
    foot = joints[:, J[f"{side}_foot"]]
    assert np.linalg.norm(foot[-1] - foot[0]) < 0.05, "it comes back to where it stood"


@pytest.mark.parametrize(("side", "count"), [("left", 2), ("right", 1), ("both", 5)])
def test_punches_stretch_the_named_arm_so_many_times(side, count):
    joints = do(Action("punch", count, side, "forward"), seed=count)
    blows = {}
    for name in SIDES:
        reach = np.linalg.norm(joints[:, J[f"{name}_wrist"]] - joints[:, J[f"{name}_shoulder"]], axis=-1)
        ahead = joints[:, J[f"{name}_wrist"], 2] - joints[:, J["pelvis"], 2]
        blows[name] = len(find_peaks(np.where(ahead > 0.35, reach, 0), height=0.46, prominence=0.15)[0])
    if side == "both":
        assert sum(blows.values()) == count
        assert abs(blows["left"] - blows["right"]) <= 1
    else:
        assert blows == {name: count if name == side else 0 for name in SIDES}


@pytest.mark.parametrize(("side", "count", "speed"), [("left", 3, "normal"), ("right", 1, "slow"), ("both", 5, "fast")])
def test_a_wave_goes_out_and_back_so_many_times(side, count, speed):
    joints = do(Action("wave", count, side, speed=speed), seed=count)
    for name, outward in zip(SIDES, (1, -1), strict=True):
        wrist, elbow, shoulder = (joints[:, J[f"{name}_{part}"]] for part in ("wrist", "elbow", "shoulder"))
        up = (wrist[:, 1] > shoulder[:, 1]) & (wrist[:, 1] > elbow[:, 1])
        out = np.where(up, outward * (wrist - shoulder)[:, 0], 0.0)
        strokes = len(find_peaks(out, prominence=0.1)[0])
        assert strokes == (count if side in (name, "both") else 0)


@pytest.mark.parametrize(("side", "count"), [("left", 2), ("right", 1), ("both", 3)])
def test_raised_arms_go_above_the_head_so_many_times(side, count):
    joints = do(Action("raise_arms", count, side), seed=count)
    for name in SIDES:
        above = joints[:, J[f"{name}_wrist"], 1] > joints[:, J["head"], 1]
        assert runs(above) == (count if side in (name, "both") else 0)


@pytest.mark.parametrize(("count", "speed"), [(1, "normal"), (4, "slow"), (8, "fast")])
def test_hands_meet_once_for_every_clap(count, speed):
    joints = do(Action("clap", count, speed=speed), seed=count)
    apart = np.linalg.norm(joints[:, J["left_wrist"]] - joints[:, J["right_wrist"]], axis=-1)
    meets, _ = find_peaks(-apart, height=-0.13, prominence=0.05)
    assert len(meets) == count


@pytest.mark.parametrize("count", [1, 3])
def test_bows_and_crouches_are_as_many_as_said(count):
    bows = do(Action("bow", count), seed=count)
    trunk = bows[:, J["neck"]] - bows[:, J["pelvis"]]
    lean = np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1]))
    assert runs(lean > 25) == count
    assert bows[:, 0, 1].min() > 0.85
    crouches = do(Action("crouch", count), seed=count)
    assert runs(crouches[:, 0, 1] < 0.65) == count
    assert crouches[-1, 0, 1] > 0.93


def test_who_sits_down_stays_seated_and_who_stands_up_was():
    down, up = do(Action("sit_down", 1), seed=1), do(Action("stand_up", 1), seed=1)
    for standing, seated in ((down[0], down[-1]), (up[-1], up[0])):
        assert standing[0, 1] == pytest.approx(0.95, abs=0.02)
        assert seated[0, 1] == pytest.approx(0.56, abs=0.04), "seats differ in height"
    assert runs(do(Action("sit_down", 2), seed=1)[:, 0, 1] < 0.65) == 2


def test_who_lies_down_ends_flat_on_the_back_and_who_gets_up_was():
    down, up = do(Action("lie_down", 1), seed=1), do(Action("get_up", 1), seed=1)
    for lying in (down[-1], up[0]):
        assert lying[[0, J["neck"], J["left_knee"], J["left_ankle"]], 1].max() < 0.2
        assert np.linalg.norm((lying[J["neck"]] - lying[J["left_ankle"]])[[0, 2]]) > 1.2
    assert down[0, 0, 1] == pytest.approx(0.95, abs=0.02)
    assert up[-1, 0, 1] == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("action", COUNTED, ids=named)
def test_slow_takes_longer_than_normal_and_normal_longer_than_fast(action):
    def seconds(speed: str, count: int) -> float:
        fields = {**vars(action), "count": count, "speed": speed}
        return float(np.mean([duration(Program((Action(**fields),)), np.random.default_rng(s)) for s in range(2)]))

    if action.verb == "run":
        # Running keeps its cadence: its speed is over the ground.
        slow, fast = (do(Action(**{**vars(action), "count": 8, "speed": speed})) for speed in ("slow", "fast"))
        assert fast[-1, 0, 2] > 1.3 * slow[-1, 0, 2]
    else:
        assert seconds("slow", 3) > 1.1 * seconds("normal", 3) > 1.2 * seconds("fast", 3)


def test_actions_follow_one_another_without_a_halt_in_between():
    joints = do(Action("walk", 3, None, "forward", "straight"), Action("wave", 2, "right"), Action("bow", 1), seed=7)
    rest = np.linalg.norm(np.diff(joints - joints[:, :1], axis=0), axis=-1).max(1) * FPS
    assert rest.min() > 0.01
    assert np.abs(np.diff(joints[:, 0], n=2, axis=0)).max() * FPS < 0.65, "largest change of the root's velocity, m/s"


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
