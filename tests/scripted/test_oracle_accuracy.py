"""How often the oracles are right: on scripted motions that they were not tuned on, and on captured motion.

`pytest tests/evaluation/test_oracle_accuracy.py -m "slow or not slow" -s` prints the tables. Captured motion is read
from the folder named by the environment variable ATM_REALMOCAP (index.csv and new_joints/*.npy); without it that
test is skipped.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.scripted.motion.perform import perform
from atm.scripted.oracles import judge, oracle_scores, raised_hand, turn_degrees, waving_hand
from atm.scripted.sampling import sample_program

HELD_OUT_SEED = 900_000
"""The thresholds were chosen on seeds below 100."""
NOISE_M = 0.02
WARP = 1.25
"""Time runs faster or slower by up to this factor."""


def scripted(clips: int, seed: int):
    """Programs and their performances; a program that does not fit into a clip is drawn again."""
    rng = np.random.default_rng(seed)
    while clips:
        program = sample_program(rng)
        try:
            yield program, perform(program, rng)
        except InputError:
            continue
        clips -= 1


def disturbed(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another pace in every part of the clip (three slow waves, same length), and noise on every coordinate."""
    frames = len(joints)
    u = np.linspace(0, 1, frames)
    log_rate = sum(rng.uniform(-1, 1) * np.sin(2 * np.pi * (k * u + rng.uniform())) for k in (1, 2, 3))
    rate = np.exp(log_rate / np.abs(log_rate).max() * np.log(WARP))
    at = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    at *= (frames - 1) / at[-1]
    before = np.minimum(at.astype(int), frames - 2)
    share = (at - before)[:, None, None]
    warped = joints[before] * (1 - share) + joints[before + 1] * share
    return warped + rng.normal(0, NOISE_M, joints.shape)


def measure(clips: int, *, disturb: bool) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(HELD_OUT_SEED + 1)
    verdicts = []
    for program, joints in scripted(clips, HELD_OUT_SEED):
        verdicts.append(judge(disturbed(joints, rng) if disturb else joints, program))
    scores = oracle_scores(verdicts)
    print(f"\n{clips} scripted clips, {'2 cm noise and time warp' if disturb else 'clean'}")
    for name, row in scores.items():
        print(f"{name:10} {100 * row['right']:6.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}] of {row['n']}")
    return scores


def test_a_few_scripted_motions_are_read_right():
    scores = measure(40, disturb=False)
    assert all(row["right"] >= 0.9 for row in scores.values())


@pytest.mark.slow
def test_every_attribute_of_clean_scripted_motion_is_right_in_97_percent():
    scores = measure(500, disturb=False)
    scores.pop("all")
    assert {name: row for name, row in scores.items() if row["right"] < 0.97} == {}


@pytest.mark.slow
def test_noise_and_time_warp_leave_every_attribute_right_in_90_percent():
    scores = measure(500, disturb=True)
    scores.pop("all")
    # A time warp changes the pace itself, so a slow bow may truly have become a normal one.
    assert scores.pop("speed")["right"] >= 0.85
    assert {name: row for name, row in scores.items() if row["right"] < 0.9} == {}


def _hand_label(label: str) -> tuple[str, str] | None:
    """("wave" or "raise", side) of labels like "wave-both-hands / active"."""
    parts = label.split(" / ")[0].split("-")
    return (parts[0], parts[-2]) if parts[0] in ("wave", "raise") and parts[-1] in ("hand", "hands") else None


@pytest.mark.slow
def test_hands_and_turns_of_captured_motion_are_right_in_95_percent():
    folder = os.environ.get("ATM_REALMOCAP")
    if not folder:
        pytest.skip("ATM_REALMOCAP names no folder of captured motion")
    right: dict[str, list[bool]] = {}
    with open(Path(folder) / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        hand, label = _hand_label(row["label"]), row["label"].split(" / ")[0]
        turn = label.removeprefix("walk-turn-") if label.startswith("walk-turn-") else None
        if not hand and not turn:
            continue
        joints = np.load(Path(folder) / "new_joints" / f"{row['name']}.npy")
        if hand:
            verb, side = hand
            wave, raised = waving_hand(joints), raised_hand(joints)
            seen = ("wave", wave) if wave else ("raise", raised)
            right.setdefault(f"{verb}: side", []).append(seen[1] == side)
            right.setdefault(f"{verb}: verb and side", []).append(seen == (verb, side))
        else:
            degrees = turn_degrees(joints)
            right.setdefault("turn: side", []).append(degrees > 25 if turn == "left" else degrees < -25)
    for name, flags in sorted(right.items()):
        print(f"{name:22} {100 * np.mean(flags):6.1f} % of {len(flags)}")
    assert right and {name: np.mean(flags) for name, flags in right.items() if np.mean(flags) < 0.95} == {}
