"""One pass over the files of a clip: if it can be used, how it moves, which clips are equal to it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt64
from torch import Tensor

from atm.base.errors import InputError
from atm.curation.check.movement import Movement, movement_of
from atm.data.store import Fault, read_array, read_clip
from atm.motion import Skeleton, joints_from_features
from atm.motion.anatomy import doubts

POSE_GRID = 0.01
"""Poses are told apart by local joint positions on this grid, in metres."""
_NO_CONTACT, _NO_ROTATION = 0.01, 0.05
"""How far contacts may be from 0 and 1, and the axes of a rotation from length 1 and a right angle."""
_APART = 0.01
"""Mean distance in metres from which joint positions are not those of the features; rounding stays far below."""

# Odd multipliers turn a pose's grid numbers into one 64-bit number; the same in every process.
_MIX = np.random.default_rng(20_261_122).integers(0, 2**63, size=128, dtype=np.uint64) | np.uint64(1)


@dataclass(frozen=True)
class Clip:
    """One clip of a data folder."""

    frames: int
    fault: Fault | None
    """Why it cannot be used; the fields below are those of a usable clip."""
    wide: bool = False
    """Stored as float64: twice the size, nothing gained."""
    digest: bytes = b""
    """Digest of the features; equal for equal motions."""
    poses: UInt64[np.ndarray, "P"] | None = None
    """The different poses of the clip, each as one number; facing and place on the ground do not matter."""
    movement: Movement | None = None
    strange: str | None = None
    """Columns that cannot hold what they should, in words."""
    doubts: tuple[str, ...] = ()
    """Reasons why it may be no motion of a person, in words."""
    joints: str | None = None
    """How the file in `new_joints` differs from the features; None: it does not, or there is none."""


def look_at(file: Path, joints_file: Path | None, skeleton: Skeleton) -> tuple[Clip, Float[np.ndarray, "T D"] | None]:
    """Return a clip and its features, None where they cannot be used."""
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
            strange=_strange(features, skeleton),
            doubts=tuple(doubts(joints.numpy(), skeleton, features)) if len(joints) else (),
            joints=None if joints_file is None else _compare(joints_file, joints, skeleton),
        )
    return clip, features


def poses_of(features: Float[np.ndarray, "T D"], skeleton: Skeleton) -> UInt64[np.ndarray, "P"]:
    """Return the different poses of a clip as numbers, in rising order.

    Equal poses have equal numbers; a clip that was stored in another precision keeps nearly all of its numbers.
    """
    columns = features[:, skeleton.columns["positions"]]
    grid = np.round(columns * (skeleton.metres_per_unit / POSE_GRID)).astype(np.int64).astype(np.uint64)
    return np.unique(grid @ _MIX[: grid.shape[1]])


def _strange(features: Float[np.ndarray, "T D"], skeleton: Skeleton) -> str | None:
    """Return what is wrong with the columns that positions and velocities say nothing of."""
    contacts = features[:, skeleton.columns["contacts"]]
    if np.minimum(np.abs(contacts), np.abs(contacts - 1)).max() > _NO_CONTACT:
        return f"has contacts from {contacts.min():.3g} to {contacts.max():.3g}, expected 0 or 1"
    axes = features[:, skeleton.columns["rotations"]].reshape(len(features), -1, 2, 3)
    lengths = np.linalg.norm(axes, axis=-1)
    if np.abs(lengths - 1).max() > _NO_ROTATION:
        return f"has rotations with axes of length {lengths.min():.3g} to {lengths.max():.3g}, expected 1"
    if np.abs((axes[:, :, 0] * axes[:, :, 1]).sum(axis=-1)).max() > _NO_ROTATION:
        return "has rotations whose axes stand at no right angle"
    return None


def _compare(file: Path, joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> str | None:
    """Return how a file of joint positions differs from those that the features hold, `joints` (metres)."""
    if not file.is_file():
        return "is missing"
    try:
        stored = read_array(file)
    except InputError as error:
        return str(error)
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
        return len(read_array(file, mapped=True))
    except (InputError, TypeError):
        return 0
