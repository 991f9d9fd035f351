"""Turns that come out as the plan asks: the way that the body faces, not only its root, turns so far.

The published root turns with the body's heading as smoothed over seconds, so a turn is partly in the root and partly in
how the body stands to it. A network learns both to some degrees, which add up over a turn. The root's share is
stretched so that the sum is what is asked (ours; the path along a curve bends with it, and closes where a circle is).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.generators.causal_flow.plan import Plan, asked_turns
from atm.motion import Skeleton, facing

_NEARLY = 0.5
"""A turn is corrected by this share of itself at most: what is further off was not understood, and stays."""
_LEAST = 0.1
"""Radians that the root must turn for it to be stretched."""


def turn_as_asked(
    core: Float[Tensor, "B T C"], plan: Plan, lengths: Int[Tensor, "B"], skeleton: Skeleton
) -> Float[Tensor, "B T C"]:
    """Return core columns of motions whose turns, curves and circles turn as far as their plans ask.

    Args:
        core: of motions, in published units.
        plan: that they were made from.
        lengths: frames of each.
        skeleton: of the motions.
    """
    frames = core.shape[1]
    positions = core[..., skeleton.columns["positions"]].unflatten(-1, (-1, 3))
    ahead = facing(torch.cat([torch.zeros_like(positions[:, :, :1]), positions], dim=2).flatten(0, 1), skeleton)
    local = torch.atan2(ahead[:, 0], ahead[:, 2]).view(len(core), frames)
    step = 2 * core[..., 0]
    place = torch.arange(frames, device=core.device)
    factor = torch.ones_like(step)
    last = (lengths - 1)[:, None]
    asked = asked_turns(plan)
    for action in range(plan.fields.shape[1]):
        end = plan.ends[:, action : action + 1].round().long().minimum(last)
        begin = (plan.ends[:, action : action + 1] - plan.spans[:, action].sum(-1, keepdim=True)).round().long()
        begin = begin.clamp(min=0).minimum(last)
        inside = (place >= begin) & (place < end)
        # Steps of the root count to the right, angles from the root to where the body faces to the left.
        twist = local.take_along_dim(begin, 1) - local.take_along_dim(end, 1)
        twist = torch.atan2(twist.sin(), twist.cos())
        root = (step * inside).sum(1, keepdim=True)
        wanted = asked[:, action : action + 1] - twist
        stretch = wanted / torch.where(root.abs() < _LEAST, 1.0, root)
        nearly = (asked[:, action : action + 1] != 0) & (root.abs() >= _LEAST) & ((stretch - 1).abs() < _NEARLY)
        factor = torch.where(inside & nearly, stretch, factor)
    turned = core.clone()
    turned[..., 0] = core[..., 0] * factor
    return turned
