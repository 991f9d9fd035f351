"""A motion as rotations of SMPL's 22 body joints, for the formats that hold rotations and no bones (AMASS, Kimodo).

SMPL's body model has a licence of its own and is not part of this package. What stands in for it is the mean body that
MoMask's program writes (`template.py`), whose joints are laid out as SMPL's are: rotations are fitted to it, so that a
reader who has the model sees the motion on SMPL's mean body, and joints are as far off as that body is from the
motion's own.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.export.names import FileStyle
from atm.export.template import OFFSETS, ORDER
from atm.motion import HUMANML3D, Skeleton
from atm.motion.rig import Rig, fit_rig

_UNSORTED = np.argsort(ORDER)
REST = OFFSETS[_UNSORTED] * (HUMANML3D.index("pelvis") != np.arange(HUMANML3D.n_joints))[:, None]
"""Each joint of the mean body from its parent in SMPL's rest pose, in metres; the root's is zero."""
REST_PELVIS = OFFSETS[_UNSORTED][HUMANML3D.index("pelvis")]
"""Place of the pelvis in SMPL's rest pose: what a file's translation is added to."""
_SOLES = [HUMANML3D.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")]


class OnSmpl(NamedTuple):
    """A motion on the mean body."""

    rig: Rig
    mean: float
    """Metres between its joints and those of the motion: mean over joints and frames."""
    worst: float
    """The largest of them."""

    def said(self) -> str:
        """Return how close the joints come, in words."""
        return (
            f"on SMPL's mean body the joints come within {100 * self.mean:.1f} cm on average, "
            f"{100 * self.worst:.1f} cm at worst"
        )


def fit_smpl(
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    style: FileStyle | None,
    *,
    format: str,
    fps: float | None = None,
) -> OnSmpl:
    """Return the motion on the mean body, at the height at which its feet stand as they stood.

    Args:
        joints: in metres, y up.
        skeleton: whose joints these are.
        style: its frame rate is the file's; the formats leave no other choice.
        format: what needs these joints, for the error.
        fps: frames per second of a file whose style says none; None: those of the motion.

    Raises:
        InputError: a skeleton without SMPL's joints.
    """
    if skeleton.joint_names != HUMANML3D.joint_names:
        raise InputError(
            f"{format} holds SMPL's 22 joints, which {HUMANML3D.name} has, but the motion is of {skeleton.name} with "
            f"{skeleton.n_joints}: write .bvh, .glb or .npz"
        )
    joints = np.asarray(joints, dtype=np.float64)
    rig = fit_rig(joints, skeleton, rest=REST)
    sunk = (joints[:, _SOLES, 1] - rig.joints[:, _SOLES, 1]).mean()
    rig = replace(rig, root=rig.root + np.array([0.0, sunk, 0.0]))
    off = np.linalg.norm(rig.joints - joints, axis=-1)
    wanted = (style.fps if style else None) or fps or skeleton.fps
    return OnSmpl(rig.at(wanted), float(off.mean()), float(off.max()))
