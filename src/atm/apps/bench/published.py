"""The field's usual forms, from plain PyTorch and NumPy layers of the published sizes; no code of others.

They are what a training step or a metric costs elsewhere, to compare ours with on the same machine.
"""

import math

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

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


class PlainTokeniser(nn.Module):
    """MoMask's residual VQ-VAE as in its paper: convolutions over features as channels, six levels of codes that are
    moving averages, a level at a time."""

    def __init__(
        self, features: int, *, width: int, depth: int, halvings: int, levels: int, codes: int, decay: float,
        dropout: float, growth: int,
    ):  # fmt: skip
        super().__init__()
        blocks = [width, depth, growth, dropout]
        down = [layer for _ in range(halvings) for layer in (nn.Conv1d(width, width, 4, 2, 1), _Stack(*blocks))]
        ends = nn.Conv1d(width, width, 3, 1, 1)
        self.encoder = nn.Sequential(nn.Conv1d(features, width, 3, 1, 1), nn.ReLU(), *down, ends)
        up = [
            layer
            for _ in range(halvings)
            for layer in (_Stack(*blocks), nn.Upsample(scale_factor=2), nn.Conv1d(width, width, 3, 1, 1))
        ]
        ends = (nn.Conv1d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv1d(width, features, 3, 1, 1))
        self.decoder = nn.Sequential(nn.Conv1d(width, width, 3, 1, 1), nn.ReLU(), *up, *ends)
        self.decay = decay
        self.register_buffer("sums", torch.randn(levels, codes, width) * width**-0.5)
        self.register_buffer("counts", torch.ones(levels, codes))

    def forward(
        self, motion: Float[Tensor, "B T D"], levels: int, rng: torch.Generator
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, ""]]:
        """Return the reconstruction by so many levels, and how far latents are from their codes."""
        x = self.encoder(motion.permute(0, 2, 1)).permute(0, 2, 1)
        residual, latents, apart = x, 0, 0
        for level in range(levels):
            quantised = self._level(level, residual.detach(), rng)
            apart = apart + ((residual - quantised) ** 2).mean() / levels
            latents = latents + residual + (quantised - residual).detach()
            residual = residual - quantised
        return self.decoder(latents.permute(0, 2, 1)).permute(0, 2, 1), apart

    @torch.no_grad()
    def _level(self, level: int, vectors: Float[Tensor, "B N C"], rng: torch.Generator) -> Float[Tensor, "B N C"]:
        """Choose codes with Gumbel noise at temperature 0.5, and move them towards what they were chosen for."""
        flat, sums, counts = vectors.reshape(-1, vectors.shape[-1]), self.sums[level], self.counts[level]
        table = sums / counts[:, None]
        distance = (flat**2).sum(1, keepdim=True) - 2 * flat @ table.T + (table**2).sum(1)
        noise = -torch.log(-torch.log(torch.rand(distance.shape, generator=rng) + 1e-20) + 1e-20)
        chosen = (-distance / 0.5 + noise).argmax(1)
        one_hot = torch.zeros(len(counts), len(flat)).scatter_(0, chosen[None], 1)
        sums.mul_(self.decay).add_((1 - self.decay) * one_hot @ flat)
        counts.mul_(self.decay).add_((1 - self.decay) * one_hot.sum(1))
        used = counts >= 1
        # Codes that hardly any vector takes become vectors of this batch.
        fresh = flat[torch.randint(len(flat), (len(counts),), generator=rng)]
        sums.copy_(torch.where(used[:, None], sums, fresh))
        counts.copy_(torch.where(used, counts, 1.0))
        share = one_hot.mean(1)
        torch.exp(-(share * torch.log(share + 1e-7)).sum()).item()
        return F.embedding(chosen, table).view_as(vectors)


class _Stack(nn.Sequential):
    """Residual blocks at one resolution, the widest dilation first."""

    def __init__(self, width: int, depth: int, growth: int, dropout: float):
        super().__init__(*(_Block(width, growth**power, dropout) for power in reversed(range(depth))))


class _Block(nn.Module):
    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        inner = nn.Conv1d(width, width, 3, 1, dilation, dilation), nn.ReLU(), nn.Conv1d(width, width, 1)
        self.inner = nn.Sequential(nn.ReLU(), *inner, nn.Dropout(dropout))

    def forward(self, hidden: Float[Tensor, "B W L"]) -> Float[Tensor, "B W L"]:
        return hidden + self.inner(hidden)


class PlainTokeniserTrainer:
    """A training step of the tokeniser as its paper has it: smooth L1 of features and of joints, and the commitment."""

    def __init__(self, model: PlainTokeniser, mean: Float[Tensor, "D"], std: Float[Tensor, "D"]):
        self.model, self.mean, self.std = model.train(), mean, std
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, betas=(0.9, 0.99), foreach=False)

    def step(self, batch: Batch, number: int) -> float:
        """Take one step and return its loss."""
        rng = torch.Generator().manual_seed(number)
        torch.manual_seed(number)
        motion = (batch.motion.features - self.mean) / self.std
        levels = len(self.model.counts)
        if torch.rand((), generator=rng) < 0.2:
            levels = int(torch.randint(1, levels + 1, (), generator=rng))
        made, apart = self.model(motion, levels, rng)
        joints = slice(4, 4 + 63)
        loss = F.smooth_l1_loss(made, motion) + 0.5 * F.smooth_l1_loss(made[..., joints], motion[..., joints])
        loss = loss + 0.02 * apart
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()
