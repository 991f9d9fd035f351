"""The published motion features (263 or 251 numbers per frame) and joint positions, in both directions.

Source: Guo et al. 2022 and its published data tools, whose known errors are part of the format and kept.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.motion import rotations
from atm.motion.kinematics import facing, forward_kinematics, inverse_kinematics, uniform_skeleton
from atm.motion.skeletons import HUMANML3D, KIT, Skeleton, skeleton_of_width


def features_from_joints(
    joints: Float[Tensor, "T J 3"] | Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    target_offsets: Float[Tensor, "J 3"] | None = None,
) -> Float[Tensor, "S D"]:
    """Return the published features of a motion, in all four steps: target body, canonical place, rotations, columns.

    Args:
        joints: positions of at least 2 frames, y up, left on +x for who faces +z, at the skeleton's frame rate, in its
            unit (metres for HumanML3D, millimetres for KIT).
        skeleton: whose joints these are. Where its frame rate is not the published one, joints go in straight lines
            from frame to frame, and the features are of the published rate.
        target_offsets: bones of the body that the motion is put on; None takes the published one.

    Returns:
        One row less than there are frames, float32.

    Raises:
        InputError: not the skeleton's joints, fewer than 2 frames, NaN, a skeleton without a published body, or a pose
            in which a rotation is undefined.
    """
    joints = torch.as_tensor(joints)
    _check_joints(joints, skeleton)
    published = skeleton_of_width(skeleton.feature_width).fps
    if skeleton.fps != published:
        joints = _at_rate(joints, skeleton.fps, published)
        _check_joints(joints, skeleton)
    offsets = skeleton.target_offsets if target_offsets is None else target_offsets
    if offsets is None:
        raise InputError(
            f"{skeleton.name} has its target body in a file of the data set: pass target_offsets, which "
            "atm.motion.offsets_of makes from the first frame of 03950_gt."
        )
    return features_of_canonical(canonical(uniform_skeleton(joints, skeleton, offsets), skeleton), skeleton)


def _at_rate(joints: Float[Tensor, "T J 3"], fps: float, wanted: float) -> Float[Tensor, "S J 3"]:
    """Return the same motion with another number of frames per second."""
    last = len(joints) - 1
    at = torch.arange(int(last / fps * wanted + 1e-6) + 1, dtype=torch.float64) * (fps / wanted)
    below = at.long().clamp(max=max(last - 1, 0))
    share = (at - below)[:, None, None].to(joints.dtype)
    return joints[below] * (1 - share) + joints[(below + 1).clamp(max=last)] * share


def canonical(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> Float[Tensor, "T J 3"]:
    """Return the motion on the floor (lowest joint of all frames), its first frame over the origin and facing +z;
    float32.

    Raises:
        InputError: the first frame faces exactly backwards, from where no way to +z is the shortest.
    """
    floor = joints[..., 1].min()
    origin = torch.stack([joints[0, 0, 0], floor, joints[0, 0, 2]])
    front = facing(joints[0], skeleton).float()
    to_front = rotations.between(front, front.new_tensor([0.0, 0.0, 1.0]))
    if to_front.isnan().any():
        raise InputError(
            "the published features are undefined for a motion whose first frame faces exactly -z, or nowhere. "
            "Turn the whole motion a little."
        )
    return rotations.rotate(to_front, (joints - origin).float())


def contacts(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> Float[Tensor, "T-1 4"]:
    """Return 1 where a foot joint hardly moves until the next frame, whatever its height, else 0.

    Columns: left ankle, left toe, right ankle, right toe.
    """
    feet = joints[:, list(skeleton.contact_joints)]
    return ((feet[1:] - feet[:-1]).square().sum(-1) < skeleton.contact_threshold).to(joints.dtype)


def features_of_canonical(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> Float[Tensor, "S D"]:
    """Return the columns, for a motion that is on the target body and in canonical place already.

    Raises:
        InputError: a pose in which a rotation is undefined.
    """
    local = inverse_kinematics(joints, skeleton, smooth=True)
    now, later = local[:-1, 0], local[1:, 0]
    yaw_step = torch.arcsin(rotations.multiply(later, rotations.inverse(now))[:, 2:3].clamp(-1.0, 1.0))
    root_step = rotations.rotate(later, joints[1:, 0] - joints[:-1, 0])[:, [0, 2]]
    over_ground = joints[:-1, :1] * joints.new_tensor([1.0, 0.0, 1.0])
    positions = rotations.rotate(now[:, None], joints[:-1, 1:] - over_ground)
    sixd = rotations.sixd_from_matrix(rotations.matrix_from_quaternion(local[:-1, 1:]))
    velocities = rotations.rotate(now[:, None], joints[1:] - joints[:-1])
    return torch.cat(
        [
            yaw_step,
            root_step,
            joints[:-1, 0, 1:2],
            positions.flatten(1),
            sixd.flatten(1),
            velocities.flatten(1),
            contacts(joints, skeleton),
        ],
        dim=-1,
    )


def with_joints(
    features: Float[Tensor, "T D"], joints: Float[Tensor, "T J 3"], skeleton: Skeleton
) -> Float[Tensor, "T D"]:
    """Return the features of a motion whose joints were moved, its root up or down alone: they decode to these joints.

    (Computed anew from joints, published features turn the wrong way in the frame in which a body faces backwards.)

    Args:
        features: of the motion before.
        joints: after, in published units, in the place where the features have them.
        skeleton: whose joints these are.

    Raises:
        InputError: a pose in which a rotation is undefined.
    """
    to_front, root = root_from_features(features, skeleton)
    local = inverse_kinematics(joints, skeleton, root=to_front)
    longer = torch.cat([joints, 2 * joints[-1:] - joints[-2:-1]])  # goes on as it ended, for the last velocity
    over_ground = root[:, None] * root.new_tensor([1.0, 0.0, 1.0])
    made = {
        "root_height": joints[:, 0, 1:2],
        "positions": rotations.rotate(to_front[:, None], joints[:, 1:] - over_ground),
        "rotations": rotations.sixd_from_matrix(rotations.matrix_from_quaternion(local[:, 1:])),
        "velocities": rotations.rotate(to_front[:, None], longer[1:] - longer[:-1]),
        "contacts": contacts(longer, skeleton),
    }
    result = features.clone()
    for name, values in made.items():
        result[:, skeleton.columns[name]] = values.flatten(1)
    return result


def root_from_features(
    features: Float[Tensor, "*b T D"], skeleton: Skeleton
) -> tuple[Float[Tensor, "*b T 4"], Float[Tensor, "*b T 3"]]:
    """Return where the root is and which way it faces.

    Returns:
        The rotation that turns the body's front to +z, as quaternions (w, x, y, z), and the positions, in published
        units. The first frame stands over the origin and faces +z.
    """
    columns = skeleton.columns
    half_yaw = F.pad(torch.cumsum(features[..., :-1, 0], dim=-1), (1, 0))
    to_front = rotations.about_y(2 * half_yaw)
    across, along = features[..., :-1, columns["root_step"]].unbind(-1)
    steps = F.pad(torch.stack([across, torch.zeros_like(across), along], dim=-1), (0, 0, 1, 0))
    x, _, z = torch.cumsum(rotations.rotate(rotations.inverse(to_front), steps), dim=-2).unbind(-1)
    height = features[..., columns["root_height"]].squeeze(-1)
    return to_front, torch.stack([x, height, z], dim=-1)


def joints_from_features(features: Float[Tensor, "*b T D"], skeleton: Skeleton) -> Float[Tensor, "*b T J 3"]:
    """Return joint positions in published units, from the root and the position columns; differentiable.

    The published name is `recover_from_ric`; the field's `new_joints` files are its output.
    """
    to_front, root = root_from_features(features, skeleton)
    local = features[..., skeleton.columns["positions"]].unflatten(-1, (-1, 3))
    outer = rotations.rotate(rotations.inverse(to_front)[..., None, :], local)
    # The height of the joints is absolute: only x and z are relative to the root.
    over_ground = root * root.new_tensor([1.0, 0.0, 1.0])
    return torch.cat([root[..., None, :], outer + over_ground[..., None, :]], dim=-2)


def joints_from_rotations(
    features: Float[Tensor, "*b T D"], skeleton: Skeleton, offsets: Float[Tensor, "J 3"]
) -> Float[Tensor, "*b T J 3"]:
    """Return joint positions in the unit of `offsets`, from the root and the rotation columns; differentiable.

    The published name is `recover_from_rot`, which takes one motion at a time.

    Args:
        features: in published units.
        skeleton: whose features these are.
        offsets: bones of the body in the reference pose, such as `Skeleton.target_offsets`.
    """
    to_front, root = root_from_features(features, skeleton)
    outer = rotations.matrix_from_sixd(features[..., skeleton.columns["rotations"]].unflatten(-1, (-1, 6)))
    local = torch.cat([rotations.matrix_from_quaternion(to_front)[..., None, :, :], outer], dim=-3)
    return forward_kinematics(local, root, offsets.to(features), skeleton)


def mirror_joints(joints: Float[Tensor, "*b J 3"]) -> Float[Tensor, "*b J 3"]:
    """Return the motion of the mirrored body: x negated, left and right joints swapped.

    Takes the 22 joints of HumanML3D, the 21 of KIT, or the 52 of SMPL-H (22 and two hands of 15). Mirror joints and
    compute their features again: on features themselves there is no exact mirror.

    Raises:
        InputError: another number of joints.
    """
    orders = {len(order): order for order in (HUMANML3D.mirror_order, KIT.mirror_order, _SMPLH_MIRROR_ORDER)}
    n_joints = joints.shape[-2]
    if n_joints not in orders:
        raise InputError(f"expected {', '.join(map(str, sorted(orders)))} joints to mirror, got {n_joints}.")
    return joints[..., list(orders[n_joints]), :] * joints.new_tensor([-1.0, 1.0, 1.0])


# Which left joint of a hand becomes which right one, as the published tools have it: by number, not by finger.
_LEFT_HAND = (22, 23, 24, 34, 35, 36, 25, 26, 27, 31, 32, 33, 28, 29, 30)
_RIGHT_HAND = (43, 44, 45, 46, 47, 48, 40, 41, 42, 37, 38, 39, 49, 50, 51)
_HANDS = dict(zip(_LEFT_HAND + _RIGHT_HAND, _RIGHT_HAND + _LEFT_HAND, strict=True))
_SMPLH_MIRROR_ORDER = HUMANML3D.mirror_order + tuple(_HANDS[joint] for joint in range(22, 52))


def _check_joints(joints: Float[Tensor, "T J 3"], skeleton: Skeleton) -> None:
    if joints.shape[1] != skeleton.n_joints:
        raise InputError(
            f"expected the {skeleton.n_joints} joints of {skeleton.name}, got {joints.shape[1]}. "
            "Drop joints beyond the body (hands, face), or choose the other skeleton."
        )
    if len(joints) < 2:
        raise InputError(f"expected at least 2 frames, got {len(joints)}: features need the way to the next frame.")
    broken = ~torch.isfinite(joints).flatten(1).all(dim=1)
    if broken.any():
        frame = int(broken.nonzero()[0])
        raise InputError(f"joint positions must be finite, but frame {frame} holds NaN or infinity. Cut or repair it.")
