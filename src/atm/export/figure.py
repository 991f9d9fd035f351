"""The figure as triangles that hang on the joints, for files of meshes (GLB, USD)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atm.export.body import SIDE_COLOURS, ExportedBody, body_of
from atm.motion import Skeleton

AROUND, RINGS = 12, 4
"""Corners around a capsule, and rings of each of its round ends."""


class FigurePart(NamedTuple):
    """The triangles of one colour."""

    side: str
    """`left`, `right` or `middle`."""
    colour: tuple[float, float, float]
    """Red, green and blue in linear light, 0 to 1."""
    vertices: Float[np.ndarray, "V 3"]
    """In metres, in the rest pose."""
    normals: Float[np.ndarray, "V 3"]
    joints: Int[np.ndarray, "V"]
    """Joint that each vertex turns with."""
    triangles: Int[np.ndarray, "F 3"]


def figure_parts(rest: Float[np.ndarray, "J 3"], skeleton: Skeleton) -> list[FigurePart]:
    """Return the figure on a skeleton whose joints are in the rest pose: a part for each colour."""
    body = body_of(skeleton).plain()
    holders, parts = _holders(body, skeleton), []
    for side, colour in SIDE_COLOURS.items():
        members = [k for k, own in enumerate(body.sides) if own == side]
        shape = _capsules(body.place(rest)[members], body.radii[members], holders[members])
        parts.append(FigurePart(side, _linear(colour), *shape))
    return parts


def _linear(colour: str) -> tuple[float, float, float]:
    """Return a colour in linear light, ours being sRGB: a power of 2.2 is near enough."""
    red, green, blue = ((int(colour[at : at + 2], 16) / 255) ** 2.2 for at in (1, 3, 5))
    return red, green, blue


def _holders(body: ExportedBody, skeleton: Skeleton) -> Int[np.ndarray, "K 2"]:
    """Return the joint that each end of a capsule turns with: of those that it lies between, the one nearest to the
    root."""
    depth = [0] * skeleton.n_joints
    for joint in range(skeleton.n_joints):
        above = skeleton.parents[joint]
        while above >= 0:
            depth[joint], above = depth[joint] + 1, skeleton.parents[above]
    # A wide capsule's side reaches across to hips or shoulders; its middle says what it belongs to. What lies behind
    # the end of a bone has that bone's first joint below zero, and turns with the end.
    middle = body.ends > 1e-9
    return np.array([[min(np.flatnonzero(end), key=lambda joint: depth[joint]) for end in ends] for ends in middle])


def _capsules(
    ends: Float[np.ndarray, "K 2 3"], radii: Float[np.ndarray, "K 2"], holders: Int[np.ndarray, "K 2"]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "V"], Int[np.ndarray, "F 3"]]:
    """Return vertices, normals, joints and triangles of capsules."""
    angle = np.concatenate([np.linspace(-np.pi / 2, 0, RINGS), np.linspace(0, np.pi / 2, RINGS)])
    turn = np.arange(AROUND) * 2 * np.pi / AROUND
    shape = np.stack(
        [
            np.cos(angle)[:, None] * np.cos(turn),
            np.repeat(np.sin(angle)[:, None], AROUND, axis=1),
            np.cos(angle)[:, None] * np.sin(turn),
        ],
        axis=-1,
    ).reshape(-1, 3)
    end = np.repeat([0, 1], RINGS * AROUND)
    ring, corner = np.divmod(np.arange((2 * RINGS - 1) * AROUND), AROUND)
    one, next_one = ring * AROUND + corner, ring * AROUND + (corner + 1) % AROUND
    faces = np.concatenate(
        [np.stack([one, one + AROUND, next_one], 1), np.stack([next_one, one + AROUND, next_one + AROUND], 1)]
    )
    vertices, normals, joints, triangles = [], [], [], []
    for k in range(len(ends)):
        frame = _frame(ends[k, 1] - ends[k, 0])
        normal = shape @ frame
        normals.append(normal)
        vertices.append(ends[k][end] + radii[k][end][:, None] * normal)
        joints.append(holders[k][end])
        triangles.append(faces + k * len(shape))
    return tuple(map(np.concatenate, (vertices, normals, joints, triangles)))


def _frame(along: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Return rows: x, y along the bone, z."""
    length = np.linalg.norm(along)
    y = along / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
    aside = np.array([1.0, 0.0, 0.0]) if abs(y[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    z = np.cross(aside, y)
    z /= np.linalg.norm(z)
    return np.stack([np.cross(y, z), y, z])
