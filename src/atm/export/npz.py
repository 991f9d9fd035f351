"""Motion as arrays: `.npz` with everything that is known of it, `.npy` with the joint positions alone."""

import json
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from atm.base.errors import InputError
from atm.base.reading import parse_json, read_arrays
from atm.base.storage import atomic
from atm.motion import HUMANML3D, KIT, Skeleton, joints_from_features, skeleton_of_width
from atm.motion.anatomy import doubts, frame_rate, in_metres


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

    Joint positions are taken in the unit that makes the body as large as a person, y up, at the frame rate that `fps`
    in the archive says, or that of the skeleton with that number of joints; features are taken in published units. What
    looks like no person is warned of.

    Raises:
        InputError: no such file, not such a file, arrays of no known shape, an impossible frame rate, or several
            motions.
    """
    motions = load_motions(path)
    if len(motions) > 1:
        raise InputError(
            f"{path} holds {len(motions)} motions, expected one: `atm export {path} motion.npz` writes a file of each"
        )
    return motions[0]


def load_motions(path: Path | str) -> list[MotionFile]:
    """Return all motions of a file: one, or those of a `results.npy` as MDM's sampling writes it, with their texts and
    lengths; else as `load_motion`."""
    path = Path(path)
    if path.suffix not in (".npz", ".npy"):
        raise InputError(f"expected a motion as .npz or .npy, got {path}")
    if not path.is_file():
        raise InputError(f"no such motion file: {path}")
    try:
        content = read_arrays(path)
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    if isinstance(content, np.ndarray):
        motions = [_from_array(path, content)]
    elif path.suffix == ".npy" or ("motion" in content and "joints" not in content):
        motions = _from_results(path, content)
    else:
        motions = [_from_npz(path, content)]
    _warn_of_doubts(path, motions)
    return motions


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


def _from_array(path: Path, array: np.ndarray, *, metres: bool = False) -> MotionFile:
    """Return one motion; `metres`: its positions are known to be in metres."""
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
    # A file of positions cannot say in which unit it is; a body can. KIT's own files are in millimetres.
    joints, unit = (array, "metres") if metres else in_metres(array.astype(np.float64), skeleton, str(path))
    if unit != "metres" and not (unit == "millimetres" and skeleton == KIT):
        warnings.warn(f"{path} is in {unit}, as the size of the body says: taken so", stacklevel=2)
    return MotionFile(joints.astype(np.float32), skeleton)


def _from_results(path: Path, results: dict[str, Any]) -> list[MotionFile]:
    """Return the motions of MDM's `results.npy`: `motion` (motions, joints, 3, frames), `text` and `lengths`."""
    motion = results.get("motion")
    if not isinstance(motion, np.ndarray) or motion.ndim != 4 or not np.issubdtype(motion.dtype, np.number):
        raise InputError(
            f"{path} holds a dictionary of {', '.join(results) or 'nothing'}: expected MDM's results, with 'motion' of "
            "shape (motions, joints, 3, frames)"
        )
    # MDM's own order, and that of programs that follow it with frames first.
    by_frames = motion.transpose(0, 3, 1, 2) if motion.shape[2] == 3 else motion
    if by_frames.shape[2] not in (HUMANML3D.n_joints, KIT.n_joints) or by_frames.shape[3] != 3 or not len(motion):
        raise InputError(
            f"{path} holds motions of shape {motion.shape}, expected (motions, 22 or 21 joints, 3, frames): of other "
            "bodies, or of rotations, no file can be made here"
        )
    count, frames = by_frames.shape[:2]
    lengths = np.ravel(results.get("lengths", [frames] * count)).astype(int).tolist()
    texts = [str(text) for text in np.ravel(np.asarray(results.get("text", [""] * count), dtype=object))]
    if len(lengths) != count or len(texts) != count or not all(1 <= length <= frames for length in lengths):
        raise InputError(
            f"{path} holds {count} motions of {frames} frames, but {len(texts)} texts and lengths {lengths}: it is cut "
            "short, or was put together of several files"
        )
    return [
        replace(_from_array(path, joints[:length]), text=text, provenance={"source": path.name, "sample": number})
        for number, (joints, length, text) in enumerate(zip(by_frames, lengths, texts, strict=True))
    ]


def _warn_of_doubts(path: Path, motions: list[MotionFile]) -> None:
    """Give a warning of what can hardly be a person."""
    found = [said[0] for motion in motions if (said := doubts(motion.joints, motion.skeleton, motion.features))]
    if found:
        among = f" ({len(found)} of {len(motions)} motions)" if len(motions) > 1 else ""
        warnings.warn(f"{path}{among} {found[0]}", stacklevel=3)


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
    own = "skeleton" in arrays  # written by `save_npz`
    if "joints" in arrays:
        motion = _from_array(path, arrays["joints"], metres=own)
    else:
        motion = _from_features(path, arrays["features"])
    return MotionFile(
        motion.joints,
        replace(motion.skeleton, fps=frame_rate(arrays, motion.skeleton, str(path))),
        _features_of(path, arrays, motion),
        str(arrays.get("text", "")),
        _provenance(path, str(arrays.get("provenance", "{}"))),
    )


def _features_of(path: Path, arrays: dict[str, np.ndarray], motion: MotionFile) -> np.ndarray | None:
    """Return the features of an archive that are those of its joints, in published units.

    None: it has none, or its frame rate is not the one at which published features are defined.
    """
    features = arrays.get("features")
    if features is None or frame_rate(arrays, motion.skeleton, str(path)) != motion.skeleton.fps:
        return None
    width, frames = motion.skeleton.feature_width, len(motion.joints)
    if features.dtype.kind not in "fiu" or features.ndim != 2 or features.shape[1] != width:
        raise InputError(f"{path}: expected features (frames, {width}), got {features.dtype} of {features.shape}")
    if not frames - 1 <= len(features) <= frames:
        raise InputError(f"{path}: {len(features)} rows of features do not belong to {frames} frames of joints")
    _refuse_not_finite(features, f"{path}, features")
    return features


def _provenance(path: Path, text: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except InputError as error:
        raise InputError(f"{path}: its array 'provenance' {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected facts by name in its array 'provenance', got {type(found).__name__}")
    return found
