"""NVIDIA Kimodo's motions (npz) and its constraints (JSON), for the programs that are built round it.

A motion is written on the skeleton of its SMPL-X models, 22 joints in SMPL's order, y up, 30 frames per second (the
file does not say its rate). Read are those, and motions of its SOMA models (77 or 30 joints).

Source: Kimodo's user guide, "Output Formats" and "Constraints JSON Format" (github.com/nv-tlabs/kimodo).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from pydantic import TypeAdapter, ValidationError, model_validator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from atm.base.config import Config
from atm.base.errors import InputError
from atm.export.names import FileStyle
from atm.export.npz import MotionFile
from atm.export.smpl import REST, fit_smpl
from atm.motion import HUMANML3D, Skeleton
from atm.motion.rig import Rig

FPS = 30.0
"""Frames per second of Kimodo's motions and constraints."""
KINDS = ("root2d", "fullbody", "left-hand", "right-hand", "left-foot", "right-foot", "end-effector")
SOLES = ("left_ankle", "left_foot", "right_ankle", "right_foot")
"""Joints of the four contact columns: heels and toes."""
_SLOW, _LOW = 0.15, 0.10
"""A joint of a foot stands while it is slower than this (m/s), and lower over the floor (m)."""
_SMOOTH, _MARGIN = 0.3, 0.06
"""Seconds over which the root's path is smoothed, and metres by which it may then be off."""
_PATH_EVERY = 1.0
"""Seconds between waypoints of a path."""


class Constraint(Config):
    """One element of `constraints.json`: what shall hold at some frames."""

    type: str
    """One of `KINDS`."""
    frame_indices: list[int]
    """Frames at 30 per second, from 0."""
    smooth_root_2d: list[list[float]] | None = None
    """Place of the root on the floor, x and z in metres, at each frame."""
    global_root_heading: list[list[float]] | None = None
    """Cosine and sine of the angle by which the body is turned from +z towards +x."""
    local_joints_rot: list[list[list[float]]] | None = None
    """Axis and angle of each joint relative to its parent, in radians, at each frame."""
    root_positions: list[list[float]] | None = None
    """Place of the pelvis in metres, at each frame."""
    joint_names: list[str] | None = None
    """Joints that an `end-effector` holds."""

    @model_validator(mode="after")
    def _complete(self) -> "Constraint":
        if self.type not in KINDS:
            raise ValueError(f"type is {self.type!r}, expected one of {', '.join(KINDS)}")
        needed = ("smooth_root_2d",) if self.type == "root2d" else ("local_joints_rot", "root_positions")
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f"{self.type} needs {name}")
        if min(self.frame_indices, default=0) < 0:
            raise ValueError("frame_indices count from 0")
        for name, width in (("smooth_root_2d", 2), ("global_root_heading", 2), ("root_positions", 3)):
            rows = getattr(self, name)
            if rows is not None and [len(row) for row in rows] != [width] * len(self.frame_indices):
                raise ValueError(f"{name} needs {width} numbers for each of {len(self.frame_indices)} frames")
        turns = self.local_joints_rot
        if turns is not None and not (
            len(turns) == len(self.frame_indices)
            and len({len(frame) for frame in turns}) <= 1
            and all(len(turn) == 3 for frame in turns for turn in frame)
        ):
            raise ValueError(f"local_joints_rot needs 3 numbers for each joint of {len(self.frame_indices)} frames")
        return self

    @property
    def joints(self) -> Float[np.ndarray, "F 22 3"] | None:
        """Joint positions at the frames on SMPL's mean body; None: it holds no pose, or one of another skeleton."""
        turns = self.local_joints_rot
        if not turns or len(turns[0]) != HUMANML3D.n_joints:
            return None
        matrices = Rotation.from_rotvec(np.reshape(turns, (-1, 3))).as_matrix().reshape(len(turns), -1, 3, 3)
        return Rig(HUMANML3D.parents, REST, np.array(self.root_positions), matrices, FPS).joints


_FILE = TypeAdapter(list[Constraint])


class _Placed(NamedTuple):
    """Way of the root, as Kimodo has it."""

    smooth: Float[np.ndarray, "T 3"]
    heading: Float[np.ndarray, "T 2"]


def save_kimodo(
    path: Path, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, style: FileStyle | None = None
) -> str:
    """Write the motion, and say how close its joints come on the mean body.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: HumanML3D's, whose joints are SMPL's.
        style: its frame rate is the file's; None: 30, which every reader takes it for.

    Raises:
        InputError: a skeleton without SMPL's joints.
    """
    fitted = fit_smpl(joints, skeleton, style, fps=FPS, format="a Kimodo file")
    rig = fitted.rig
    placed, turns = _placed(rig), rig.turns
    arrays = {
        "posed_joints": rig.joints,
        "global_rot_mats": turns,
        "local_rot_mats": rig.rotations,
        "foot_contacts": _contacts(rig),
        "smooth_root_pos": placed.smooth,
        "root_positions": rig.root,
        "global_root_heading": placed.heading,
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: np.asarray(values, np.float32) for name, values in arrays.items()})
    return fitted.said()


def save_constraints(
    path: Path, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, style: FileStyle | None = None
) -> str:
    """Write a motion as constraints: its first and its last pose, and the root's path with a waypoint each second.

    Arguments and errors are those of `save_kimodo`; the rate is always 30.
    """
    if style and style.fps not in (None, FPS):
        raise InputError(f"Kimodo counts the frames of constraints at {FPS:g} per second, got fps {style.fps:g}")
    fitted = fit_smpl(joints, skeleton, style, fps=FPS, format="a file of Kimodo's constraints")
    frames = len(fitted.rig.root)
    ends = sorted({0, frames - 1})
    waypoints = sorted({*range(0, frames, round(_PATH_EVERY * FPS)), frames - 1})
    write_constraints(path, [root_path(fitted.rig, waypoints), held_pose(fitted.rig, ends)])
    return fitted.said()


def root_path(rig: Rig, frames: Sequence[int]) -> Constraint:
    """Return a constraint that holds the root's path, and where the body looks, at some frames of a rig."""
    placed, frames = _placed(rig), list(frames)
    return Constraint(
        type="root2d",
        frame_indices=frames,
        smooth_root_2d=placed.smooth[frames][:, [0, 2]].tolist(),
        global_root_heading=placed.heading[frames].tolist(),
    )


def held_pose(rig: Rig, frames: Sequence[int], kind: str = "fullbody") -> Constraint:
    """Return a constraint that holds the pose, or one hand or foot of it, at some frames of a rig."""
    frames = list(frames)
    turns = Rotation.from_matrix(rig.rotations[frames].reshape(-1, 3, 3)).as_rotvec()
    return Constraint(
        type=kind,
        frame_indices=frames,
        smooth_root_2d=_placed(rig).smooth[frames][:, [0, 2]].tolist(),
        local_joints_rot=turns.reshape(len(frames), -1, 3).tolist(),
        root_positions=rig.root[frames].tolist(),
    )


def write_constraints(path: Path, constraints: Sequence[Constraint]) -> None:
    """Write `constraints.json`."""
    rows = [constraint.model_dump(exclude_none=True) for constraint in constraints]
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def read_constraints(path: Path | str) -> list[Constraint]:
    """Return what a `constraints.json` holds.

    Raises:
        InputError: no such file, no JSON, or no list of constraints; says which element is wrong and why.
    """
    if not Path(path).is_file():
        raise InputError(f"cannot read {path} as Kimodo's constraints: there is no such file")
    try:
        return _FILE.validate_python(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read {path} as Kimodo's constraints: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}, {where}: {first['msg'].removeprefix('Value error, ')}") from None


def is_kimodo(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether arrays of an npz file are a motion of Kimodo."""
    return "posed_joints" in arrays or {"local_rot_mats", "root_positions"} <= set(arrays)


def motion_of_kimodo(arrays: Mapping[str, np.ndarray], source: str) -> MotionFile:
    """Return a motion on the SMPL-X skeleton.

    Raises:
        InputError: arrays of another shape or skeleton.
    """
    if "posed_joints" in arrays:
        joints = np.asarray(arrays["posed_joints"], dtype=np.float64)
    else:
        joints = _posed(np.asarray(arrays["local_rot_mats"]), np.asarray(arrays["root_positions"]), source)
    if joints.ndim != 3 or joints.shape[1:] != (HUMANML3D.n_joints, 3) or len(joints) == 0:
        raise InputError(
            f"{source}: expected Kimodo's posed_joints (frames, 22, 3) of an SMPL-X model, got {joints.shape}; motions "
            "of its SOMA models are read with their global_rot_mats, of its robots not at all"
        )
    if not np.isfinite(joints).all():
        raise InputError(f"{source}: posed_joints hold NaN or infinity")
    return MotionFile(joints.astype(np.float32), replace(HUMANML3D, fps=FPS))


def _posed(turns: np.ndarray, root: np.ndarray, source: str) -> Float[np.ndarray, "T 22 3"]:
    if turns.ndim != 4 or turns.shape[1:] != (HUMANML3D.n_joints, 3, 3) or root.shape != (len(turns), 3):
        raise InputError(
            f"{source}: expected Kimodo's local_rot_mats (frames, 22, 3, 3) and root_positions (frames, 3), got "
            f"{turns.shape} and {root.shape}"
        )
    return Rig(HUMANML3D.parents, REST, root, turns, FPS).joints


def _placed(rig: Rig) -> _Placed:
    sigma = _SMOOTH * rig.fps
    smooth = gaussian_filter1d(rig.root, sigma, axis=0, mode="nearest")
    smooth = rig.root + np.clip(smooth - rig.root, -_MARGIN, _MARGIN)
    smooth[:, 1] = rig.root[:, 1]
    joints = rig.joints
    across = joints[:, HUMANML3D.index("right_hip")] - joints[:, HUMANML3D.index("left_hip")]
    angle = np.arctan2(across[:, 2], -across[:, 0])
    return _Placed(smooth, np.stack([np.cos(angle), np.sin(angle)], axis=-1))


def _contacts(rig: Rig) -> Bool[np.ndarray, "T 4"]:
    soles = rig.joints[:, [HUMANML3D.index(name) for name in SOLES]]
    if len(soles) < 2:
        return np.zeros((len(soles), len(SOLES)), dtype=bool)
    speed = rig.fps * np.linalg.norm(np.gradient(soles, axis=0), axis=-1)
    floor = np.quantile(soles[..., 1].min(axis=1), 0.1)
    return (speed < _SLOW) & (soles[..., 1] < floor + _LOW)
