"""The template body of MoMask's BVH files; its numbers against the published ones are in tests/golden."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.curation.prepare.bvh import read_bvh, sample
from atm.export.template import BLEND, NAMES, OFFSETS, ORDER, PARENTS, fit_template, planted, save_template_bvh
from atm.motion import HUMANML3D, KIT

LEFT_TOE = NAMES.index("LeftToe")


def moved(frames: int = 6) -> np.ndarray:
    """The template with every joint turned a little, about axes and by angles that differ: (T, 22, 3)."""
    rng = np.random.default_rng(0)
    turns, places = [], []
    for joint, above in enumerate(PARENTS):
        own = Rotation.from_rotvec(0.3 * rng.normal(size=(frames, 3)))
        turns.append(own if above < 0 else turns[above] * own)
        places.append(np.zeros((frames, 3)) if above < 0 else places[above] + turns[above].apply(OFFSETS[joint]))
    return np.stack(places, axis=1)


def test_joints_of_the_template_itself_are_given_back():
    aims = moved()
    np.testing.assert_allclose(fit_template(aims, aims[:, 0]).joints, aims, atol=1e-4)


def test_bones_keep_the_templates_lengths_whosever_joints_they_follow():
    aims = 1.3 * moved()
    joints = fit_template(aims, aims[:, 0], iterations=5).joints
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(np.linalg.norm(OFFSETS[1:], axis=1), lengths.shape), atol=1e-9)


def standing_toe(frames: int = 30) -> np.ndarray:
    """All joints two metres up but for the left toe, which comes down for frames 10 to 19 and glides there."""
    joints = np.full((frames, len(NAMES), 3), 2.0)
    joints[10:20, LEFT_TOE] = np.stack([np.linspace(0.1, 0.2, 10), np.full(10, 0.02), np.zeros(10)], axis=1)
    return joints


def test_a_foot_that_nearly_stands_is_held_on_the_ground_and_led_there_and_away():
    """The floor is the mean of the lower quarter to the middle of the lowest heights: of 30 sorted, 10 are 0.02 m and
    20 are 2 m; places 7 to 14 hold three of the one and five of the other, which is above 0.5 m: no floor is found."""
    joints = standing_toe()
    made = planted(joints)
    # Frame 19 leaves fast, so it does not stand; the nine before it do.
    np.testing.assert_allclose(made[10:19, LEFT_TOE], np.tile([joints[10:19, LEFT_TOE, 0].mean(), 0, 0], (9, 1)))
    # One frame before: a third of the way out of the blend, 2/27 - 3/9 + 1 = 20/27 of the stand.
    np.testing.assert_allclose(made[9, LEFT_TOE, 1], 2.0 * (1 - 20 / 27))
    np.testing.assert_array_equal(made[10 - BLEND, LEFT_TOE], joints[10 - BLEND, LEFT_TOE])
    others = [joint for joint in range(len(NAMES)) if joint != LEFT_TOE]
    np.testing.assert_array_equal(made[:, others], joints[:, others])


def test_the_whole_motion_comes_down_to_its_floor():
    joints = moved(8) + np.array([0.0, 1.0, 0.0])
    feet = [NAMES.index(f"{side}{part}") for side in ("Left", "Right") for part in ("Foot", "Toe")]
    lowest = np.sort(joints[:, feet, 1].min(axis=1))
    head = NAMES.index("Head")
    np.testing.assert_allclose(planted(joints)[:, head, 1], joints[:, head, 1] - lowest[2:4].mean())


def test_the_file_holds_the_fitted_joints(tmp_path):
    aims = moved(12)
    joints = np.empty_like(aims)
    joints[:, ORDER] = aims
    file = save_template_bvh(tmp_path / "template.bvh", joints, HUMANML3D)
    bvh = read_bvh(file)
    own = [bvh.names.index(name) for name in NAMES]
    assert bvh.frame_time == pytest.approx(1 / 20)
    places = sample(bvh, own, np.arange(12) * bvh.frame_time).positions[:, own]
    np.testing.assert_allclose(places, fit_template(aims, aims[:, 0]).joints, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "skeleton", "words"),
    [("motion.npz", HUMANML3D, r"for \.bvh files"), ("motion.bvh", KIT, "the 22 joints of HumanML3D.*is of KIT-ML")],
)
def test_what_the_template_is_not_for_is_said(tmp_path, name, skeleton, words):
    with pytest.raises(InputError, match=words):
        save_template_bvh(tmp_path / name, np.zeros((4, skeleton.n_joints, 3)), skeleton)
    assert not list(tmp_path.iterdir())
