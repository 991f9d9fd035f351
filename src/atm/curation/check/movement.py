"""How a clip moves, and which clocks come with its motion.

A motion at the wrong frame rate looks like one in slow motion or in haste. Three things tell it from a slow or hasty
one: the columns of the features agree with one another only at the rate that they were made at; a body in the air falls
with gravity; and who takes shorter steps takes fewer of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.motion import Skeleton, velocity

_LEAST_FLIGHT, _LONGEST_FLIGHT = 4, 150
"""Frames in which no joint touches the ground, for them to count as a jump."""
_OFF_GROUND = 0.06
"""Metres over the clip's lowest joint."""
_RISE = 0.02
"""A jump lifts the pelvis by this many metres at least, else it is a body that lies with its feet up."""
_BALLISTIC = 0.06
"""Largest distance of the pelvis from its parabola, as a share of its rise: more, and something holds the body."""
_MOVING = 0.5
"""Metres that all joints together must travel relative to the pelvis before their pace is compared."""

_APART, _STEPS, _WAY = 0.1, 4, 1.5
"""Metres by which one foot must pass the other for a step; steps and metres of a clip, for its gait to be measured."""


@dataclass(frozen=True)
class Movement:
    """How the features of a clip move, at the frame rate that their width stands for."""

    peak_speed: float
    """Of the fastest joint in its fastest step, m/s."""
    limb_speed: float
    """Of the fastest joint relative to the pelvis, m/s: nine steps in ten are slower."""
    column_pace: float | None
    """Joint paths by the velocity columns over those by the position columns: 1, unless rows were dropped, repeated or
    put between. None: hardly a joint moves."""
    falls: tuple[float, ...]
    """Downward acceleration in each jump, m/s²: 9.8 where the frame rate is right."""
    walk_ratio: float | None
    """Length of a step over steps per second, metre seconds: 0.3 to 0.5 for people, whether they stroll or run. None:
    the body does not go far enough."""
    leg: float
    """Length of the two bones of a leg, metres."""
    lowest: float
    """Height of the lowest joint in the lowest frame, metres."""


def movement_of(features: Float[np.ndarray, "T D"], joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> Movement:
    """Return how a clip moves; `joints` are those of its features, in metres."""
    if not torch.isfinite(joints).all():
        return Movement(float("inf"), float("inf"), None, (), None, 0.0, 0.0)
    local = joints - joints[:, :1]
    limbs = torch.linalg.vector_norm(velocity(local, skeleton.fps), dim=-1)  # (T-1, J)
    speeds = torch.linalg.vector_norm(velocity(joints, skeleton.fps), dim=-1)
    upper, lower = skeleton.leg_joints
    bones = torch.stack([joints[0, j] - joints[0, skeleton.parents[j]] for j in (upper, lower)])
    return Movement(
        peak_speed=float(speeds.max()) if len(speeds) else 0.0,
        limb_speed=float(limbs.amax(dim=1).quantile(0.9)) if len(limbs) else 0.0,
        column_pace=_column_pace(features, limbs / skeleton.fps, skeleton),
        falls=tuple(falls(joints, skeleton.fps)),
        walk_ratio=walk_ratio(features, skeleton),
        leg=float(torch.linalg.vector_norm(bones, dim=-1).sum()),
        lowest=float(joints[..., 1].min()),
    )


def falls(joints: Float[Tensor, "T J 3"], fps: float) -> list[float]:
    """Return downward acceleration of the pelvis in each jump, in m/s².

    A jump is a span in which every joint is off the ground and the pelvis goes up and down again. In the air a body
    falls at 9.8 m/s², so this is a clock that comes with the motion: at half the true frame rate it reads a quarter.
    """
    height = joints[..., 1]
    off = (height.amin(dim=1) - height.min() > _OFF_GROUND).numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], off, [False]]).astype(np.int8)))
    found = []
    for start, end in edges.reshape(-1, 2):
        inside = start > 0 and end < len(off)
        if not (inside and _LEAST_FLIGHT <= end - start <= _LONGEST_FLIGHT):
            continue
        pelvis = height[start:end, 0].double().numpy()
        seconds = np.arange(len(pelvis)) / fps
        rise = pelvis.max() - max(pelvis[0], pelvis[-1])
        curve = np.polyfit(seconds, pelvis, 2)
        if rise > _RISE and np.abs(np.polyval(curve, seconds) - pelvis).max() < _BALLISTIC * rise:
            found.append(float(-2 * curve[0]))
    return found


def walk_ratio(features: Float[np.ndarray, "T D"], skeleton: Skeleton) -> float | None:
    """Return length of a step over steps per second, in metre seconds; None where fewer than four steps go anywhere.

    People change both together: strolling, striding and running have the same ratio, 0.3 to 0.5. So this is a clock
    that comes with the motion: at half the true frame rate it reads twice as much.
    """
    positions = features[:, skeleton.columns["positions"]].reshape(len(features), -1, 3) * skeleton.metres_per_unit
    left, right = (skeleton.index(f"{side}_ankle") - 1 for side in ("left", "right"))
    lead = positions[:, left, 2] - positions[:, right, 2]
    sides = np.flatnonzero(np.abs(lead) > _APART)
    passed = sides[1:][np.sign(lead[sides[1:]]) != np.sign(lead[sides[:-1]])]
    if len(passed) < _STEPS:
        return None
    first, last, steps = passed[0], passed[-1], len(passed) - 1
    travelled = np.linalg.norm(features[first:last, skeleton.columns["root_step"]], axis=1).sum()
    way = float(travelled) * skeleton.metres_per_unit
    return way * (last - first) / skeleton.fps / steps**2 if way > _WAY else None


def _column_pace(features: Float[np.ndarray, "T D"], paths: Float[Tensor, "S J"], skeleton: Skeleton) -> float | None:
    columns = torch.from_numpy(features[:-1, skeleton.columns["velocities"]]).unflatten(-1, (-1, 3))
    by_columns = torch.linalg.vector_norm(columns - columns[:, :1], dim=-1).sum() * skeleton.metres_per_unit
    by_positions = paths.sum()
    if not by_positions > _MOVING:
        return None
    return float(by_columns / by_positions)
