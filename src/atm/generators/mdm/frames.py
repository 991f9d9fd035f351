"""From frames to tokens and back, one frame per token as published. For patches of frames: `parts/patches.py`."""

from jaxtyping import Bool, Float
from torch import Tensor, nn


class LinearStem(nn.Module):
    """One token per frame."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.poseEmbedding = nn.Linear(features, width)

    def forward(self, frames: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> tuple[Float[Tensor, "B T W"], None]:
        return self.poseEmbedding(frames), None


class LinearHead(nn.Module):
    """One frame per token."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.poseFinal = nn.Linear(width, features)

    def forward(
        self,
        tokens: Float[Tensor, "B T W"],
        skip: None,
        mask: Bool[Tensor, "B T"],
        time: Float[Tensor, "B W"],
    ) -> Float[Tensor, "B T D"]:
        return self.poseFinal(tokens)
