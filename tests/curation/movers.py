"""Data folders of bodies that move, in both layouts, made on the fly: sound ones, to be damaged."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from atm.data.humanml3d import Caption, write_text
from atm.data.statistics import Moments
from atm.motion import HUMANML3D, KIT, Skeleton, features_from_joints, forward_kinematics, joints_from_features
from atm.motion.rotations import about_y, matrix_from_quaternion
from atm.text import tag_words

BONE, HIP = 350.0, 90.0
"""Of the KIT body here, in millimetres; the published lengths are in a file of the data set."""
PARTS = ("hand", "foot", "arm", "leg", "head", "knee", "back", "hip")
WAYS = ("forward", "backward", "slowly", "quickly")


def offsets_of(skeleton: Skeleton) -> Tensor:
    if skeleton.target_offsets is not None:
        return skeleton.target_offsets
    lengths = torch.full((skeleton.n_joints, 1), BONE)
    lengths[[skeleton.index("left_hip"), skeleton.index("right_hip")]] = HIP
    return lengths * torch.tensor(skeleton.raw_directions)


def person_of(skeleton: Skeleton) -> Tensor:
    """Offsets of a body whose feet point to its front; KIT's published directions have them point behind it."""
    offsets = offsets_of(skeleton).clone()
    if skeleton.target_offsets is None:
        feet = [skeleton.index(f"{side}_{part}") for side in ("left", "right") for part in ("midfoot", "foot")]
        offsets[feet, 2] *= -1
    return offsets


def moving(skeleton: Skeleton, height: Tensor, seed: int) -> Tensor:
    """(T, J, 3) joints of a body that swings its elbows, with its pelvis at `height` (T), in metres."""
    frames = len(height)
    rng = np.random.default_rng(seed)
    t = torch.arange(frames) / skeleton.fps
    # Every bone a little off its raw direction: exactly against it, features are undefined.
    leaning = torch.tensor(rng.uniform(-0.1, 0.1, (skeleton.n_joints, 4)), dtype=torch.float32)
    leaning[:, 0] = 1.0
    local = matrix_from_quaternion(leaning).repeat(frames, 1, 1, 1)
    for joint in ("left_elbow", "right_elbow"):
        angle = rng.uniform(0.4, 0.9) * torch.sin(2 * math.pi * rng.uniform(0.7, 1.2) * t + rng.uniform(0, 6))
        local[:, skeleton.index(joint)] = about_x(angle)
    # Facing neither way exactly: the reference pose of KIT faces -z, where features are undefined.
    local[:, 0] = matrix_from_quaternion(about_y(torch.tensor(2.0)))
    root = torch.stack([torch.zeros(frames), height, torch.zeros(frames)], dim=-1) / skeleton.metres_per_unit
    return forward_kinematics(local, root, person_of(skeleton), skeleton)


def walking(skeleton: Skeleton, frames: int, seed: int, *, fps: float | None = None) -> Tensor:
    """(T, J, 3) joints of a body that walks, captured at `fps`: 1.2 m a second in 1.8 steps, of 0.67 m."""
    joints = moving(skeleton, torch.full((frames,), 0.9), seed)
    t = torch.arange(frames) / (fps or skeleton.fps)
    swing = 0.4 / skeleton.metres_per_unit * torch.sin(2 * math.pi * 0.9 * t)
    front = joints.new_tensor([0.0, 0.0, 1.0])
    joints[:, :, 2] += (1.2 * t / skeleton.metres_per_unit)[:, None]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for part, share in (("knee", 0.5), ("ankle", 1.0), ("midfoot", 1.0), ("foot", 1.0)):
            if f"{side}_{part}" not in skeleton.joint_names:
                continue
            joints[:, skeleton.index(f"{side}_{part}")] += share * sign * swing[:, None] * front
    return joints


def about_x(angle: Tensor) -> Tensor:
    zero, one, sin, cos = torch.zeros_like(angle), torch.ones_like(angle), torch.sin(angle), torch.cos(angle)
    return torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=-1).unflatten(-1, (3, 3))


def features_of(joints: Tensor, skeleton: Skeleton) -> np.ndarray:
    return features_from_joints(joints, skeleton, target_offsets=offsets_of(skeleton)).numpy()


def write_clip(folder: Path, clip: str, features: np.ndarray, skeleton: Skeleton) -> None:
    """Features, and the joints that they hold."""
    np.save(folder / "new_joint_vecs" / f"{clip}.npy", features)
    np.save(folder / "new_joints" / f"{clip}.npy", joints_from_features(torch.from_numpy(features), skeleton).numpy())


def make_moving_folder(folder: Path, skeleton: Skeleton, *, clips: int = 12) -> Path:
    """Clips 000000 and on: the last two are val, the two before them test."""
    for name in ("new_joint_vecs", "new_joints", "texts"):
        (folder / name).mkdir(parents=True)
    moments = Moments.none(skeleton.feature_width)
    ids = [f"{i:06d}" for i in range(clips)]
    for i, clip in enumerate(ids):
        features = features_of(walking(skeleton, 45 + 2 * i, seed=i), skeleton)
        write_clip(folder, clip, features, skeleton)
        moments += Moments.of(features)
        said = [f"a person moves the {PARTS[i % 8]} {WAYS[i // 8]}", f"somebody swings a {PARTS[i % 8]} {WAYS[i // 8]}"]
        write_text(folder / "texts" / f"{clip}.txt", [Caption(text, tuple(tag_words(text))) for text in said])
    moments.write(folder, skeleton)
    lists = {"train": ids[:-4], "test": ids[-4:-2], "val": ids[-2:], "train_val": ids[:-4] + ids[-2:], "all": ids}
    for name, members in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(members) + "\n")
    return folder


BODIES = {"HumanML3D": HUMANML3D, "KIT-ML": KIT}
