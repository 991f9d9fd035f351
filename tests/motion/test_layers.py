"""Attention without copies: torch's results, weights and keys."""

import pytest
import torch
from torch import nn

from atm.motion.layers import Attention, quicker


def a_layer(kind: type[nn.Module], dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return kind(16, 4, 24, dropout, "gelu", batch_first=True)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States of three rows, states that they read, and what is padding of the first."""
    rng = torch.Generator().manual_seed(1)
    outside = torch.arange(7)[None, :] >= torch.tensor([7, 4, 2])[:, None]
    return torch.randn(3, 7, 16, generator=rng), torch.randn(3, 5, 16, generator=rng), outside


def run(layer: nn.Module, padded: bool, floating: bool) -> dict[str, torch.Tensor]:
    """The layer's output and all gradients."""
    hidden, memory, outside = inputs()
    hidden.requires_grad_()
    mask = outside if padded else None
    if padded and floating:
        mask = torch.zeros(outside.shape).masked_fill(outside, -torch.inf)
    if isinstance(layer, nn.TransformerDecoderLayer):
        found = layer(hidden, memory, tgt_key_padding_mask=mask)
    else:
        found = layer(hidden, src_key_padding_mask=mask)
    # What stands at padding means nothing.
    found = found.masked_fill(outside[..., None], 0)
    found.square().sum().backward()
    return {"out": found, "in": hidden.grad, **{name: weight.grad for name, weight in layer.named_parameters()}}


@pytest.mark.parametrize("kind", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
@pytest.mark.parametrize(("padded", "floating"), [(False, False), (True, False), (True, True)])
def test_a_layer_gives_the_results_and_gradients_of_torch(kind, padded, floating):
    plain, own = a_layer(kind), quicker(a_layer(kind))
    assert any(isinstance(module, Attention) for module in own.modules())
    assert own.state_dict().keys() == plain.state_dict().keys()
    expected = run(plain, padded, floating)
    for name, value in run(own, padded, floating).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("asked", [{"need_weights": True}, {"attn_mask": torch.ones(7, 7).triu(1).bool()}])
def test_what_our_layers_do_not_ask_for_is_left_to_torch(asked):
    plain, own = (make(a_layer(nn.TransformerEncoderLayer)).self_attn for make in (nn.Module.train, quicker))
    hidden = inputs()[0]
    for found, expected in zip(
        own(hidden, hidden, hidden, **asked), plain(hidden, hidden, hidden, **asked), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_weights_are_dropped_in_training_alone():
    layer = quicker(a_layer(nn.TransformerEncoderLayer, dropout=0.5)).self_attn
    hidden = inputs()[0]
    first, second = (layer(hidden, hidden, hidden, need_weights=False)[0] for _ in range(2))
    assert not torch.equal(first, second)
    layer.eval()
    first, second = (layer(hidden, hidden, hidden, need_weights=False)[0] for _ in range(2))
    assert torch.equal(first, second)
