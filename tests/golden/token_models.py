"""What the golden files of MoMask and BAMM have in common: weights by one rule, and numbers in place of chance."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from weights import ruled, wave

OVERRIDES = (
    (r"codebook$", 0.30),
    (r"layers\.1\.codebook$", 0.25),
    (r"layers\.[2-9]\.codebook$", 0.20),
    (r"token_emb\.weight$", 1.0),
    (r"cond_emb\.weight$", 0.3),
    (r"(embed_proj_shared_weight|token_embed_weight_?|output_proj_weight_?)$", 0.30),
)
"""Scales of single keys; all others have the rule's own."""
TEXT_WIDTH = 512


@cache
def published_state(table: str) -> dict[str, Tensor]:
    """A published checkpoint by rule, from its table of keys, such as `momask.rvq`."""
    shapes = json.loads((Path(__file__).parent / "keys" / f"{table}.keys.json").read_text())
    return {key: ruled(key, shape, overrides=OVERRIDES) for key, shape in shapes.items()}


class Alone(nn.Module):
    """One network under the name that it has in the whole."""

    def __init__(self, name: str, network: nn.Module):
        super().__init__()
        self.add_module(name, network)


def uniforms(key: str, first: int = 0) -> Callable[[tuple[int, ...]], Tensor]:
    """Fixed numbers in (0, 1) for the draws `first`, `first` + 1, ... of a run."""
    count = iter(range(first, 1000))

    def uniform(shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(((wave(f"{key}.{next(count)}", shape, "hash") + 1) / 2).clip(1e-6, 1 - 1e-6)).float()

    return uniform


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array).long() if array.dtype.kind == "i" else torch.from_numpy(array)


def assert_published(file, key: str, actual: Tensor, *, view=np.asarray, lengths: Tensor | None = None) -> None:
    file.compare(key, actual, atol=1e-4, view=view, lengths=lengths)


def assert_ids(file, key: str, actual: Tensor, *, view=np.asarray, inside: Tensor | None = None) -> None:
    """Token ids exactly; `inside`: places of motions, where what stands behind them is nobody's."""
    file.same(key, actual, view=view, inside=inside)
