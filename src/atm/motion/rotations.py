"""Quaternions, rotation matrices and the 6-d form, as the published features count them.

Quaternions are (w, x, y, z) here, as in the published data; `roma`, `scipy` and glTF have (x, y, z, w).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def between(u: Float[Tensor, "*#b 3"], v: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 4"]:
    """Return the rotation that takes the direction of `u` to that of `v` by the shortest way.

    Exactly opposite vectors have no shortest way and give NaN, as in the published tools.
    """
    u, v = torch.broadcast_tensors(u, v)
    w = torch.sqrt((u * u).sum(-1, keepdim=True) * (v * v).sum(-1, keepdim=True)) + (u * v).sum(-1, keepdim=True)
    q = torch.cat([w, torch.linalg.cross(u, v)], dim=-1)
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)


def multiply(q: Float[Tensor, "*#b 4"], r: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b 4"]:
    """Return hamilton product q r: first `r`, then `q`."""
    qw, qx, qy, qz = q.unbind(-1)
    rw, rx, ry, rz = r.unbind(-1)
    return torch.stack(
        [
            qw * rw - qx * rx - qy * ry - qz * rz,
            qx * rw + qw * rx - qz * ry + qy * rz,
            qy * rw + qz * rx + qw * ry - qx * rz,
            qz * rw - qy * rx + qx * ry + qw * rz,
        ],
        dim=-1,
    )


def inverse(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Return the opposite rotation, of a unit quaternion."""
    w, xyz = q.split([1, 3], dim=-1)
    return torch.cat([w, -xyz], dim=-1)


def rotate(q: Float[Tensor, "*#b 4"], v: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """Turn vectors by unit quaternions."""
    # Not torch.broadcast_shapes, which imports sympy: as long as torch itself.
    shape = torch.broadcast_tensors(q[..., 0], v[..., 0])[0].shape
    w, xyz = q.expand(*shape, 4).split([1, 3], dim=-1)
    sideways = torch.linalg.cross(xyz, v.expand(*shape, 3))
    return v + 2 * (w * sideways + torch.linalg.cross(xyz, sideways))


def matrix_from_quaternion(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Return rotation matrix of a quaternion of any length but 0."""
    w, x, y, z = q.unbind(-1)
    s = 2 / (q * q).sum(-1)
    rows = [
        1 - s * (y * y + z * z),
        s * (x * y - w * z),
        s * (x * z + w * y),
        s * (x * y + w * z),
        1 - s * (x * x + z * z),
        s * (y * z - w * x),
        s * (x * z - w * y),
        s * (y * z + w * x),
        1 - s * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def sixd_from_matrix(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 6"]:
    """Return first column, then second column (Zhou et al. 2019, arXiv:1812.07035)."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)


def matrix_from_sixd(sixd: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Return the nearest rotation that keeps the direction of the first column; the two columns need not be unit or
    square."""
    first, second = sixd.split(3, dim=-1)
    x = F.normalize(first, dim=-1)
    z = F.normalize(torch.linalg.cross(x, second), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], dim=-1)


def about_y(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 4"]:
    """Return the rotation by `angle` (radians) about the upward axis; positive turns +z towards +x."""
    zero = torch.zeros_like(angle)
    return torch.stack([torch.cos(angle / 2), zero, torch.sin(angle / 2), zero], dim=-1)
