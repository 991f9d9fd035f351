"""From motions to tokens and back: what the generators and the trainings on a residual VQ-VAE share."""

from itertools import groupby
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.generators.parts.padding import check_width, normalised_frames
from atm.generators.tokens.rvq import ResidualVQVAE
from atm.interface import TextEncoder
from atm.motion import Motion
from atm.motion.layers import Normaliser, length_mask


def padded_input(
    normaliser: Normaliser, motion: Motion, frames_per_token: int, *, whole: bool, frames: int = 0
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B N"]]:
    """Return normalised motions with zeros behind their ends, and where they have tokens.

    Args:
        normaliser: of the tokeniser.
        motion: in published units, anything in its padding.
        frames_per_token: frames of a token.
        whole: a token counts only if the motion fills it, as published; else if the motion reaches it.
        frames: pad at least to this many.
    """
    tokens = -(-max(frames, motion.features.shape[1]) // frames_per_token)
    x, _ = normalised_frames(motion, normaliser, "tokeniser", tokens * frames_per_token)
    reached = motion.lengths if whole else motion.lengths + frames_per_token - 1
    return x, length_mask(reached // frames_per_token, tokens)


def reached_tokens(lengths: Int[Tensor, "B"], frames_per_token: int, most: int) -> Int[Tensor, "B"]:
    """Return how many tokens motions of these lengths take, the last one perhaps in part.

    Raises:
        InputError: a motion of no tokens, or of more than `most`.
    """
    tokens = (lengths + frames_per_token - 1) // frames_per_token
    check_tokens(lengths, tokens, most)
    return tokens


def check_tokens(lengths: Int[Tensor, "B"], tokens: Int[Tensor, "B"], most: int) -> None:
    """Refuse lengths in frames that come to no token, or to more than `most`."""
    if int(tokens.min()) < 1 or int(tokens.max()) > most:
        raise InputError(
            f"a motion has 1 to {most} tokens, but {int(lengths.min())} to {int(lengths.max())} frames were given"
        )


def decoded(
    rvq: ResidualVQVAE, normaliser: Normaliser, codes: Int[Tensor, "B N Q"], tokens: Int[Tensor, "B"]
) -> Float[Tensor, "B T D"]:
    """Return features of codes, in published units; zeros behind each motion's last token.

    Each motion without padding: the decoder's convolutions would carry it into the last frames.
    """
    frames = codes.shape[1] * rvq.config.frames_per_token
    features = normaliser.mean.new_zeros(len(codes), frames, len(normaliser.mean))
    for count in tokens.unique().tolist():
        rows = tokens == count
        own = normaliser.inverse(rvq.decode(codes[rows, :count]))
        features[rows, : own.shape[1]] = own
    return features


class Known(NamedTuple):
    """What is known of the motions to make, as long as their tokens are."""

    features: Float[Tensor, "B T D"]
    """In published units; anything where nothing is kept."""
    keep: Bool[Tensor, "B T"]
    """True at frames that are to stand."""
    tokens: Bool[Tensor, "B N"]
    """True at tokens all of whose frames, as far as the motion has them, are kept."""
    codes: Int[Tensor, "B N"]
    """Of the first level, where a token is known; 0 elsewhere."""

    def put_back(self, features: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Return the kept frames as they were given, the rest as it was made."""
        return torch.where(self.keep[..., None], self.features, features)


def read_known(
    rvq: ResidualVQVAE,
    normaliser: Normaliser,
    motion: Motion,
    keep: Bool[Tensor, "..."],
    lengths: Int[Tensor, "B"],
    mask: Bool[Tensor, "B N"],
) -> Known:
    """Return tokens of what is known of motions.

    Each run of known tokens is encoded by itself, so that nothing of what is not kept reaches a code.

    Args:
        rvq, normaliser: of the generator.
        motion: known frames, in published units; may be shorter or longer than what is made.
        keep: (B, T), True at frames of `motion` that are to stand.
        lengths: frames of the motions that are made.
        mask: True at their tokens.

    Raises:
        InputError: a motion of another data set, or a `keep` of another shape.
    """
    check_width(motion, normaliser, "tokeniser")
    if keep.shape != motion.features.shape[:2]:
        raise InputError(
            f"keep says of each frame whether it stands, so {tuple(motion.features.shape[:2])} was expected, but it is "
            f"{tuple(keep.shape)}; a token model keeps whole frames, not single features"
        )
    per_token = rvq.config.frames_per_token
    frames = mask.shape[1] * per_token
    inside = length_mask(lengths, frames)
    features = F.pad(motion.features, (0, 0, 0, frames - keep.shape[1]))
    keep = F.pad(keep & motion.mask, (0, frames - keep.shape[1])) & inside
    x = torch.where(keep[..., None], normaliser(features), 0.0)
    tokens = (keep | ~inside).unflatten(1, (-1, per_token)).all(-1) & mask
    codes = torch.zeros_like(mask, dtype=torch.long)
    for row, places in enumerate(tokens.tolist()):
        stop = 0
        for is_known, run in groupby(places):
            start, stop = stop, stop + len(list(run))
            if is_known:
                piece = x[row : row + 1, start * per_token : stop * per_token]
                codes[row, start:stop] = rvq.encode(piece, mask[row : row + 1, start:stop]).codes[0, :, 0]
    return Known(features, keep, tokens, codes)


@torch.no_grad()
def sentences(text_encoder: TextEncoder, text: list[str], device: torch.device) -> Float[Tensor, "B S"]:
    """Return the part of a text embedding that these models read."""
    return text_encoder(text).sentence.to(device)
