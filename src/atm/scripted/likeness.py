"""How much scripted motions move like captured ones, kind by kind: `python -m atm.scripted.likeness FOLDER`.

FOLDER is a HumanML3D folder of captured clips with an `index.csv` (name, label, converted_from). Clips of both sides
are cut into windows of equal length; walks and runs without their starts and stops, because captured ones were cut
so. Printed for each kind: the Fréchet distance of kinematic features in main directions (see `kinematics`), and how
far mean pose and pose variation of the joints lie apart.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from atm.base.errors import InputError
from atm.evaluation.kinematics import KinematicReference, kinematic_features
from atm.motion import HUMANML3D, Motion, features_from_joints
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

CLIPS = 96
"""Scripted clips of a kind, each of another person."""
FIRST_SEED = 1000
STEADY = 26
"""Frames that are cut from both ends of a scripted walk or run."""


@dataclass(frozen=True)
class Kind:
    """Captured clips and the scripted actions that do the same."""

    labels: tuple[str, ...]
    """A captured clip's label starts with one of these."""
    actions: tuple[Action, ...]
    window: int = 40
    step: int = 20
    """Frames from one window to the next."""
    cut: int = 0
    only: Literal["", "down", "up", "still", "hand up", "turning"] = ""
    """Only the windows around a fall or rise of the pelvis onto or from a seat; only those in which both hands hang
    and the body stays; in which one hand or both are up; in which the body turns on the spot."""
    leave: tuple[str, ...] = ()


def _paces(verb: str, count: int | None, **fields) -> tuple[Action, ...]:
    return tuple(Action(verb, count, speed=speed, **fields) for speed in ("slow", "normal", "normal", "fast"))


_SIDES = ("left", "right")
_DANCES = ("salsa", "indian", "dance", "playground", "ladder", "steps", "cartwheel")
KINDS: dict[str, Kind] = {
    "walk": Kind(("walk", "slow walk", "brisk walk"), _paces("walk", 12, direction="forward", path="straight"),
                 cut=STEADY, leave=("uneven", "exaggerated", "to run")),
    "run": Kind(("run",), _paces("run", 14, direction="forward", path="straight")[1:], 19, 2, STEADY,
                leave=("sudden", "veer", "leap", "stop", "turn", "duck", "jump", "left", "right")),
    "turn on the spot": Kind(("",), tuple(
        Action("turn", None, None, side, None, degrees, speed)
        for side, degrees, speed in product(_SIDES, (90.0, 180.0), ("normal", "fast"))),
        step=10, only="turning", leave=(*_DANCES, "basketball")),
    "sit down": Kind(("sit on",), _paces("sit_down", 1), only="down"),
    "stand up": Kind(("sit on",), _paces("stand_up", 1), only="up"),
    "jump": Kind(("jump", "forward jump"), tuple(
        Action("jump", 1, None, direction, speed=speed)
        for direction, speed in product(("up", "forward"), ("slow", "normal", "fast"))),
        step=10, leave=("hop", "grab", "jacks", "kick", "spin")),
    "kick": Kind(("soccer", "front kick"), tuple(
        Action("kick", count, side, "forward", speed=speed)
        for side, count, speed in product(_SIDES, (1, 2), ("normal", "fast")))),
    "punch": Kind(("boxing", "punch"), tuple(
        Action("punch", count, side, "forward", speed=speed)
        for side, count, speed in product(("both", "right", "left"), (3, 5), ("normal", "fast")))),
    "wave": Kind(("direct traffic", "basketball signals"), tuple(
        Action("wave", 3, side, speed=speed) for side, speed in product((*_SIDES, "both"), ("slow", "normal"))),
        step=10, only="hand up"),
    "stand": Kind(("",), (Action("stand", seconds=5.0),), step=10, only="still", leave=_DANCES),
}  # fmt: skip


def main(folder: Path) -> None:
    """Print the table of all kinds that the folder has."""
    with open(folder / "index.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["converted_from"] != "humanoid"]
    print("| kind | captured, scripted windows | Fréchet distance | mean pose, cm | variation, cm | change, cm/frame |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, kind in KINDS.items():
        captured = [window for row in rows if _is(kind, row) for window in _windows(kind, _captured(folder, row))]
        if not captured:
            continue
        scripted = [window for joints in _scripted(kind) for window in _windows(kind, joints, kind.cut)]
        one, other = (kinematic_features(_batch(side)).double().numpy() for side in (captured, scripted))
        apart = "-" if len(one) < 16 else f"{_reference(captured).small_distance(other):.1f}"
        gaps = " | ".join(f"{gap:.1f}" for gap in _gaps(one, other))
        print(f"| {name} | {len(one)}, {len(other)} | {apart} | {gaps} |")


def _is(kind: Kind, row: dict[str, str]) -> bool:
    label = row["label"].lower()
    return label.lstrip('"').startswith(kind.labels) and not any(word in label for word in kind.leave)


def _captured(folder: Path, row: dict[str, str]) -> np.ndarray:
    return np.load(folder / "new_joints" / f"{row['name']}.npy")


def _scripted(kind: Kind) -> Iterator[np.ndarray]:
    for clip in range(CLIPS):
        action = kind.actions[clip % len(kind.actions)]
        try:
            yield perform(Program((action,)), np.random.default_rng(FIRST_SEED + clip))
        except InputError:
            continue


def _windows(kind: Kind, joints: np.ndarray, cut: int = 0) -> Iterator[np.ndarray]:
    """Give features of the windows that show what the kind is."""
    joints = joints[cut : len(joints) - cut]
    if kind.only in ("down", "up"):
        middles = [edge + late for edge in _changes(joints[:, 0, 1], kind.only) for late in (-8, -4, 0, 4, 8)]
        starts = sorted({middle - kind.window // 2 for middle in middles})
    else:
        starts = range(0, len(joints) - kind.window, kind.step)
    for first in starts:
        window = joints[first : first + kind.window + 1] if first >= 0 else joints[:0]
        if len(window) == kind.window + 1 and _shows(kind.only, window):
            yield features_from_joints(window, HUMANML3D).numpy()


def _shows(only: str, joints: np.ndarray) -> bool:
    wrists, shoulders, pelvis = joints[:, [20, 21], 1], joints[:, [16, 17], 1], joints[:, 0]
    travel = float(np.ptp(pelvis[:, [0, 2]], axis=0).max())
    across = joints[:, 1] - joints[:, 2]
    turned = float(np.ptp(np.degrees(np.unwrap(np.arctan2(-across[:, 2], across[:, 0])))))
    hanging = bool(np.mean(wrists.max(1) < pelvis[:, 1] + 0.15) > 0.9) and pelvis[:, 1].min() > 0.85
    if only == "still":
        return hanging and travel < 0.12 and turned < 20
    if only == "turning":
        return hanging and travel < 0.45 and turned > 60
    if only == "hand up":
        return bool(np.mean((wrists > shoulders).any(1)) > 0.6) and travel < 0.3
    return True


def _changes(height: np.ndarray, way: str) -> list[int]:
    """Return frames at which the pelvis passes the middle between standing and a low seat."""
    low = height < 0.75
    edges = np.flatnonzero(np.diff(low.astype(int)) == (1 if way == "down" else -1))
    return [
        int(edge) for edge in edges if height[max(0, edge - 25) : edge + 25].max() > 0.86
        and height[max(0, edge - 25) : edge + 25].min() < 0.66
    ]  # fmt: skip


def _batch(windows: list[np.ndarray]) -> Motion:
    return Motion(torch.from_numpy(np.stack(windows)), torch.tensor([len(window) for window in windows]))


def _reference(windows: list[np.ndarray]) -> KinematicReference:
    return KinematicReference.fit([_batch(windows)])


def _gaps(one: np.ndarray, other: np.ndarray) -> tuple[float, ...]:
    """Return the mean differences of root height and the joints' positions: of their mean, their deviation, their
    change."""
    columns = np.r_[3, 4:67]
    means = (part.mean(0)[columns] for side in (one, other) for part in np.split(side, 3, axis=1))
    a = list(means)
    return tuple(100 * float(np.abs(a[k] - a[k + 3]).mean()) for k in range(3))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
