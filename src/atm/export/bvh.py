"""A motion as a BVH file, for Blender, Maya, MotionBuilder and the like.

The root has position channels and three rotations, every other joint three rotations: bones keep their lengths, as all
readers expect. By default lengths are in metres and y is up, the figure of the rest pose stands in a T and looks along
+z (`atm.motion.rig`). Angles are in degrees; the order of the axes is the joint's own, as its channels say.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.storage import atomic
from atm.export.names import UNITS, FileStyle
from atm.export.styled import styled
from atm.motion import Skeleton
from atm.motion.rig import Rig, children_of, outward, rest_direction

_END_SITES = {"head": 0.18, "foot": 0.06, "wrist": 0.17}
"""Metres from the last joint of a limb to its tip."""
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Turns y upward into z upward."""
_Z_UP_AXES = str.maketrans("YZ", "ZY")


def rotation_order(joint_name: str) -> str:
    """Return the order of a joint's rotation channels.

    The angle in the middle must stay under 90 degrees, or curves jump: for a limb that is the twist about itself, for
    the body the fall to a side (it lies on belly and back more often).
    """
    if joint_name == "pelvis":
        return "YZX"
    return "ZXY" if joint_name.endswith(("collar", "shoulder", "elbow", "wrist")) else "XYZ"


class BvhRig(NamedTuple):
    """How the joints of a BVH file are written."""

    names: tuple[str, ...]
    orders: tuple[str, ...]
    """Order of each joint's rotation channels, such as "ZXY"."""
    tips: dict[int, Float[np.ndarray, "3"]]
    """From each joint that nothing hangs on to the end of its limb."""


def save_bvh(
    path: Path | str, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, style: FileStyle | None = None
) -> None:
    """Write a motion whose forward kinematics gives the joint positions back, as far as bones keep their length.

    A bone that changes its length gets its mean length; its outer joint is then off by the difference
    (`atm.motion.bodies.constant_bones` gives the joints that are written).

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints; its frame rate is that of `joints`.
        style: names, unit, frame rate and upward axis of the file; None: the skeleton's own, metres, y.
    """
    style, rig, names = styled(joints, skeleton, style)
    orders = tuple(map(rotation_order, skeleton.joint_names))
    ends = {joint: skeleton.joint_names[joint] for joint, below in children_of(skeleton.parents).items() if not below}
    tips = {joint: rest_direction(name) * _END_SITES[name.rpartition("_")[2]] for joint, name in ends.items()}
    if style.up == "z":
        rig = replace(
            rig, offsets=rig.offsets @ Z_UP.T, root=rig.root @ Z_UP.T, rotations=Z_UP @ rig.rotations @ Z_UP.T
        )
        tips = {joint: Z_UP @ tip for joint, tip in tips.items()}
        orders = tuple(order.translate(_Z_UP_AXES) for order in orders)
    scale = UNITS[style.unit]
    rig = replace(rig, offsets=scale * rig.offsets, root=scale * rig.root)
    tips = {joint: scale * tip for joint, tip in tips.items()}
    figure = BvhRig(tuple(names), orders, tips)
    with atomic(Path(path)) as part:
        part.write_text(bvh_text(figure, rig), encoding="ascii")


def bvh_text(figure: BvhRig, rig: Rig) -> str:
    """Return the file of a rig, in the unit that it has."""
    return _hierarchy(figure, rig) + _motion(figure, rig)


def _hierarchy(figure: BvhRig, rig: Rig) -> str:
    children, lines = children_of(rig.parents), ["HIERARCHY"]

    def write(joint: int, depth: int) -> None:
        indent, inner = "  " * depth, "  " * (depth + 1)
        place = "3" if joint else "6 Xposition Yposition Zposition"
        lines.append(f"{indent}{'JOINT' if joint else 'ROOT'} {figure.names[joint]}")
        lines.append(f"{indent}{{")
        lines.append(f"{inner}OFFSET {_numbers(rig.offsets[joint])}")
        lines.append(f"{inner}CHANNELS {place} " + " ".join(f"{axis}rotation" for axis in figure.orders[joint]))
        for child in children[joint]:
            write(child, depth + 1)
        if not children[joint]:
            tip = _numbers(figure.tips[joint])
            lines.extend([f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET {tip}", f"{inner}}}"])
        lines.append(f"{indent}}}")

    write(0, 0)
    return "\n".join(lines) + "\n"


def _motion(figure: BvhRig, rig: Rig) -> str:
    columns = [rig.root]
    for joint in outward(rig.parents):
        angles = Rotation.from_matrix(rig.rotations[:, joint]).as_euler(figure.orders[joint], degrees=True)
        # A turn over 180 degrees goes on counting, so that curves in an editor have no jumps.
        columns.append(np.unwrap(angles, period=360, axis=0))
    rows = "\n".join(_numbers(row) for row in np.concatenate(columns, axis=1))
    return f"MOTION\nFrames: {len(rig.root)}\nFrame Time: {1 / rig.fps:.8f}\n{rows}\n"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)
