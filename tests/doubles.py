"""Small stand-ins that several rooms' tests share."""

import zlib

import torch

from atm.interface import TextEmbedding

ABOUT_STEPS = {"steps that are asked for give a motion"}
"""Checks that do not apply to one whose sampling steps cannot be chosen."""
ABOUT_LENGTHS = {"a motion without a length finds its own"}
"""Checks that do not apply to a generator that must be told each length."""
ABOUT_COMPLETION = {"known frames are kept", "frames that are not kept do not matter"}
"""Checks that do not apply to one that completes no known motion."""


class FakeTextEncoder:
    """Random token states that depend on the word alone; equal captions get equal embeddings, others do not."""

    def __init__(self, width: int = 8, name: str = "fake"):
        self.name = name
        self.token_width = width
        self.sentence_width = width

    def __call__(self, text: list[str]) -> TextEmbedding:
        rows = [torch.stack([self._vector(word) for word in caption.split() or [""]]) for caption in text]
        lengths = torch.tensor([len(row) for row in rows])
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        sentence = torch.stack([self._vector(caption) for caption in text])
        return TextEmbedding(tokens, mask, sentence)

    def _vector(self, text: str) -> torch.Tensor:
        rng = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        return torch.randn(self.token_width, generator=rng)
