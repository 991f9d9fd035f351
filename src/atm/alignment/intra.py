"""The intra-motion loss of a batch (the paper's eq. 4 to 7): clips, the least aligned, and proxies to compare."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.alignment.clips import Clips, find_clips, least_aligned, least_clip_frames
from atm.alignment.config import AlignmentConfig, IntraConfig
from atm.alignment.distances import row_distance
from atm.alignment.embed import Crop, Embedded, Embedder
from atm.alignment.gather import AllGather, Gathered
from atm.alignment.losses import intra_motion_loss, mean_of_valid
from atm.alignment.negatives import Mined, mine_proxies
from atm.motion import Motion

FEW = 0.5
"""Share of the clips up to which it is cheaper to embed the chosen ones again than to keep a graph of all. A backward
pass to a motion costs 1.2 times a forward pass: 1 + 2.2 x 0.5 = 2.1 in place of 2.2."""


@dataclass(frozen=True)
class MinedClips:
    """Clips that were compared, for each of A motions that have one."""

    row: Int[Tensor, "A"]
    """Row of the motion in the batch."""
    anchor: Int[Tensor, "A"]
    """Its least aligned clip, a number among `clips`."""
    positive: Mined
    negative: Mined
    clips: Clips
    """With `gather`, of all processes' motions, whose rows are counted through."""
    z_generated: Float[Tensor, "N E"]
    """Embeddings of the clips, without gradient."""
    z_real: Float[Tensor, "N E"]


@dataclass(frozen=True)
class IntraResult:
    """Everything that the intra-motion loss compared."""

    loss: Float[Tensor, "B"]
    """Loss of each motion, with gradient; 0 where it has no clip or is above gamma."""
    under_gamma: Bool[Tensor, "B"]
    """True where the motion is far enough from the real one, and noised little enough, for the loss to act."""
    mined: MinedClips | None
    """None: no motion is under gamma, or none has a clip, or there are no two clips to compare."""

    @property
    def counts(self) -> Bool[Tensor, "A K"]:
        """True for the proxy pairs that the loss of a motion is the mean over."""
        valid = self.mined.positive.valid & self.mined.negative.valid
        return valid & self.under_gamma[self.mined.row][:, None]


class _Cut(NamedTuple):
    """Clips with their embeddings, and which of them are the anchors of this process's motions."""

    clips: Clips
    row: Int[Tensor, "A"]
    anchor: Int[Tensor, "A"]
    z_generated: Float[Tensor, "N E"]
    z_real: Float[Tensor, "N E"]


def intra_motion(
    config: AlignmentConfig,
    embed: Embedder,
    generated: Motion,
    real: Motion,
    lengths: list[int],
    crops: list[Crop] | None,
    seen: Embedded,
    takes_part: Bool[Tensor, "B"],
    all_gather: AllGather | None,
) -> IntraResult:
    """Compute the loss.

    How many rows are under gamma is read from the device, one number. Where there is none, clips need not be embedded,
    which is most of the loss's cost (with `gather` the other processes may need them). Where there are few, a graph of
    all clips would cost more than to embed those again that a row under gamma has chosen (`motion_of_few`).

    Args:
        config: rules, margins, gamma.
        embed: of the clips.
        generated, real: the motions, row for row.
        lengths: of both.
        crops: which crops the real motions are; None: not known, see `Embedder`.
        seen: the embedded batch.
        takes_part: False makes a row's loss 0. Its clips are proxies of others all the same.
        all_gather: None: the clips of this process are all there are.
    """
    whole, whole_real = seen.generated[seen.own], seen.real[seen.own]
    alike = 1 - row_distance(whole, whole_real, "cosine").detach()
    under_gamma = (alike < config.intra.gamma) & takes_part
    # Zero, with the graph whole: with `gather`, the other processes wait for this one's part of the gradient.
    nothing = IntraResult(whole.sum(1) * 0, under_gamma, None)
    clips = find_clips(torch.tensor(lengths), **clip_frames(config.intra, real.skeleton.fps))
    acting = int(under_gamma.sum(dtype=torch.float32))
    if all_gather is None and (clips is None or not acting):
        return nothing
    cut = _cut(config, embed, clips, generated, real, whole, crops, acting)
    if all_gather is not None:
        cut = _with_all_clips(all_gather, cut, first_row=seen.own.start)
    clips, row, anchor, z_generated, z_real = cut
    if len(clips.owner) < 2:
        return nothing
    candidate = torch.ones(len(anchor), len(clips.owner), dtype=torch.bool, device=anchor.device)
    if config.intra.proxies_from == "motion":
        candidate = clips.owner[anchor][:, None] == clips.owner[None, :]
    positive, negative = mine_proxies(
        z_generated, z_real, anchor, candidate,
        positive_rule=config.intra.positive_rule, negative_rule=config.intra.negative_rule,
        count=config.intra.proxy_pairs, floor=config.floor, distance=config.distance,
    )  # fmt: skip
    each = intra_motion_loss(
        z_generated, z_real, anchor, positive.index, negative.index,
        margin=None if config.intra.margin == "adaptive" else config.intra.margin,
        distance=config.distance, detach_proxies=config.intra.detach, check=False,
    )  # fmt: skip
    loss = mean_of_valid(each, positive.valid & negative.valid & under_gamma[row][:, None])
    mined = MinedClips(row, anchor, positive, negative, clips, z_generated.detach(), z_real)
    return IntraResult(nothing.loss.index_put((row,), loss), under_gamma, mined)


def clip_frames(config: IntraConfig, fps: float) -> dict[str, int]:
    """Return the frames of a clip and of the shortest last one, as `find_clips` takes them.

    The shortest is no shorter than it is said to be: 1 s at KIT-ML's 12.5 frames a second are 13 frames.
    """
    frames = max(1, round(config.clip_seconds * fps))
    return {"clip_frames": frames, "min_frames": min(frames, least_clip_frames(config.min_clip_seconds, fps))}


def _cut(
    config: AlignmentConfig,
    embed: Embedder,
    clips: Clips | None,
    generated: Motion,
    real: Motion,
    whole: Tensor,
    crops: list[Crop] | None,
    acting: int,
) -> _Cut:
    """Embed the clips of this process's motions and find the least aligned of each."""
    if clips is None:  # other processes have some, and wait for what this one has to say
        none = torch.zeros(0, dtype=torch.long, device=whole.device)
        return _Cut(Clips(none, none, none), none, none, whole[:0], whole[:0].detach())
    z_real = embed.real_clips(real, clips, crops, clip_frames(config.intra, real.skeleton.fps)).to(whole.dtype)
    chosen = acting * (1 + 2 * config.intra.proxy_pairs)  # at most: an anchor and its proxies
    few = chosen <= len(clips.owner) * FEW
    z_generated = (embed.motion_of_few if few else embed.motion)(clips.cut(generated))
    row, anchor = least_aligned(z_generated, z_real, clips.owner, distance=config.distance)
    return _Cut(clips.to(whole.device), row, anchor, z_generated, z_real)


def _with_all_clips(all_gather: AllGather, cut: _Cut, first_row: int) -> _Cut:
    """Return the clips of all processes, rows counted over all batches; the anchors stay this process's."""
    clips = cut.clips
    gathered = Gathered(all_gather, len(clips.owner), cut.z_real.device)
    places = gathered(torch.stack([clips.owner + first_row, clips.start, clips.length], dim=1))
    return _Cut(
        Clips(*places.unbind(1)), cut.row, cut.anchor + gathered.own.start, gathered(cut.z_generated),
        gathered(cut.z_real),
    )  # fmt: skip
