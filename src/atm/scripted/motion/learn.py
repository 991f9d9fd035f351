"""How captured people stand, walk and run, as a few statistics: the script that made `captured.npz`.

    python -m atm.scripted.motion.learn FOLDER

FOLDER is a HumanML3D folder of CMU clips with an `index.csv` (name, trial, label, converted_from). What is written is
no motion: means over many clips and both sides, how they change with speed, and the main ways in which persons differ.

The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF
EIA-0196217.
"""

import csv
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks

from atm.scripted.motion.body import ANKLE, COLUMN, FPS, HIP, KNEE, SHOULDER, SIDES, WRIST
from atm.scripted.motion.cycles import (
    BLOW,
    BLOW_SECONDS,
    FOOT_WAVES,
    MIRRORED,
    MOVE_SAMPLES,
    MOVES,
    SIDED,
    SIGNALS,
    STANDING,
    STANDING_SIDED,
    WAVES,
    basis,
)
from atm.scripted.motion.from_joints import channels_from_joints

OUT = Path(__file__).with_name("captured.npz")
PERSONS = 10
"""Ways in which persons differ that are kept."""
JUMPS = ("jump", "forward jump", "jump, balance")
NO_GAIT = ("uneven", "navigate", "exagg", "sudden", "veer", "leap")


def main(folder: Path) -> None:
    with open(folder / "index.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["converted_from"] != "humanoid"]

    def joints(row: dict[str, str]) -> np.ndarray:
        return np.load(folder / "new_joints" / f"{row['name']}.npy").astype(float)

    found: dict[str, np.ndarray] = {}
    for verb in ("walk", "run"):
        labels = (row["label"].lower() for row in rows)
        chosen = [row for row, label in zip(rows, labels, strict=True) if _is_gait(verb, label)]
        cycles = [cycle for row in chosen if (cycle := gait_cycle(joints(row), least=1.0 if verb == "walk" else 0.8))]
        found |= {f"{verb}_{name}": value for name, value in gait(cycles, with_speed=verb == "walk").items()}
        speeds = [cycle.speed for cycle in cycles]
        print(f"{verb}: {len(cycles)} of {len(chosen)} clips, {min(speeds):.2f} to {max(speeds):.2f} m/s")
    still = ("salsa", "indian", "basketball - ", "playground", "ladder", "steps")
    poses = [standing_pose(joints(row)) for row in rows if not any(word in row["label"].lower() for word in still)]
    found |= standing([pose for pose in poses if pose is not None])
    labels = [row["label"].lower().lstrip('"') for row in rows]
    seats = [joints(row) for row, label in zip(rows, labels, strict=True) if label.startswith("sit on")]
    jumps = [joints(row) for row, label in zip(rows, labels, strict=True) if label in JUMPS]
    found |= moves([*map(_seats, seats), *map(_jumps, jumps)], seats + jumps)
    found |= blows([joints(row) for row in rows if row["label"].lower().startswith(("boxing", "punch"))])
    np.savez_compressed(OUT, **{name: value.astype(np.float32) for name, value in found.items()})
    print(f"{OUT} ({OUT.stat().st_size / 1000:.0f} kB)")


def _is_gait(verb: str, label: str) -> bool:
    plain = not any(word in label for word in NO_GAIT)
    return plain and verb in label and label.split()[-1].split("/")[0] in (verb, "stride")


@dataclass(frozen=True)
class Gait:
    """One clip of somebody who walks or runs straight ahead."""

    speed: float
    step_time: float
    coefficients: np.ndarray
    """All signals' Fourier coefficients, in the order of `SIGNALS`, then of `SIDED` for the left and the right side."""


def gait_cycle(joints: np.ndarray, least: float) -> Gait | None:
    """Return measure a clip; None: it is no straight gait of a cycle or more."""
    channels = channels_from_joints(joints)
    c = {name: channels[:, column] for name, column in COLUMN.items()}
    if np.ptp(c["pelvis_yaw"]) > 45:
        return None
    ground = joints[:, 0][:, [0, 2]]
    times = np.arange(len(joints)) / FPS
    slope = np.polyfit(times, ground, 1)[0]
    speed = float(np.linalg.norm(slope))
    if speed < 0.4:
        return None
    ahead = slope / speed
    left = np.array([ahead[1], -ahead[0]])
    heading = float(np.degrees(np.arctan2(*ahead)))
    strikes = [_strikes(joints, i, ahead) for i in (0, 1)]
    events = sorted([(t, 0) for t in strikes[0]] + [(t, 1) for t in strikes[1]])
    if len(events) < 3 or any(one[1] == other[1] for one, other in pairwise(events)):
        return None
    moments = np.array([t for t, _ in events])
    phases = 0.5 * (np.arange(len(events)) + events[0][1])
    cycles = float(phases[-1] - phases[0])
    if cycles < least:
        return None
    inside = (times >= moments[0]) & (times <= moments[-1])
    phase = np.interp(times, moments, phases)[inside]
    step_time = float((moments[-1] - moments[0]) / (len(moments) - 1))

    signals: dict[str, np.ndarray] = {
        "forward": 100 * (ground @ ahead),
        "left": 100 * (ground @ left),
        "up": 100 * c["root_y"],
        "pelvis_yaw": c["pelvis_yaw"] - heading,
        "chest_yaw": c["chest_yaw"] - heading,
        "head_yaw": c["head_yaw"] - heading,
    }
    signals = {name: signals.get(name, c.get(name)) for name in SIGNALS}
    for name in ("pelvis_yaw", "chest_yaw", "head_yaw"):
        signals[name] = (signals[name] + 180) % 360 - 180
    for i, side in enumerate(SIDES):
        outward = (1, -1)[i]
        sole = np.stack([c[f"{side}_foot_x"], c[f"{side}_foot_z"]], axis=-1) - ground
        feet = {
            "foot_ahead": 100 * (sole @ ahead),
            "foot_out": 100 * outward * (sole @ left),
            "foot_y": 100 * c[f"{side}_foot_y"],
            "foot_yaw": outward * ((c[f"{side}_foot_yaw"] - heading + 180) % 360 - 180),
        }
        signals |= {f"{side}_{name}": feet.get(name, c.get(f"{side}_{name}")) for name in SIDED}

    coefficients = []
    for name, values in signals.items():
        side = SIDES.index(name.split("_")[0]) if name.split("_")[0] in SIDES else 0
        waves = FOOT_WAVES if "_foot_" in name else WAVES
        own = phase - 0.5 * side
        columns = basis(own, waves)
        if name in ("forward", "left"):
            # Travel is no part of the cycle.
            columns = np.concatenate([columns, own[:, None]], axis=1)
        # A light ridge: few frames a cycle must not make the high waves ring.
        ridge = np.zeros(columns.shape[1])
        ridge[1 : 2 * waves + 1] = np.repeat(np.arange(1, waves + 1) ** 2 * 0.01, 2)
        ridge = np.diag(ridge)
        solution = np.linalg.solve(columns.T @ columns + ridge, columns.T @ values[inside])
        coefficients.append(solution[: 2 * waves + 1])
    for k, name in enumerate(SIGNALS):
        if name in ("forward", "left"):
            coefficients[k][0] = 0.0
    return Gait(speed, step_time, np.concatenate(coefficients))


def _strikes(joints: np.ndarray, i: int, ahead: np.ndarray) -> list[float]:
    """Return seconds at which an ankle is furthest ahead of the pelvis."""
    reach = (joints[:, ANKLE[i]] - joints[:, 0])[:, [0, 2]] @ ahead
    times = np.arange(len(reach)) / FPS
    fine = np.arange(0, times[-1], 0.01)
    curve = CubicSpline(times, reach)(fine)
    peaks, _ = find_peaks(curve, prominence=0.15, distance=30)
    return fine[peaks].tolist()


def gait(cycles: list[Gait], with_speed: bool) -> dict[str, np.ndarray]:
    """Return the mean, change with speed, and the main ways in which persons differ; every clip counts with its mirror
    image."""
    speeds = np.array([cycle.speed for cycle in cycles] * 2)
    rows = np.array([cycle.coefficients for cycle in cycles] + [mirrored(cycle.coefficients) for cycle in cycles])
    times = np.array([cycle.step_time for cycle in cycles] * 2)
    middle = speeds.mean()
    design = np.stack([np.ones_like(speeds), speeds - middle if with_speed else 0 * speeds], axis=1)
    line = np.linalg.lstsq(design, np.concatenate([rows, times[:, None]], axis=1), rcond=None)[0]
    rest = np.concatenate([rows, times[:, None]], axis=1) - design @ line
    scale = np.r_[_weights(), 100.0]
    _, sizes, ways = np.linalg.svd(rest * scale, full_matrices=False)
    modes = ways[:PERSONS] * sizes[:PERSONS, None] / np.sqrt(len(rows)) / scale
    kept = (sizes[:PERSONS] ** 2).sum() / (sizes**2).sum()
    print(f"  {PERSONS} ways of being different hold {kept:.0%} of the variance")
    return {"speed": np.array([middle, speeds.min(), speeds.max()]), "mean": line[0], "slope": line[1], "modes": modes}


def _weights() -> np.ndarray:
    """Return how much each coefficient counts where persons are told apart: badly measured angles count little."""
    weights = []
    for name in (*SIGNALS, *SIDED, *SIDED):
        waves = FOOT_WAVES if name.startswith("foot") else WAVES
        weights += [0.25 if name in ("foot_yaw", "knee_out", "arm_turn") else 1.0] * (2 * waves + 1)
    return np.array(weights)


def mirrored(coefficients: np.ndarray) -> np.ndarray:
    """Return the coefficients of the mirror image, in the left leg's phase."""
    result, at = [], 0
    for name in SIGNALS:
        own = coefficients[at : at + 2 * WAVES + 1].copy()
        # Half a cycle later: odd waves change their sign. Sideways and turning signals change theirs too.
        own[1:].reshape(-1, 2)[::2] *= -1
        result.append(-own if name in MIRRORED else own)
        at += len(own)
    half = (len(coefficients) - at) // 2
    return np.concatenate([*result, coefficients[at + half :], coefficients[at : at + half]])


def standing_pose(joints: np.ndarray) -> np.ndarray | None:
    """Return median pose of the frames in which somebody simply stands, hands down; None: there are none."""
    channels = channels_from_joints(joints)
    c = {name: channels[:, column] for name, column in COLUMN.items()}
    speed = np.linalg.norm(np.gradient(joints[:, [7, 8, 10, 11]], axis=0), axis=-1).max(1) * FPS
    yaw = np.radians(c["pelvis_yaw"])
    feet = np.stack([c["left_foot_x"] - c["right_foot_x"], c["left_foot_z"] - c["right_foot_z"]], axis=-1)
    width = (feet * np.stack([np.cos(yaw), -np.sin(yaw)], axis=-1)).sum(-1)
    fore = (feet * np.stack([np.sin(yaw), np.cos(yaw)], axis=-1)).sum(-1)
    still = (speed < 0.15) & (joints[:, 0, 1] > 0.88) & (np.abs(fore) < 0.2) & (np.abs(width - 0.2) < 0.2)
    still &= np.abs(c["chest_lean"]) < 22
    for i, side in enumerate(SIDES):
        upper, lower = joints[:, KNEE[i]] - joints[:, HIP[i]], joints[:, ANKLE[i]] - joints[:, KNEE[i]]
        cosine = (upper * lower).sum(-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(lower, axis=-1)
        still &= (cosine > np.cos(np.radians(45))) & (c[f"{side}_elbow"] < 60) & (np.abs(c[f"{side}_arm_flex"]) < 40)
        still &= np.abs(c[f"{side}_arm_abd"]) < 30
    if still.sum() < 5:
        return None
    c |= {"chest_yaw": c["chest_yaw"] - c["pelvis_yaw"], "head_yaw": c["head_yaw"] - c["pelvis_yaw"]}
    c |= {"width": 100 * width, "fore": 100 * fore}
    for i, side in enumerate(SIDES):
        c[f"{side}_foot_yaw"] = (1, -1)[i] * (c[f"{side}_foot_yaw"] - c["pelvis_yaw"])
    names = [*STANDING, *(f"{side}_{name}" for side in SIDES for name in STANDING_SIDED)]
    return np.array([np.median(c[name][still]) for name in names])


def standing(poses: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the mean and main ways of differing of standing poses, each with its mirror image."""
    rows = np.array(poses)
    swapped = rows.copy()
    for k, name in enumerate(STANDING):
        if name in ("pelvis_roll", "chest_side", "chest_yaw", "head_yaw", "fore"):
            swapped[:, k] *= -1
    half = len(STANDING_SIDED)
    swapped[:, len(STANDING) :] = np.concatenate([rows[:, -half:], rows[:, len(STANDING) : -half]], axis=1)
    both = np.concatenate([rows, swapped])
    mean = both.mean(0)
    _, sizes, ways = np.linalg.svd(both - mean, full_matrices=False)
    count = min(PERSONS, len(sizes))
    print(f"standing: {len(poses)} clips")
    return {"stand_mean": mean, "stand_modes": ways[:count] * sizes[:count, None] / np.sqrt(len(both))}


def moves(marked: list[list[tuple[str, list[float]]]], clips: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return median curves of sitting down, standing up, jumping up and jumping forward, both sides taken together."""
    curves: dict[str, list[np.ndarray]] = {"sit": [], "rise": [], "jump": [], "leap": []}
    for joints, marks in zip(clips, marked, strict=True):
        for name, landmarks in marks:
            curves[name].append(_aligned(joints, landmarks))
    for name, found in curves.items():
        print(f"{name}: {len(found)} times")
    return {f"{name}_move": np.median(np.array(found), axis=0) for name, found in curves.items()}


def _aligned(joints: np.ndarray, landmarks: list[float]) -> np.ndarray:
    channels = channels_from_joints(joints)
    samples = np.arange((len(landmarks) - 1) * MOVE_SAMPLES + 1) / MOVE_SAMPLES
    marks = np.interp(samples, np.arange(len(landmarks)), landmarks)
    rows = []
    for name in MOVES:
        columns = [COLUMN[name]] if name in COLUMN else [COLUMN[f"{side}_{name}"] for side in SIDES]
        values = [_unturned(channels[:, k]) if "turn" in name else channels[:, k] for k in columns]
        rows.append(np.mean([np.interp(marks, np.arange(len(joints)), v) for v in values], axis=0))
    return np.array(rows)


def _unturned(turn: np.ndarray) -> np.ndarray:
    """Return a forearm's turn within half a turn of where forearms are."""
    return (turn - 15 + 180) % 360 - 180 + 15


def _seats(joints: np.ndarray) -> list[tuple[str, list[float]]]:
    height, found = joints[:, 0, 1], []
    below = height < 0.75
    for edge in np.flatnonzero(np.diff(below.astype(int))).tolist():
        near = height[max(0, edge - 25) : edge + 25]
        if near.max() < 0.86 or not 0.45 < near.min() < 0.66 or len(joints) < edge + 12 or edge < 12:
            continue
        done = (height - near.min()) / np.ptp(near)
        first = last = edge
        name = "sit" if below[edge + 1] else "rise"
        start, end = (0.93, 0.07) if name == "sit" else (0.07, 0.93)
        way = 1 if name == "sit" else -1
        while first > 0 and way * done[first] < way * start:
            first -= 1
        while last < len(done) - 1 and way * done[last] > way * end:
            last += 1
        found.append((name, [2 * first - last, first, last, 2 * last - first]))
    return found


def _jumps(joints: np.ndarray) -> list[tuple[str, list[float]]]:
    height, toes = joints[:, 0, 1], joints[:, [10, 11], 1].min(1)
    air = (toes > 0.06) & (height > 0.98)
    edges = np.flatnonzero(np.diff(np.r_[0, air.astype(int), 0])).reshape(-1, 2).tolist()
    found = []
    for off, land in edges:
        if not 5 <= land - off <= 16 or off < 10 or land + 10 > len(joints):
            continue
        low = max(0, off - 12) + int(height[max(0, off - 12) : off].argmin())
        deep = land + int(height[land : land + 10].argmin())
        if height[low] > 0.82:
            continue
        start = low
        while start > 0 and height[start] < 0.93:
            start -= 1
        end = deep
        while end < len(height) - 1 and height[end] < 0.93:
            end += 1
        gone = np.linalg.norm((joints[land, 0] - joints[off, 0])[[0, 2]])
        found.append(("leap" if gone > 0.3 else "jump", [start, low, off - 1, land, deep, end]))
    return found


def blows(clips: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return median curves of straight blows, those of the left hand mirrored."""
    found = []
    for joints in clips:
        channels = channels_from_joints(joints)
        c = {name: channels[:, column] for name, column in COLUMN.items()}
        for i, side in enumerate(SIDES):
            reach = np.linalg.norm(joints[:, WRIST[i]] - joints[:, SHOULDER[i]], axis=-1)
            peaks, _ = find_peaks(reach, height=0.42, prominence=0.10, distance=6)
            for peak in peaks.tolist():
                offset = joints[peak, WRIST[i]] - joints[peak, SHOULDER[i]]
                span = slice(max(0, peak - 24), peak + 24)
                heading = np.radians(np.median(c["pelvis_yaw"][span]))
                ahead = offset[0] * np.sin(heading) + offset[2] * np.cos(heading)
                if ahead < 0.55 * reach[peak] or abs(offset[1]) > 0.22 or peak < 10 or peak > len(joints) - 13:
                    continue
                rows = []
                for name in BLOW:
                    channel, sign = name, 1
                    if name.startswith("strike"):
                        channel = name.replace("strike", side)
                    elif name.startswith("guard"):
                        channel = name.replace("guard", SIDES[1 - i])
                    elif name.endswith(("yaw", "side")):
                        sign = 1 if side == "right" else -1
                    values = _unturned(c[channel]) if "turn" in name else c[channel]
                    values = values - (np.degrees(heading) if name.endswith("yaw") else 0)
                    rows.append(sign * np.interp(peak + BLOW_SECONDS * FPS, np.arange(len(joints)), values))
                found.append(np.array(rows))
    print(f"blows: {len(found)}")
    # Where an arm is straight its turn is noise.
    curves = np.median(np.array(found), axis=0)
    for k, name in enumerate(BLOW):
        if "turn" in name:
            curves[k] = np.median(curves[k])
    return {"blow": curves}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
