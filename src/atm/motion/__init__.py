"""Data types of the project: skeletons, features in both directions, batches of motion."""

from atm.motion.features import (
    canonical,
    contacts,
    features_from_joints,
    joints_from_features,
    joints_from_rotations,
    mirror_joints,
    root_from_features,
)
from atm.motion.kinematics import facing, forward_kinematics, inverse_kinematics, offsets_of, uniform_skeleton
from atm.motion.measures import acceleration, bone_stretch, foot_skate, jerk, velocity
from atm.motion.motion import Motion, padded
from atm.motion.skeletons import HUMANML3D, KIT, Skeleton, skeleton_of_width

__all__ = [
    "HUMANML3D",
    "KIT",
    "Motion",
    "Skeleton",
    "acceleration",
    "bone_stretch",
    "canonical",
    "contacts",
    "facing",
    "features_from_joints",
    "foot_skate",
    "forward_kinematics",
    "inverse_kinematics",
    "jerk",
    "joints_from_features",
    "joints_from_rotations",
    "mirror_joints",
    "offsets_of",
    "padded",
    "root_from_features",
    "skeleton_of_width",
    "uniform_skeleton",
    "velocity",
]
