"""Motions out of files of any kind that this project writes or meets: npz and npy, BVH, GLB and VRMA, AMASS, Kimodo.

A file on one of our own skeletons, by its names and how they hang together, gives its joints as they are; any other
body is put on HumanML3D's, as `atm data prepare bvh` does. A motion keeps its file's frame rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from atm.base.errors import InputError
from atm.base.reading import read_arrays
from atm.curation.prepare.bvh import Bvh, Poses, first_frame, read_bvh, sample
from atm.curation.prepare.naming import find_roles
from atm.curation.prepare.retarget import measure_body, retarget
from atm.export.amass import is_amass, motion_of_amass
from atm.export.gltf_skeleton import read_glb
from atm.export.kimodo import FPS, is_kimodo, motion_of_kimodo
from atm.export.names import NAMINGS, joint_name
from atm.export.npz import MotionFile, check_joints, load_motion, load_motions
from atm.motion import HUMANML3D, KIT, Skeleton
from atm.motion.anatomy import UNITS

READ = (".npz", ".npy", ".bvh", ".glb", ".vrma")
"""Endings of files that are read."""
_LEG = 0.8
"""Metres of a leg, as near as it takes to tell metres from centimetres."""
# Kimodo's SOMA skeleton of 77 joints: what stands for which joint, what it hangs on, and its places among 77 and 30.
_SOMA = (
    ("Hips", None, 0, 0), ("Spine1", "Hips", 1, 1), ("Spine2", "Spine1", 2, 2), ("Chest", "Spine2", 3, 3),
    ("Neck1", "Chest", 4, 4), ("Neck2", "Neck1", 5, 5), ("Head", "Neck2", 6, 6),
    ("LeftShoulder", "Chest", 11, 10), ("LeftArm", "LeftShoulder", 12, 11), ("LeftForeArm", "LeftArm", 13, 12),
    ("LeftHand", "LeftForeArm", 14, 13), ("RightShoulder", "Chest", 39, 16), ("RightArm", "RightShoulder", 40, 17),
    ("RightForeArm", "RightArm", 41, 18), ("RightHand", "RightForeArm", 42, 19), ("LeftLeg", "Hips", 67, 22),
    ("LeftShin", "LeftLeg", 68, 23), ("LeftFoot", "LeftShin", 69, 24), ("LeftToeBase", "LeftFoot", 70, 25),
    ("RightLeg", "Hips", 72, 26), ("RightShin", "RightLeg", 73, 27), ("RightFoot", "RightShin", 74, 28),
    ("RightToeBase", "RightFoot", 75, 29),
)  # fmt: skip
_SOMA_LEGS = {
    f"{side.lower()}_{ours}": f"{side}{theirs}"
    for side in ("Left", "Right")
    for ours, theirs in (("hip", "Leg"), ("knee", "Shin"))
}


def read_motions(path: Path | str, *, mapping: Mapping[str, str] | None = None) -> list[MotionFile]:
    """Return all motions of a file: one, or those of a `results.npy` as MDM's sampling writes it; else as
    `read_motion`."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return load_motions(path)
    return [read_motion(path, mapping=mapping)]


def read_motion(path: Path | str, *, mapping: Mapping[str, str] | None = None) -> MotionFile:
    """Return the motion of a file.

    Args:
        path: its ending is one of `READ`.
        mapping: HumanML3D's joint name -> the file's, for BVH and GLB files whose names no table knows.

    Raises:
        InputError: no such file, one that is damaged, NaN or infinity in it, or a body that is none.
    """
    path = Path(path)
    motion = _read(path, dict(mapping or {}))
    check_joints(motion.joints, motion.skeleton, str(path))
    return motion


def _read(path: Path, mapping: dict[str, str]) -> MotionFile:
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        if not path.is_file():
            raise InputError(f"no such motion file: {path}")
        bvh = read_bvh(path)
        first = first_frame(bvh, list(range(len(bvh.names))))
        times = np.arange(first, len(bvh.values)) * bvh.frame_time
        poses = sample(bvh, list(range(len(bvh.names))), times)
        return _on_a_body(bvh, poses, 1 / bvh.frame_time, path.name, mapping)
    if suffix in (".glb", ".vrma"):
        read = read_glb(path)
        return _on_a_body(read.bvh, read.poses, read.fps, path.name, mapping, up="y")
    if suffix not in READ:
        raise InputError(f"expected a motion as {', '.join(READ)}, got {path}")
    arrays = _arrays(path) if suffix == ".npz" else {}
    if is_amass(arrays):
        return motion_of_amass(arrays, str(path))
    if is_kimodo(arrays):
        return _of_kimodo(arrays, str(path))
    return load_motion(path)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive of others; none where it is ours, or where `load_motion` says what is wrong."""
    try:
        content = read_arrays(path)
    except InputError:
        return {}
    return content if isinstance(content, dict) and not {"joints", "features"} & content.keys() else {}


def _on_a_body(
    bvh: Bvh, poses: Poses, fps: float, source: str, mapping: dict[str, str], up: str | None = None
) -> MotionFile:
    """Return the motion on its own skeleton where that is one of ours, else on HumanML3D's."""
    rate = round(fps, 3)  # times in a file are rounded
    if not mapping and (own := _our_joints(bvh, poses)) is not None:
        skeleton, joints = own
        return MotionFile(joints.astype(np.float32), replace(skeleton, fps=rate), provenance={"file": source})
    roles = find_roles(bvh, mapping, source)
    body = measure_body(poses, bvh, roles, up)
    joints = retarget(poses, body)
    read = f"put on HumanML3D's body: {body.assumed}"
    return MotionFile(
        joints.astype(np.float32), replace(HUMANML3D, fps=rate), provenance={"file": source, "read": read}
    )


def _our_joints(bvh: Bvh, poses: Poses) -> tuple[Skeleton, Float[np.ndarray, "T J 3"]] | None:
    """Return joints in metres, y up, of a skeleton that is one of ours under any of the namings."""
    for skeleton in (HUMANML3D, KIT):
        for naming in NAMINGS:
            order = _order(bvh, [joint_name(name, naming) for name in skeleton.joint_names], skeleton.parents)
            if order is not None:
                return skeleton, _metres_y_up(bvh.rest[order], poses.positions[:, order], skeleton)
    return None


def _order(bvh: Bvh, names: Sequence[str], parents: Sequence[int]) -> list[int] | None:
    moved = [name for name in bvh.names if not name.endswith(" end")]
    if sorted(moved) != sorted(names):
        return None
    order = [bvh.names.index(name) for name in names]
    above = [-1 if parent < 0 else order[parent] for parent in parents]
    return order if [bvh.parents[joint] for joint in order] == above else None


def _metres_y_up(
    rest: Float[np.ndarray, "J 3"], joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton
) -> Float[np.ndarray, "T J 3"]:
    """Return joints in metres with y up; the rest pose of our files stands upright, and its leg tells the unit."""
    upward = rest[skeleton.index("head")] - rest[skeleton.index("left_ankle")]
    if abs(upward[2]) > abs(upward[1]):
        joints = np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)
    hip, knee, ankle = (rest[skeleton.index(f"left_{part}")] for part in ("hip", "knee", "ankle"))
    leg = np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)
    known = (UNITS[unit] for unit in ("metres", "centimetres", "millimetres"))
    return joints * min(known, key=lambda unit: abs(np.log(max(leg, 1e-9) * unit / _LEG)))


def _of_kimodo(arrays: Mapping[str, np.ndarray], source: str) -> MotionFile:
    """Return a motion of any of Kimodo's human skeletons; SOMA's is put on HumanML3D's body."""
    joints = np.asarray(arrays.get("posed_joints", np.zeros(0)), dtype=np.float64)
    if joints.ndim != 3 or joints.shape[1] not in (77, 30):
        return motion_of_kimodo(arrays, source)
    turns = np.asarray(arrays.get("global_rot_mats", np.zeros(0)), dtype=np.float64)
    if turns.shape != (*joints.shape, 3) or not (np.isfinite(joints).all() and np.isfinite(turns).all()):
        raise InputError(
            f"{source}: expected global_rot_mats (frames, {joints.shape[1]}, 3, 3) of finite numbers beside "
            f"posed_joints, got {turns.shape}"
        )
    places = [row[2 if joints.shape[1] == 77 else 3] for row in _SOMA]
    names = tuple(row[0] for row in _SOMA)
    parents = tuple(-1 if row[1] is None else names.index(row[1]) for row in _SOMA)
    joints, turns = joints[:, places], turns[:, places]
    above = turns[:, parents]
    offsets = np.einsum("tjba,tjb->tja", above, joints - joints[:, parents]).mean(0)
    offsets[0] = joints[0, 0]
    bvh = Bvh(names, parents, offsets, ((),) * len(names), np.zeros((len(joints), 0)), 1 / FPS)
    return _on_a_body(bvh, Poses(joints, turns), FPS, source, _SOMA_LEGS, up="y")
