"""ReMoDiffuse against its published code: text layers, search, retrieval encoders, network, mixture, loss, samplers.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square.
"""

import functools
import re
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from weights import fill_

from atm.generators.diffusion.steps import noise_chain, reverse, section_levels
from atm.generators.parts.padding import frame_weighted_loss
from atm.generators.remodiffuse.attention import Condition
from atm.generators.remodiffuse.database import Database, best, own_entries, similarities
from atm.generators.remodiffuse.mixture import mix_weights
from atm.generators.remodiffuse.model import ReMoDiffuse
from atm.generators.remodiffuse.presets import remodiffuse_humanml3d
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder

KINDS = {"both": (True, True), "text": (True, False), "retr": (False, True), "none": (False, False)}


@functools.cache
def made(rule: str) -> ReMoDiffuse:
    model = ReMoDiffuse(remodiffuse_humanml3d(), FakeTextEncoder(512, "clip_b32_77_padded"), Normaliser.identity(263))
    fill_(model, prefix="model.", rule=rule, skip=("normaliser",))
    return model.eval()


def tensors(file: Mapping[str, np.ndarray], *names: str) -> list[Tensor]:
    return [torch.from_numpy(file[name]) for name in names]


def condition(file: Mapping[str, np.ndarray]) -> Condition:
    text, motions, captions, frames = tensors(file, "xf_out", "re_motion", "re_text", "re_mask")
    return Condition(text, motions, captions, frames.bool())


def mask_of(file: Mapping[str, np.ndarray], frames: int) -> Tensor:
    return length_mask(torch.from_numpy(file["lengths"]), frames)


def assert_published(file, key: str, actual: Tensor, *, inside: Tensor | None = None, view=np.asarray) -> None:
    file.compare(key, actual, rms=1e-4, inside=inside, view=view)


def database(file: Mapping[str, np.ndarray], *, encoded: bool) -> Database:
    """The synthetic one that the fact sheet describes; motions and token states where they are to be encoded."""
    seed, size = int(file["db_seed"]), int(file["db_size"])

    def normal(offset: int, *shape: int) -> Tensor:
        return torch.from_numpy(np.random.RandomState(seed + offset).standard_normal(shape).astype(np.float32))

    lengths = torch.from_numpy(np.random.RandomState(seed).randint(20, 197, size=size))
    motions = normal(1, size, 196, 263) * length_mask(lengths, 196)[..., None] if encoded else torch.zeros(1, 263)
    return Database(
        features=motions.reshape(-1, 263),
        starts=torch.arange(size) * 196,
        lengths=lengths,
        sentence=normal(2, size, 512),
        captions=[],
        ids=[],
        text_encoder=None,
        tokens=normal(3, size, 77, 512) if encoded else None,
        normalised=True,
    )


@torch.no_grad()
def test_the_text_layers_give_the_published_states(golden):
    file = golden("remodiffuse_text_encoder.npz")
    assert_published(file, "xf_out", made(str(file["rule"])).read(torch.from_numpy(file["clip_hidden"])))


def test_the_search_finds_what_the_published_one_finds(golden):
    file = golden("remodiffuse_retrieval.npz")
    entries, query, lengths = database(file, encoded=False), *tensors(file, "query_features", "lengths")
    file.same("m_lengths", entries.lengths)
    scores = similarities(entries, query, lengths, length_penalty=0.1)
    assert_published(file, "score", scores)
    assert_published(file, "semantic", similarities(entries, query, lengths, length_penalty=0.0))
    file.same("chosen", best(scores, 2)[0])


def test_in_training_alone_entries_of_the_same_length_are_left_out(golden):
    """And, unlike the published code, ours remembers no choice: that one gives its first again at another length."""
    file = golden("remodiffuse_retrieval.npz")
    entries, query = database(file, encoded=False), torch.from_numpy(file["query_features"])[:1]
    length = torch.from_numpy(file["training_length"])[None]
    scores = similarities(entries, query, length, length_penalty=0.1)
    file.same("inference_chosen_same_length", best(scores, 2)[0][0])
    skip = own_entries(entries, length, None)
    file.same("training_chosen", best(scores, 2, skip)[0][0])
    file.same("chosen_after_cache", file["chosen"][0])


@torch.no_grad()
def test_what_was_retrieved_is_encoded_as_published(golden):
    file = golden("remodiffuse_retrieval_features.npz")
    model = made(str(file["rule"]))
    model.search_in(database(file, encoded=True))
    chosen = torch.from_numpy(file["chosen"])
    motions, texts, frames = model.retrieved(chosen, torch.ones_like(chosen, dtype=torch.bool))
    assert_published(file, "re_text", texts)
    for key in file:
        if key.startswith("re_motion_frames_"):
            # In frames of the motion, of which four are one here.
            kept = [int(frame) // 4 for frame in key.removeprefix("re_motion_frames_").split("_")]
            assert_published(file, key, motions[:, :, kept])
    assert_published(file, "re_motion_mean_over_frames", motions.mean(2))
    file.same("re_mask", frames)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_network_gives_the_published_estimates(golden, kind):
    file = golden("remodiffuse_denoiser.npz")
    x_t, t = tensors(file, "x_t", "t")
    text_on, retrieval_on = (torch.full((len(t),), on) for on in KINDS[kind])
    mask = mask_of(file, x_t.shape[1])
    x0_hat = made(str(file["rule"]))(x_t, t, condition(file), mask, text_on, retrieval_on)
    assert_published(file, f"out_{kind}", x0_hat, inside=mask)


@torch.no_grad()
def test_the_network_gives_the_published_estimates_with_the_other_rule(golden):
    file, given = golden("remodiffuse_denoiser_sin.npz"), golden("remodiffuse_denoiser.npz", given=True)
    x_t, t = *tensors(given, "x_t"), *tensors(file, "t")
    on, mask = torch.ones(len(t), dtype=torch.bool), mask_of(given, x_t.shape[1])
    x0_hat = made(str(file["rule"]))(x_t, t, condition(given), mask, on, on)
    assert_published(file, "out_both", x0_hat, inside=mask)


@torch.no_grad()
def test_estimates_are_mixed_as_published(golden):
    file, given = golden("remodiffuse_mixing.npz"), golden("remodiffuse_denoiser.npz", given=True)
    model, x_t = made(str(file["rule"])), torch.from_numpy(given["x_t"])
    mask = mask_of(given, x_t.shape[1])
    for name in file:
        if found := re.fullmatch(r"(mixed|coef)_t(\d+)_coin(\d)", name):
            level, heads = int(found.group(2)), torch.full((len(x_t),), found.group(3) == "0")
            if found.group(1) == "coef":
                assert_published(file, name, mix_weights(model.config.mixture, level, 1000, heads)[0])
            else:
                assert_published(file, name, model.mixed(x_t, level, condition(given), mask, heads), inside=mask)


def test_the_loss_and_its_gradient_are_the_published_ones(golden):
    file, given = golden("remodiffuse_loss.npz"), golden("remodiffuse_denoiser.npz", given=True)
    model = made(str(file["rule"]))
    x0, t, noise, kind = tensors(file, "x_start", "t", "noise", "cond_type")
    mask = mask_of(file, x0.shape[1])
    x0_hat = model(model.noised(x0, noise, t), t, condition(given), mask, kind % 10 > 0, kind >= 10)
    assert_published(file, "pred", x0_hat, inside=mask)
    loss = frame_weighted_loss(x0_hat, x0, mask).mean()
    assert_published(file, "loss", loss)
    model.zero_grad()
    loss.backward()
    squares = sum(parameter.grad.square().sum() for parameter in model.parameters() if parameter.grad is not None)
    assert_published(file, "grad_norm_total", squares.sqrt())


def test_the_published_levels_are_kept(golden):
    file = golden("remodiffuse_sample_ddim10.npz")
    chain = made("hash").sampling_chain()
    file.same("official_timestep_map", chain.levels)
    assert_published(file, "sched_official_betas", chain.betas)
    short = noise_chain(1000, "linear", kept=section_levels(1000, (3, 3, 2, 1, 1)))
    file.same("timestep_map", short.levels)
    assert_published(file, "sched_betas", short.betas)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
@torch.no_grad()
def test_the_samplers_go_the_published_way(golden, sampler):
    """The coins are those of the steps above level 100, in their order."""
    file, given = golden(f"remodiffuse_sample_{sampler}10.npz"), golden("remodiffuse_denoiser.npz", given=True)
    model, start = made(str(file["rule"])), torch.from_numpy(file["x_T"])
    chain = noise_chain(1000, "linear", kept=section_levels(1000, (3, 3, 2, 1, 1)))
    coins, states, mask = iter(file["coins"]), [], mask_of(given, start.shape[1])
    drawn = [start]
    if sampler == "ddpm":
        noise = np.random.RandomState(int(file["noise_seed"])).standard_normal((10, *start.shape)).astype(np.float32)
        np.testing.assert_allclose(noise.reshape(-1)[:8], file["noise_first_8"], rtol=1e-6)
        drawn += torch.from_numpy(noise)
    drawn = iter(drawn)

    def predict(x_t: Tensor, level: int) -> Tensor:
        states.append(x_t)
        heads = torch.full((len(start),), bool(level <= 100 or next(coins) == 0))
        return model.mixed(x_t, level, condition(given), mask, heads)

    eta = 0.0 if sampler == "ddim" else 1.0
    states.append(reverse(predict, lambda: next(drawn), chain, eta=eta, variance="large"))
    for key, step in [("after_first_step", 1), ("sample", -1), *file.numbered(r"after_(\d+)_steps")]:
        assert_published(file, key, states[step], inside=mask)
