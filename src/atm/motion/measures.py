"""How a motion moves, from joint positions in metres: measures that no training can fool."""

import torch
from jaxtyping import Float
from torch import Tensor

from atm.motion.skeletons import Skeleton

_TOE_HEIGHT = 0.05
"""A planted foot's toe is below this, in metres over the lowest joint of the motion."""
_ANKLE_HEIGHT = 0.12
"""A planted foot's ankle is below this, in metres over the lowest joint of the motion."""


def velocity(joints: Float[Tensor, "*b T J 3"], fps: float) -> Float[Tensor, "*b S J 3"]:
    """Return first difference over time, in m/s: one frame less than `joints`."""
    return joints.diff(dim=-3) * fps


def acceleration(joints: Float[Tensor, "*b T J 3"], fps: float) -> Float[Tensor, "*b S J 3"]:
    """Return second difference over time, in m/s²: two frames less than `joints`."""
    return joints.diff(n=2, dim=-3) * fps**2


def jerk(joints: Float[Tensor, "*b T J 3"], fps: float) -> Float[Tensor, "*b S J 3"]:
    """Return third difference over time, in m/s³: three frames less than `joints`."""
    return joints.diff(n=3, dim=-3) * fps**3


def foot_skate(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> float:
    """Return how fast planted feet slide: median ground speed of their toes, in cm/s.

    A foot is planted while its toe is below 5 cm and its ankle below 12 cm, over the lowest joint of the motion, for
    at least 4 frames; the first and the last frame of such a run do not count, there the foot lands and leaves.
    Captured walks have 2 to 9 cm/s, captured gestures in place 0.1 to 0.4.

    Source: our definition.

    Args:
        joints: one motion, in metres.
        skeleton: whose joints these are.

    Returns:
        NaN if no foot is ever planted.
    """
    if len(joints) < 4:
        return float("nan")
    height = joints[..., 1] - joints[..., 1].min()
    speeds = []
    for side in ("left", "right"):
        toe, ankle = skeleton.index(f"{side}_foot"), skeleton.index(f"{side}_ankle")
        planted = (height[:, toe] < _TOE_HEIGHT) & (height[:, ankle] < _ANKLE_HEIGHT)
        steps = velocity(joints, skeleton.fps)[1:-1, toe, [0, 2]]
        # The step from frame t to t + 1 lies inside a run and off its ends when t - 1 to t + 2 are all planted.
        speeds.append(torch.linalg.vector_norm(steps[planted.unfold(0, 4, 1).all(dim=-1)], dim=-1))
    speeds = torch.cat(speeds)
    return 100 * speeds.quantile(0.5).item() if len(speeds) else float("nan")


def bone_stretch(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> float:
    """Return by how much bones change their length: the largest change of any bone within the motion, in cm.

    0 for captured motion, whose bones are those of a body. Source: our definition.

    Args:
        joints: one motion, in metres.
        skeleton: whose joints these are.
    """
    lengths = torch.linalg.vector_norm(joints[:, 1:] - joints[:, list(skeleton.parents[1:])], dim=-1)
    return 100 * (lengths.amax(dim=0) - lengths.amin(dim=0)).max().item()
