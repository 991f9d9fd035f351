"""Motion as arrays: `.npz` with everything that is known of it, `.npy` with the joint positions alone."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from atm.base.errors import InputError
from atm.base.reading import parse_json, read_arrays
from atm.base.storage import atomic
from atm.motion import HUMANML3D, KIT, Skeleton, joints_from_features, skeleton_of_width

GIANT = 10.0
"""Height that no person reaches, in metres."""


@dataclass(frozen=True)
class MotionFile:
    """One motion as a file holds it."""

    joints: Float[np.ndarray, "T J 3"]
    """Joint positions in metres, y up."""
    skeleton: Skeleton
    features: Float[np.ndarray, "T D"] | None = None
    """In published units."""
    text: str = ""
    """The sentence, if one is known."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Source of the motion (model, seed, guidance scale, ...), as plain JSON values."""


def save_npz(path: Path, motion: MotionFile) -> None:
    """Write arrays `joints`, `fps`, `joint_names`, `skeleton`, `text`, `provenance` (JSON), `features` if known."""
    arrays = {
        "joints": motion.joints.astype(np.float32),
        "fps": np.float64(motion.skeleton.fps),
        "joint_names": np.array(motion.skeleton.joint_names),
        "skeleton": np.array(motion.skeleton.name),
        "text": np.array(motion.text),
        "provenance": np.array(json.dumps(motion.provenance)),
    }
    if motion.features is not None:
        arrays["features"] = motion.features.astype(np.float32)
    with atomic(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_motion(path: Path | str) -> MotionFile:
    """Return one motion from a `.npz` of `save_motion`, or from a `.npy` of joint positions or of features.

    Joint positions are taken in metres (in millimetres where the body would be a giant), y up, at the frame rate of
    the skeleton with that number of joints; features are taken in published units.

    Raises:
        InputError: no such file, not such a file, or arrays of no known shape.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".npy"):
        raise InputError(f"expected a motion as .npz or .npy, got {path}")
    if not path.exists():
        raise InputError(f"no such motion file: {path}")
    try:
        content = read_arrays(path)
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    return _from_array(path, content) if isinstance(content, np.ndarray) else _from_npz(path, content)


def check_joints(joints: np.ndarray, skeleton: Skeleton, where: str) -> None:
    """Refuse what is no motion of this skeleton.

    Raises:
        InputError: wrong shape, no frame, or numbers that are not finite.
    """
    if joints.ndim != 3 or joints.shape[1:] != (skeleton.n_joints, 3) or len(joints) == 0:
        raise InputError(
            f"{where}: expected joint positions (frames, {skeleton.n_joints}, 3) of {skeleton.name}, got {joints.shape}"
        )
    _refuse_not_finite(joints, where)


def _refuse_not_finite(numbers: np.ndarray, where: str) -> None:
    bad = ~np.isfinite(numbers).reshape(len(numbers), -1).all(1)
    if bad.any():
        raise InputError(
            f"{where}: {bad.sum()} of {len(numbers)} frames hold NaN or infinity, the first is frame {bad.argmax()}. "
            "Such a motion cannot be shown; generate or load it anew."
        )


def _from_array(path: Path, array: np.ndarray) -> MotionFile:
    if not np.issubdtype(array.dtype, np.number):
        raise InputError(f"{path}: expected an array of numbers, got {array.dtype}")
    if array.ndim == 2:
        return _from_features(path, array)
    skeletons = {skeleton.n_joints: skeleton for skeleton in (HUMANML3D, KIT)}
    if array.ndim != 3 or array.shape[1] not in skeletons or array.shape[2] != 3:
        raise InputError(
            f"{path}: expected joint positions (frames, 22 or 21, 3) or features (frames, 263 or 251), "
            f"got an array of shape {array.shape}"
        )
    skeleton = skeletons[array.shape[1]]
    check_joints(array, skeleton, str(path))
    # KIT's own joint files are in millimetres, ours in metres, and a .npy cannot say which it is; a body can.
    in_metres = np.ptp(array[0], axis=0).max() < GIANT
    return MotionFile((array if in_metres else array / 1000).astype(np.float32), skeleton)


def _from_features(path: Path, features: np.ndarray) -> MotionFile:
    skeleton = skeleton_of_width(features.shape[1])
    if len(features) == 0:
        raise InputError(f"{path}: holds no frame")
    _refuse_not_finite(features, str(path))
    features = features.astype(np.float32)
    joints = joints_from_features(torch.from_numpy(features), skeleton) * skeleton.metres_per_unit
    return MotionFile(joints.numpy(), skeleton, features)


def _from_npz(path: Path, arrays: dict[str, np.ndarray]) -> MotionFile:
    if "joints" not in arrays and "features" not in arrays:
        raise InputError(
            f"{path}: expected an array 'joints' or 'features', found {', '.join(sorted(arrays)) or 'none'}"
        )
    motion = _from_array(path, arrays["joints"]) if "joints" in arrays else _from_features(path, arrays["features"])
    return MotionFile(
        motion.joints,
        motion.skeleton,
        arrays.get("features"),
        str(arrays.get("text", "")),
        _provenance(path, str(arrays.get("provenance", "{}"))),
    )


def _provenance(path: Path, text: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except InputError as error:
        raise InputError(f"{path}: its array 'provenance' {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected facts by name in its array 'provenance', got {type(found).__name__}")
    return found
