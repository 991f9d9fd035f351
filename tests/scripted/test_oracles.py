"""Oracles on a stick figure whose every move the test sets: what is right is known without any generator."""

import math

import numpy as np
import pytest
from puppet import FPS, STANDING, Puppet

from atm.base.errors import InputError
from atm.motion.program import Action, Program
from atm.scripted import oracles
from atm.scripted.oracles.body import Span
from atm.scripted.oracles.pace import speed_of


def walking(steps: int, *, length: float = 0.6, heading: float = 0.0, step_seconds: float = 0.5) -> Puppet:
    """Steps of one length towards `heading` (degrees to the left of where the body faces); the last foot closes."""
    puppet = Puppet(1.0 + steps * step_seconds + 1.0)
    way = np.array([np.sin(np.radians(heading)), 0.0, np.cos(np.radians(heading))])
    foot_at, foot = [0.0, 0.0], 0
    for i in range(steps):
        at = 0.5 + i * step_seconds
        target = max(foot_at) if i == steps - 1 and steps > 1 else max(foot_at) + length
        go = puppet.ramp(at, step_seconds * 0.9)[:, None] * (target - foot_at[foot]) * way
        puppet.ankles[foot] += go + puppet.bump(at, step_seconds * 0.9)[:, None] * np.array([0, 0.1, 0])
        foot_at[foot] = target
        foot = 1 - foot
    # The pelvis follows the middle of the feet.
    puppet.pelvis[:, [0, 2]] += (puppet.ankles.mean(0) - puppet.ankles.mean(0)[0])[:, [0, 2]]
    return puppet


def jumping(times: int, *, height: float = 0.25, feet: tuple[int, ...] = (0, 1)) -> Puppet:
    """Dips, flies as a thrown stone does, and lands; only `feet` carry, the other foot is held up."""
    flight = 2 * math.sqrt(2 * height / 9.81)
    puppet = Puppet(1.0 + times * (flight + 0.7) + 0.5)
    seconds = np.arange(puppet.frames) / FPS
    for i in range(times):
        off = 1.0 + i * (flight + 0.7)
        u = np.clip((seconds - off) / flight, 0, 1)
        stone = 4 * height * u * (1 - u)
        puppet.pelvis[:, 1] += stone - 0.2 * puppet.bump(off - 0.6, 0.6) - 0.1 * puppet.bump(off + flight, 0.4)
        puppet.ankles[:, :, 1] += stone
    for foot in {0, 1} - set(feet):
        puppet.ankles[foot, :, 1] += 0.3 * puppet.ramp(0.1, 0.4)
        puppet.ankles[foot, :, 2] -= 0.2
    return puppet


def lifted(side: int, *, waves: int = 0) -> Puppet:
    """Lifts one hand over the shoulder, perhaps moves it out and back, and takes it down."""
    puppet = Puppet(3.0 + 0.6 * waves)
    up = puppet.ramp(0.5, 0.6) - puppet.ramp(1.6 + 0.6 * waves, 0.6)
    puppet.wrists[side] += up[:, None] * np.array([0.05, 0.8, 0.15])
    for i in range(waves):
        puppet.wrists[side, :, 0] += 0.2 * puppet.bump(1.2 + 0.6 * i, 0.6)
    return puppet


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_every_footfall_that_travels_is_a_step(steps):
    assert oracles.count_steps(walking(steps).joints()) == steps


@pytest.mark.parametrize(("heading", "name"), [(0, "forward"), (180, "backward"), (90, "left"), (-90, "right")])
def test_direction_is_told_relative_to_where_the_body_faces(heading, name):
    puppet = walking(6, length=0.35, heading=heading)
    assert oracles.travel_direction(puppet.joints()) == name
    puppet = walking(6, length=0.35, heading=heading)
    quarter = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # the whole scene turned by 90 degrees
    assert oracles.travel_direction(puppet.joints() @ quarter.T) == name


def test_somebody_who_marches_on_the_spot_makes_no_steps_that_travel():
    puppet = Puppet(4)
    for i in range(5):
        puppet.ankles[i % 2, :, 1] += 0.15 * puppet.bump(0.5 + 0.5 * i, 0.5)
    assert oracles.count_steps(puppet.joints()) == 0
    assert oracles.travel_direction(puppet.joints()) is None


@pytest.mark.parametrize("degrees", [90, -90, 180, 360, -45])
def test_a_turn_to_the_left_counts_positive(degrees):
    puppet = Puppet(4)
    puppet.yaw = degrees * puppet.ramp(0.5, 3.0)
    puppet.feet_yaw += puppet.yaw
    radians = np.radians(puppet.yaw)
    for foot, out in ((0, 0.075), (1, -0.075)):
        puppet.ankles[foot, :, 0] = out * np.cos(radians) - 0.07 * np.sin(radians)
        puppet.ankles[foot, :, 2] = -out * np.sin(radians) - 0.07 * np.cos(radians)
    assert oracles.turn_degrees(puppet.joints()) == pytest.approx(degrees, abs=3)
    action = Action("turn", direction="left" if degrees > 0 else "right", degrees=float(abs(degrees)))
    assert oracles.judge(puppet.joints(), Program((action,))).right


@pytest.mark.parametrize("times", [1, 3])
def test_a_jump_is_a_flight_from_both_feet(times):
    joints = jumping(times).joints()
    assert oracles.count_jumps(joints) == times
    assert oracles.count_hops(joints) == {"left": 0, "right": 0}


def test_a_hop_is_a_flight_from_one_foot():
    joints = jumping(3, height=0.12, feet=(1,)).joints()
    assert oracles.count_hops(joints) == {"left": 0, "right": 3}
    assert oracles.count_jumps(joints) == 0


def test_knee_bends_are_no_jumps():
    puppet = Puppet(4)
    puppet.pelvis[:, 1] -= 0.15 * (puppet.bump(0.5, 1.0) + puppet.bump(2.0, 1.0))
    assert oracles.count_jumps(puppet.joints()) == 0


def sitting(times: int) -> Puppet:
    """Down to a chair behind the feet and up again."""
    puppet = Puppet(4.0 * times + 0.5)
    for i in range(times):
        down = puppet.ramp(0.5 + 4 * i, 1.2) - puppet.ramp(2.7 + 4 * i, 1.2)
        puppet.pelvis += down[:, None] * np.array([0.0, 0.57 - STANDING, -0.35])
        puppet.lean += 35 * (puppet.bump(0.5 + 4 * i, 1.2) + puppet.bump(2.7 + 4 * i, 1.2))
    return puppet


def test_sitting_down_and_standing_up_are_told_apart_and_counted():
    joints = sitting(2).joints()
    assert (oracles.count_sits(joints), oracles.count_stands(joints)) == (2, 2)
    assert oracles.count_crouches(joints) == oracles.count_bows(joints) == 0
    # Read backwards in time, a stand is a sit.
    assert oracles.count_sits(joints[: len(joints) // 2][::-1]) == 1


def test_a_crouch_keeps_the_weight_over_the_feet():
    puppet = Puppet(4)
    down = puppet.bump(0.5, 2.5)
    puppet.pelvis += down[:, None] * np.array([0.0, -0.4, -0.12])
    puppet.lean = 45 * down
    assert oracles.count_crouches(puppet.joints()) == 1
    assert oracles.count_sits(puppet.joints()) == 0


def test_a_bow_leans_over_straight_legs():
    puppet = Puppet(6)
    puppet.lean = 40 * (puppet.bump(0.5, 2.0) + puppet.bump(3.0, 2.0))
    assert oracles.count_bows(puppet.joints()) == 2
    assert oracles.count_crouches(puppet.joints()) == 0


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
def test_a_raised_hand_does_not_wave(side, name):
    joints = lifted(side).joints()
    assert (oracles.raised_hand(joints), oracles.waving_hand(joints)) == (name, None)


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
@pytest.mark.parametrize("waves", [2, 3, 5])
def test_one_wave_is_one_stroke_out_and_back(side, name, waves):
    joints = lifted(side, waves=waves).joints()
    assert oracles.waving_hand(joints) == name
    assert oracles.count_waves(joints) == waves


def test_claps_are_counted_where_the_wrists_meet():
    puppet = Puppet(4)
    front = puppet.ramp(0.3, 0.5) - puppet.ramp(3.2, 0.5)
    puppet.wrists += front[:, None] * np.array([-0.08, 0.25, 0.3])
    for i in range(4):
        puppet.wrists[:, :, 0] -= 0.14 * puppet.bump(1.0 + 0.5 * i, 0.5)[None]
    assert oracles.count_claps(puppet.joints()) == 4


@pytest.mark.parametrize(("side", "name"), [(0, "left"), (1, "right")])
def test_punches_and_kicks_are_counted_by_side(side, name):
    puppet = Puppet(5)
    guard = puppet.ramp(0.3, 0.4) - puppet.ramp(4.4, 0.4)
    puppet.wrists += guard[:, None] * (np.array([-0.1, -0.05, 0.2]) - puppet.wrists[0, 0])
    for i in range(3):
        puppet.wrists[side] += puppet.bump(1.0 + 1.1 * i, 0.5)[:, None] * np.array([0, 0.05, 0.27])
    other = {"left": "right", "right": "left"}[name]
    assert oracles.count_punches(puppet.joints()) == {name: 3, other: 0}

    puppet = Puppet(4)
    for i in range(2):
        puppet.ankles[side] += puppet.bump(0.5 + 1.5 * i, 1.0)[:, None] * np.array([0, 0.5, 0.78])
    assert oracles.count_kicks(puppet.joints()) == {name: 2, other: 0}


def walk_then_sit() -> np.ndarray:
    """Five steps forward, then down on a chair."""
    walk, sit = walking(5).joints(), sitting(1).joints()[:50]
    return np.concatenate([walk, sit + (walk[-1, 0] - sit[0, 0]) * np.array([1, 0, 1])])


WALK, SIT = Action("walk", count=5, direction="forward", path="straight"), Action("sit_down", count=1)


def test_a_sequence_is_read_in_its_order():
    said = [one.verb for one in oracles.read(walk_then_sit()).actions if one.verb != "stand"]
    assert said == ["walk", "sit_down"]


def test_a_verdict_names_each_attribute_that_is_wrong():
    joints = walk_then_sit()
    assert oracles.judge(joints, Program((WALK, SIT))).right
    asked = Action("walk", count=4, direction="backward", path="straight")
    verdict = oracles.judge(joints, Program((asked, SIT)))
    wrong = {check.attribute: (check.asked, check.made) for check in verdict.checks if not check.right}
    assert wrong == {"count": (4, 5), "direction": ("backward", "forward")}
    assert "asked 4 steps, made 5" in str(verdict)


def test_the_right_actions_in_the_wrong_order_fail_only_the_order():
    verdict = oracles.judge(walk_then_sit(), Program((SIT, WALK)))
    assert [check.attribute for check in verdict.checks if not check.right] == ["order"]


def test_an_action_is_in_its_part_where_most_of_it_happens_there():
    joints = walk_then_sit()
    end = len(joints) / FPS
    verdict = oracles.judge(joints, Program((WALK, SIT)))
    sits = verdict.answers[1][0].span.start / FPS
    assert oracles.in_their_parts(verdict, [(0, sits), (sits, end)]) == [True, True]
    assert oracles.in_their_parts(verdict, [(sits, end), (0, sits)]) == [False, False]
    other = oracles.judge(joints, Program((WALK, Action("clap", count=1))))
    assert oracles.in_their_parts(other, [(0, sits), (sits, end)]) == [True, False]


def test_what_was_not_done_is_wrong_in_every_attribute():
    verdict = oracles.judge(Puppet(3).joints(), Program((WALK,)))
    assert {check.attribute for check in verdict.checks} == {"occurs", "count", "direction", "path"}
    assert not any(check.right for check in verdict.checks)


def test_scores_are_shares_with_wilson_intervals():
    walks = [oracles.judge(walking(n).joints(), Program((WALK,))) for n in (5, 5, 5, 4)]
    scores = oracles.oracle_scores(walks)
    assert scores["count"]["right"] == 0.75 and scores["count"]["n"] == 4
    assert scores["direction"]["right"] == 1.0 and "side" not in scores
    # Wilson, p = 1, n = 4: low = 1 / (1 + z² / n)
    assert scores["direction"]["low"] == pytest.approx(1 / (1 + 1.96**2 / 4), abs=1e-3)
    assert scores["direction"]["high"] == pytest.approx(1.0)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_the_shortest_clips_are_read_without_a_crash(frames):
    joints = Puppet(1).joints()[:frames]
    assert oracles.read(joints).actions == ()
    assert oracles.turn_degrees(joints) == pytest.approx(0)
    assert not oracles.judge(joints, Program((WALK, SIT))).right


def test_noise_of_two_centimetres_changes_no_count():
    rng = np.random.default_rng(0)
    for truth in (walking(5), walking(8, heading=180)):
        joints = truth.joints()
        noisy = joints + rng.normal(0, 0.02, joints.shape)
        assert oracles.count_steps(noisy) == oracles.count_steps(joints)
    noisy = lifted(0, waves=4).joints()
    assert oracles.count_waves(noisy + rng.normal(0, 0.02, noisy.shape)) == 4
    noisy = jumping(2).joints()
    assert oracles.count_jumps(noisy + rng.normal(0, 0.02, noisy.shape)) == 2


def test_pure_noise_is_nothing_but_standing():
    rng = np.random.default_rng(0)
    joints = Puppet(8).joints()
    seen = oracles.read(joints + rng.normal(0, 0.02, joints.shape)).actions
    assert {one.verb for one in seen} <= {"stand"}


def test_bad_joints_are_refused_with_a_sentence():
    joints = Puppet(1).joints()
    with pytest.raises(InputError, match=r"shape \(frames, 22, 3\)"):
        oracles.read(joints[:, :21])
    with pytest.raises(InputError, match="empty"):
        oracles.read(joints[:0])
    joints[7, 3, 1] = np.nan
    with pytest.raises(InputError, match="first: frame 7"):
        oracles.judge(joints, Program((WALK,)))


def test_a_span_without_frames_shows_no_pace():
    """In a motion that is cut or torn, a lying body may be up again before it was down."""
    body = oracles.Body.of(walking(4).joints())
    for verb in ("lie_down", "get_up", "turn", "jump", "bow", "run"):
        assert speed_of(body, verb, Span(30, 20), beats=range(8)) is None


def test_torn_motions_are_judged_without_an_error():
    """Frames in random order, drifting joints, bodies pressed flat or turned over: whatever a model may make."""
    rng = np.random.default_rng(0)
    program = Program((Action("walk", count=4, direction="forward"), Action("lie_down", count=1), Action("jump")))
    for _ in range(6):
        joints = walking(4).joints()
        drift = np.cumsum(rng.normal(0, 0.05, joints.shape), axis=0)
        for torn in (rng.permutation(joints), joints + drift, joints * [1, 0.2, 1], joints * [1, -1, 1], joints[:3]):
            assert oracles.judge(torn, program).checks
