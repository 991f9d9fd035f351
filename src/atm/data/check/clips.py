"""What one pass over a clip's files tells: whether it can be used, how it moves, what it is alike to."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt64
from torch import Tensor

from atm.data.store import Fault, read_clip
from atm.motion import Skeleton, joints_from_features, velocity

POSE_GRID = 0.01
"""Poses are told apart by local joint positions on this grid, in metres."""
_LEAST_FLIGHT, _LONGEST_FLIGHT = 4, 150
"""Frames in which no joint touches the ground, for them to count as a jump."""
_OFF_GROUND = 0.06
"""Metres over the clip's lowest joint."""
_RISE = 0.02
"""A jump lifts the pelvis by this many metres at least, else it is a body that lies with its feet up."""
_BALLISTIC = 0.06
"""Largest distance of the pelvis from its parabola, as a share of its rise: more, and something holds the body."""
_MOVING = 0.5
"""Metres that all joints together must travel relative to the pelvis before their pace is compared."""

_APART = 0.01
"""Mean distance in metres from which joint positions are not those of the features; rounding stays far below."""

# Odd multipliers turn a pose's grid numbers into one 64-bit number; the same in every process.
_MIX = np.random.default_rng(20_261_122).integers(0, 2**63, size=128, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True)
class Movement:
    """How the features of a clip move, at the frame rate that their width stands for."""

    peak_speed: float
    """Of the fastest joint in its fastest step, m/s."""
    limb_speed: float
    """Of the fastest joint relative to the pelvis, m/s: nine steps in ten are slower."""
    column_pace: float | None
    """Joint paths by the velocity columns over those by the position columns: 1, unless rows were dropped, repeated or
    put between. None: hardly a joint moves."""
    falls: tuple[float, ...]
    """Downward acceleration in each jump, m/s²: 9.8 where the frame rate is right."""
    leg: float
    """Length of the two bones of a leg, metres."""


@dataclass(frozen=True)
class Clip:
    """One clip of a data folder."""

    frames: int
    fault: Fault | None
    """Why it cannot be used; the fields below are those of a usable clip."""
    wide: bool = False
    """Stored as float64: twice the size, nothing gained."""
    digest: bytes = b""
    """Of the features; equal for equal motions."""
    poses: UInt64[np.ndarray, "P"] | None = None
    """The different poses of the clip, each as one number; facing and place on the ground do not matter."""
    movement: Movement | None = None
    joints: str | None = None
    """How the file in `new_joints` differs from the features; None: it does not, or there is none."""


def look_at(file: Path, joints_file: Path | None, skeleton: Skeleton) -> tuple[Clip, Float[np.ndarray, "T D"] | None]:
    """A clip and its features, None where they cannot be used."""
    features, fault = read_clip(file, skeleton.feature_width)
    if fault is not None:
        return Clip(_frames_of(file), fault), None
    # What is far off the scale of a body overflows on the way to positions; it is found by its speed.
    with np.errstate(all="ignore"):
        joints = joints_from_features(torch.from_numpy(features), skeleton) * skeleton.metres_per_unit
        clip = Clip(
            frames=len(features),
            fault=None,
            wide=file.stat().st_size > 1.5 * features.nbytes,
            digest=hashlib.blake2b(features.tobytes(), digest_size=16).digest(),
            poses=poses_of(features, skeleton),
            movement=movement_of(features, joints, skeleton),
            joints=None if joints_file is None else _compare(joints_file, joints, skeleton),
        )
    return clip, features


def poses_of(features: Float[np.ndarray, "T D"], skeleton: Skeleton) -> UInt64[np.ndarray, "P"]:
    """The different poses of a clip as numbers, in rising order.

    Equal poses have equal numbers; a clip that was stored in another precision keeps nearly all of its numbers.
    """
    columns = features[:, skeleton.columns["positions"]]
    grid = np.round(columns * (skeleton.metres_per_unit / POSE_GRID)).astype(np.int64).astype(np.uint64)
    return np.unique(grid @ _MIX[: grid.shape[1]])


def movement_of(features: Float[np.ndarray, "T D"], joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> Movement:
    """How a clip moves; `joints` are those of its features, in metres."""
    local = joints - joints[:, :1]
    limbs = torch.linalg.vector_norm(velocity(local, skeleton.fps), dim=-1)  # (T-1, J)
    speeds = torch.linalg.vector_norm(velocity(joints, skeleton.fps), dim=-1)
    upper, lower = skeleton.leg_joints
    bones = torch.stack([joints[0, j] - joints[0, skeleton.parents[j]] for j in (upper, lower)])
    return Movement(
        peak_speed=float(speeds.max()) if len(speeds) else 0.0,
        limb_speed=float(limbs.amax(dim=1).quantile(0.9)) if len(limbs) else 0.0,
        column_pace=_column_pace(features, limbs / skeleton.fps, skeleton),
        falls=tuple(falls(joints, skeleton.fps)),
        leg=float(torch.linalg.vector_norm(bones, dim=-1).sum()),
    )


def falls(joints: Float[Tensor, "T J 3"], fps: float) -> list[float]:
    """Downward acceleration of the pelvis in each jump, in m/s².

    A jump is a span in which every joint is off the ground and the pelvis goes up and down again. In the air a body
    falls at 9.8 m/s², so this is a clock that comes with the motion: at half the true frame rate it reads a quarter.
    """
    height = joints[..., 1]
    off = (height.amin(dim=1) - height.min() > _OFF_GROUND).numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], off, [False]]).astype(np.int8)))
    found = []
    for start, end in edges.reshape(-1, 2):
        inside = start > 0 and end < len(off)
        if not (inside and _LEAST_FLIGHT <= end - start <= _LONGEST_FLIGHT):
            continue
        pelvis = height[start:end, 0].double().numpy()
        seconds = np.arange(len(pelvis)) / fps
        rise = pelvis.max() - max(pelvis[0], pelvis[-1])
        curve = np.polyfit(seconds, pelvis, 2)
        if rise > _RISE and np.abs(np.polyval(curve, seconds) - pelvis).max() < _BALLISTIC * rise:
            found.append(float(-2 * curve[0]))
    return found


def _column_pace(features: Float[np.ndarray, "T D"], paths: Float[Tensor, "S J"], skeleton: Skeleton) -> float | None:
    columns = torch.from_numpy(features[:-1, skeleton.columns["velocities"]]).unflatten(-1, (-1, 3))
    by_columns = torch.linalg.vector_norm(columns - columns[:, :1], dim=-1).sum() * skeleton.metres_per_unit
    by_positions = paths.sum()
    if not by_positions > _MOVING:
        return None
    return float(by_columns / by_positions)


def _compare(file: Path, joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> str | None:
    """How a file of joint positions differs from those that the features hold, `joints` (metres)."""
    if not file.is_file():
        return "is missing"
    try:
        stored = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        return f"cannot be read ({error})"
    if stored.ndim != 3 or stored.shape[1:] != (skeleton.n_joints, 3) or not len(stored):
        return f"has shape {stored.shape}, expected (frames, {skeleton.n_joints}, 3)"
    frames = len(joints)
    # Positions that have not been through the features have a frame more.
    if len(stored) not in (frames, frames + 1):
        return f"has {len(stored)} frames, the features {frames}: {len(stored) / frames:.2f} times as many"
    found = torch.from_numpy(stored[:frames].astype(np.float32)) * skeleton.metres_per_unit
    if not torch.isfinite(found).all():
        return "holds NaN or infinite values"
    scale = float(found.abs().mean() / joints.abs().mean().clamp_min(1e-9))
    for factor in (1000, 0.001):
        if abs(scale / factor - 1) < 0.05:
            return f"is in another unit, {factor:g} times as large"
    off = float(torch.linalg.vector_norm(found - joints, dim=-1).mean())
    return f"lies {off:.2f} m off the features" if off > _APART else None


def _frames_of(file: Path) -> int:
    try:
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError):
        return 0
    return shape[0] if shape else 0
