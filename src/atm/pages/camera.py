"""A perspective camera for pictures, and where to put it."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

AZIMUTH, ELEVATION = np.radians(35), np.radians(14)
"""Three-quarter view: from the front left of a figure that faces +z, and from a little above."""
FIELD_OF_VIEW = np.radians(32)
"""Of the picture's height."""
MARGIN = 0.07
"""Share of the picture left free on each side."""


class Projected(NamedTuple):
    """Points as the camera sees them."""

    xy: Float[np.ndarray, "*n 2"]
    """Pixels, from the upper left corner."""
    scale: Float[np.ndarray, "*n"]
    """Pixels per metre at that depth; larger is nearer."""


@dataclass(frozen=True)
class Camera:
    """Looks from `eye` to `target`; y is up."""

    eye: Float[np.ndarray, "3"]
    target: Float[np.ndarray, "3"]
    width: int
    height: int

    @cached_property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Rows: right, up, and back (towards the viewer)."""
        back = self.eye - self.target
        back = back / np.linalg.norm(back)
        right = np.cross([0.0, 1.0, 0.0], back)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(back, right), back])

    def project(self, points: Float[np.ndarray, "*n 3"]) -> Projected:
        """Return where the points are in the picture; what is behind the camera is put just before it."""
        seen = (points - self.eye) @ self.axes.T
        scale = self.height / 2 / np.tan(FIELD_OF_VIEW / 2) / np.maximum(-seen[..., 2], 0.05)
        x = self.width / 2 + seen[..., 0] * scale
        y = self.height / 2 - seen[..., 1] * scale
        return Projected(np.stack([x, y], axis=-1), scale)


def camera_around(
    points: Float[np.ndarray, "*n 3"],
    width: int,
    height: int,
    *,
    azimuth: float = AZIMUTH,
    elevation: float = ELEVATION,
) -> Camera:
    """Return the nearest camera of this direction that has all points in the picture, with a margin, in the middle.

    Args:
        points: in metres.
        width: of the picture, in pixels, like `height`.
        azimuth: radians from +z towards +x.
        elevation: radians above the horizon.
    """
    points = points.reshape(-1, 3)
    direction = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    target = (points.min(0) + points.max(0)) / 2
    near, far = 0.5, 200.0
    for _ in range(24):
        distance = np.sqrt(near * far)
        _, fits = _centred(points, target, direction * distance, width, height)
        near, far = (near, distance) if fits else (distance, far)
    return _centred(points, target, direction * far, width, height)[0]


def _centred(
    points: np.ndarray, target: np.ndarray, offset: np.ndarray, width: int, height: int
) -> tuple[Camera, bool]:
    for _ in range(2):
        camera = Camera(target + offset, target, width, height)
        xy, _ = camera.project(points)
        middle = (xy.min(0) + xy.max(0)) / 2 - [width / 2, height / 2]
        scale = camera.project(target).scale
        target = target + (middle[0] * camera.axes[0] - middle[1] * camera.axes[1]) / scale
    camera = Camera(target + offset, target, width, height)
    xy, _ = camera.project(points)
    border = MARGIN * min(width, height)
    return camera, bool(xy.min() >= border and (xy.max(0) <= [width - border, height - border]).all())
