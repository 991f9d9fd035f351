"""What models trained on ragged batches do at their borders: windows, checks, and a loss over frames."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask


def normalised_rows(
    motion: Motion, normaliser: Normaliser, model: str, max_frames: int, *, whole_window: bool = False
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
    """Return a batch as a network sees it, and where its motions are. Padding is zero BEFORE normalisation (as
    published).

    Args:
        motion: published units.
        normaliser: the model's.
        model: its name, for messages.
        max_frames: rows of the model's position table; padding beyond it is cut.
        whole_window: always as many frames as the table has rows, for models that see padding.

    Raises:
        InputError: features of another data set, or a motion longer than the position table.
    """
    check_width(motion, normaliser, model)
    check_frames(motion.lengths, max_frames, model)
    frames = max_frames if whole_window else min(motion.features.shape[1], max_frames)
    features = F.pad(motion.features, (0, 0, 0, frames - motion.features.shape[1]))
    mask = length_mask(motion.lengths, frames)
    # masked_fill, not a product: padding means nothing, so it may hold anything, and 0 x NaN is NaN.
    return normaliser(features.masked_fill(~mask[..., None], 0.0)), mask


def normalised_frames(
    motion: Motion, normaliser: Normaliser, model: str, frames: int
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
    """Return the first frames of a batch as a network sees them, and where its motions are. Padding is zero AFTER
    normalisation.

    Args:
        motion: published units.
        normaliser: the model's.
        model: its name, for messages.
        frames: how many, whatever the batch's.

    Raises:
        InputError: features of another data set.
    """
    check_width(motion, normaliser, model)
    mask = length_mask(motion.lengths, frames)
    features = F.pad(motion.features, (0, 0, 0, frames - motion.features.shape[1]))
    # where, not a product: padding means nothing, so it may hold anything, and 0 x NaN is NaN.
    return torch.where(mask[..., None], normaliser(features), 0.0), mask


def check_width(motion: Motion, normaliser: Normaliser, model: str) -> None:
    """Refuse a motion of another data set than the model's."""
    own, given = len(normaliser.mean), motion.features.shape[-1]
    if own != given:
        raise InputError(
            f"this {model} was made for {own} features per frame, but the motion has {given}; HumanML3D has 263 and "
            "KIT-ML 251: take a model of the same data set, or convert the motion first"
        )


def check_frames(lengths: Int[Tensor, "B"], max_frames: int, model: str) -> None:
    """Refuse lengths that the position table has no row for."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest < 1 or longest > max_frames:
        raise InputError(
            f"{model} makes motions of 1 to {max_frames} frames, but {shortest} to {longest} were asked for; longer "
            "ones need a model trained with a larger max_frames"
        )


def frame_weighted_loss(
    predicted: Float[Tensor, "B T D"], target: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B"]:
    """Return squared error of each row, weighted by its length: the mean over rows is that over all frames of the
    batch.

    Source: the published code of MotionDiffuse and ReMoDiffuse.
    """
    per_row = ((predicted - target).square().mean(dim=2) * mask).sum(dim=1)
    return per_row * len(mask) / mask.sum()


def like_batch(features: Float[Tensor, "B T D"], motion: Motion) -> Motion:
    """Return features made for a batch, as long as it came: what is missing in its padding is zero."""
    missing = motion.features.shape[1] - features.shape[1]
    return Motion(F.pad(features, (0, 0, 0, missing)), motion.lengths)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Give dropout off, so that a seed means a motion; afterwards as it was."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)
