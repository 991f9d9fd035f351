"""MotionDiffuse against its published code: text layers, both networks, the loss, the sampler.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from weights import fill_

from atm.generators.diffusion.steps import Chain, noise_chain, reverse
from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.motiondiffuse.model import Condition, MotionDiffuse
from atm.generators.motiondiffuse.presets import motiondiffuse_humanml3d, motiondiffuse_humanml3d_softmax
from atm.generators.parts.padding import frame_weighted_loss
from atm.interface import TextEmbedding
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder


@functools.cache
def made(config: MotionDiffuseConfig, rule: str, features: int) -> MotionDiffuse:
    model = MotionDiffuse(config, FakeTextEncoder(512, config.text_encoder), Normaliser.identity(features))
    fill_(model, rule=rule, skip=("normaliser",))
    return model.eval()


def build(file: dict[str, np.ndarray], config: MotionDiffuseConfig | None = None) -> MotionDiffuse:
    features = file["x_t"].shape[-1] if "x_t" in file else 263
    return made(config or motiondiffuse_humanml3d(), str(file["rule"]), features)


def condition(file: dict[str, np.ndarray]) -> Condition:
    return Condition(torch.from_numpy(file["xf_out"]), torch.from_numpy(file["xf_proj"]))


def mask_of(file: dict[str, np.ndarray], frames: int) -> Tensor:
    return length_mask(torch.from_numpy(file["lengths"]), frames)


def assert_published(actual: Tensor, expected: np.ndarray, *, inside: Tensor | None = None) -> None:
    expected = torch.from_numpy(np.asarray(expected))
    rms = expected.double().square().mean().sqrt().item()
    if inside is not None:
        actual, expected = actual[inside], expected[inside]
    torch.testing.assert_close(actual.detach(), expected, rtol=1e-4, atol=1e-4 * rms, check_dtype=False)


@torch.no_grad()
def test_the_text_layers_give_the_published_states(golden):
    """All 77 positions, padding included; the vector comes from the end token's state."""
    file = golden("motiondiffuse_text_encoder.npz")
    model, states = build(file), torch.from_numpy(file["clip_hidden"]).transpose(0, 1)
    read = model.read(states, torch.from_numpy(file["eot"]))
    assert_published(read.tokens, file["xf_out"])
    assert_published(read.style, file["xf_proj"])
    # The same by way of an encoder's answer: as many tokens as the mask has, the end token last.
    seen = length_mask(torch.from_numpy(file["eot"]) + 1, 77)
    assert_published(model.condition(TextEmbedding(states, seen, states[:, 0])).style, file["xf_proj"])


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("motiondiffuse_denoiser.npz", motiondiffuse_humanml3d()),
        ("motiondiffuse_denoiser_sin.npz", motiondiffuse_humanml3d()),
        ("motiondiffuse_denoiser_no_eff.npz", motiondiffuse_humanml3d_softmax()),
    ],
)
@torch.no_grad()
def test_the_network_predicts_the_published_noise(golden, name, config):
    file = golden(name)
    x_t, t = torch.from_numpy(file["x_t"]), torch.from_numpy(file["t"])
    mask = mask_of(file, x_t.shape[1])
    eps = build(file, config)(x_t, t, condition(file), mask)
    # With ordinary attention the scores of padded frames are rounded to 1/128: nothing to compare there.
    assert_published(eps, file["out"], inside=None if config.attention == "linear" else mask)


def test_the_loss_and_its_gradient_are_the_published_ones(golden):
    file = golden("motiondiffuse_loss.npz")
    model = build(file)
    x0, noise, t = (torch.from_numpy(file[name]) for name in ("x_start", "noise", "t"))
    mask = mask_of(file, x0.shape[1])
    x_t = model.noised(x0, noise, t)
    assert_published(x_t, file["x_t"])
    eps = model(x_t, t, condition(file), mask)
    assert_published(eps, file["pred"])
    loss = frame_weighted_loss(eps, noise, mask).mean()
    assert_published(loss, file["loss"])
    model.zero_grad()
    loss.backward()
    squares = sum(parameter.grad.square().sum() for parameter in model.parameters() if parameter.grad is not None)
    assert_published(squares.sqrt(), file["grad_norm_total"])


@torch.no_grad()
def run(file: dict[str, np.ndarray], chain: Chain, start: np.ndarray) -> list[Tensor]:
    """What each step starts from, with the final sample at the end."""
    model = build(file)
    drawn = iter(torch.from_numpy(start)[None])
    noise = iter(torch.from_numpy(file["noise"]))
    mask = mask_of(file, start.shape[1])
    states = []

    def predict(x_t: Tensor, level: int) -> Tensor:
        states.append(x_t)
        return model(x_t, torch.full((len(x_t),), level), condition(file), mask)

    sample = reverse(predict, lambda: next(drawn, None) if not states else next(noise), chain, eta=1.0)
    return [*states, sample]


def test_a_shortened_sampler_goes_the_published_way(golden):
    file = golden("motiondiffuse_sample_respaced10.npz")
    chain = noise_chain(1000, "linear", kept=10, predicts="epsilon")
    assert chain.levels == file["timestep_map"].tolist()
    assert_published(chain.betas, file["sched_betas"])
    states = run(file, chain, file["x_T"])
    for step, expected in ((1, "after_first_step"), (5, "after_5_steps"), (10, "sample")):
        assert_published(states[step], file[expected])


def test_the_estimate_without_a_bound_is_the_published_one(golden):
    """The first step's estimate of the clean motion, at the noisiest level."""
    file = golden("motiondiffuse_sample_respaced10.npz")
    model, x_t = build(file), torch.from_numpy(file["x_T"])
    t = torch.full((len(x_t),), 999)
    with torch.no_grad():
        eps = model(x_t, t, condition(file), mask_of(file, x_t.shape[1]))
    assert_published(model.estimate(x_t, eps, t, least_signal=0.0), file["pred_xstart_first"])


def test_the_last_steps_of_the_full_sampler_go_the_published_way(golden):
    file = golden("motiondiffuse_sample_last10.npz")
    chain = noise_chain(1000, "linear", predicts="epsilon")
    levels = list(range(int(file["t_first"]) + 1))
    states = run(file, replace(chain, levels=levels), file["x_start_of_chain"])
    assert_published(states[1], file["after_first_step"])
    assert_published(states[-1], file["sample"])
