"""MDM's foot contact loss: feet that slide are a small error of the features and a glaring one to the eye."""

import torch
from jaxtyping import Float
from torch import Tensor

from atm.motion import Motion

CM = 100


def foot_loss(motion: Motion, real: Motion) -> Float[Tensor, "B"]:
    """Return how far the joints of the feet step in the room while the real ones stand: mean square, (cm per frame)^2.

    Source: MDM, eq. 4; its published text-to-motion models weigh it 0. A foot stands where the real motion's contact
    column says so.

    Args:
        motion: estimates of the clean motions.
        real: the motions that they estimate, with the same lengths.
    """
    skeleton = real.skeleton
    feet = motion.joints[:, :, [*skeleton.left_foot, *skeleton.right_foot]]
    moved = (CM * (feet[:, 1:] - feet[:, :-1])).square().sum(-1)
    stands = (real.features[:, :-1, skeleton.columns["contacts"]] > 0.5) & real.mask[:, 1:, None]
    return torch.where(stands, moved, 0.0).sum((1, 2)) / stands.sum((1, 2)).clamp_min(1)
