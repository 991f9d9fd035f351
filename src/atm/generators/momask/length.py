"""The length estimator: how many tokens a text asks for."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from atm.generators.momask.config import LengthConfig
from atm.motion.dropout import Dropout


class LengthEstimator(nn.Module):
    """A perceptron on the sentence vector; class c stands for c tokens. Keys as published."""

    def __init__(self, config: LengthConfig, text_width: int):
        super().__init__()
        first, second, third = config.widths

        def hidden(width_in: int, width: int) -> list[nn.Module]:
            return [nn.Linear(width_in, width), nn.LayerNorm(width), nn.LeakyReLU(0.2)]

        self.output = nn.Sequential(
            *hidden(text_width, first),
            Dropout(config.dropout),
            *hidden(first, second),
            Dropout(config.dropout),
            *hidden(second, third),
            nn.Linear(third, config.classes),
        )

    def forward(self, text: Float[Tensor, "B S"]) -> Float[Tensor, "B K"]:
        return self.output(text)

    def draw(self, text: Float[Tensor, "B S"], generators: list[torch.Generator]) -> Int[Tensor, "B"]:
        """Return tokens of each motion, drawn from the estimate by the row's own generator.

        The published network can draw 0 tokens; that is no motion, so ours then makes one token.
        """
        share = self(text).softmax(-1).cpu()
        drawn = [torch.multinomial(row, 1, generator=own) for row, own in zip(share, generators, strict=True)]
        return torch.cat(drawn).clamp_min(1).to(text.device)
