"""A folder of motions that any program made, as the evaluation takes them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from atm.base.errors import InputError
from atm.base.reading import read_arrays
from atm.motion import Skeleton, features_from_joints, joints_from_features
from atm.motion.anatomy import doubts, frame_rate, in_metres

SUFFIXES = (".npz", ".npy")


@dataclass(frozen=True)
class FolderMotion:
    """One motion of a folder."""

    features: Float[np.ndarray, "T D"]
    """In published units."""
    text: str | None
    """The sentence that it was generated from, where the file says."""
    doubt: str = ""
    """Reason why it may be no motion of a person, to stand behind its name."""


def read_folder(folder: Path, ids: Sequence[str], skeleton: Skeleton) -> tuple[dict[str, FolderMotion], list[str]]:
    """Return motions named `<id>.npz` or `<id>.npy`.

    A `.npy` holds features (T, D) in published units or joint positions (T, J, 3), whose unit the size of the body
    says. A `.npz` has them under `features` or `joints`, and may have `text`, and `fps`, at another of which joints are
    brought to the data set's. What looks like no person is warned of.

    Returns:
        The motions by id, and the ids that the folder lacks.

    Raises:
        InputError: no such folder, none of the ids, a file that cannot be read, of another width, too short, or not
            finite.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of motions at {folder}")
    files = {path.stem: path for suffix in reversed(SUFFIXES) for path in folder.glob(f"*{suffix}")}
    found = {name: read_motion(files[name], skeleton) for name in ids if name in files}
    if not found:
        some = ", ".join(list(ids)[:3])
        raise InputError(
            f"{folder} holds no motion of this split: expected files named by id ({some}, ...) as .npy/.npz"
        )
    if doubtful := [(name, motion.doubt) for name, motion in found.items() if motion.doubt]:
        name, said = doubtful[0]
        warnings.warn(f"{len(doubtful)} of {len(found)} motions of {folder} are doubtful: {name} {said}", stacklevel=2)
    return found, [name for name in ids if name not in files]


def read_motion(path: Path, skeleton: Skeleton) -> FolderMotion:
    """Return one file of such a folder; errors as in `read_folder`."""
    try:
        loaded = read_arrays(path)
    except InputError as error:
        raise InputError(f"cannot read the motion: {path} {error}") from None
    arrays = {"": loaded} if isinstance(loaded, np.ndarray) else loaded
    array = next((arrays[name] for name in ("", "features", "joints") if name in arrays), None)
    width, joints = skeleton.feature_width, skeleton.n_joints
    fits = isinstance(array, np.ndarray) and (
        (array.ndim == 2 and array.shape[1] == width) or array.shape[1:] == (joints, 3)
    )
    if not fits:
        came = f"shape {array.shape}" if isinstance(array, np.ndarray) else f"arrays {', '.join(arrays)}"
        raise InputError(
            f"{path}: expected {skeleton.name} features (frames, {width}) or joints (frames, {joints}, 3), got {came}. "
            "Evaluate the folder on the data set it was made for, or convert it first."
        )
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise InputError(f"{path} holds NaN or infinite values; generate this motion again")
    if len(array) < 9:
        raise InputError(f"{path} has {len(array)} frames; the evaluator needs at least 9")
    rate = frame_rate(arrays, skeleton, str(path))
    if array.ndim == 3:
        joints, unit = in_metres(array.astype(np.float64), skeleton, str(path))
        own = {1.0: "metres", 0.001: "millimetres"}[skeleton.metres_per_unit]
        doubt = "" if unit == own else f"is in {unit}, as the size of the body says: taken so"
        doubt = next(iter(doubts(joints, skeleton)), doubt)
        rows = torch.from_numpy((joints / skeleton.metres_per_unit).astype(np.float32))
        array = features_from_joints(rows, replace(skeleton, fps=rate)).numpy()
    elif rate != skeleton.fps:
        raise InputError(
            f"{path}: its features are of {rate:g} frames per second, expected {skeleton.fps:g}: save joints instead"
        )
    else:
        rows = torch.from_numpy(array.astype(np.float32))
        joints = joints_from_features(rows, skeleton).numpy() * skeleton.metres_per_unit
        doubt = next(iter(doubts(joints, skeleton, array)), "")
    text = str(arrays["text"]) if "text" in arrays and str(arrays["text"]) else None
    return FolderMotion(array.astype(np.float32), text, doubt)
