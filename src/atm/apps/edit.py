"""A motion made anew but for the parts that are kept: in-betweening, keyframes, a path, another sentence."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float

from atm.apps.generate import frames_of, in_steps, row_seed
from atm.apps.reading import as_read
from atm.base.errors import InputError
from atm.interface import Generator
from atm.motion import Motion, Skeleton, skeleton_of_width
from atm.motion.paths import Path, path_columns

Spans = Sequence[tuple[float, float]]
"""Parts of a motion, as pairs of seconds."""


def edited(
    generator: Generator,
    features: Float[np.ndarray, "S D"],
    text: str,
    *,
    keep: Spans,
    path: Path | None,
    seconds: float | None,
    seed: int,
    guidance_scale: float | None,
    steps: int | None = None,
) -> Motion:
    """Return a batch of one: the motion, made anew from a sentence where it is not kept.

    A model that completes motions keeps any parts. One that goes on from a motion keeps a beginning: what comes is made
    from its end, and the sentence says what that is.

    Args:
        generator: with `inbetweening` or `goes_on`.
        features: of the motion, in published units.
        text: what the motion shall be.
        keep: parts that stand.
        path: where the root goes, see `atm.motion.paths`; also in parts that stand. None: where the model lets it.
        seconds: length of the result; None: that of the motion.
        seed: of all that is drawn.
        guidance_scale: None: the model's own.
        steps: of sampling, for models that have them; None: the model's own.

    Raises:
        InputError: as `kept_of`.
    """
    kept, frames = kept_of(generator, features, keep=keep, path=path, seconds=seconds)
    known = Motion(torch.from_numpy(features)[None].float(), torch.tensor([len(features)]))
    lengths, seeds = torch.tensor([frames]), [row_seed(seed, 0)]
    if generator.capabilities.inbetweening:
        stands = torch.from_numpy(kept)[None]
        if path is not None:
            known, stands = _along(path, known, stands, frames, known.skeleton)
        return generator.sample(
            [text], lengths, seeds=seeds, guidance_scale=guidance_scale, known=known, keep=stands, **in_steps(steps)
        ).to("cpu")
    begins = _beginning(kept)
    beginning = known.features[:, :begins]
    prefix = Motion(beginning, torch.tensor([begins]))
    made = as_read(generator).sample(
        [text], lengths - begins, seeds=seeds, guidance_scale=guidance_scale, prefix=prefix, **in_steps(steps)
    ).to("cpu")  # fmt: skip
    whole = torch.cat([beginning, made.features[:, : frames - begins]], dim=1)
    return Motion(whole, lengths)


def kept_of(
    generator: Generator,
    features: Float[np.ndarray, "S D"],
    *,
    keep: Spans,
    path: Path | None,
    seconds: float | None,
) -> tuple[Bool[np.ndarray, "S"], int]:
    """Return which frames of a motion stand, and how many the result has; refuse what `edited` cannot make.

    Raises:
        InputError: a part that is empty, overlaps another or is not in the motion, nothing that stands, nothing left to
            make, a motion of another skeleton than the model's, a path that is none, or a model that can keep no such
            part or no path.
    """
    width = len(generator.normaliser.mean)
    if features.shape[1] != width:
        raise InputError(
            f"the motion has {features.shape[1]} features, but the model makes {width}: it must be of the same data set"
        )
    if not np.isfinite(features).all():
        raise InputError("the motion holds NaN or infinity: nothing can go on from it")
    skeleton = skeleton_of_width(width)
    frames = frames_of(generator, len(features) / skeleton.fps if seconds is None else seconds)
    if path is not None:
        check_path(generator)
        path_columns(path, frames, skeleton)
    kept = kept_frames(keep, len(features), skeleton.fps, needed=path is None)[:frames]
    if kept.all() and len(kept) == frames:
        raise InputError("all of the motion is kept, so there is nothing to make: keep less, or ask for more seconds")
    if generator.capabilities.inbetweening:
        return kept, frames
    if not generator.capabilities.goes_on:
        raise InputError(
            f"{generator.config.name} keeps no part of a motion: take one that completes motions (mdm, momask, "
            "bamm) or goes on from them (causal_flow)"
        )
    begins = _beginning(kept)
    if begins == 0 or kept[begins:].any():
        raise InputError(
            f"{generator.config.name} goes on from what is kept, so it keeps a beginning, such as keep=[(0, 1.5)]: for "
            "parts in the middle or at the end take a model that completes motions (mdm, momask, bamm)"
        )
    return kept, frames


def check_path(generator: Generator) -> None:
    """Refuse a model that cannot keep the root on a path.

    Raises:
        InputError: it cannot.
    """
    if not (generator.capabilities.inbetweening and generator.capabilities.keeps_features):
        raise InputError(f"{generator.config.name} cannot be held on a path: take one that can, such as mdm")


def kept_frames(keep: Spans, frames: int, fps: float, *, needed: bool = True) -> Bool[np.ndarray, "S"]:
    """Return which frames of a motion stand; `needed`: some must.

    Raises:
        InputError: a part that is empty, overlaps another or is not in the motion; none at all.
    """
    kept = np.zeros(frames, bool)
    spans = sorted((float(begin), float(end)) for begin, end in keep)
    if needed and not spans:
        raise InputError("nothing is kept: say what stands in seconds, such as keep=[(0, 1.5)], or generate anew")
    for begin, end in spans:
        if not 0 <= begin < end <= frames / fps + 0.5 / fps:
            raise InputError(f"the motion lasts {frames / fps:g} s, and {begin:g} to {end:g} s is no part of it")
        part = slice(round(begin * fps), round(end * fps))
        if part.stop <= part.start:
            raise InputError(f"{begin:g} to {end:g} s is less than a frame of 1/{fps:g} s")
        kept[part] = True
    for (_, end), (begin, _) in pairwise(spans):
        if begin < end:
            raise InputError(f"two parts to keep overlap: one ends at {end:g} s, the next begins at {begin:g} s")
    return kept


def _beginning(kept: Bool[np.ndarray, "S"]) -> int:
    """Return how many frames stand before the first that does not."""
    return len(kept) if kept.all() else int(kept.argmin())


def _along(
    path: Path, known: Motion, kept: Bool[torch.Tensor, "B S"], frames: int, skeleton: Skeleton
) -> tuple[Motion, Bool[torch.Tensor, "B T D"]]:
    """Return what is known with the path in its root columns, and what of it stands: those, and all of kept frames."""
    columns = path_columns(path, frames, skeleton)
    width = columns.shape[1]
    features = torch.zeros(1, frames, skeleton.feature_width)
    stands = torch.zeros_like(features, dtype=torch.bool)
    least = kept.shape[1]
    features[:, :least], stands[:, :least] = known.features[:, :least], kept[..., None]
    features[..., :width], stands[..., :width] = columns, True
    return Motion(features, torch.tensor([frames])), stands
