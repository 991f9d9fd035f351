"""What is measured on captured people and shipped: exact where it can be, small, and the same for the same clips."""

import csv
from pathlib import Path

import numpy as np
import pytest

from atm.motion.program import Action, Program
from atm.scripted.motion import cycles, learn
from atm.scripted.motion.body import COLUMN, SIDES, joints_from_channels
from atm.scripted.motion.from_joints import channels_from_joints
from atm.scripted.motion.perform import perform

WALK = Action("walk", 10, None, "forward", "straight")


def do(action: Action, seed: int) -> np.ndarray:
    return perform(Program((action,)), np.random.default_rng(seed)).astype(float)


@pytest.mark.parametrize(
    "action", [WALK, Action("sit_down", 1), Action("kick", 1, "left", "forward")], ids=lambda a: a.verb
)
def test_channels_measured_from_joints_pose_the_same_body(action):
    """The rig loses nothing but the lift of the shoulders: what is measured on joints poses them again."""
    joints = do(action, 1)
    again = joints_from_channels(channels_from_joints(joints))
    assert np.linalg.norm(again - joints, axis=-1).max() < 0.012


def test_a_foot_that_hangs_down_and_back_is_not_turned_round():
    joints = do(Action("run", 10, None, "forward", "straight", None, "fast"), 2)
    measured = channels_from_joints(joints)
    for side in SIDES:
        yaw = measured[:, COLUMN[f"{side}_foot_yaw"]] - measured[:, COLUMN["pelvis_yaw"]]
        assert np.abs(yaw).max() < 90


def test_a_walk_is_measured_with_its_speed_and_its_cadence():
    joints = do(WALK, 3)[24:-24]
    found = learn.gait_cycle(joints, least=1.0)
    gone = np.linalg.norm((joints[-1, 0] - joints[0, 0])[[0, 2]]) / (len(joints) - 1) * 20
    assert found is not None
    assert found.speed == pytest.approx(gone, rel=0.05)
    assert 0.4 < found.step_time < 0.7


def test_a_standing_body_has_no_gait():
    assert learn.gait_cycle(do(Action("stand", seconds=4.0), 0), least=1.0) is None


def test_the_mirror_image_of_the_mirror_image_is_the_clip():
    found = learn.gait_cycle(do(WALK, 3)[24:-24], least=1.0)
    once = learn.mirrored(found.coefficients)
    assert not np.allclose(once, found.coefficients)
    np.testing.assert_allclose(learn.mirrored(once), found.coefficients, atol=1e-12)


def test_a_walk_and_its_mirror_image_have_one_mean_for_both_sides():
    """The mean person of the shipped numbers is even: left and right have the same cycle, half a cycle apart."""
    mean = cycles.walking(1.3, np.zeros(10))
    phase = np.linspace(0, 1, 20)
    for name in cycles.SIDED:
        np.testing.assert_allclose(mean(f"left_{name}", phase), mean(f"right_{name}", phase), atol=1e-3)


def test_the_shipped_numbers_are_small_and_no_motion():
    file = Path(cycles.__file__).with_name("captured.npz")
    assert file.stat().st_size < 200_000
    assert sum(values.size for values in cycles.statistics().values()) < 20_000


def test_learning_again_from_the_same_clips_gives_the_same_numbers(tmp_path, monkeypatch, capsys):
    """A folder of a few clips of each kind that is measured, here scripted ones."""
    (tmp_path / "new_joints").mkdir()
    clips = [("walk", WALK, 24), ("run", Action("run", 12, None, "forward", "straight"), 24)]
    clips += [("jump", Action("jump", 1, None, "up"), 0), ("forward jump", Action("jump", 1, None, "forward"), 0)]
    clips += [("boxing", Action("punch", 3, "both", "forward"), 0), ("sit on stool", Action("sit_down", 1), 0)]
    clips += [("sit on stool", Action("stand_up", 1), 0)]
    with open(tmp_path / "index.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "trial", "label", "converted_from"])
        for i, (label, action, cut) in enumerate(clips):
            for seed in range(3):
                joints = do(action, seed)
                np.save(tmp_path / "new_joints" / f"c{i}{seed}.npy", joints[cut : len(joints) - cut])
                rows.writerow([f"c{i}{seed}", f"{i}_{seed}", label, "cmu_bvh"])
    made = []
    for name in ("one.npz", "other.npz"):
        monkeypatch.setattr(learn, "OUT", tmp_path / name)
        learn.main(tmp_path)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert "walk: 3 of 3 clips" in capsys.readouterr().out
