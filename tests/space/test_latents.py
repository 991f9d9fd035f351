"""What a space is trained by when nothing else is said: the weights of eq. 9, and latents drawn as published."""

import pytest
import torch

from atm.interface import Batch
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig
from doubles import FakeTextEncoder


@pytest.fixture
def case() -> tuple[Space, Batch]:
    torch.manual_seed(0)
    config = SpaceConfig(width=16, feed_forward=32, layers=1, decoder_layers=1, heads=2, min_crop_seconds=None)
    motion = Motion(torch.randn(3, 40, 263), torch.tensor([40, 30, 25]))
    batch = Batch(motion, ["he walks", "she sits", "they jump"], torch.eye(3), list("abc"))
    return Space(config, FakeTextEncoder(), Normaliser.identity(263)).train(), batch


def test_the_objective_weighs_its_terms_as_equation_9_does(case):
    """L_REC + 1e-5 L_KT + 1e-5 L_E + 0.1 L_NCE; near-duplicates are told at 0.85."""
    space, batch = case
    step = space.training_step(batch, torch.Generator().manual_seed(1))
    parts = step.parts
    expected = parts["rec"] + 1e-5 * parts["kl"] + 1e-5 * parts["latent"] + 0.1 * parts["nce"]
    assert step.loss.mean().item() == pytest.approx(expected, rel=1e-5)
    assert abs(parts["nce"]) > 0.1
    assert SpaceConfig().epsilon == 0.85


def test_latents_are_drawn_with_the_deviation_that_is_the_root_of_the_variance(case):
    """TMR: std = logvar.exp().pow(0.5), that is exp(logvar / 2); motions first, then texts, from the step's numbers."""
    space, batch = case
    read, decoded = [], []
    for encoder in (space.motion_encoder, space.text_encoder):
        encoder.register_forward_hook(lambda _, inputs, output: read.append(output))
    space.motion_decoder.register_forward_pre_hook(lambda _, inputs: decoded.append(inputs[0]))
    space.training_step(batch, torch.Generator().manual_seed(1))
    rng = torch.Generator().manual_seed(1)
    expected = [mean + (0.5 * logvar).exp() * torch.randn(3, 16, generator=rng) for mean, logvar in read]
    torch.testing.assert_close(decoded[0], torch.cat(expected))
    assert min(logvar.abs().mean() for _, logvar in read) > 0.1, "exp(logvar) would be the same"
