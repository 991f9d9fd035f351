"""Bones: from joint positions to rotations and back, and onto the published target body.

Rotations are free of twist: each turns a bone from its raw direction to where it points, by the shortest way. They
are the published features' rotations, not those of SMPL. The published tools compute them in float32, and so do we.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.motion import rotations
from atm.motion.skeletons import Skeleton

_SMOOTHING_SIGMA = 20
"""Width of the Gaussian over the facing direction, in frames, whatever the frame rate."""


def offsets_of(pose: Float[Tensor, "J 3"], skeleton: Skeleton) -> Float[Tensor, "J 3"]:
    """Return a body's bones in the reference pose: raw direction times the length that the bone has in this pose."""
    lengths = F.pad(torch.linalg.vector_norm(pose[1:] - pose[list(skeleton.parents[1:])], dim=-1), (1, 0))
    return pose.new_tensor(skeleton.raw_directions) * lengths[:, None]


def facing(joints: Float[Tensor, "*b J 3"], skeleton: Skeleton) -> Float[Tensor, "*b 3"]:
    """Return which way hips and shoulders face: a horizontal unit vector."""
    right_hip, left_hip, right_shoulder, left_shoulder = (joints[..., j, :] for j in skeleton.face_joints)
    front = _front_of((right_hip - left_hip) + (right_shoulder - left_shoulder))
    return F.normalize(front, dim=-1).to(joints)


def inverse_kinematics(
    joints: Float[Tensor, "T J 3"],
    skeleton: Skeleton,
    *,
    smooth: bool = False,
    root: Float[Tensor, "T 4"] | None = None,
) -> Float[Tensor, "T J 4"]:
    """Return joint positions as rotations.

    Row 0 turns the body's front to +z; its first frame is the identity, whatever the body does, as published. All
    other rows are relative to `Skeleton.rotation_parents`.

    Args:
        joints: in any unit.
        skeleton: whose joints these are.
        smooth: smooth the facing direction over time, as the features want it.
        root: row 0, where it is known; None: as above.

    Returns:
        Quaternions (w, x, y, z), float32.

    Raises:
        InputError: a bone points exactly against its raw direction or has no length; the published tools give NaN.
    """
    return _rotations_along_chains(joints, skeleton, smooth=smooth, root=root)[0]


def forward_kinematics(
    local: Float[Tensor, "*b J 3 3"],
    root: Float[Tensor, "*b 3"],
    offsets: Float[Tensor, "J 3"],
    skeleton: Skeleton,
) -> Float[Tensor, "*b J 3"]:
    """Return rotations as joint positions; differentiable.

    Args:
        local: rotation matrices, row 0 the root's, the others relative to `Skeleton.rotation_parents`.
        root: positions of the root.
        offsets: bones in the reference pose, in the unit of `root`.
        skeleton: whose joints these are.
    """
    absolute = {0: local[..., 0, :, :]}
    for joint in skeleton.outward:
        absolute[joint] = absolute[skeleton.rotation_parents[joint]] @ local[..., joint, :, :]
    bones = torch.stack([absolute[joint] @ offsets[joint] for joint in range(skeleton.n_joints)], dim=-2)
    return _hang_together(bones, root, skeleton)


def uniform_skeleton(
    joints: Float[Tensor, "T J 3"], skeleton: Skeleton, target_offsets: Float[Tensor, "J 3"]
) -> Float[Tensor, "T J 3"]:
    """Return the same motion on a body of the target's bone lengths: rotations in float32, their sum in float64, as
    published.

    The root's way is scaled by the ratio of the leg lengths; the body's own lengths are those of its first frame.
    """
    legs = list(skeleton.leg_joints)
    leg_length = torch.linalg.vector_norm(offsets_of(joints[0], skeleton)[legs].float(), dim=-1).sum()
    target_length = torch.linalg.vector_norm(target_offsets[legs].float(), dim=-1).sum()
    root = joints[:, 0].double() * (target_length / leg_length)
    _, absolute = _rotations_along_chains(joints, skeleton, smooth=False)
    return _hang_together(rotations.rotate(absolute, target_offsets.to(absolute)).double(), root, skeleton)


def smooth_over_time(values: Float[Tensor, "T C"], sigma: float = _SMOOTHING_SIGMA) -> Float[Tensor, "T C"]:
    """Return Gaussian filter over frames, cut at four sigma, ends held."""
    radius = int(4 * sigma + 0.5)
    taps = torch.arange(-radius, radius + 1, dtype=torch.float64, device=values.device)
    weights = torch.softmax(-0.5 * (taps / sigma) ** 2, dim=0)
    held = torch.cat([values[:1].expand(radius, -1), values, values[-1:].expand(radius, -1)]).double()
    return F.conv1d(held.T[:, None], weights[None, None])[:, 0].T.to(values.dtype)


def _rotations_along_chains(
    joints: Float[Tensor, "T J 3"], skeleton: Skeleton, *, smooth: bool, root: Float[Tensor, "T 4"] | None = None
) -> tuple[Float[Tensor, "T J 4"], Float[Tensor, "T J 4"]]:
    """Return local and absolute rotations."""
    # Directions in the precision of the joints, rotations in float32: only so are ours the published ones where a
    # bone is close to the opposite of its raw direction.
    bones = F.normalize(joints[:, 1:] - joints[:, list(skeleton.parents[1:])], dim=-1, eps=0.0).float()
    if root is None:
        fronts = _published_facing(joints, skeleton, smooth).float()
        root = rotations.between(fronts, fronts.new_tensor([0.0, 0.0, 1.0]))
        root = torch.cat([root.new_tensor([[1.0, 0.0, 0.0, 0.0]]), root[1:]])
    turns = torch.cat([root[:, None], rotations.between(bones.new_tensor(skeleton.raw_directions[1:]), bones)], dim=1)
    _check_turns(turns, skeleton)
    local, absolute = turns.clone(), turns.clone()
    for level in map(list, skeleton.levels):
        before = absolute[:, [skeleton.rotation_parents[joint] for joint in level]]
        local[:, level] = rotations.multiply(rotations.inverse(before), turns[:, level])
        # The turns again, but for rounding. The published tools multiply here, too, and their quaternions drift from
        # length 1, which stretches the bones of KIT's millimetres by up to 0.005: we follow them.
        absolute[:, level] = rotations.multiply(before, local[:, level])
    return local, absolute


def _check_turns(turns: Float[Tensor, "T J 4"], skeleton: Skeleton) -> None:
    undefined = turns.isnan().any(dim=-1)
    if undefined.any():
        frame, joint = undefined.nonzero()[0].tolist()
        cause = "its bone has no length or points exactly against its raw direction"
        if joint == 0:
            cause = "hips and shoulders face exactly -z, or nowhere"
        raise InputError(
            f"the published features are undefined in frame {frame}: {skeleton.joint_names[joint]} has no rotation, "
            f"for {cause}. Move the joints a little."
        )


def _hang_together(
    bones: Float[Tensor, "*b J 3"], root: Float[Tensor, "*b 3"], skeleton: Skeleton
) -> Float[Tensor, "*b J 3"]:
    positions = {0: root}
    for joint in skeleton.outward:
        positions[joint] = positions[skeleton.parents[joint]] + bones[..., joint, :]
    return torch.stack([positions[joint] for joint in range(skeleton.n_joints)], dim=-2)


def _published_facing(joints: Float[Tensor, "T J 3"], skeleton: Skeleton, smooth: bool) -> Float[Tensor, "T 3"]:
    right_hip, left_hip, right_shoulder, left_shoulder = (joints[:, j] for j in skeleton.face_joints)
    # The hips have the wrong sign: the published inverse kinematics takes one for the other. All published features
    # are computed with this error, and "correct" ones would not fit them.
    across = (left_hip - right_hip) + (right_shoulder - left_shoulder)
    front = _front_of(across)
    return F.normalize(smooth_over_time(front) if smooth else front, dim=-1)


def _front_of(across: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """Return upward x direction of `across`, in float64: where the body faces backwards, its rotation magnifies
    rounding."""
    x, _, z = F.normalize(across, dim=-1).double().unbind(-1)
    return torch.stack([z, torch.zeros_like(x), -x], dim=-1)
