"""A figure for tests: the target body's reference pose, made to travel, turn and swing its limbs."""

import math

import torch
from torch import Tensor

from atm.motion import HUMANML3D, Skeleton, forward_kinematics
from atm.motion.rotations import about_y, matrix_from_quaternion


def standing(skeleton: Skeleton, offsets: Tensor) -> Tensor:
    """(J, 3) joints of the reference pose, root in the origin: it faces +z, arms and legs hang down."""
    upright = torch.eye(3, dtype=offsets.dtype).expand(skeleton.n_joints, 3, 3)
    return forward_kinematics(upright, offsets.new_zeros(3), offsets, skeleton)


def walking(frames: int, *, metres_per_frame: float = 0.05, turn: float = 0.0) -> Tensor:
    """(T, 22, 3) joints in float64 that go to where the body faces, which turns by `turn` radians over the motion."""
    offsets = HUMANML3D.target_offsets.double()
    t = torch.arange(frames, dtype=torch.float64)
    yaw = turn * t / max(frames - 1, 1)
    local = torch.eye(3, dtype=torch.float64).repeat(frames, HUMANML3D.n_joints, 1, 1)
    local[:, 0] = matrix_from_quaternion(about_y(yaw))
    for joint, phase in (("left_knee", 0.0), ("right_knee", math.pi), ("left_elbow", math.pi), ("right_elbow", 0.0)):
        local[:, HUMANML3D.index(joint)] = _about_x(0.4 * torch.sin(0.5 * t + phase))
    steps = metres_per_frame * torch.stack([torch.sin(yaw), torch.zeros_like(yaw), torch.cos(yaw)], dim=-1)
    root = torch.cumsum(steps, dim=0) + torch.tensor([0.0, 0.95, 0.0], dtype=torch.float64)
    return forward_kinematics(local, root, offsets, HUMANML3D)


def _about_x(angle: Tensor) -> Tensor:
    zero, one, sin, cos = torch.zeros_like(angle), torch.ones_like(angle), torch.sin(angle), torch.cos(angle)
    return torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=-1).unflatten(-1, (3, 3))
