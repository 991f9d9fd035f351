"""Beginning of every writer of a skeleton: the motion's rig at the rate of the file, and the joints' names."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atm.export.names import FileStyle, joint_name
from atm.motion import Skeleton
from atm.motion.rig import Rig, fit_rig


class Styled(NamedTuple):
    """A motion as it is written."""

    style: FileStyle
    """Choices of the file: those that were made, else the defaults."""
    rig: Rig
    """In metres, y up, at the frame rate of the style."""
    names: list[str]
    """Names of the joints in the file."""


def styled(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, style: FileStyle | None) -> Styled:
    """Return a motion as a style says.

    Args:
        joints: in metres, y up.
        skeleton: names the joints; its frame rate is that of `joints`.
        style: names and frame rate are followed here, unit and upward axis are the writer's; None: the defaults.
    """
    style = style or FileStyle()
    rig = fit_rig(np.asarray(joints, dtype=np.float64), skeleton).at(style.fps or skeleton.fps)
    return Styled(style, rig, [joint_name(name, style.names) for name in skeleton.joint_names])
