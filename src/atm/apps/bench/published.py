"""The field's usual forms, from plain PyTorch and NumPy layers of the published sizes; no code of others.

They are what a training step or a metric costs elsewhere, to compare ours with on the same machine.
"""

import math

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atm.interface import Batch
from atm.motion.layers import sinusoid


class PlainMDM(nn.Module):
    """MDM as in its paper: text and time are one token in front of the frames, every frame a token, padding seen."""

    def __init__(
        self, features: int, text_width: int, *, width: int, heads: int, feed_forward: int, layers: int, frames: int
    ):
        super().__init__()
        self.pose_in, self.pose_out = nn.Linear(features, width), nn.Linear(width, features)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.text = nn.Linear(text_width, width)
        layer = nn.TransformerEncoderLayer(width, heads, feed_forward, 0.1, activation="gelu")
        self.trunk = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.dropout = nn.Dropout(0.1)
        self.frames = frames
        self.register_buffer("positions", sinusoid(max(frames + 1, STEPS), width))

    def forward(
        self, x_t: Float[Tensor, "B D 1 T"], t: Int[Tensor, "B"], text: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B D 1 T"]:
        """Estimate clean motions; a frame is a row of the first axis inside, as published."""
        condition = self.time(self.positions[t]) + self.text(text)
        frames = self.pose_in(x_t[:, :, 0].permute(2, 0, 1))
        sequence = torch.cat([condition[None], frames])
        sequence = self.dropout(sequence + self.positions[: len(sequence), None])
        return self.pose_out(self.trunk(sequence)[1:]).permute(1, 2, 0)[:, :, None]


STEPS = 1000
"""Noise levels of MDM."""


class PlainTrainer:
    """A training step as guided-diffusion's trainer takes it, and MDM with it: every norm is read on its own."""

    def __init__(self, model: PlainMDM, mean: Float[Tensor, "D"], std: Float[Tensor, "D"]):
        self.model, self.mean, self.std = model.train(), mean, std
        # One kernel for each operation on each weight, as on a CPU when nothing else is asked for.
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=False)
        level = torch.arange(STEPS + 1) / STEPS
        self.kept = torch.cos((level[1:] + 0.008) / 1.008 * math.pi / 2) ** 2

    def step(self, batch: Batch, number: int) -> float:
        """Take one step and return its loss."""
        rng = torch.Generator().manual_seed(number)
        frames = self.model.frames
        x0 = torch.zeros(len(batch), frames, len(self.mean))
        given = batch.motion.features[:, :frames]
        x0[:, : given.shape[1]] = (given - self.mean) / self.std
        x0 = x0.permute(0, 2, 1)[:, :, None]
        inside = (torch.arange(frames)[None] < batch.motion.lengths[:, None])[:, None, None]
        t = torch.randint(STEPS, (len(batch),), generator=rng)
        kept = self.kept[t][:, None, None, None]
        x_t = kept.sqrt() * x0 + (1 - kept).sqrt() * torch.randn(x0.shape, generator=rng)
        text = batch.sentence * (torch.rand(len(batch), 1, generator=rng) > 0.1)
        self.optimizer.zero_grad()
        error = ((self.model(x_t, t, text) - x0) ** 2 * inside).sum((1, 2, 3))
        loss = (error / (inside.sum((1, 2, 3)) * x0.shape[1])).mean()
        loss.backward()
        for weight in self.model.parameters():
            torch.linalg.vector_norm(weight.grad).item()
            torch.linalg.vector_norm(weight.detach()).item()
        self.optimizer.step()
        return loss.item()


def plain_r_precision(z_text: Float[np.ndarray, "N E"], z_motion: Float[np.ndarray, "N E"]) -> Float[np.ndarray, "3"]:
    """Compute R-Precision in batches of 32 as the usual code does: distances, ranks, a loop over the first three."""
    hits = np.zeros(3)
    for start in range(0, len(z_text) - 31, 32):
        text, motion = z_text[start : start + 32], z_motion[start : start + 32]
        squared = -2 * text @ motion.T + np.square(text).sum(1, keepdims=True) + np.square(motion).sum(1)
        ranks = np.argsort(np.sqrt(squared), axis=1)
        own = ranks == np.arange(32)[:, None]
        found = np.zeros(32, dtype=bool)
        for k in range(3):
            found |= own[:, k]
            hits[k] += found.sum()
    return hits / (len(z_text) // 32 * 32)


def plain_fid(real: Float[np.ndarray, "N E"], generated: Float[np.ndarray, "N E"]) -> float:
    """Compute FID as the usual code does: covariances, and the root of their product as a matrix."""
    apart = real.mean(0) - generated.mean(0)
    first, second = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(first @ second))
    return float(apart @ apart + np.trace(first) + np.trace(second) - 2 * np.trace(root))
