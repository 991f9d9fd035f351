"""The measure of likeness sees scripted clips as like themselves."""

import csv

import numpy as np

from atm.motion.program import Action, Program
from atm.scripted import likeness
from atm.scripted.motion.perform import perform


def test_scripted_walks_are_like_scripted_walks_and_unlike_walks_with_stiff_arms(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(likeness, "CLIPS", 12)
    monkeypatch.setattr(likeness, "KINDS", {"walk": likeness.KINDS["walk"]})

    def distance(name: str, change) -> float:
        folder = tmp_path / name
        (folder / "new_joints").mkdir(parents=True)
        with open(folder / "index.csv", "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["name", "label", "converted_from"])
            for seed in range(24):
                walk = Action("walk", 12, None, "forward", "straight")
                joints = perform(Program((walk,)), np.random.default_rng(seed))[26:-26]
                np.save(folder / "new_joints" / f"{seed}.npy", change(joints))
                rows.writerow([seed, "walk", "cmu_bvh"])
        likeness.main(folder)
        return float(capsys.readouterr().out.splitlines()[-1].split("|")[3])

    def stiff(joints: np.ndarray) -> np.ndarray:
        """Arms that hang from the shoulders as in the first frame."""
        joints = joints.copy()
        for shoulder, elbow, wrist in ((16, 18, 20), (17, 19, 21)):
            for joint in (elbow, wrist):
                joints[:, joint] = joints[:, shoulder] + (joints[:1, joint] - joints[:1, shoulder])
        return joints

    assert distance("as they are", lambda joints: joints) < 0.1 * distance("stiff", stiff)
