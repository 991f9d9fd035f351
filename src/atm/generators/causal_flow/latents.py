r"""Motion as a sequence of latents, by linear maps in closed form.

Patches of frames, principal components of their core columns (`columns.py`), each divided by the square root of its
deviation: what moves more is larger, but not as much as it is, so that neither the body's way alone counts in a loss
nor every finger as much. Their variance is 1 on average. Back, a patch is the best linear estimate from its own latent
and both neighbours, given that latents have errors: with latents :math:`\hat z = z + \sigma \epsilon` of three patches,
and :math:`x` the middle one,

.. math:: D = (\mathrm{cov}(z, z) + \sigma^2 I)^{-1} \mathrm{cov}(z, x),

a Wiener filter (Wiener 1949), so that patches join without a seam. At the ends of a motion a neighbour is missing:
there the same formula holds for what is left.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.base.errors import InputError
from atm.generators.causal_flow.columns import core_weights, core_width
from atm.motion import Skeleton

_AROUND = 3
"""Latents that a patch is decoded from: the one before, its own, the one after."""
_LEAST = 1e-4
"""Smallest deviation that a component is divided by, in weighted metres."""


class MotionLatents(nn.Module):
    """Core columns to latents and back. Until `fit` has seen motions, the components are random directions."""

    weights: Tensor
    mean: Tensor
    components: Tensor
    scales: Tensor
    decoders: Tensor

    def __init__(self, skeleton: Skeleton, frames: int, width: int, mean: Float[Tensor, "D"]):
        """Start with random components; `fit` computes those of motions.

        Args:
            skeleton: of the motions.
            frames: of a patch.
            width: numbers of a latent.
            mean: features of the mean frame, in published units.
        """
        super().__init__()
        self.frames, self.width, self.columns = frames, width, core_width(skeleton)
        size = frames * self.columns
        if width > size:
            raise InputError(f"a patch of {frames} frames has {size} numbers: latent_width {width} must not exceed it")
        weights = core_weights(skeleton)
        anywhere = torch.randn(size, width, generator=torch.Generator().manual_seed(0))
        components = torch.linalg.qr(anywhere).Q
        decoders = torch.zeros(4, _AROUND * width, size)
        decoders[:, width : 2 * width] = components.T
        self.register_buffer("weights", weights.repeat(frames), persistent=False)
        self.register_buffer("mean", (mean[: self.columns] * weights).repeat(frames))
        self.register_buffer("components", components)
        self.register_buffer("scales", torch.ones(width))
        self.register_buffer("decoders", decoders)

    def count(self, lengths: Int[Tensor, "B"]) -> Int[Tensor, "B"]:
        """Return latents of motions of so many frames."""
        return -(-lengths // self.frames)

    def encode(self, core: Float[Tensor, "B T C"]) -> Float[Tensor, "B N L"]:
        """Return latents; T must be whole patches."""
        patches = core.reshape(len(core), -1, self.frames * core.shape[2]) * self.weights - self.mean
        return patches @ self.components / self.scales

    def decode(self, latents: Float[Tensor, "B N L"], counts: Int[Tensor, "B"]) -> Float[Tensor, "B T C"]:
        """Return core columns in published units.

        Args:
            latents: of any motions.
            counts: latents of each; what stands behind has no part in them.
        """
        place = torch.arange(latents.shape[1], device=latents.device)
        inside = place < counts[:, None]
        latents = latents.masked_fill(~inside[..., None], 0.0)
        padded = F.pad(latents, (0, 0, 1, 1))
        around = torch.cat([padded[:, :-2], latents, padded[:, 2:]], dim=-1)
        patches = around @ self.decoders[3]
        first, last = place == 0, place == counts[:, None] - 1
        for before, after in ((0, 0), (0, 1), (1, 0)):
            here = (first if not before else ~first) & (last if not after else ~last)
            if here.any():
                patches = torch.where(here[..., None], around @ self.decoders[2 * before + after], patches)
        return ((patches + self.mean) / self.weights).reshape(len(latents), -1, self.columns)

    @torch.no_grad()
    def fit(self, motions: Iterable[Float[Tensor, "T D"]], *, noise: float) -> None:
        """Find components and decoders of these motions.

        Args:
            motions: features in published units; those of fewer than three patches have no part.
            noise: error of a latent that the decoder expects, in its standard scales.

        Raises:
            InputError: there are fewer motions than it takes to find that many components.
        """
        total, scatter, seen = self._moments(motions)
        size, width = len(self.mean), self.width
        if seen <= width:
            raise InputError(
                f"{seen} patches of motion are too few for latents of {width} numbers: give more motions, or a smaller "
                "model.latent_width"
            )
        mean = total / seen
        covariance = scatter / seen - mean[:, None] * mean[None, :]
        middle = slice(size, 2 * size)
        values, vectors = torch.linalg.eigh(covariance[middle, middle])
        order = values.argsort(descending=True)[:width]
        components = vectors[:, order] * vectors[:, order].sum(dim=0).sign()
        deviations = values[order].clamp(min=0).sqrt().clamp(min=_LEAST)
        scales = (deviations * deviations.mean()).sqrt()

        encoder = torch.block_diag(*[components / scales] * _AROUND)
        of_latents = encoder.T @ covariance @ encoder + noise**2 * torch.eye(_AROUND * width, dtype=encoder.dtype)
        with_patch = encoder.T @ covariance[:, middle]
        decoders = torch.zeros(4, _AROUND * width, size, dtype=encoder.dtype)
        for variant in range(4):
            before, after = divmod(variant, 2)
            there = torch.tensor([before, 1, after], dtype=torch.bool).repeat_interleave(width)
            # A little on the diagonal: components without any deviation leave the system singular.
            system = of_latents[there][:, there] + 1e-8 * torch.eye(int(there.sum()), dtype=encoder.dtype)
            decoders[variant, there] = torch.linalg.solve(system, with_patch[there])
        self.mean.add_(mean[middle])
        self.components.copy_(components)
        self.scales.copy_(scales)
        self.decoders.copy_(decoders)

    def _moments(self, motions: Iterable[Float[Tensor, "T D"]]) -> tuple[Tensor, Tensor, int]:
        """Return sum, sum of products and number of all runs of three patches, less the mean so far; each motion starts
        at another phase."""
        size = len(self.mean)
        total = torch.zeros(_AROUND * size, dtype=torch.float64)
        scatter = torch.zeros(_AROUND * size, _AROUND * size, dtype=torch.float64)
        seen = 0
        for number, features in enumerate(motions):
            core = features[number % self.frames :, : self.columns].to(self.mean)
            patches = core[: len(core) // self.frames * self.frames].reshape(-1, size) * self.weights - self.mean
            if len(patches) < _AROUND:
                continue
            runs = torch.cat([patches[:-2], patches[1:-1], patches[2:]], dim=1)
            total += runs.sum(dim=0).double().cpu()
            scatter += (runs.T @ runs).double().cpu()
            seen += len(runs)
        return total, scatter, seen
