"""Weights by rule, against the rules written as slow loops."""

import math
import zlib

import pytest
import torch
from torch import nn
from weights import fill_, ruled


def hashed(key: str, i: int) -> float:
    h = (i * 2654435761 + zlib.crc32(key.encode())) % 2**32
    for _ in range(2):
        h ^= h >> 16
        h = h * 0x45D9F3B % 2**32
    h ^= h >> 16
    return h / 2**31 - 1


def sine(key: str, i: int) -> float:
    return math.sin(0.7 * i + zlib.crc32(key.encode()) % 1000)


@pytest.mark.parametrize(("rule", "value", "scale"), [("hash", hashed, math.sqrt(3 / 4)), ("sin", sine, 0.05)])
def test_matrices_norms_and_biases_follow_their_rule(rule, value, scale):
    matrix = torch.tensor([scale * value("a.weight", i) for i in range(12)]).reshape(3, 4)
    torch.testing.assert_close(ruled("a.weight", (3, 4), rule), matrix)
    gains = torch.tensor([1 + 0.1 * value("norm.weight", i) for i in range(5)])
    torch.testing.assert_close(ruled("norm.weight", (5,), rule), gains)
    biases = torch.tensor([0.01 * value("a.bias", i) for i in range(5)])
    torch.testing.assert_close(ruled("a.bias", (5,), rule), biases)


def test_the_last_override_that_fits_gives_the_scale():
    overrides = [("codebook$", 0.3), (r"layers\.1\.codebook$", 0.25)]
    first, second = (ruled(f"layers.{i}.codebook", (2, 3), overrides=overrides) for i in (0, 1))
    assert first[0, 1].item() == pytest.approx(0.3 * hashed("layers.0.codebook", 1), rel=1e-6)
    assert second[0, 1].item() == pytest.approx(0.25 * hashed("layers.1.codebook", 1), rel=1e-6)


def test_filling_leaves_skipped_keys_and_position_buffers():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module.register_buffer("pe", torch.full((3, 2), 7.0))
    untouched = module[1].weight.clone()
    filled = fill_(module, prefix="model.", skip=["1."])
    assert filled == ["0.weight", "0.bias"]
    torch.testing.assert_close(module[0].weight, ruled("model.0.weight", (2, 2)))
    assert torch.equal(module[1].weight, untouched)
    assert module.pe.eq(7.0).all()
