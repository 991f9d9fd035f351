"""A motion as a VRM animation (`.vrma`), which plays on any VRM model: a binary glTF file that says which node is which
bone of a humanoid.

Source: the specification VRMC_vrm_animation-1.0 (github.com/vrm-c/vrm-specification). The rest pose is a T-pose that
looks along +z, as it asks; only the hips move, all bones turn.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from atm.export.glb import animated_skeleton
from atm.export.names import FileStyle
from atm.export.styled import styled
from atm.motion import Skeleton

_EXTENSION = "VRMC_vrm_animation"


def save_vrma(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    text: str = "",
    style: FileStyle | None = None,
) -> None:
    """Write a motion of VRM's bones.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints; one that VRM has no bone for (KIT's midfoot) stays a node between others.
        text: becomes the animation's name.
        style: its frame rate is the file's.
    """
    _, rig, bones = styled(joints, skeleton, FileStyle(names="vrm", fps=style.fps if style else None))
    known = {bone: {"node": node} for node, bone in enumerate(bones) if bone != skeleton.joint_names[node]}
    # These two are called the same by VRM and by our skeleton.
    known |= {bone: {"node": bones.index(bone)} for bone in ("neck", "head")}
    file = animated_skeleton(rig, bones, text)
    file.extensionsUsed = [_EXTENSION]
    file.extensions = {_EXTENSION: {"specVersion": "1.0", "humanoid": {"humanBones": known}}}
    Path(path).write_bytes(b"".join(file.save_to_bytes()))
