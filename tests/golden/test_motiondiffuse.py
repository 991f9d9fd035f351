"""MotionDiffuse against its published code: text layers, both networks, the loss, the sampler.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square.
"""

import functools
from collections.abc import Mapping
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


def build(file: Mapping[str, np.ndarray], config: MotionDiffuseConfig | None = None) -> MotionDiffuse:
    features = file["x_t"].shape[-1] if "x_t" in file else 263
    return made(config or motiondiffuse_humanml3d(), str(file["rule"]), features)


def condition(file: Mapping[str, np.ndarray]) -> Condition:
    return Condition(torch.from_numpy(file["xf_out"]), torch.from_numpy(file["xf_proj"]))


def mask_of(file: Mapping[str, np.ndarray], frames: int) -> Tensor:
    return length_mask(torch.from_numpy(file["lengths"]), frames)


def assert_published(file, key: str, actual: Tensor, *, inside: Tensor | None = None) -> None:
    file.compare(key, actual, rms=1e-4, inside=inside)


@torch.no_grad()
def test_the_text_layers_give_the_published_states(golden):
    """All 77 positions, padding included; the vector comes from the end token's state."""
    file = golden("motiondiffuse_text_encoder.npz")
    model, states = build(file), torch.from_numpy(file["clip_hidden"]).transpose(0, 1)
    read = model.read(states, torch.from_numpy(file["eot"]))
    assert_published(file, "xf_out", read.tokens)
    assert_published(file, "xf_proj", read.style)
    # The same by way of an encoder's answer: as many tokens as the mask has, the end token last.
    seen = length_mask(torch.from_numpy(file["eot"]) + 1, states.shape[1])
    assert_published(file, "xf_proj", model.condition(TextEmbedding(states, seen, states[:, 0])).style)


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
    # Behind a motion's end stands nothing that anybody reads; with ordinary attention it is rounded to 1/128.
    assert_published(file, "out", eps, inside=mask)


def test_the_loss_and_its_gradient_are_the_published_ones(golden):
    file = golden("motiondiffuse_loss.npz")
    model = build(file)
    x0, noise, t = (torch.from_numpy(file[name]) for name in ("x_start", "noise", "t"))
    mask = mask_of(file, x0.shape[1])
    x_t = model.noised(x0, noise, t)
    assert_published(file, "x_t", x_t)
    eps = model(x_t, t, condition(file), mask)
    assert_published(file, "pred", eps, inside=mask)
    loss = frame_weighted_loss(eps, noise, mask).mean()
    assert_published(file, "loss", loss)
    model.zero_grad()
    loss.backward()
    squares = sum(parameter.grad.square().sum() for parameter in model.parameters() if parameter.grad is not None)
    assert_published(file, "grad_norm_total", squares.sqrt())


@torch.no_grad()
def run(file: Mapping[str, np.ndarray], chain: Chain, start: np.ndarray) -> list[Tensor]:
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
    chain = noise_chain(1000, "linear", kept=len(file["timestep_map"]), predicts="epsilon")
    file.same("timestep_map", chain.levels)
    assert_published(file, "sched_betas", chain.betas)
    states, own = run(file, chain, file["x_T"]), mask_of(file, file["x_T"].shape[1])
    steps = [("after_first_step", 1), ("sample", len(chain.levels)), *file.numbered(r"after_(\d+)_steps")]
    for key, step in steps:
        assert_published(file, key, states[step], inside=own)


def test_the_estimate_without_a_bound_is_the_published_one(golden):
    """The first step's estimate of the clean motion, at the noisiest level."""
    file = golden("motiondiffuse_sample_respaced10.npz")
    model, x_t = build(file), torch.from_numpy(file["x_T"])
    t, own = torch.full((len(x_t),), 999), mask_of(file, x_t.shape[1])
    with torch.no_grad():
        eps = model(x_t, t, condition(file), own)
    assert_published(file, "pred_xstart_first", model.estimate(x_t, eps, t, least_signal=0.0), inside=own)


def test_the_last_steps_of_the_full_sampler_go_the_published_way(golden):
    file = golden("motiondiffuse_sample_last10.npz")
    chain = noise_chain(1000, "linear", predicts="epsilon")
    levels = list(range(int(file["t_first"]) + 1))
    states = run(file, replace(chain, levels=levels), file["x_start_of_chain"])
    own = mask_of(file, states[0].shape[1])
    assert_published(file, "after_first_step", states[1], inside=own)
    assert_published(file, "sample", states[-1], inside=own)
