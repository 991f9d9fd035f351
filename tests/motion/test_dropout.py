"""Dropout draws its masks in its own way: they must be what dropout's masks are."""

import pytest
import torch
from torch.nn import functional as F

from atm.motion.dropout import Dropout, dropped
from atm.motion.layers import attend


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1000, 301), (7, 11, 1301)])
def test_the_asked_share_is_dropped_and_the_mean_stays(rate, shape):
    torch.manual_seed(0)
    found = dropped(torch.ones(shape), rate)
    deviation = (rate * (1 - rate) / found.numel()) ** 0.5
    assert abs((found == 0).float().mean().item() - rate) < 4 * deviation + 2**-16
    kept = found[found != 0]
    assert torch.equal(kept, kept[0].expand_as(kept))
    assert kept[0].item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    mask = (dropped(torch.ones(400_000), 0.5) == 0).float() - 0.5
    for apart in (1, 2, 3, 4, 8):
        assert abs((mask[apart:] * mask[:-apart]).mean().item()) < 4 * 0.25 / 400_000**0.5


def test_a_seed_means_a_mask_and_each_call_has_another():
    x = torch.randn(5, 33)
    torch.manual_seed(3)
    first, second = dropped(x, 0.5), dropped(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropped(x, 0.5), first) and not torch.equal(first, second)


def test_the_gradient_passes_where_numbers_were_kept():
    x = torch.randn(50, 3, requires_grad=True)
    found = dropped(x, 0.25)
    found.sum().backward()
    assert torch.equal(x.grad != 0, found != 0)
    torch.testing.assert_close(x.grad * x.detach(), found.detach())


def test_nothing_is_dropped_outside_of_training_or_at_rate_0():
    x, layer = torch.randn(4, 5), Dropout(0.5)
    assert not torch.equal(layer(x), x)
    assert torch.equal(layer.eval()(x), x)
    state = torch.get_rng_state()
    assert torch.equal(dropped(x, 0.0), x) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("mask", ["none", "bool", "float"])
def test_attention_with_dropout_is_torchs_on_average(mask):
    torch.manual_seed(1)
    q, k, v = torch.randn(3, 2, 2, 5, 4)
    there = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])[:, None, None]
    seen = {"none": None, "bool": there, "float": torch.zeros(2, 1, 1, 5).masked_fill(~there, -torch.inf)}[mask]
    found = torch.stack([attend(q, k, v, seen, 0.3) for _ in range(4000)])
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(found.mean(0), expected, atol=5 * found.std().item() / 4000**0.5, rtol=0)
    assert found.std(0).min() > 0
