"""A path over the floor, as the columns of the published features that move the root along it."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from atm.base.errors import InputError
from atm.motion import rotations
from atm.motion.skeletons import Skeleton

MOST_POINTS = 64
"""Points of a path, at most."""
FASTEST = 7.0
"""Metres per second along a path, at most: a person who sprints."""
FARTHEST = 100.0
"""Metres from the start, at most, along either axis."""
_SHORTEST = 0.1
"""Metres of a path, at least."""
_EASE_SECONDS = 0.5
"""Time to come up to speed at the start, and to slow down at the end."""
_TURN_SECONDS = 0.15
"""Standard deviation that turns are smoothed with."""
_FINE = 64
"""Places between two points at which the curve is measured."""


Path = Sequence[tuple[float, float]]
"""Points on the floor, x and z in metres."""


def path_columns(points: Path, frames: int, skeleton: Skeleton) -> Float[Tensor, "T 3"]:
    """Return the features that take the root from the origin through points at even speed, looking where it goes.

    The curve passes through every point and has no corners. A motion of published features begins at the origin and
    looks along +z; where the path begins otherwise, the body turns into it while it comes up to speed.

    Args:
        points: x (to the left of who looks along +z) and z in metres; the origin comes before them.
        frames: of the motion.
        skeleton: whose features these are.

    Returns:
        `yaw_step` and `root_step`, the first three columns, in published units.

    Raises:
        InputError: no point or too many, one that is no place, or a path that is too short or too fast.
    """
    seconds = frames / skeleton.fps
    curve = _curve(_checked(points))
    length = _travelled(curve)[-1]
    if length < _SHORTEST:
        raise InputError(f"the path is {length:.2g} m long: draw one of {_SHORTEST:g} m or more")
    if length / seconds > FASTEST:
        raise InputError(
            f"the path is {length:.1f} m long and the motion lasts {seconds:g} s, which is faster than the "
            f"{FASTEST:g} m/s that a person runs: draw a shorter path, or ask for more seconds"
        )
    share = _eased(np.linspace(0.0, 1.0, frames), min(_EASE_SECONDS / seconds, 0.25))
    travelled = _travelled(curve) / length
    place = np.stack([np.interp(share, travelled, curve[:, axis]) for axis in (0, 1)], axis=1)
    yaw = torch.from_numpy(_yaw(place, curve, share, travelled, skeleton.fps))
    steps = np.zeros((frames, 3))
    steps[:-1, [0, 2]] = np.diff(place, axis=0) / skeleton.metres_per_unit
    to_front = rotations.about_y(-yaw)
    later = torch.cat([to_front[1:], to_front[-1:]])
    root_step = rotations.rotate(later, torch.from_numpy(steps))[:, [0, 2]]
    yaw_step = -torch.diff(yaw, append=yaw[-1:]) / 2
    return torch.cat([yaw_step[:, None], root_step], dim=1).float()


def _checked(points: Path) -> Float[np.ndarray, "P 2"]:
    """Return the origin and the points behind it, without those that stand on the one before."""
    if not 1 <= len(points) <= MOST_POINTS:
        raise InputError(f"a path has 1 to {MOST_POINTS} points behind its start, got {len(points)}")
    for number, point in enumerate(points, start=1):
        if len(point) != 2 or not all(np.isfinite(value) and abs(value) <= FARTHEST for value in point):
            raise InputError(f"point {number} of the path must be x and z within {FARTHEST:g} m, got {list(point)}")
    kept = [np.zeros(2)]
    for point in np.asarray(points, dtype=float):
        if np.linalg.norm(point - kept[-1]) > 1e-3:
            kept.append(point)
    return np.array(kept)


def _curve(points: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "N 2"]:
    """Return a smooth line through the points that does not swing beyond them, at many places."""
    if len(points) == 1:
        return np.repeat(points, 2, axis=0)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return PchipInterpolator(chord, points)(np.linspace(0.0, chord[-1], _FINE * (len(points) - 1) + 1))


def _travelled(curve: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N"]:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def _eased(time: Float[np.ndarray, "T"], ease: float) -> Float[np.ndarray, "T"]:
    """Return the share of the way at shares of the time: even speed but for an even start and stop."""
    early, late = np.minimum(time, ease), np.maximum(time - (1 - ease), 0.0)
    return (early**2 / (2 * ease) + (time - early) - late**2 / (2 * ease)) / (1 - ease)


def _yaw(place, curve, share, travelled, fps: float) -> Float[np.ndarray, "T"]:
    """Return where the body looks, in radians from +z to +x; 0 in the first frame."""
    ahead = np.gradient(curve, axis=0)
    yaw = np.interp(share, travelled, np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 1])))
    yaw = gaussian_filter1d(yaw, _TURN_SECONDS * fps, mode="nearest")
    begin = np.clip(np.arange(len(place)) / (_EASE_SECONDS * fps), 0.0, 1.0)
    return yaw * (begin * begin * (3 - 2 * begin))
