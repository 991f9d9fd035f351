"""Cutting motions into clips: in sequence, not overlapping."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.distances import Distance, row_distance
from atm.motion import Motion


class Clips(NamedTuple):
    """Where the clips of a batch lie."""

    owner: Int[Tensor, "N"]
    """Row of the motion that a clip was cut from."""
    start: Int[Tensor, "N"]
    """First frame of the clip in its motion."""
    length: Int[Tensor, "N"]
    """Frames of the clip."""

    def cut(self, motion: Motion) -> Motion:
        """The clips as motions of their own; differentiable. Frames behind a clip's end repeat its last one."""
        frame = torch.arange(int(self.length.max()), device=self.start.device)
        index = self.start[:, None] + torch.minimum(frame[None, :], self.length[:, None] - 1)
        return Motion(motion.features[self.owner[:, None], index], self.length)


def find_clips(lengths: Int[Tensor, "B"], *, clip_frames: int, min_frames: int) -> Clips | None:
    """Clips of `clip_frames` in sequence from frame 0; a last one under `min_frames` is left out.

    Source: the paper's section on intra-motion alignment: 2 s clips, those under 1 s left out. A motion between
    `min_frames` and `clip_frames` is one clip; a shorter one has none. None: no motion of the batch has a clip.
    """
    if not 1 <= min_frames <= clip_frames:
        raise ValueError(f"need 1 <= min_frames <= clip_frames, got {min_frames} and {clip_frames}")
    starts = torch.arange(0, int(lengths.max()), clip_frames, device=lengths.device)
    left = (lengths[:, None] - starts[None, :]).clamp_max(clip_frames)  # (B, most clips)
    owner, which = (left >= min_frames).nonzero(as_tuple=True)
    if len(owner) == 0:
        return None
    return Clips(owner, starts[which], left[owner, which])


def least_clip_frames(seconds: float, fps: float) -> int:
    """Return the fewest frames that a clip of at least `seconds` can have: 1 s at 12.5 frames a second needs 13."""
    # Six digits: a product such as 1.1 * 20, which is a little above 22, must not become 23 frames.
    return max(1, math.ceil(round(seconds * fps, 6)))


@torch.no_grad()
def least_aligned(
    z_generated: Float[Tensor, "N E"], z_real: Float[Tensor, "N E"], owner: Int[Tensor, "N"], *, distance: Distance
) -> tuple[Int[Tensor, "A"], Int[Tensor, "A"]]:
    """Each motion's clip that is furthest from the real clip at its place (the paper's eq. 4).

    Returns:
        Rows of the motions that have a clip, ascending; number of the least aligned clip of each.
    """
    away = row_distance(z_generated, z_real, distance)
    rows = owner.unique()
    table = away.new_full((len(rows), len(owner)), -torch.inf)
    mine: Bool[Tensor, "A N"] = rows[:, None] == owner[None, :]
    return rows, torch.where(mine, away[None, :], table).argmax(dim=1)
