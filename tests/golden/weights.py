"""Weights by rule, so that a golden file needs no checkpoint: each tensor follows from its key and its shape.

With c = crc32 of the key and i the index into the flattened tensor, a wave in [-1, 1] is, by the rule's name,

- `sin`: sin(0.7 i + c mod 1000), which makes matrices of rank 2;
- `hash`: an integer hash of i and c over 2^31, minus 1, which makes matrices of full rank: the stricter test.

Matrices are the wave times a scale, vectors named `weight` (gains of norms) are 1 + 0.1 wave, all other vectors
(biases) 0.01 wave. Running means are 0, running variances 1. Integers and sinusoidal position buffers stay as made.
"""

import math
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

Rule = Literal["sin", "hash"]
Overrides = Sequence[tuple[str, float]]
"""(regular expression, scale) pairs: the last expression found in a key gives the scale of its matrix."""

_POSITION_BUFFERS = {"pe", "pos_embed", "positional_encoding", "position_ids", "inv_freq"}
_MASK = np.uint64(0xFFFFFFFF)


def wave(key: str, shape: Sequence[int], rule: Rule) -> np.ndarray:
    """The wave of a tensor, float64, in [-1, 1]."""
    checksum = zlib.crc32(key.encode())
    index = np.arange(math.prod(shape))
    if rule == "sin":
        flat = np.sin(index * 0.7 + checksum % 1000)
    else:
        bits = (index.astype(np.uint64) * np.uint64(2654435761) + np.uint64(checksum)) & _MASK
        for _ in range(2):
            bits = ((bits ^ (bits >> np.uint64(16))) * np.uint64(0x45D9F3B)) & _MASK
        flat = (bits ^ (bits >> np.uint64(16))) / 2.0**31 - 1.0
    return flat.reshape(tuple(shape))


def ruled(
    key: str, shape: Sequence[int], rule: Rule = "hash", scale: float | None = None, overrides: Overrides = ()
) -> Tensor:
    """The float32 tensor of a key.

    Args:
        key: as in the published checkpoint, prefix included.
        shape: of the tensor.
        rule: which wave.
        scale: of matrices; None takes 0.05 for `sin` and sqrt(3 / fan-in) for `hash`.
        overrides: scales of single keys, before `scale`.
    """
    last = key.rpartition(".")[2]
    if last == "running_mean":
        return torch.zeros(*shape)
    if last == "running_var":
        return torch.ones(*shape)
    values = wave(key, shape, rule)
    if len(shape) >= 2:
        own = [override for pattern, override in overrides if re.search(pattern, key)]
        default = 0.05 if rule == "sin" else math.sqrt(3 * shape[0] / values.size)
        values = values * (own[-1] if own else default if scale is None else scale)
    elif len(shape) == 1 and last == "weight":
        values = 1 + 0.1 * values
    else:
        values = 0.01 * values
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


@torch.no_grad()
def fill_(
    module: nn.Module,
    prefix: str = "",
    rule: Rule = "hash",
    *,
    scale: float | None = None,
    overrides: Overrides = (),
    skip: Iterable[str] = (),
) -> list[str]:
    """Fill a module in place.

    Args:
        module: its own keys must be the published ones, but for `prefix`.
        prefix: put before each key.
        rule, scale, overrides: as in `ruled`.
        skip: keys, without prefix, that start with one of these stay as they are.

    Returns:
        The keys that were filled, without prefix.
    """
    skip = tuple(skip)
    buffers = {key for key, _ in module.named_buffers()}
    filled = []
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        sinusoidal = key in buffers and key.rpartition(".")[2] in _POSITION_BUFFERS
        if key.startswith(skip) or sinusoidal or not tensor.is_floating_point():
            continue
        tensor.copy_(ruled(prefix + key, tensor.shape, rule, scale, overrides))
        filled.append(key)
    return filled


def state_dict_of(
    shapes: dict[str, Sequence[int]],
    rule: Rule = "hash",
    *,
    scale: float | None = None,
    overrides: Overrides = (),
    skip: Iterable[str] = (),
) -> dict[str, Tensor]:
    """A published checkpoint by rule, from its table of keys and shapes.

    `skip` names, exactly, the keys that are left out: integers and sinusoidal buffers, which shapes cannot tell.
    """
    skip = set(skip)
    return {k: ruled(k, shape, rule, scale, overrides) for k, shape in shapes.items() if k not in skip}
