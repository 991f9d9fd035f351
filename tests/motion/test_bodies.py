"""Bodies that hold: constant bones, feet that stand, and clean motion that is left as it is."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from walker import standing

from atm.motion import HUMANML3D, KIT, bone_stretch, foot_skate
from atm.motion.bodies import constant_bones, hold_body, hold_feet, planted_feet

FPS = HUMANML3D.fps
LEFT_TOE, RIGHT_TOE = HUMANML3D.index("left_foot"), HUMANML3D.index("right_foot")
LEGS = [[HUMANML3D.index(f"{side}_{part}") for part in ("hip", "knee", "ankle")] for side in ("left", "right")]


def lengths_of(joints: np.ndarray, skeleton=HUMANML3D) -> np.ndarray:
    return np.linalg.norm(joints[:, 1:] - joints[:, list(skeleton.parents[1:])], axis=-1)


def skate(joints: np.ndarray) -> float:
    return foot_skate(torch.from_numpy(joints), HUMANML3D)


def bent_figure(frames: int) -> np.ndarray:
    """A body that stands with its knees a little bent, so that its legs have something to give."""
    joints = standing(HUMANML3D, HUMANML3D.target_offsets.double()).numpy()
    for hip, knee, ankle in LEGS:
        toe = ankle + 3
        thigh, shin, foot = joints[knee] - joints[hip], joints[ankle] - joints[knee], joints[toe] - joints[ankle]
        joints[knee] = joints[hip] + Rotation.from_euler("X", -20, degrees=True).apply(thigh)
        joints[ankle] = joints[knee] + Rotation.from_euler("X", 20, degrees=True).apply(shin)
        joints[toe] = joints[ankle] + foot
    joints[:, 1] -= joints[:, 1].min()
    return np.repeat(joints[None], frames, axis=0)


def rubber(joints: np.ndarray, metres: float, seed: int = 0) -> np.ndarray:
    """The same with every joint moved smoothly by about so much, as a network does."""
    rng = np.random.default_rng(seed)
    times = np.arange(len(joints))[:, None, None] / FPS
    waves = np.sin(
        2 * np.pi * rng.uniform(0.3, 1, (1, *joints.shape[1:])) * times + rng.uniform(0, 6, joints.shape[1:])
    )
    return joints + metres * waves


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda skeleton: skeleton.name)
def test_bones_are_constant_to_a_micrometre_and_have_their_mean_lengths(skeleton):
    offsets = torch.tensor(skeleton.raw_directions, dtype=torch.float64) * 0.2
    joints = rubber(np.repeat(standing(skeleton, offsets).numpy()[None], 60, axis=0), 0.04)
    assert bone_stretch(torch.from_numpy(joints), skeleton) > 5
    made = hold_body(joints, skeleton)
    assert np.ptp(lengths_of(made, skeleton), axis=0).max() < 1e-6
    np.testing.assert_allclose(lengths_of(made, skeleton)[0], lengths_of(joints, skeleton).mean(0), atol=1e-6)


def test_a_body_can_be_given():
    wanted = np.concatenate([[0], np.linspace(0.1, 0.4, 21)])
    made = constant_bones(rubber(bent_figure(30), 0.02), HUMANML3D, lengths=wanted)
    np.testing.assert_allclose(lengths_of(made), np.tile(wanted[1:], (30, 1)), atol=1e-9)


def test_the_root_keeps_its_path_and_bones_their_directions():
    """Limbs 2 % longer in every other frame: no bone has turned, so none turns."""
    still = bent_figure(20)
    joints = still[:, :1] + (still - still[:, :1]) * np.where(np.arange(20) % 2, 1.02, 1.0)[:, None, None]
    made = constant_bones(joints, HUMANML3D)
    np.testing.assert_array_equal(made[:, 0], joints[:, 0])
    bones, old = (each[:, 1:] - each[:, list(HUMANML3D.parents[1:])] for each in (made, joints))
    cosine = (bones * old).sum(-1) / np.linalg.norm(bones, axis=-1) / np.linalg.norm(old, axis=-1)
    # Arms and legs are aimed at joints that are up to 1 % of the way from the hips away: a degree at most.
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 1


def test_a_clean_motion_moves_by_less_than_a_millimetre():
    """A scripted body of exact bones whose feet stand still while its knees bend and its arms swing."""
    joints = knee_bends(60)
    assert np.linalg.norm(hold_body(joints, HUMANML3D) - joints, axis=-1).max() < 1e-3


def knee_bends(frames: int) -> np.ndarray:
    """Hips that go up and down and to the sides over feet that stand, by the law of cosines written out here."""
    joints = bent_figure(frames)
    times = np.arange(frames) / FPS
    feet = [joint for leg in LEGS for joint in (leg[2], leg[2] + 3)]
    upper = [joint for joint in range(22) if joint not in feet]
    joints[:, upper] += np.stack([0.02 * np.sin(3 * times), -0.06 + 0.05 * np.cos(4 * times), 0 * times], 1)[:, None]
    for hip, knee, ankle in LEGS:
        thigh, shin = HUMANML3D.bone_lengths[knee], HUMANML3D.bone_lengths[ankle]
        way = joints[:, ankle] - joints[:, hip]
        far = np.linalg.norm(way, axis=1)
        angle = np.arccos((thigh**2 + far**2 - shin**2) / (2 * thigh * far))
        front = np.cross(way, [1.0, 0, 0])
        front *= np.sign(front[:, 2:]) / np.linalg.norm(front, axis=1, keepdims=True)
        joints[:, knee] = (
            joints[:, hip]
            + thigh * np.cos(angle)[:, None] * way / far[:, None]
            + thigh * np.sin(angle)[:, None] * front
        )
    return joints


def test_feet_that_slide_are_held_and_bones_keep_their_lengths():
    """The whole body glides by 6 cm/s, back and forth: the feet stay, the pelvis goes its way."""
    glide = 0.06 * np.sin(np.arange(80) / FPS)[:, None, None] * [0.0, 0.0, 1.0]
    joints = knee_bends(80) + glide
    made = hold_feet(joints, HUMANML3D)
    assert skate(joints) > 3 and skate(made) < 0.01
    np.testing.assert_allclose(made[:, 0, [0, 2]], joints[:, 0, [0, 2]], atol=1e-9)
    assert np.ptp(lengths_of(made), axis=0).max() < 1e-6
    np.testing.assert_allclose(made[:, RIGHT_TOE], made[:1, RIGHT_TOE].repeat(80, axis=0), atol=1e-6)


def test_knees_bend_to_where_they_bent():
    glide = 0.05 * np.sin(np.arange(80) / FPS)[:, None, None] * [0.0, 0.0, 1.0]
    made = hold_feet(knee_bends(80) + glide, HUMANML3D)
    for hip, knee, ankle in LEGS:
        middle = (made[:, hip] + made[:, ankle]) / 2
        assert (made[:, knee] - middle)[:, 2].min() > 0.01


def test_the_pelvis_comes_down_where_a_leg_does_not_reach():
    """Straight legs, and a body that glides 8 cm to both sides of its feet: at its ends the way to a foot is longer
    than the leg, whose reach is 0.99 of its length there."""
    joints = np.repeat(standing(HUMANML3D, HUMANML3D.target_offsets.double()).numpy()[None], 80, axis=0)
    joints[..., 1] -= joints[..., 1].min()
    joints = joints + 0.08 * np.sin(np.arange(80) / FPS)[:, None, None] * [0.0, 0.0, 1.0]
    made = hold_feet(joints, HUMANML3D)
    assert skate(joints) > 3 and skate(made) < 0.1
    assert 0.002 < (joints - made)[:, 0, 1].max() < 0.05
    assert np.ptp(lengths_of(made), axis=0).max() < 1e-6


def kick(joints: np.ndarray) -> np.ndarray:
    """The same with the left leg swung forward from the hip and back, in frames 20 to 40."""
    made, hip = joints.copy(), LEGS[0][0]
    below = [*LEGS[0][1:], LEFT_TOE]
    for frame in range(20, 40):
        turn = Rotation.from_euler("X", -60 * np.sin((frame - 19) / 21 * np.pi), degrees=True)
        made[frame, below] = joints[frame, hip] + turn.apply(joints[frame, below] - joints[frame, hip])
    return made


def test_no_foot_floats_or_sinks_where_its_leg_was_longer():
    """Shins and thighs that are 4 % longer in every other second, over feet that stand: on mean bones alone the feet
    would go up and down; they stay, and the knees and the pelvis make up for it."""
    joints = knee_bends(80)
    longer = np.where(np.arange(80) // 20 % 2, 1.04, 1.0)[:, None]
    for hip, knee, ankle in LEGS:
        middle = (joints[:, hip] + joints[:, ankle]) / 2
        joints[:, knee] = middle + longer * (joints[:, knee] - middle) + (longer - 1) * [0.0, 0.0, 1.0]
    toes = [LEFT_TOE, RIGHT_TOE]
    alone, made = constant_bones(joints, HUMANML3D), hold_body(joints, HUMANML3D)
    assert np.abs(alone[:, toes] - joints[:, toes])[..., 1].max() > 0.005
    assert np.abs(made[:, toes] - joints[:, toes]).max() < 0.001


def test_a_foot_in_the_air_is_left_alone():
    """A body that glides and kicks: the standing foot is held all the time, the other one while it is down; it is led
    away within 5 frames."""
    joints = kick(knee_bends(60)) + 0.05 * np.sin(np.arange(60) / FPS)[:, None, None] * [0.0, 0.0, 1.0]
    stands = planted_feet(joints, HUMANML3D)
    assert not stands[21:39, 0].any() and stands[:19, 0].all() and stands[41:, 0].all() and stands[:, 1].all()
    made = hold_feet(joints, HUMANML3D)
    np.testing.assert_allclose(made[26:34, LEFT_TOE], joints[26:34, LEFT_TOE], atol=1e-9)
    np.testing.assert_allclose(np.ptp(made[:18, LEFT_TOE], axis=0), 0, atol=1e-6)


def test_a_foot_is_led_to_its_stand_without_a_jump():
    """A body that glides by 3 mm a frame and kicks: its foot lands nearly 6 cm off the mean of its second stand, and is
    led there in the 5 frames before: a step is longer by 6 cm over 5 frames at the curve's steepest (1.5), at most."""
    joints = kick(knee_bends(80)) + 0.003 * np.arange(80)[:, None, None] * [0.0, 0.0, 1.0]
    made = hold_feet(joints, HUMANML3D)
    moved = np.linalg.norm(made - joints, axis=-1)[:, LEFT_TOE]
    assert moved[42] > 0.05
    steps = [np.linalg.norm(np.diff(each[:, LEFT_TOE], axis=0), axis=1) for each in (joints, made)]
    assert (steps[1] - steps[0]).max() < 1.5 * 0.06 / 5


def test_a_hop_in_place_stays_a_hop():
    """Both toes leave the floor by 5 cm, slowly and on the spot: no stand goes through it."""
    rise = 0.05 * np.clip(np.sin((np.arange(60) - 20) / 20 * np.pi), 0, None) * (np.arange(60) < 40)
    joints = knee_bends(60) + rise[:, None, None] * [0.0, 1.0, 0.0]
    made = hold_feet(joints, HUMANML3D)
    assert np.ptp(made[:, LEFT_TOE, 1]) > 0.045
    assert planted_feet(joints, HUMANML3D)[:18].all()


def test_a_motion_of_one_frame_is_one():
    assert hold_body(bent_figure(1), HUMANML3D).shape == (1, 22, 3)
