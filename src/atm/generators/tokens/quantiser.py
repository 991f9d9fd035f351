"""Residual quantisation: each level codes what the levels before it left, with codebooks that are moving averages."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.tokens.config import RVQConfig
from atm.generators.tokens.gumbel import Uniform, gumbel

MIN_COUNT = 1.0
"""A code whose average count falls below this many vectors is replaced."""
ABSENT = -1
"""Stands for a code of a level that was left out, or of padding: a zero vector."""


class Quantised(NamedTuple):
    """Output of the levels that ran."""

    latents: Float[Tensor, "B N C"]
    """Sum of the codes' vectors; its gradient is the encoder's, once per level."""
    codes: Int[Tensor, "B N K"]
    """Codes of the levels that ran."""
    commitment: Float[Tensor, "B"]
    """Mean squared distance of each row's vectors to their codes, averaged over levels."""
    perplexity: Float[Tensor, ""]
    """How many codes are in use, averaged over levels: 1 to the size of the codebook."""


class Codebook(nn.Module):
    """One table of codes. It is trained by counting, not by gradients (van den Oord et al. 2017, appendix A.1)."""

    codebook: Tensor
    code_sum: Tensor
    code_count: Tensor

    def __init__(self, codes: int, width: int, decay: float):
        super().__init__()
        self.decay = decay
        # The published checkpoint holds the codes alone. Without the averages the first step of a resumed run would
        # overwrite them with data, so ours holds those as well; counts of zero mean that no step was made.
        self.register_buffer("codebook", torch.randn(codes, width) * width**-0.5)
        self.register_buffer("code_sum", torch.zeros(codes, width))
        self.register_buffer("code_count", torch.zeros(codes))

    def nearest(
        self, vectors: Float[Tensor, "R C"], noise: Float[Tensor, "R K"] | None = None, temperature: float = 0.0
    ) -> Int[Tensor, "R"]:
        """Return the nearest code of each vector, or with `noise` a near one: argmax(-distance / temperature +
        noise)."""
        distance = (
            vectors.square().sum(-1, keepdim=True)
            - 2 * vectors @ self.codebook.T
            + self.codebook.square().sum(-1)[None, :]
        )
        score = -distance if noise is None else -distance / temperature + noise
        return score.argmax(-1)

    def vectors(self, codes: Int[Tensor, "..."]) -> Float[Tensor, "... C"]:
        """Return the codes' vectors; zeros where a code is `ABSENT`."""
        found = F.embedding(codes.clamp_min(0), self.codebook)
        return found.masked_fill((codes == ABSENT)[..., None], 0.0)

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "R C"]) -> None:
        """Take codes from the first data, unless there was data before."""
        if not self.code_count.any():
            self.codebook.copy_(self._rows(vectors, None))
            self.code_sum.copy_(self.codebook)
            self.code_count.fill_(1.0)

    @torch.no_grad()
    def update(
        self, vectors: Float[Tensor, "R C"], codes: Int[Tensor, "R"], rng: torch.Generator | None = None
    ) -> None:
        """Move the codes towards the means of their vectors; a code that hardly any vector takes becomes one of them.

        Args:
            vectors: of this step.
            codes: that they were given.
            rng: of the noise on replacements, needed only where there are fewer vectors than codes.
        """
        assigned = F.one_hot(codes, len(self.codebook)).to(vectors.dtype)
        self.code_sum.lerp_(assigned.T @ vectors, 1 - self.decay)
        self.code_count.lerp_(assigned.sum(0), 1 - self.decay)
        used = self.code_count[:, None] >= MIN_COUNT
        # A replacement leaves both averages as they are: as published.
        mean = self.code_sum / self.code_count[:, None].clamp_min(torch.finfo(vectors.dtype).tiny)
        self.codebook.copy_(torch.where(used, mean, self._rows(vectors, rng)))

    def _rows(self, vectors: Float[Tensor, "R C"], rng: torch.Generator | None) -> Float[Tensor, "K C"]:
        """Return the first vectors, one per code; where there are too few, again from the first on with a little
        noise."""
        count, width = self.codebook.shape
        if len(vectors) >= count:
            return vectors[:count]
        tiled = vectors.repeat(-(-count // len(vectors)), 1)[:count]
        device = None if rng is None else rng.device
        noise = torch.randn(tiled.shape, generator=rng, device=device).to(tiled)
        return tiled + noise * 0.01 * width**-0.5


class ResidualQuantiser(nn.Module):
    """The levels. Keys as published: `layers.{level}.codebook`."""

    def __init__(self, config: RVQConfig):
        super().__init__()
        self.temperature = config.code_temperature
        self.layers = nn.ModuleList(
            Codebook(config.codes, config.code_width, config.decay) for _ in range(config.levels)
        )

    def forward(
        self,
        x: Float[Tensor, "B N C"],
        mask: Bool[Tensor, "B N"],
        *,
        levels: int | None = None,
        uniform: Uniform | None = None,
        rng: torch.Generator | None = None,
    ) -> Quantised:
        """Quantise, and in training mode update the codebooks.

        The result's gradient with respect to x is the identity once PER LEVEL (each level passes its own straight
        through), as in the published code: six levels hand the encoder six times the decoder's gradient.

        Args:
            x: encoder output.
            mask: True where a token counts; the others are quantised as well but teach the codebooks nothing.
            levels: how many run; None: all.
            uniform: (shape) to numbers in (0, 1), for drawing codes in training; None takes the nearest.
            rng: of the noise on replaced codes.
        """
        # Distances are differences of large numbers: never in half precision.
        with torch.autocast(x.device.type, enabled=False):
            return self._quantise(x.float(), mask, levels, uniform, rng)

    def vectors(self, codes: Int[Tensor, "B N K"]) -> Float[Tensor, "B N C"]:
        """Return the sum of the codes' vectors over the levels that are given; `ABSENT` counts as zero."""
        levels = zip(self.layers, codes.unbind(-1), strict=False)
        return torch.stack([layer.vectors(chosen) for layer, chosen in levels]).sum(0)

    def _quantise(
        self,
        x: Float[Tensor, "B N C"],
        mask: Bool[Tensor, "B N"],
        levels: int | None,
        uniform: Uniform | None,
        rng: torch.Generator | None,
    ) -> Quantised:
        residual, latents = x, torch.zeros_like(x)
        codes, commitments, perplexities = [], [], []
        weight = mask / mask.sum(1, keepdim=True).clamp_min(1)
        for layer in self.layers[:levels]:
            if self.training:
                layer.start(residual[mask])
            flat = rearrange(residual, "b n c -> (b n) c")
            noise = None
            if self.training and uniform is not None and self.temperature > 0:
                noise = gumbel(uniform((len(flat), len(layer.codebook)))).to(flat.device)
            chosen = rearrange(layer.nearest(flat, noise, self.temperature), "(b n) -> b n", b=len(x))
            quantised = layer.vectors(chosen)
            if self.training:
                layer.update(residual[mask].detach(), chosen[mask], rng)
            commitments.append(((residual - quantised).square().mean(-1) * weight).sum(1))
            perplexities.append(perplexity(chosen[mask], len(layer.codebook)))
            latents = latents + residual + (quantised - residual).detach()
            residual = residual - quantised
            codes.append(chosen)
        return Quantised(
            latents, torch.stack(codes, -1), torch.stack(commitments).mean(0), torch.stack(perplexities).mean()
        )


def perplexity(codes: Int[Tensor, "R"], size: int) -> Float[Tensor, ""]:
    """Return exp of the entropy of the codes in use: the number of codes if all were equally frequent."""
    share = torch.bincount(codes, minlength=size) / max(len(codes), 1)
    return torch.exp(-(share * torch.log(share + 1e-7)).sum())
