"""A space whose embeddings can be written down, and batches in it."""

import torch
from torch import Tensor, nn

from atm.interface import Batch
from atm.motion import Motion

WIDTH = {20.0: 263, 12.5: 251}
"""Features per frame by frame rate: HumanML3D, KIT-ML."""


class MeanFrameSpace(nn.Module):
    """A motion is the mean of its frames' first four features; a text is looked up."""

    def __init__(self, texts: dict[str, Tensor]):
        super().__init__()
        self.texts = texts
        self.weight = nn.Parameter(torch.eye(4))
        self.asked: list[list[str]] = []
        """Captions of each call."""

    def encode_motion(self, motion: Motion) -> Tensor:
        inside = motion.features[..., :4] * motion.mask[..., None]
        return inside.sum(1) / motion.lengths[:, None] @ self.weight

    def encode_text(self, text: list[str]) -> Tensor:
        self.asked.append(list(text))
        return torch.stack([self.texts[t] for t in text])


def case(
    rows: int = 5,
    frames: int = 90,
    *,
    same_text: bool = False,
    lengths: list[int] | None = None,
    fps: float = 20.0,
    apart: float = 1.0,
    seed: int = 3,
    dtype: torch.dtype = torch.float32,
) -> tuple[MeanFrameSpace, Motion, Batch]:
    """Space, generated motions and the batch with the real ones; no two sentences are alike.

    `apart`: how far generated motions are from the real ones, 1: they have nothing in common.
    """
    rng = torch.Generator().manual_seed(seed)
    text = ["the same words"] * rows if same_text else [f"text {i}" for i in range(rows)]
    space = MeanFrameSpace({t: torch.randn(4, generator=rng).to(dtype) for t in dict.fromkeys(text)}).to(dtype)
    count = torch.tensor(lengths or [frames] * rows)
    features = torch.randn(2, rows, int(count.max()), WIDTH[fps], generator=rng).to(dtype)
    real = Motion(features[0], count)
    generated = Motion((apart * features[1] + (1 - apart) * features[0]).requires_grad_(), count)
    return space, generated, Batch(real, text, torch.eye(rows).to(dtype), [str(i) for i in range(rows)])
