"""The residual VQ-VAE: motion to tokens of several levels and back. Networks and keys as published."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.generators.tokens.config import RVQConfig
from atm.generators.tokens.gumbel import Uniform
from atm.generators.tokens.quantiser import Quantised, ResidualQuantiser
from atm.motion.dropout import Dropout


class ResidualVQVAE(nn.Module):
    """Convolutions around a residual quantiser. Everything here is in normalised features."""

    def __init__(self, config: RVQConfig, features: int):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, features)
        self.decoder = Decoder(config, features)
        self.quantizer = ResidualQuantiser(config)

    def forward(
        self,
        motion: Float[Tensor, "B T D"],
        mask: Bool[Tensor, "B N"],
        *,
        levels: int | None = None,
        uniform: Uniform | None = None,
        rng: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Quantised]:
        """Return the reconstruction of a motion through its tokens; in training mode the codebooks learn from it.

        Args:
            motion: normalised; T is a multiple of `frames_per_token`.
            mask, levels, uniform, rng: see `ResidualQuantiser`.
        """
        quantised = self.quantizer(self.encoder(motion), mask, levels=levels, uniform=uniform, rng=rng)
        return self.decoder(quantised.latents), quantised

    def encode(self, motion: Float[Tensor, "B T D"], mask: Bool[Tensor, "B N"]) -> Quantised:
        """Return tokens of whole motions; never noisy, and no codebook learns from it, whatever the mode.

        Args:
            motion: normalised, zero behind its end; T // frames_per_token tokens come out.
            mask: True at tokens of the motion.
        """
        training = self.quantizer.training
        self.quantizer.eval()
        quantised = self.quantizer(self.encoder(motion), mask)
        self.quantizer.train(training)
        return quantised

    def decode(self, codes: Int[Tensor, "B N K"]) -> Float[Tensor, "B T D"]:
        """Return the motion of codes of the first K levels; `quantiser.ABSENT` is a zero vector.

        The convolutions see some tokens to both sides: what stands behind a motion's end reaches its last frames.
        """
        return self.decoder(self.quantizer.vectors(codes))


class Encoder(nn.Module):
    """Frames to latents at a quarter of the rate (for two halvings)."""

    def __init__(self, config: RVQConfig, features: int):
        super().__init__()
        width = config.width
        halvings = [
            nn.Sequential(nn.Conv1d(width, width, kernel_size=4, stride=2, padding=1), ResidualStack(config))
            for _ in range(config.halvings)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(features, width, kernel_size=3, padding=1),
            nn.ReLU(),
            *halvings,
            nn.Conv1d(width, config.code_width, kernel_size=3, padding=1),
        )

    def forward(self, motion: Float[Tensor, "B T D"]) -> Float[Tensor, "B N C"]:
        return self.model(motion.transpose(1, 2)).transpose(1, 2)


class Decoder(nn.Module):
    """Latents to frames."""

    def __init__(self, config: RVQConfig, features: int):
        super().__init__()
        width = config.width
        doublings = [
            nn.Sequential(
                ResidualStack(config),
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv1d(width, width, kernel_size=3, padding=1),
            )
            for _ in range(config.halvings)
        ]
        self.model = nn.Sequential(
            nn.Conv1d(config.code_width, width, kernel_size=3, padding=1),
            nn.ReLU(),
            *doublings,
            nn.Conv1d(width, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, features, kernel_size=3, padding=1),
        )

    def forward(self, latents: Float[Tensor, "B N C"]) -> Float[Tensor, "B T D"]:
        return self.model(latents.transpose(1, 2)).transpose(1, 2)


class ResidualStack(nn.Module):
    """Residual blocks at one resolution, the widest dilation first."""

    def __init__(self, config: RVQConfig):
        super().__init__()
        dilations = [config.dilation_growth**power for power in reversed(range(config.depth))]
        self.model = nn.Sequential(*(ResidualBlock(config.width, dilation, config.dropout) for dilation in dilations))

    def forward(self, hidden: Float[Tensor, "B W L"]) -> Float[Tensor, "B W L"]:
        return self.model(hidden)


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, kernel_size=3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, kernel_size=1)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Float[Tensor, "B W L"]) -> Float[Tensor, "B W L"]:
        inner = self.conv2(self.conv1(hidden.relu()).relu())
        return hidden + self.dropout(inner)
