"""Captured cycles of walking and running: Fourier series of a person's channels, drawn for a speed.

Read from `captured.npz`, which `python -m atm.scripted.motion.learn` made of CMU's walks and runs: the mean person, how
the cycle changes with speed, and the main ways in which persons differ.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

WAVES, FOOT_WAVES = 4, 6
"""Harmonics of a signal of the body, and of the feet."""
SIGNALS = (
    "forward",
    "left",
    "up",
    "pelvis_yaw",
    "pelvis_tilt",
    "pelvis_roll",
    "chest_yaw",
    "chest_lean",
    "chest_side",
    "head_yaw",
    "head_pitch",
)
"""Centimetres beside the uniform travel, and degrees against the direction of travel; phase 0: the left foot is
furthest ahead, about where its heel lands."""
SIDED = (
    "arm_flex",
    "arm_abd",
    "arm_turn",
    "elbow",
    "knee_out",
    "foot_pitch",
    "foot_y",
    "foot_ahead",
    "foot_out",
    "foot_yaw",
)
"""Signals of each side, in the phase of its own leg. Feet relative to the pelvis, outward positive."""
MIRRORED = ("left", "pelvis_yaw", "pelvis_roll", "chest_yaw", "chest_side", "head_yaw")
"""Signals that change their sign in the mirror."""
STANDING = (
    "pelvis_tilt",
    "pelvis_roll",
    "chest_lean",
    "chest_side",
    "chest_yaw",
    "head_yaw",
    "head_pitch",
    "width",
    "fore",
)
"""Signals of a standing pose: degrees, and centimetres between the toes sideways and fore and aft (left toe ahead)."""
STANDING_SIDED = ("arm_flex", "arm_abd", "arm_turn", "elbow", "knee_out", "foot_yaw")
MOVES = ("pelvis_tilt", "chest_lean", "head_pitch", "arm_flex", "arm_abd", "arm_turn", "elbow")
"""Signals of a move that both sides do alike: sitting down, standing up, jumping."""
MOVE_SAMPLES = 6
"""Samples from one landmark of a move to the next."""
BLOW_SECONDS = np.linspace(-0.5, 0.6, 23)
"""Times of the samples of a blow, around the moment in which the arm is straightest."""
BLOW = (
    "pelvis_yaw",
    "pelvis_tilt",
    "chest_yaw",
    "chest_lean",
    "chest_side",
    "head_yaw",
    "head_pitch",
    "strike_arm_flex",
    "strike_arm_abd",
    "strike_arm_turn",
    "strike_elbow",
    "guard_arm_flex",
    "guard_arm_abd",
    "guard_arm_turn",
    "guard_elbow",
)
"""Signals of a blow with the right hand; yaws against the heading of the guard."""
MOST = 1.6
"""How far a person is from the mean in each way of being different, at most, in standard deviations."""


@cache
def statistics() -> dict[str, np.ndarray]:
    """Return the numbers of `captured.npz`."""
    with np.load(Path(__file__).with_name("captured.npz")) as file:
        return {name: file[name].astype(float) for name in file.files}


def basis(phase: np.ndarray, waves: int) -> np.ndarray:
    """Return columns 1, cos, sin, cos of twice the phase ... (T, 2 waves + 1)."""
    angle = 2 * np.pi * np.asarray(phase, dtype=float)[..., None] * np.arange(1, waves + 1)
    pairs = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(*angle.shape[:-1], 2 * waves)
    return np.concatenate([np.ones((*pairs.shape[:-1], 1)), pairs], axis=-1)


_LEAST_ARM_SWING = 5.0
"""Degrees to each side."""
WALK_LIFT, WALK_LAND = 0.62, 0.03
"""Phases at which the toes leave the floor and the heel touches it, walking."""
RUN_LIFT, RUN_LAND = 0.34, 0.07


def draw_person(rng: np.random.Generator, ways: int = 10) -> np.ndarray:
    """Return how far somebody is from the mean in each way of being different, in standard deviations."""
    return np.clip(rng.normal(size=ways), -MOST, MOST)


@dataclass(frozen=True)
class Cycle:
    """The captured cycle of one person at one speed."""

    coefficients: dict[str, np.ndarray]
    step_time: float
    lift: float
    land: float
    backward: bool = False
    """Played backward in time from the toe-off: who walks backward does just about that."""

    def __call__(self, name: str, phase: np.ndarray) -> np.ndarray:
        """Return a signal of `SIGNALS`, or of `SIDED` with its side before it, at a phase of its own leg in cycles.

        Phase 0 is where the foot lands.
        """
        phase = self.lift - phase if self.backward else phase + self.land
        values = self.coefficients[name]
        return basis(phase, len(values) // 2) @ values

    def mean(self, name: str) -> float:
        return float(self.coefficients[name][0])

    @property
    def swing(self) -> float:
        """Share of the cycle that a foot is in the air."""
        return 1 + self.land - self.lift


def walking(speed: float, person: np.ndarray, *, backward: bool = False) -> Cycle:
    """Return the walk of a person at a speed in metres per second; of backward steps the arms swing less."""
    cycle = _cycle("walk", speed * (1.3 if backward else 1.0), person, WALK_LIFT, WALK_LAND)
    if not backward:
        return cycle
    quiet = {
        name: np.r_[values[:1], 0.5 * values[1:]] if "arm" in name or "elbow" in name else values
        for name, values in cycle.coefficients.items()
    }
    return replace(cycle, coefficients=quiet, backward=True)


def running(speed: float, person: np.ndarray) -> Cycle:
    """Return the run of a person; captured runs are of one speed, by which arms and hips swing more or less here."""
    cycle = _cycle("run", speed, person, RUN_LIFT, RUN_LAND)
    size = np.clip(speed / statistics()["run_speed"][0], 0.65, 1.12)
    swinging = ("arm_flex", "arm_abd", "yaw")
    return replace(
        cycle,
        coefficients={
            name: np.r_[values[:1], size * values[1:]] if name.endswith(swinging) else values
            for name, values in cycle.coefficients.items()
        },
    )


def _cycle(verb: str, speed: float, person: np.ndarray, lift: float, land: float) -> Cycle:
    numbers = statistics()
    middle, slowest, fastest = numbers[f"{verb}_speed"]
    modes = numbers[f"{verb}_modes"]
    off = np.clip(speed, slowest - 0.1, fastest) - middle
    values = numbers[f"{verb}_mean"] + off * numbers[f"{verb}_slope"] + person[: len(modes)] @ modes[: len(person)]
    coefficients, at = {}, 0
    for name in (*SIGNALS, *(f"{side}_{name}" for side in ("left", "right") for name in SIDED)):
        width = 2 * (FOOT_WAVES if "_foot_" in name else WAVES) + 1
        coefficients[name] = values[at : at + width].copy()
        if name.endswith("arm_flex") and verb == "walk":
            # However little somebody swings the arms: each goes with the other leg.
            wave = coefficients[name]
            wave[1] = min(wave[1], -_LEAST_ARM_SWING)
            wave[2] = np.clip(wave[2], 0.5 * wave[1], -0.5 * wave[1])
            wave[3:] = np.clip(wave[3:], 0.35 * wave[1], -0.35 * wave[1])
        if name.endswith("knee_out"):
            # Of a nearly straight leg it is measured badly: slow waves only.
            coefficients[name][1:] *= np.repeat([0.7, 0.4, 0.0, 0.0], 2)
        at += width
    return Cycle(coefficients, float(values[at]), lift, land)


def move(name: str, landmarks: list[float], times: np.ndarray) -> dict[str, np.ndarray]:
    """Return captured curves of a move over `times`, its landmarks at these moments; held before the first and after
    the last.

    `sit` and `rise`: landmarks where 7 % and 93 % of the way down or up are done, and one such time before and after
    these. `jump` and `leap`: start, lowest, take-off, landing, lowest, end.
    """
    table = statistics()[f"{name}_move"]
    at = np.interp(times, landmarks, np.arange(len(landmarks)) * MOVE_SAMPLES)
    return dict(zip(MOVES, _between(table, at), strict=True))


def blow(times: np.ndarray) -> dict[str, np.ndarray]:
    """Return captured curves of a blow with the right hand at times in seconds from its peak; held before and after."""
    at = np.interp(times, BLOW_SECONDS, np.arange(len(BLOW_SECONDS)))
    return dict(zip(BLOW, _between(statistics()["blow"], at), strict=True))


def _between(table: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return each row's values (rows, T) at places between its samples, by cubic pieces without kinks (Catmull-Rom)."""
    first = np.clip(at.astype(int), 0, table.shape[1] - 2)
    u = at - first
    padded = np.concatenate([table[:, :1], table, table[:, -1:]], axis=1)
    weights = (
        ((2 - u) * u - 1) * u / 2,
        (u**2 * (3 * u - 5) + 2) / 2,
        ((4 - 3 * u) * u + 1) * u / 2,
        (u - 1) * u**2 / 2,
    )
    return sum(weight * padded[:, first + k] for k, weight in enumerate(weights))


def standing(person: np.ndarray) -> dict[str, float]:
    """Return how a person stands: the names of `STANDING`, and of `STANDING_SIDED` with their side before them."""
    numbers = statistics()
    modes = numbers["stand_modes"]
    values = numbers["stand_mean"] + person[: len(modes)] @ modes[: len(person)]
    names = (*STANDING, *(f"{side}_{name}" for side in ("left", "right") for name in STANDING_SIDED))
    return dict(zip(names, values.tolist(), strict=True))
