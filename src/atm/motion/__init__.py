"""What flows through the project: skeletons, features in both directions, batches of motion."""

from atm.motion.features import joints_from_features
from atm.motion.motion import Motion
from atm.motion.skeletons import HUMANML3D, KIT, Skeleton, skeleton_of_width

__all__ = ["HUMANML3D", "KIT", "Motion", "Skeleton", "joints_from_features", "skeleton_of_width"]
