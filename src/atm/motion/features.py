"""The published motion features (263 or 251 numbers per frame) and joint positions, in both directions.

Source: Guo et al. 2022 and its published data tools, whose known errors are part of the format and kept.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from atm.motion import rotations
from atm.motion.skeletons import Skeleton


def root_from_features(
    features: Float[Tensor, "*b T D"], skeleton: Skeleton
) -> tuple[Float[Tensor, "*b T 4"], Float[Tensor, "*b T 3"]]:
    """Where the root is and which way it faces.

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
    """Joint positions in published units, from the root and the position columns; differentiable.

    The published name is `recover_from_ric`; the field's `new_joints` files are its output.
    """
    to_front, root = root_from_features(features, skeleton)
    local = features[..., skeleton.columns["positions"]].unflatten(-1, (-1, 3))
    outer = rotations.rotate(rotations.inverse(to_front)[..., None, :], local)
    # The height of the joints is absolute: only x and z are relative to the root.
    over_ground = root * root.new_tensor([1.0, 0.0, 1.0])
    return torch.cat([root[..., None, :], outer + over_ground[..., None, :]], dim=-2)
