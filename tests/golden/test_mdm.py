"""MDM against its published code: the network in all its forms, the schedules, the loss, the samplers, the editing.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from weights import fill_

from atm.generators.diffusion.steps import Chain, kept_levels, noise_chain, reverse
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM, Condition, masked_mse
from atm.generators.mdm.presets import (
    mdm_humanml3d,
    mdm_humanml3d_50,
    mdm_humanml3d_dip,
    mdm_humanml3d_distilbert,
    mdm_kit,
)
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder

DECODER = mdm_humanml3d().model_copy(update={"architecture": "trans_dec"})


def build(config: MDMConfig, file: Mapping[str, np.ndarray], *, features: int = 263) -> MDM:
    width = file["text_embed"].shape[-1]
    model = MDM(config, FakeTextEncoder(width, config.text_encoder), Normaliser.identity(features))
    fill_(model, rule=str(file["rule"]), skip=("positions", "normaliser"))
    return model.eval()


def frames_first(published: np.ndarray) -> Tensor:
    """(B, D, 1, T), as published, to (B, T, D)."""
    return torch.from_numpy(published).squeeze(2).transpose(1, 2)


def condition(file: Mapping[str, np.ndarray]) -> Condition:
    features = torch.from_numpy(file["text_embed"]).transpose(0, 1)
    seen = ~torch.from_numpy(file["text_mask"]) if "text_mask" in file else torch.ones(features.shape[:2]).bool()
    return Condition(features, seen)


def assert_published(file, key: str, actual: Tensor, *, inside: Tensor | None = None) -> None:
    view = frames_first if key in file and file[key].ndim == 4 else np.asarray
    file.compare(key, actual, rms=1e-4, view=view, inside=inside)


NETWORKS = {
    "mdm_trans_enc.npz": mdm_humanml3d(),
    "mdm_trans_enc_sin.npz": mdm_humanml3d(),
    "mdm_trans_enc_kit.npz": mdm_kit(),
    "mdm_trans_dec_clip.npz": DECODER,
    "mdm_trans_dec_clip_emb.npz": DECODER.model_copy(update={"time_token": True}),
    "mdm_trans_dec_bert.npz": mdm_humanml3d_distilbert(),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_network_gives_the_published_estimates(golden, name):
    """With text, without text, and guided."""
    file = golden(name)
    model = build(NETWORKS[name], file, features=file["x_t"].shape[1])
    x_t, t = frames_first(file["x_t"]), torch.from_numpy(file["t"])
    mask = length_mask(torch.from_numpy(file["lengths"]), x_t.shape[1])
    for scale, expected in ((1.0, "out_cond"), (0.0, "out_uncond"), (float(file["scale"]), "out_guided")):
        assert_published(file, expected, model.guided(x_t, t, condition(file), mask, scale=scale))
    if "time_emb" in file:
        time = model.embed_timestep["time_embed"](model.positions[t])
        file.compare("time_emb", time, rms=1e-4, view=lambda x: x[0])


@pytest.mark.parametrize("name", [name for name in NETWORKS if "bert" not in name and "kit" not in name])
@torch.no_grad()
def test_the_network_gives_the_published_estimates_when_padding_is_masked(golden, name):
    """What stands behind a motion's end is nobody's then."""
    file = golden(name)
    model = build(NETWORKS[name].model_copy(update={"mask_frames": True}), file)
    x_t, t = frames_first(file["x_t"]), torch.from_numpy(file["t"])
    mask = length_mask(torch.from_numpy(file["lengths"]), x_t.shape[1])
    for scale, expected in ((1.0, "out_cond_mask_frames"), (0.0, "out_uncond_mask_frames")):
        assert_published(file, expected, model.guided(x_t, t, condition(file), mask, scale=scale), inside=mask)


@torch.no_grad()
def test_a_prefix_is_seen_as_in_the_published_autoregressive_model(golden):
    file = golden("mdm_dip_prefix.npz")
    model = build(mdm_humanml3d_dip(), file)
    x_t, t, prefix = frames_first(file["x_t"]), torch.from_numpy(file["t"]), frames_first(file["prefix"])
    mask = torch.ones(x_t.shape[:2]).bool()
    for scale, expected in ((1.0, "out_cond"), (0.0, "out_uncond"), (float(file["scale"]), "out_guided")):
        assert_published(file, expected, model.guided(x_t, t, condition(file), mask, prefix, scale=scale))


@pytest.mark.parametrize(
    ("name", "schedule", "steps"),
    [
        ("cosine1000", "cosine", 1000),
        ("cosine50", "cosine", 50),
        ("cosine10", "cosine", 10),
        ("linear1000", "linear", 1000),
    ],
)
def test_schedules_and_posteriors_are_the_published_tables(golden, name, schedule, steps):
    """A step is linear in x0, x_t and the noise: unit inputs read off its coefficients."""
    file, prefix = golden("mdm_schedules.npz"), f"sched_{name}_"
    chain = noise_chain(steps, schedule)
    assert_published(file, f"{prefix}betas", chain.betas)
    assert_published(file, f"{prefix}alphas_cumprod", chain.alphas_cumprod)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    def step(level: int, x0: Tensor, x_t: Tensor, noise: Tensor) -> Tensor:
        return chain.step(x0, level, x_t, eta=1.0, noise=noise)

    levels = range(steps)
    assert_published(file, f"{prefix}posterior_mean_coef1", torch.cat([step(i, one, zero, zero) for i in levels]))
    assert_published(file, f"{prefix}posterior_mean_coef2", torch.cat([step(i, zero, one, zero) for i in levels]))
    deviation = torch.cat([step(i, zero, zero, one) for i in levels])
    assert_published(file, f"{prefix}posterior_variance", deviation**2)
    # The published table holds something else at level 0, where no noise is added.
    clipped = f"{prefix}posterior_log_variance_clipped"
    file.compare(clipped, deviation[1:], rms=1e-4, view=lambda x: np.exp(0.5 * x[1:]))


def test_a_shortened_run_keeps_the_published_levels(golden):
    file = golden("mdm_schedules.npz")
    for key, count in file.numbered(r"respace_1000_(\d+)"):
        file.same(key, kept_levels(1000, count))


def test_the_betas_of_a_shortened_run_are_the_published_ones(golden):
    file = golden("mdm_sample_respaced10.npz")
    assert_published(file, "sched_betas", noise_chain(1000, kept=len(file["timestep_map"])).betas)


def test_the_loss_and_its_gradients_are_the_published_ones(golden):
    file = golden("mdm_loss.npz")
    model = build(mdm_humanml3d(), file)
    x0, noise, t = frames_first(file["x_start"]), frames_first(file["noise"]), torch.from_numpy(file["t"])
    mask = length_mask(torch.from_numpy(file["lengths"]), x0.shape[1])
    x_t = model.noised(x0, noise, t)
    assert_published(file, "x_t", x_t)
    loss = masked_mse(model(x_t, t, condition(file), mask), x0, mask)
    assert_published(file, "loss_per_sample", loss)
    assert_published(file, "loss", loss.mean())
    loss.mean().backward()
    squares = sum(parameter.grad.square().sum() for parameter in model.parameters())
    assert_published(file, "grad_norm_total", squares.sqrt())
    assert_published(file, "grad_poseFinal_bias", model.output_process.poseFinal.bias.grad)
    assert_published(file, "grad_embed_text_bias", model.embed_text.bias.grad)
    in_proj = model.seqTransEncoder.layers[0].self_attn.in_proj_bias.grad
    assert_published(file, "grad_layer0_in_proj_bias", in_proj)


@torch.no_grad()
def run(
    config: MDMConfig,
    chain: Chain,
    file: Mapping[str, np.ndarray],
    noise: np.ndarray | None,
    change: Callable[[Tensor], Tensor] = lambda x0_hat: x0_hat,
) -> tuple[list[Tensor], list[Tensor]]:
    """What each step starts from, with the final sample at the end; and each step's estimate."""
    model = build(config, file)
    start = frames_first(file["x_T"])
    drawn = iter([start] if noise is None else [start, *map(frames_first, noise)])
    mask = torch.ones(start.shape[:2]).bool()
    states, estimates = [], []

    def predict(x_t: Tensor, level: int) -> Tensor:
        t = torch.full((len(x_t),), level)
        states.append(x_t)
        estimates.append(model.guided(x_t, t, condition(file), mask, scale=float(file["scale"])))
        return change(estimates[-1])

    sample = reverse(predict, lambda: next(drawn), chain, eta=0.0 if noise is None else 1.0)
    return [*states, sample], estimates


def test_the_50_step_sampler_goes_the_published_way(golden):
    file = golden("mdm_sample_50steps.npz")
    shape = (50, *file["x_T"].shape)
    noise = np.random.RandomState(int(file["noise_seed"])).standard_normal(shape).astype(np.float32)
    np.testing.assert_allclose(noise.reshape(-1)[:8], file["noise_first_8"], rtol=1e-6)
    np.testing.assert_allclose(noise.reshape(-1)[-8:], file["noise_last_8"], rtol=1e-6)
    states, _ = run(mdm_humanml3d_50(), noise_chain(50), file, noise)
    steps = [("after_first_step", 1), ("sample", 50), *file.numbered(r"after_(\d+)_steps")]
    for key, step in steps:
        assert_published(file, key, states[step])


def test_the_shortened_sampler_goes_the_published_way(golden):
    file = golden("mdm_sample_respaced10.npz")
    chain = noise_chain(1000, kept=len(file["timestep_map"]))
    file.same("timestep_map", chain.levels)
    states, estimates = run(mdm_humanml3d(), chain, file, file["noise"])
    assert_published(file, "pred_xstart_first", estimates[0])
    assert_published(file, "after_first_step", states[1])
    assert_published(file, "sample", states[-1])


def test_the_deterministic_sampler_goes_the_published_way(golden):
    file = golden("mdm_sample_ddim10.npz")
    chain = noise_chain(1000, kept=len(file["timestep_map"]))
    file.same("timestep_map", chain.levels)
    states, _ = run(mdm_humanml3d(), chain, file, None)
    assert_published(file, "after_first_step", states[1])
    assert_published(file, "sample", states[-1])


def test_editing_keeps_the_known_motion_the_published_way(golden):
    file = golden("mdm_sample_inpaint10.npz")
    keep, known = frames_first(file["inpainting_mask"]), frames_first(file["inpainted_motion"])
    chain = noise_chain(1000, kept=len(file["noise"]))
    states, _ = run(mdm_humanml3d(), chain, file, file["noise"], lambda x0_hat: torch.where(keep, known, x0_hat))
    assert_published(file, "sample", states[-1])
    torch.testing.assert_close(states[-1][keep], known[keep], rtol=1e-4, atol=1e-4)
