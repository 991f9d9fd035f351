"""A space whose distances can be derived, and batches in it."""

import torch
from torch import nn

from atm.interface import Batch, Capabilities, StepOutput
from atm.motion import Motion

WIDTH, FRAMES = 263, 80
"""Two clips of 2 s at 20 frames a second."""


class MeanFrameSpace(nn.Module):
    """A motion is the mean of its frames' last four features (foot contacts); a text is looked up."""

    def __init__(self, texts: dict[str, torch.Tensor]):
        super().__init__()
        self.texts = texts

    def encode_motion(self, motion: Motion) -> torch.Tensor:
        inside = motion.features[..., -4:] * motion.mask[..., None]
        return inside.sum(1) / motion.lengths[:, None]

    def encode_text(self, text: list[str]) -> torch.Tensor:
        return torch.stack([self.texts[sentence] for sentence in text])


class Recorded(nn.Module):
    """A generator whose training step gives motions that were decided before; of fewer rows, those of their ids."""

    capabilities = Capabilities()

    def __init__(self, motion: Motion | None, *noise_levels: torch.Tensor):
        """`noise_levels`: of the first step, the next, ...; the last one for all that follow."""
        super().__init__()
        self.motion, self.noise_levels = motion, list(noise_levels)

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        rows = [int(name) for name in batch.ids]
        levels = self.noise_levels.pop(0) if len(self.noise_levels) > 1 else next(iter(self.noise_levels), None)
        return StepOutput(
            torch.zeros(len(batch)),
            None if self.motion is None else self.motion[rows],
            None if levels is None else levels[rows],
        )

    def sample(self, text: list[str], lengths: torch.Tensor, *, seeds: list[int], guidance_scale=None) -> Motion:
        return self.motion


def case(rows: int = 6, *, seed: int = 0) -> tuple[MeanFrameSpace, Motion, Batch]:
    """Random motions: space, generated ones, and the batch with the real ones. No text is like another."""
    rng = torch.Generator().manual_seed(seed)
    text = [f"sentence {i}" for i in range(rows)]
    space = MeanFrameSpace({sentence: torch.randn(4, generator=rng) for sentence in text})
    lengths = torch.full((rows,), FRAMES)
    real, generated = (Motion(0.05 * torch.randn(rows, FRAMES, WIDTH, generator=rng), lengths) for _ in range(2))
    return space, generated, Batch(real, text, torch.eye(rows), [f"{i:06d}" for i in range(rows)])
