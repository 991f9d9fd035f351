"""Semantics-modulated attention: frames attend to text, retrieved motions and frames at once (paper, section 3.3)."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from atm.generators.parts.linear_transformer import FeedForward, Stylisation, linear_attention, zeroed
from atm.generators.remodiffuse.config import ReMoDiffuseConfig


class Condition(NamedTuple):
    """What the network is told about the text."""

    text: Float[Tensor, "B L V"]
    """Text states, padding included."""
    motions: Float[Tensor, "B R F W"]
    """Every few frames of each retrieved motion, encoded."""
    captions: Float[Tensor, "B R 1 S"]
    """The text of each retrieved motion, encoded."""
    frames: Bool[Tensor, "B R F"]
    """True inside a retrieved motion; nowhere where none was found."""

    def repeated(self, times: int) -> "Condition":
        """Return the same, so many times along the batch."""
        return Condition(*(torch.cat([part] * times) for part in self))


class Layer(nn.Module):
    """One attention over everything, and a feed-forward part; both add stylised by the time alone."""

    def __init__(self, config: ReMoDiffuseConfig, text_state_width: int, style_width: int):
        super().__init__()
        self.ca_block = ModulatedAttention(config, text_state_width, style_width)
        self.ffn = FeedForward(config.width, config.feed_forward, style_width=style_width, dropout=config.dropout)

    def forward(
        self,
        frames: Float[Tensor, "B T W"],
        mask: Bool[Tensor, "B T"],
        condition: Condition,
        text_on: Bool[Tensor, "B"],
        retrieval_on: Bool[Tensor, "B"],
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B T W"]:
        frames = frames + self.ca_block(frames, mask, condition, text_on, retrieval_on, style)
        return frames + self.ffn(frames, style)


class ModulatedAttention(nn.Module):
    """What one softmax over all tokens of text, retrieved motions and frames adds to the frames."""

    def __init__(self, config: ReMoDiffuseConfig, text_state_width: int, style_width: int):
        super().__init__()
        width, text_width = config.width, config.text_width
        self.heads = config.heads
        # Published keys, hence the names.
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_motion = nn.Linear(width, width)
        self.value_motion = nn.Linear(width, width)
        self.text_norm = nn.LayerNorm(text_width)
        self.key_text = nn.Linear(text_width, width)
        self.value_text = nn.Linear(text_width, width)
        self.retr_norm1 = nn.LayerNorm(width + text_state_width)
        self.retr_norm2 = nn.LayerNorm(width)
        self.key_retr = nn.Linear(width + text_state_width, width)
        self.value_retr = zeroed(nn.Linear(width, width))
        self.proj_out = Stylisation(width, style_width, config.dropout)

    def forward(
        self,
        frames: Float[Tensor, "B T W"],
        mask: Bool[Tensor, "B T"],
        condition: Condition,
        text_on: Bool[Tensor, "B"],
        retrieval_on: Bool[Tensor, "B"],
        style: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B T W"]:
        normed, text = self.norm(frames), self.text_norm(condition.text)
        # Each frame of a retrieved motion carries its text along in its key; its value is the motion alone.
        captions = condition.captions.expand(-1, -1, condition.motions.shape[2], -1)
        retrieved = rearrange(torch.cat([condition.motions, captions], dim=3), "b r f w -> b (r f) w")
        motions = rearrange(condition.motions, "b r f w -> b (r f) w")
        key = [self.key_text(text), self.key_retr(self.retr_norm1(retrieved)), self.key_motion(normed)]
        value = [self.value_text(text), self.value_retr(self.retr_norm2(motions)), self.value_motion(normed)]
        seen = [
            text_on[:, None].expand(text.shape[:2]),
            retrieval_on[:, None] & condition.frames.flatten(1),
            mask,
        ]
        added = linear_attention(
            self.query(normed), torch.cat(key, dim=1), torch.cat(value, dim=1), torch.cat(seen, dim=1), self.heads
        )
        return self.proj_out(added, style)
