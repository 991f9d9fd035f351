"""A motion as an archive of AMASS: rotations of the SMPL+H body, z up, for everything that reads AMASS or SMPL.

Source: the archives of AMASS (Mahmood et al. 2019) in their SMPL+H layout, `poses` (T, 156), `trans`, `betas`,
`gender`, `mocap_framerate`; newer ones also split the poses into `root_orient`, `pose_body` and `pose_hand`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.export.names import FileStyle
from atm.export.npz import MotionFile
from atm.export.smpl import REST, REST_PELVIS, fit_smpl
from atm.motion import HUMANML3D, Skeleton
from atm.motion.rig import Rig

BODY, JOINTS, BETAS = 3 * HUMANML3D.n_joints, 52, 16
"""Numbers of the body's poses; joints with those of both hands; shape parameters, all 0: the mean body."""
RATES = ("mocap_framerate", "mocap_frame_rate")
_TO_Z_UP = np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
"""Turns y up into z up as HumanML3D's own tools undo it; its transpose is itself."""


def save_amass(
    path: Path, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, style: FileStyle | None = None
) -> str:
    """Write the motion, and say how close its joints come on the mean body; hands are flat.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: HumanML3D's, whose joints are SMPL's.
        style: its frame rate is the file's.

    Raises:
        InputError: a skeleton without SMPL's joints.
    """
    fitted = fit_smpl(joints, skeleton, style, format="an AMASS archive")
    rig = fitted.rig
    turns = rig.rotations.copy()
    turns[:, 0] = _TO_Z_UP @ turns[:, 0]
    poses = np.zeros((len(turns), 3 * JOINTS))
    poses[:, :BODY] = Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(len(turns), BODY)
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            poses=poses,
            trans=rig.root @ _TO_Z_UP.T - REST_PELVIS,
            betas=np.zeros(BETAS),
            gender=np.array("neutral"),
            mocap_framerate=np.float64(rig.fps),
            mocap_frame_rate=np.float64(rig.fps),
            surface_model_type=np.array("smplh"),
            root_orient=poses[:, :3],
            pose_body=poses[:, 3:BODY],
            pose_hand=poses[:, BODY:],
        )
    return fitted.said()


def is_amass(arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether arrays of an npz file are an archive of AMASS."""
    return "trans" in arrays and ("poses" in arrays or {"root_orient", "pose_body"} <= set(arrays))


def motion_of_amass(arrays: Mapping[str, np.ndarray], source: str) -> MotionFile:
    """Return the motion of an archive of SMPL, SMPL+H or SMPL-X, on the mean body: shapes need a body model.

    Raises:
        InputError: no frame rate, or arrays of another shape.
    """
    rate = next((float(arrays[name]) for name in RATES if name in arrays), None)
    if rate is None or not 0 < rate <= 1000:
        raise InputError(f"{source}: expected mocap_framerate in an AMASS archive, got {rate}: a file of shapes?")
    poses = arrays["poses"] if "poses" in arrays else np.hstack([arrays["root_orient"], arrays["pose_body"]])
    trans = np.asarray(arrays["trans"], dtype=np.float64)
    if poses.ndim != 2 or poses.shape[1] < BODY or trans.shape != (len(poses), 3) or len(poses) == 0:
        raise InputError(
            f"{source}: expected poses (frames, {BODY} or more) and trans (frames, 3), got {poses.shape} and "
            f"{trans.shape}"
        )
    body = np.asarray(poses[:, :BODY], dtype=np.float64)
    if not (np.isfinite(body).all() and np.isfinite(trans).all()):
        raise InputError(f"{source}: poses or trans hold NaN or infinity")
    turns = Rotation.from_rotvec(body.reshape(-1, 3)).as_matrix().reshape(len(body), -1, 3, 3)
    turns[:, 0] = _TO_Z_UP.T @ turns[:, 0]
    rig = Rig(HUMANML3D.parents, REST, (trans + REST_PELVIS) @ _TO_Z_UP, turns, rate)
    return MotionFile(rig.joints.astype(np.float32), replace(HUMANML3D, fps=rate))
