"""A motion as the BVH file that MoMask's program writes: on one fixed body, whosever joint positions they were.

Our own BVH files (`bvh.py`) take the bones of the motion and give its joints back; here bones have the length and the
rest pose of the template, so that files of many motions share one body, and a joint is off where the bodies differ.

Source: the published program of MoMask (Guo et al. 2024, arXiv:2312.00063). All functions take joints in its order.
"""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.base.outputs import output
from atm.export.bvh import BvhRig, bvh_text
from atm.export.npz import check_joints
from atm.motion import HUMANML3D, Skeleton
from atm.motion.rig import Rig, children_of

ITERATIONS = 100
"""Rounds of turning joints; hips and chest, on which several bones hang, need some until all of them agree."""
FEET = {
    "LeftFoot": (0.05, 0.06), "LeftToe": (0.2, 0.03), "RightFoot": (0.05, 0.06), "RightToe": (0.2, 0.03),
}  # fmt: skip
"""A joint of a foot stands while its squared step per frame (m^2) and its height (m) are below these."""
BLEND = 5
"""Frames before and behind a stand in which a foot is led to it and away from it."""
HIGHEST_FLOOR = 0.5
"""Metres; a floor found higher than this is none, the motion is in the air."""

# Name, the joint of HumanML3D that it is, the joint that it hangs on, and its offset from there in metres.
_BODY = (
    ("Hips", "pelvis", None, (-0.001795, -0.223333, 0.028219)),
    ("LeftUpLeg", "left_hip", "Hips", (0.069520, -0.091406, -0.006815)),
    ("LeftLeg", "left_knee", "LeftUpLeg", (0.034277, -0.375199, -0.004496)),
    ("LeftFoot", "left_ankle", "LeftLeg", (-0.013596, -0.397961, -0.043693)),
    ("LeftToe", "left_foot", "LeftFoot", (0.026358, -0.055791, 0.119288)),
    ("RightUpLeg", "right_hip", "Hips", (-0.067670, -0.090522, -0.004320)),
    ("RightLeg", "right_knee", "RightUpLeg", (-0.038290, -0.382569, -0.008850)),
    ("RightFoot", "right_ankle", "RightLeg", (0.015774, -0.398415, -0.042312)),
    ("RightToe", "right_foot", "RightFoot", (-0.025372, -0.048144, 0.123348)),
    ("Spine", "spine1", "Hips", (-0.002533, 0.108963, -0.026696)),
    ("Spine1", "spine2", "Spine", (0.005487, 0.135180, 0.001092)),
    ("Spine2", "spine3", "Spine1", (0.001457, 0.052922, 0.025425)),
    ("Neck", "neck", "Spine2", (-0.002778, 0.213870, -0.042857)),
    ("Head", "head", "Neck", (0.005152, 0.064970, 0.051349)),
    ("LeftShoulder", "left_collar", "Spine2", (0.078845, 0.121749, -0.034090)),
    ("LeftArm", "left_shoulder", "LeftShoulder", (0.090977, 0.030469, -0.008868)),
    ("LeftForeArm", "left_elbow", "LeftArm", (0.259612, -0.012772, -0.027456)),
    ("LeftHand", "left_wrist", "LeftForeArm", (0.249234, 0.008986, -0.001171)),
    ("RightShoulder", "right_collar", "Spine2", (-0.081759, 0.118833, -0.038615)),
    ("RightArm", "right_shoulder", "RightShoulder", (-0.096012, 0.032551, -0.009143)),
    ("RightForeArm", "right_elbow", "RightArm", (-0.253742, -0.013329, -0.021401)),
    ("RightHand", "right_wrist", "RightForeArm", (-0.255298, 0.007772, -0.005559)),
)  # fmt: skip
NAMES = tuple(name for name, *_ in _BODY)
PARENTS = tuple(-1 if above is None else NAMES.index(above) for _, _, above, _ in _BODY)
OFFSETS = np.array([offset for *_, offset in _BODY])
ORDER = tuple(HUMANML3D.index(joint) for _, joint, _, _ in _BODY)
"""Index in HumanML3D of each joint of the template."""


class Pose(NamedTuple):
    """The template, moved."""

    joints: Float[np.ndarray, "T 22 3"]
    """Positions of the joints, in metres."""
    rotations: Float[np.ndarray, "T 22 3 3"]
    """Rotation of each joint, relative to its parent."""


def save_template_bvh(
    path: Path, joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, *, fix_feet: bool = False
) -> Path:
    """Write a motion on the template body, and say where.

    Args:
        path: ends in .bvh.
        joints: in metres, y up, in the skeleton's own order.
        skeleton: HumanML3D's; the template has no other.
        fix_feet: put feet that nearly stand down, first (`planted`).

    Raises:
        InputError: another skeleton or suffix, a motion that is not finite, or a path that cannot be written to.
    """
    if path.suffix != ".bvh":
        raise InputError(f"the template body is for .bvh files, got {path}")
    if skeleton != HUMANML3D:
        raise InputError(
            f"the template body has the {HUMANML3D.n_joints} joints of {HUMANML3D.name}, but the motion is of "
            f"{skeleton.name}: leave the template out, and the file has the motion's own body"
        )
    check_joints(joints, skeleton, f"the motion for {path.name}")
    aims = np.asarray(joints, dtype=np.float64)[:, ORDER]
    pose = fit_template(planted(aims) if fix_feet else aims, aims[:, 0])
    tips = {joint: np.zeros(3) for joint, below in children_of(PARENTS).items() if not below}
    figure = BvhRig(NAMES, ("ZYX",) * len(NAMES), tips)
    rig = Rig(PARENTS, OFFSETS, aims[:, 0], pose.rotations, skeleton.fps)
    with output(path) as part:
        part.write_text(bvh_text(figure, rig), encoding="ascii")
    return path


def fit_template(
    aims: Float[np.ndarray, "T 22 3"], root: Float[np.ndarray, "T 3"], *, iterations: int = ITERATIONS
) -> Pose:
    """Return the template with its bones turned towards the joints of a motion.

    From the root outwards, each joint turns so that the bones on it point at where their ends shall be; where several
    hang on one, by the mean of their rotation vectors. Over and over, since that mean fits all of them only in the end.

    Args:
        aims: where the joints shall be.
        root: where the hips stand.
        iterations: rounds.
    """
    children = children_of(PARENTS)
    local = [Rotation.identity(len(aims)) for _ in NAMES]
    for _ in range(iterations):
        places, turns = [], []
        for joint, above in enumerate(PARENTS):
            place, turn = root, local[joint]
            if above >= 0:
                place, turn = places[above] + turns[above].apply(OFFSETS[joint]), turns[above] * local[joint]
            if children[joint]:
                needed = [
                    turn.inv().apply(_turn_towards(turn.apply(OFFSETS[child]), aims[:, child] - place))
                    for child in children[joint]
                ]
                change = Rotation.from_rotvec(np.mean(needed, axis=0))
                local[joint], turn = local[joint] * change, turn * change
            places.append(place)
            turns.append(turn)
    return Pose(np.stack(places, axis=1), np.stack([turn.as_matrix() for turn in local], axis=1))


def planted(joints: Float[np.ndarray, "T 22 3"]) -> Float[np.ndarray, "T 22 3"]:
    """Return the same motion on its floor, with each foot at one place of it while it nearly stands.

    What counts as standing is very loose (as published): a foot that glides slowly over the ground is held.
    Ours: the last frame stands where the one before it does, and between two stands closer than `BLEND` the foot is
    led from the one to the other; the publication's facts say nothing of either.
    """
    feet = {NAMES.index(name): limits for name, limits in FEET.items()}
    lowest = np.sort(joints[:, list(feet), 1].min(axis=1))
    floor = lowest[len(lowest) // 4 : max(len(lowest) // 2, 1)].mean()
    made = joints - np.array([0.0, floor if floor <= HIGHEST_FLOOR else 0.0, 0.0])
    for foot, (step, height) in feet.items():
        steps = np.square(np.diff(joints[:, foot], axis=0)).sum(axis=-1)
        slow = np.append(steps, steps[-1:]) if len(steps) else np.zeros(1)
        # By the height before the floor is found: as published.
        made[:, foot] = _held(made[:, foot], (slow < step) & (joints[:, foot, 1] < height))
    return made


def _held(places: Float[np.ndarray, "T 3"], stands: Bool[np.ndarray, "T"]) -> Float[np.ndarray, "T 3"]:
    """Return one foot: at the mean place of each stand, on the ground, and led there and away."""
    held, frame = places.copy(), 0
    for standing, run in groupby(stands):
        first, frame = frame, frame + len(list(run))
        if standing:
            held[first:frame] = places[first:frame].mean(axis=0) * [1.0, 0.0, 1.0]
    frames = np.flatnonzero(stands)
    for frame in np.flatnonzero(~stands):
        after = frames[(frames > frame) & (frames <= frame + BLEND)][:1]
        before = frames[(frames < frame) & (frames >= frame - BLEND)][-1:]
        for stand in (*after, *before):
            weight = _fading((abs(stand - frame) + 1) / (BLEND + 1))
            held[frame] = (1 - weight) * held[frame] + weight * held[stand]
    return held


def _fading(share: float) -> float:
    """Return a share that falls from 1 to 0, level at both ends."""
    return 2 * share**3 - 3 * share**2 + 1


def _turn_towards(bone: Float[np.ndarray, "T 3"], aim: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    """Return rotation vectors that bring one direction to another by the shortest way."""
    bone, aim = (way / (np.linalg.norm(way, axis=-1, keepdims=True) + 1e-10) for way in (bone, aim))
    axis = np.cross(bone, aim)
    angle = np.arccos(np.clip((bone * aim).sum(-1), -1, 1))
    return axis / (np.linalg.norm(axis, axis=-1, keepdims=True) + 1e-10) * angle[:, None]
