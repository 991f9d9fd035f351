"""The other published body of BAMM's transformer: layers of a GPT, with norms in front and none at the end."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from atm.generators.tokens.config import TrunkConfig
from atm.motion.dropout import Dropout
from atm.motion.layers import attend


class GPTBody(nn.Module):
    """A stack of blocks. Keys as published."""

    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))

    def forward(self, hidden: Float[Tensor, "B L W"], seen: Bool[Tensor, "B L L"]) -> Float[Tensor, "B L W"]:
        """Run all blocks; `seen` is True where a row may look at a column."""
        for block in self.blocks:
            hidden = block(hidden, seen)
        return hidden


class Block(nn.Module):
    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.width)
        self.ln2 = nn.LayerNorm(config.width)
        self.attn = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, config.feed_forward),
            nn.GELU(),
            nn.Linear(config.feed_forward, config.width),
            Dropout(config.dropout),
        )

    def forward(self, hidden: Float[Tensor, "B L W"], seen: Bool[Tensor, "B L L"]) -> Float[Tensor, "B L W"]:
        hidden = hidden + self.attn(self.ln1(hidden), seen)
        return hidden + self.mlp(self.ln2(hidden))


class Attention(nn.Module):
    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.key = nn.Linear(config.width, config.width)
        self.query = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.resid_drop = Dropout(config.dropout)

    def forward(self, hidden: Float[Tensor, "B L W"], seen: Bool[Tensor, "B L L"]) -> Float[Tensor, "B L W"]:
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = attend(query, key, value, seen[:, None], self.dropout if self.training else 0.0)
        return self.resid_drop(self.proj(mixed.transpose(1, 2).flatten(2)))
