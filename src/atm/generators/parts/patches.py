"""Several frames as one token, and back (ours): what makes the small generators quick on machines without a GPU."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class PatchStem(nn.Module):
    """One token for `patch` frames, and the embedded frames themselves for the head."""

    def __init__(self, features: int, width: int, frame_width: int, patch: int):
        super().__init__()
        self.patch = patch
        self.frame = nn.Linear(features, frame_width)
        self.token = nn.Linear(patch * frame_width, width)

    def forward(
        self, frames: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B N W"], Float[Tensor, "B T F"]]:
        # A motion may end inside a patch: what stands behind its end must not reach the token.
        embedded = self.frame(frames) * mask[..., None]
        return self.token(rearrange(embedded, "b (n p) f -> b n (p f)", p=self.patch)), embedded


class PatchHead(nn.Module):
    """Frames from tokens. Convolutions over time smooth the seams between patches.

    In a denoiser the noisy frames come along past the transformer, so that it need not carry what is known of each
    frame; how much of them to use depends on how noisy they are.
    """

    def __init__(self, features: int, width: int, frame_width: int, patch: int, *, time_width: int | None):
        """`time_width` is that of the time embedding in a denoiser; None: nothing comes along."""
        super().__init__()
        self.patch = patch
        self.frames = nn.Linear(width, patch * frame_width)
        self.gate = None if time_width is None else nn.Linear(time_width, frame_width)
        self.smooth = nn.ModuleList(nn.Conv1d(frame_width, frame_width, kernel_size=5, padding=2) for _ in range(2))
        self.final = nn.Linear(frame_width, features)

    def forward(
        self,
        tokens: Float[Tensor, "B N W"],
        skip: Float[Tensor, "B T F"] | None,
        mask: Bool[Tensor, "B T"],
        time: Float[Tensor, "B V"] | None,
    ) -> Float[Tensor, "B T D"]:
        frames = rearrange(self.frames(tokens), "b n (p f) -> b (n p) f", p=self.patch)
        if self.gate is not None:
            frames = frames + torch.sigmoid(self.gate(time))[:, None] * skip
        for convolution in self.smooth:
            seen = rearrange(F.gelu(frames) * mask[..., None], "b t f -> b f t")
            frames = frames + rearrange(convolution(seen), "b f t -> b t f")
        return self.final(frames)


def whole_patches(
    frames: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"], patch: int
) -> tuple[Float[Tensor, "B P D"], Bool[Tensor, "B P"]]:
    """Return frames and their mask with padding, up to a multiple of `patch`."""
    missing = -frames.shape[1] % patch
    return F.pad(frames, (0, 0, 0, missing)), F.pad(mask, (0, missing))
