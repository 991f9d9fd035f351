"""Cutting motions into clips: in sequence, not overlapping."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.distances import Distance, row_distance
from atm.motion import Motion


class Clips(NamedTuple):
    """Places of the clips of a batch."""

    owner: Int[Tensor, "N"]
    """Row of the motion that a clip was cut from."""
    start: Int[Tensor, "N"]
    """First frame of the clip in its motion."""
    length: Int[Tensor, "N"]
    """Frames of the clip."""

    def to(self, device: torch.device) -> "Clips":
        """Return the same clips on a device, which is not waited for."""
        return Clips(*(part.to(device, non_blocking=True) for part in self))

    def cut(self, motion: Motion) -> Motion:
        """Return the clips as motions of their own; differentiable. Frames behind a clip's end repeat its last one.

        Clips on the CPU can be cut from motions anywhere: no device is then waited for.
        """
        frame = torch.arange(int(self.length.max()), device=self.start.device)
        index = self.start[:, None] + torch.minimum(frame[None, :], self.length[:, None] - 1)
        here = motion.features.device
        owner, index, length = (part.to(here, non_blocking=True) for part in (self.owner, index, self.length))
        return Motion(motion.features[owner[:, None], index], length)


def find_clips(lengths: Int[Tensor, "B"], *, clip_frames: int, min_frames: int) -> Clips | None:
    """Cut motions into clips of `clip_frames`, in sequence from frame 0; a last one under `min_frames` is left out.

    Source: the paper's section on intra-motion alignment: 2 s clips, those under 1 s left out. A motion between
    `min_frames` and `clip_frames` is one clip; a shorter one has none. None: no motion of the batch has a clip.
    """
    if not 1 <= min_frames <= clip_frames:
        raise ValueError(f"need 1 <= min_frames <= clip_frames, got {min_frames} and {clip_frames}")
    clips = [
        (row, start, min(clip_frames, length - start))
        for row, length in enumerate(lengths.tolist())
        for start in range(0, length, clip_frames)
        if length - start >= min_frames
    ]
    return Clips(*torch.tensor(clips, device=lengths.device).unbind(1)) if clips else None


def least_clip_frames(seconds: float, fps: float) -> int:
    """Return the fewest frames that a clip of at least `seconds` can have: 1 s at 12.5 frames a second needs 13."""
    # Six digits: a product such as 1.1 * 20, which is a little above 22, must not become 23 frames.
    return max(1, math.ceil(round(seconds * fps, 6)))


@torch.no_grad()
def least_aligned(
    z_generated: Float[Tensor, "N E"], z_real: Float[Tensor, "N E"], owner: Int[Tensor, "N"], *, distance: Distance
) -> tuple[Int[Tensor, "A"], Int[Tensor, "A"]]:
    """Return each motion's clip that is furthest from the real clip at its place (the paper's eq. 4).

    Args:
        z_generated, z_real: embeddings of all clips, at the same places.
        owner: row of the motion of each clip. On the CPU: no device is then waited for.
        distance: what D is.

    Returns:
        Rows of the motions that have a clip, ascending; number of the least aligned clip of each.
    """
    away = row_distance(z_generated, z_real, distance)
    rows = owner.unique()
    mine: Bool[Tensor, "A N"] = rows[:, None] == owner[None, :]
    mine, rows = (part.to(away.device, non_blocking=True) for part in (mine, rows))
    return rows, away.expand(len(rows), -1).masked_fill(~mine, -torch.inf).argmax(dim=1)
