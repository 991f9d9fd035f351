"""Scripted motion stays within what captured motion measures.

Each number lies between half the 5 % quantile and 1.3 times the 95 % quantile of captured clips of its kind: 245 walks
(two collections; the wider of both), 276 runs, 527 clips of raising and waving hands. A lower bound that only says how
noisy captured feet are is left out: scripted feet may be better.
"""

import numpy as np
import pytest

from atm.motion import HUMANML3D
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

J = {name: i for i, name in enumerate(HUMANML3D.joint_names)}
FPS = HUMANML3D.fps
UPPER_BODY = [J[name] for name in HUMANML3D.joint_names if name.split("_")[-1] in ("shoulder", "elbow", "wrist")]
UPPER_BODY += [J["neck"], J["head"]]

WALK = {
    "jerk": (53, 209), "root jerk": (30, 114), "wrist jerk over speed": (50, 206), "root join": (0.20, 0.65),
    "largest join": (1.5, 4.0), "pelvis height sd": (0.7, 3.3), "pelvis height range": (3.2, 12), "lean sd": (0.6, 2.7),
    "side lean sd": (0.7, 2.0), "twist sd": (2.8, 17), "head pitch sd": (0.9, 3.5), "frozen": (0, 0),
    "fastest wrist": (1.5, 5.6), "fastest ankle": (2.8, 5.3), "turning rate": (23, 131), "straightest knee": (0, 27),
    "left from right arm": (2.8, 11), "left from right leg": (2.6, 7.4), "float": (0, 9.7),
}  # fmt: skip
RUN = {
    "jerk": (159, 392), "root jerk": (94, 229), "wrist jerk over speed": (102, 151), "root join": (0.41, 1.33),
    "largest join": (2.4, 4.2), "pelvis height sd": (1.8, 5.5), "pelvis height range": (7, 19), "lean sd": (1.5, 7),
    "side lean sd": (1.2, 3.5), "twist sd": (6, 20), "head pitch sd": (1.4, 7.1), "frozen": (0, 0),
    "fastest wrist": (3.7, 8.0), "fastest ankle": (4.5, 7.9), "turning rate": (51, 154), "straightest knee": (6, 25),
    "left from right arm": (5.6, 13), "left from right leg": (3.6, 8.4),
}  # fmt: skip
GESTURE = {
    "jerk": (3.1, 80), "root jerk": (1.5, 24), "wrist jerk over speed": (31, 259), "root join": (0.01, 0.37),
    "largest join": (0.14, 4.5), "pelvis height sd": (0.04, 1.7), "lean sd": (0.4, 2.3), "side lean sd": (0.2, 3.6),
    "twist sd": (0.26, 2.2), "head pitch sd": (0.7, 6.9), "frozen": (0, 0.15), "fastest wrist": (0.9, 7.1),
    "turning rate": (5, 88), "straightest knee": (4.6, 34), "float": (0, 0.4),
}  # fmt: skip


def measure(joints: np.ndarray) -> dict[str, float]:
    """Every measure of the tables above: SI units, but heights in cm and angles in degrees."""
    velocity = np.diff(joints, axis=0) * FPS
    speed = np.linalg.norm(velocity, axis=-1)
    change = np.linalg.norm(np.diff(velocity, axis=0), axis=-1)
    jerk = np.linalg.norm(np.diff(joints, n=3, axis=0), axis=-1) * FPS**3
    wrists, ankles = [J["left_wrist"], J["right_wrist"]], [J["left_ankle"], J["right_ankle"]]
    toes = [J["left_foot"], J["right_foot"]]
    height = 100 * joints[:, 0, 1]
    yaw, shoulder_yaw = (
        _yaw(joints[:, J[f"left_{part}"]] - joints[:, J[f"right_{part}"]]) for part in ("hip", "shoulder")
    )
    ahead = np.stack([np.sin(yaw), np.cos(yaw)], axis=-1)
    left = np.stack([np.cos(yaw), -np.sin(yaw)], axis=-1)
    trunk, head = joints[:, J["neck"]] - joints[:, 0], joints[:, J["head"]] - joints[:, J["neck"]]
    moving = np.linalg.norm(np.diff(joints - joints[:, :1], axis=0), axis=-1)[:, UPPER_BODY].max(1) * FPS
    arms, legs = (
        [np.stack(_swing_and_bend(joints, ahead, side, *parts), axis=-1) for side in ("left", "right")]
        for parts in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    )
    return {
        "jerk": jerk.mean(),
        "root jerk": jerk[:, 0].mean(),
        "wrist jerk over speed": jerk[:, wrists].mean() / speed[:, wrists].mean(),
        "root join": change[:, 0].max(),
        "largest join": change.max(),
        "pelvis height sd": height.std(),
        "pelvis height range": np.ptp(height),
        "lean sd": _lean(trunk, ahead).std(),
        "side lean sd": _lean(trunk, left).std(),
        "twist sd": np.degrees(shoulder_yaw - yaw).std(),
        "head pitch sd": (90 - _lean(head, ahead)).std(),
        "frozen": (moving < 0.03).mean(),
        "fastest wrist": speed[:, wrists].max(),
        "fastest ankle": speed[:, ankles].max(),
        "turning rate": np.degrees(np.abs(np.diff(yaw)).max() * FPS),
        "straightest knee": np.percentile([leg[:, 1] for leg in legs], 1),
        "left from right arm": _least_difference(*arms),
        "left from right leg": _least_difference(*legs),
        "float": 100 * np.percentile((joints[:, toes, 1] - joints[..., 1].min()).min(1), 95),
    }


def _yaw(across: np.ndarray) -> np.ndarray:
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))


def _lean(bone: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Degrees from the vertical."""
    return np.degrees(np.arctan2((bone[:, [0, 2]] * towards).sum(-1), bone[:, 1]))


def _swing_and_bend(joints, ahead, side, first, middle, last) -> tuple[np.ndarray, np.ndarray]:
    upper = joints[:, J[f"{side}_{middle}"]] - joints[:, J[f"{side}_{first}"]]
    lower = joints[:, J[f"{side}_{last}"]] - joints[:, J[f"{side}_{middle}"]]
    cosine = (upper * lower).sum(-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(lower, axis=-1)
    return _lean(-upper, -ahead), np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _least_difference(left: np.ndarray, right: np.ndarray) -> float:
    """Root mean square that is left between the sides after the best shift in time."""
    frames = len(left)
    shifts = range(-frames // 2 + 1, frames // 2)
    pairs = ((left[max(0, s) : frames + min(0, s)], right[max(0, -s) : frames + min(0, -s)]) for s in shifts)
    return min(float(np.sqrt(np.mean((one - other) ** 2))) for one, other in pairs)


STEADY = 26
"""Frames of starting and stopping at both ends; the captured walks and runs were cut without them."""
CASES = [
    (Action("walk", 8, None, "forward", "straight"), WALK, STEADY),
    (Action("walk", 8, "left", "forward", "curve", 90.0), WALK, STEADY),
    (Action("run", 12, None, "forward", "straight"), RUN, STEADY),
    (Action("wave", 4, "right"), GESTURE, 1),
    (Action("raise_arms", 1, "left"), GESTURE, 1),
    (Action("raise_arms", 1, "both"), GESTURE, 1),
    (Action("clap", 4), GESTURE, 1),
]


@pytest.mark.parametrize(("action", "captured", "cut"), CASES, ids=lambda v: v.verb if isinstance(v, Action) else "")
def test_a_scripted_motion_measures_like_captured_ones(action, captured, cut):
    seeds = range(6)
    for seed in seeds:
        joints = perform(Program((action,)), np.random.default_rng(seed)).astype(float)[cut:-cut]
        measured = measure(joints)
        wrong = {
            name: round(measured[name], 3)
            for name, (low, high) in captured.items()
            if not 0.5 * low - 1e-9 <= measured[name] <= 1.3 * high + 1e-9
        }
        # One number of a clip may lie outside: so it is with one captured clip in ten for every single number.
        assert len(wrong) <= 1, f"seed {seed}: {wrong}"


@pytest.mark.parametrize("verb", ["walk", "run", "turn", "sit_down", "stand_up", "crouch", "kick", "punch", "bow"])
def test_no_scripted_body_ever_freezes(verb):
    """Captured upper bodies are slower than 3 cm/s in at most 6 % of a clip's frames, idling ones in 15 %."""
    action = Action(verb, 3 if verb in ("walk", "run") else 1, "left" if verb in ("kick", "punch") else None)
    if verb == "turn":
        action = Action("turn", None, None, "left", None, 90.0)
    joints = perform(Program((action,)), np.random.default_rng(1)).astype(float)
    assert measure(joints)["frozen"] <= 0.15


def do(action: Action, seed: int, cut: int = 0) -> np.ndarray:
    joints = perform(Program((action,)), np.random.default_rng(seed)).astype(float)
    return joints[cut : len(joints) - cut]


def limbs(joints: np.ndarray, *parts: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the left and the right side: degrees that the upper bone is ahead, and the bend between the two bones."""
    yaw = _yaw(joints[:, J["left_hip"]] - joints[:, J["right_hip"]])
    ahead = np.stack([np.sin(yaw), np.cos(yaw)], axis=-1)
    return [tuple(map(np.asarray, _swing_and_bend(joints, ahead, side, *parts))) for side in ("left", "right")]


LEG, ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
WALKING = Action("walk", 8, None, "forward", "straight")
RUNNING = Action("run", 12, None, "forward", "straight")
SEEDS = range(12)


def test_people_stand_on_nearly_straight_legs():
    """The straighter knee of captured people who simply stand is bent by 0 to 15 degrees; it was 18 to 20 here."""
    for seed in SEEDS:
        knees = [bend.mean() for _, bend in limbs(do(Action("stand", seconds=2.0), seed), *LEG)]
        assert min(knees) < 15


def test_the_knee_under_a_walking_body_is_as_straight_as_captured_ones():
    """Captured walks: 31 degrees in the middle, 19 to 42 over all clips, since this skeleton's straight knee reads as
    bent. It was 38.7 in the middle here, and at least 34.7."""
    middles = []
    for seed in SEEDS:
        joints = do(WALKING, seed, STEADY)
        for (_, bend), side in zip(limbs(joints, *LEG), ("left", "right"), strict=True):
            ankle = joints[:, J[f"{side}_ankle"]] - joints[:, 0]
            under = (joints[:, J[f"{side}_ankle"], 1] < 0.14) & (np.hypot(ankle[:, 0], ankle[:, 2]) < 0.10)
            middles.append(np.median(bend[under]))
    assert np.median(middles) < 34
    assert min(middles) < 26


@pytest.mark.parametrize("action", [WALKING, RUNNING], ids=lambda action: action.verb)
def test_each_arm_swings_with_the_other_leg(action):
    """Captured walks and runs: correlation 0.6 to 1.0 of the upper arm with the other thigh. It was 0.1 in runs."""
    for seed in SEEDS:
        joints = do(action, seed, STEADY)
        (left_arm, _), (right_arm, _) = limbs(joints, *ARM)
        (left_leg, _), (right_leg, _) = limbs(joints, *LEG)
        assert np.corrcoef(left_arm, right_leg)[0, 1] > 0.6
        assert np.corrcoef(right_arm, left_leg)[0, 1] > 0.6


def test_persons_differ_in_their_arms():
    """Captured walkers swing the upper arm by 9 to 72 degrees, 32 in the middle, and it hangs behind the trunk by 5.
    It was 43 to 67 degrees here, before the trunk."""
    ranges, means = [], []
    for seed in SEEDS:
        swings = [swing for swing, _ in limbs(do(WALKING, seed, STEADY), *ARM)]
        ranges.append(np.mean([np.ptp(swing) for swing in swings]))
        means.append(np.mean(swings))
    assert 20 < np.median(ranges) < 42
    assert max(ranges) > 2 * min(ranges)
    assert -10 < np.mean(means) < -1


def test_runners_look_ahead():
    """The bone from neck to head leans 37 degrees forward in captured runs; it was 45 here, as if looking down."""
    pitches = []
    for seed in SEEDS:
        head = do(RUNNING, seed, STEADY)
        head = head[:, J["head"]] - head[:, J["neck"]]
        pitches.append(np.degrees(np.arctan2(np.hypot(head[:, 0], head[:, 2]), head[:, 1])).mean())
    assert np.mean(pitches) < 41


def test_no_two_people_start_alike():
    """Width of the stance and bend of the elbow vary as among captured people (6 cm, 10 degrees); they varied by 1.5 cm
    and 3 degrees."""
    starts = [do(Action("stand", seconds=2.0), seed)[:2] for seed in range(24)]
    widths = [np.linalg.norm(start[0, J["left_foot"]] - start[0, J["right_foot"]]) for start in starts]
    elbows = [limbs(start, *ARM)[0][1][0] for start in starts]
    assert np.std(widths) > 0.025
    assert np.std(elbows) > 5
