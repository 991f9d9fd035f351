"""How well a space retrieves on a data set: every protocol, on motions and on clips."""

from collections.abc import Iterable

import torch

from atm.alignment.clips import find_clips, least_clip_frames
from atm.base.errors import InputError
from atm.interface import Batch, TextMotionSpace
from atm.space.retrieval import BATCH, clip_retrieval_metrics, retrieval_metrics


@torch.no_grad()
def retrieval_report(
    space: TextMotionSpace, batches: Iterable[Batch], *, clip_seconds: float = 2.0, min_clip_seconds: float = 1.0
) -> dict[str, dict[str, float]]:
    """Return metrics by protocol: `all`, `threshold`, `nsim`, `batches` (from 32 items), and `clips`, `clips
    threshold`.

    Args:
        space: in evaluation mode.
        batches: each item of the data set once; rows are sorted by their ids, as published numbers want it.
        clip_seconds: length of a clip.
        min_clip_seconds: a last clip shorter than this is left out.

    Raises:
        InputError: no items.
    """
    ids: list[str] = []
    z_text, z_motion, sentence, z_clip, owner = [], [], [], [], []
    for batch in batches:
        motion, fps = batch.motion, batch.motion.skeleton.fps
        least = least_clip_frames(min_clip_seconds, fps)
        clips = find_clips(motion.lengths, clip_frames=round(clip_seconds * fps), min_frames=least)
        if clips is not None:
            z_clip.append(space.encode_motion(clips.cut(motion)))
            owner.append(clips.owner + len(ids))
        z_text.append(space.encode_text(batch.text))
        z_motion.append(space.encode_motion(motion))
        sentence.append(batch.sentence)
        ids += batch.ids
    if not ids:
        raise InputError("there is nothing to retrieve: the data set's split is empty")
    order = torch.tensor(sorted(range(len(ids)), key=ids.__getitem__), device=z_text[0].device)
    texts, motions, sentences = (torch.cat(rows)[order] for rows in (z_text, z_motion, sentence))
    protocols = ["all", "threshold", "nsim"] + (["batches"] if len(ids) >= BATCH else [])
    report = {name: retrieval_metrics(texts, motions, sentences, protocol=name) for name in protocols}
    if z_clip:
        own = order.argsort()[torch.cat(owner)]
        report["clips"] = clip_retrieval_metrics(texts, torch.cat(z_clip), own)
        report["clips threshold"] = clip_retrieval_metrics(texts, torch.cat(z_clip), own, sentences)
    return report
