"""The numbers that a motion depends on, and the rest of its features from them.

Of the published columns, yaw step, root step, root height and local positions say all that joints do (67 of 263 in
HumanML3D, 64 of 251 in KIT). Rotations, velocities and contacts follow from the joints, so no network need learn them.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atm.motion import Skeleton, rotations
from atm.motion.features import joints_from_features, root_from_features

ROOT_SPEED = 10.0
"""Weight of steps per frame beside metres, so that a whole motion's way counts like a pose (ours)."""
FEET = 2.0
"""Weight of ankles and toes beside other joints (ours)."""
_GUARD = 1e-4
"""Keeps the rotation of a bone that points against its raw direction defined, and its gradient bounded."""


def core_width(skeleton: Skeleton) -> int:
    """Return how many numbers of a frame the others follow from; they are its first columns."""
    return skeleton.columns["positions"].stop


def core_weights(skeleton: Skeleton) -> Float[Tensor, "C"]:
    """Return what turns core columns in published units into numbers of like importance, near metres."""
    columns, metres = skeleton.columns, skeleton.metres_per_unit
    weights = torch.full((core_width(skeleton),), metres)
    weights[columns["yaw_step"]] = ROOT_SPEED
    weights[columns["root_step"]] = ROOT_SPEED * metres
    positions = weights[columns["positions"]].view(-1, 3)
    positions[[joint - 1 for joint in skeleton.contact_joints]] *= FEET
    return weights


def features_of_core(core: Float[Tensor, "B T C"], skeleton: Skeleton) -> Float[Tensor, "B T D"]:
    """Return all features of motions from their core columns, in published units; differentiable, contacts excepted.

    As `atm.motion.features.features_of_canonical` computes them, but for the last frame, whose velocity is that of the
    frame before, and for poses in which a rotation is undefined, which get some rotation.
    """
    joints = joints_from_features(core, skeleton)
    to_front, _ = root_from_features(core, skeleton)
    sixd = rotations.sixd_from_matrix(rotations.matrix_from_quaternion(_local_rotations(joints, to_front, skeleton)))
    steps = joints.diff(dim=1)
    steps = torch.cat([steps, steps[:, -1:]], dim=1) if steps.shape[1] else torch.zeros_like(joints)
    velocities = rotations.rotate(to_front[:, :, None], steps)
    feet = steps.detach()[:, :, list(skeleton.contact_joints)].square().sum(-1)
    contacts = (feet < skeleton.contact_threshold).to(core.dtype)
    return torch.cat([core, sixd.flatten(2), velocities.flatten(2), contacts], dim=-1)


def _local_rotations(
    joints: Float[Tensor, "B T J 3"], to_front: Float[Tensor, "B T 4"], skeleton: Skeleton
) -> Float[Tensor, "B T O 4"]:
    """Return rotations of joints 1 and up, relative to `Skeleton.rotation_parents`; the root's is known already."""
    bones = joints[:, :, 1:] - joints[:, :, list(skeleton.parents[1:])]
    raw = bones.new_tensor(skeleton.raw_directions[1:])
    bones = F.normalize(bones, dim=-1, eps=_GUARD * (1.0 / skeleton.metres_per_unit))
    cosine = (raw * bones).sum(-1, keepdim=True)
    turns = torch.cat([1 + cosine + _GUARD, torch.linalg.cross(raw.expand_as(bones), bones)], dim=-1)
    turns = torch.cat([to_front[:, :, None], F.normalize(turns, dim=-1)], dim=2)
    before = turns[:, :, [skeleton.rotation_parents[joint] for joint in range(1, skeleton.n_joints)]]
    return rotations.multiply(rotations.inverse(before), turns[:, :, 1:])
