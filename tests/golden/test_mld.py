"""MLD against its published code: the VAE, the denoiser, the schedule, the sampler, the losses of both stages.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square. The published code has tokens first, ours has batches first.
"""

import functools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from weights import fill_

from atm.generators.diffusion.steps import reverse
from atm.generators.mld.denoiser import FrameDenoiser
from atm.generators.mld.model import MLD, noise_loss
from atm.generators.mld.presets import mld_humanml3d, mld_humanml3d_frames
from atm.generators.mld.schedule import latent_chain
from atm.generators.mld.stage import VAEStage
from atm.motion.layers import Normaliser, length_mask
from doubles import FakeTextEncoder


def build(file: Mapping[str, np.ndarray], *, tokens: int = 1) -> MLD:
    return filled(str(file["rule"]), tokens)


@functools.cache
def filled(rule: str, tokens: int) -> MLD:
    config = mld_humanml3d()
    autoencoder = config.autoencoder.model_copy(update={"latent_tokens": tokens})
    config = config.model_copy(update={"autoencoder": autoencoder})
    model = MLD(config, FakeTextEncoder(768, config.text_encoder), Normaliser.identity(263))
    fill_(model, rule=rule, skip=("normaliser",))
    return model.eval()


def tensor(published: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(published))


def batch_first(published: np.ndarray) -> Tensor:
    return tensor(published).transpose(0, 1)


def assert_published(file, key: str, actual: Tensor, *, view=np.asarray, lengths: Tensor | None = None) -> None:
    file.compare(key, actual, rms=1e-4, view=view, lengths=lengths)


def assert_gradients_published(file, key: str, module: torch.nn.Module, loss: Tensor) -> None:
    """The norm over all weights that the loss reaches."""
    module.zero_grad()
    loss.backward()
    squares = [weight.grad.square().sum() for weight in module.parameters() if weight.grad is not None]
    assert_published(file, key, torch.stack(squares).sum().sqrt())


@pytest.mark.parametrize(
    ("name", "tokens"), [("mld_vae_latent1.npz", 1), ("mld_vae_latent7.npz", 7), ("mld_vae_latent1_sin.npz", 1)]
)
@torch.no_grad()
def test_the_vae_gives_the_published_latents_and_motions(golden, name, tokens):
    file = golden(name)
    vae = build(file, tokens=tokens).vae
    mask = length_mask(tensor(file["lengths"]), file["features"].shape[1])
    posterior = vae.encode(tensor(file["features"]), mask)
    assert_published(file, "mu", posterior.mean, view=batch_first)
    assert_published(file, "std", posterior.std, view=batch_first)
    z = posterior.at(batch_first(file["eps"]))
    assert_published(file, "z", z, view=batch_first)
    lengths = tensor(file["lengths"])
    assert_published(file, "decoded", vae.decode(z, length_mask(lengths, int(lengths.max()))), lengths=lengths)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [("mld_denoiser_latent1.npz", 1), ("mld_denoiser_latent7.npz", 7), ("mld_denoiser_latent1_sin.npz", 1)],
)
@torch.no_grad()
def test_the_denoiser_gives_the_published_noise(golden, name, tokens):
    """With text, without text, and guided."""
    file = golden(name)
    model = build(file, tokens=tokens)
    z_t, text = tensor(file["sample"]), tensor(file["text"])
    assert_published(file, "out_t_vector", model.denoiser(z_t, tensor(file["t_vector"]), text))
    for kind in ("cond", "uncond", "guided"):
        for key, level in file.numbered(rf"out_{kind}_t(\d+)"):
            t, null = torch.full((len(z_t),), level), tensor(file["empty_text"])
            scale = float(file["scale"]) if kind == "guided" else float(kind == "cond")
            assert_published(file, key, model.guided(z_t, t, text, null, scale=scale))


@torch.no_grad()
def test_the_denoiser_of_frames_gives_the_published_noise(golden):
    file = golden("mld_denoiser_novae.npz")
    config = mld_humanml3d_frames()
    denoiser = FrameDenoiser(config, 768, 263).eval()
    fill_(denoiser, prefix="denoiser.", rule=str(file["rule"]))
    x_t = tensor(file["sample"])
    mask = length_mask(tensor(file["lengths"]), x_t.shape[1])
    t = tensor(file["t"]).expand(len(x_t))
    assert_published(file, "out", denoiser(x_t, t, tensor(file["text"]), mask), lengths=tensor(file["lengths"]))


def test_the_schedule_is_the_published_one_and_ends_at_its_level_zero(golden):
    file = golden("mld_sample_ddim50.npz")
    assert_published(file, "sched_alphas_cumprod", latent_chain(1000).alphas_cumprod)
    chain = latent_chain(1000, kept=len(file["timesteps"]))
    file.same("timesteps", chain.levels[::-1])
    assert_published(file, "sched_final_alpha_cumprod", chain.final_alpha_cumprod)


def run(model: MLD, file: Mapping[str, np.ndarray]) -> list[Tensor]:
    """What each step starts from, with the final latent at the end."""
    chain = latent_chain(1000, kept=len(file["timesteps"]))
    states: list[Tensor] = []

    def predict(z_t: Tensor, level: int) -> Tensor:
        states.append(z_t)
        t = torch.full((len(z_t),), level)
        return model.guided(z_t, t, tensor(file["text"]), tensor(file["empty_text"]), scale=float(file["scale"]))

    z = reverse(predict, lambda: tensor(file["x_T"]), chain, eta=0.0)
    return [*states, z]


@torch.no_grad()
def test_the_sampler_goes_the_published_way_to_a_motion(golden):
    file = golden("mld_sample_ddim50.npz")
    model = build(file)
    states = run(model, file)
    for key, step in [("after_first_step", 1), *file.numbered(r"after_(\d+)_steps")]:
        assert_published(file, key, states[step])
    assert_published(file, "z", states[-1], view=batch_first)
    lengths = tensor(file["lengths"])
    motions = model.vae.decode(states[-1], length_mask(lengths, int(lengths.max())))
    assert_published(file, "decoded", motions, lengths=lengths)


@torch.no_grad()
def test_a_sampler_of_fewer_steps_goes_the_published_way(golden):
    file = golden("mld_sample_ddim8.npz")
    file.same("timesteps", latent_chain(1000, kept=len(file["timesteps"])).levels[::-1])
    assert_published(file, "z", run(build(file), file)[-1], view=batch_first)


def test_the_losses_of_the_vae_and_their_gradient_are_the_published_ones(golden):
    file = golden("mld_loss_vae.npz")
    config = mld_humanml3d().autoencoder
    stage = VAEStage(config, Normaliser(tensor(file["mean"]), tensor(file["std"])))
    stage.vae.load_state_dict(build(file).vae.state_dict())
    stage.eval()
    x0 = tensor(file["features"])
    mask = length_mask(tensor(file["lengths"]), x0.shape[1])
    posterior = stage.vae.encode(x0, mask)
    x0_hat = stage.vae.decode(posterior.at(batch_first(file["eps"])), mask)
    assert_published(file, "m_rst", x0_hat, lengths=tensor(file["lengths"]))
    losses = stage.losses(x0_hat, x0, posterior)
    assert_published(file, "recons_feature", losses.features.mean())
    assert_published(file, "recons_joints", losses.joints.mean())
    assert_published(file, "kl_motion", losses.kl.mean())
    total = (losses.features + config.joint_weight * losses.joints + config.kl_weight * losses.kl).mean()
    assert_published(file, "total", total)
    assert_gradients_published(file, "grad_norm_total", stage, total)


def test_the_loss_of_the_denoiser_and_its_gradient_are_the_published_ones(golden):
    file = golden("mld_loss_diffusion.npz")
    model = build(file)
    z0, noise, t = batch_first(file["z"]), tensor(file["noise"]), tensor(file["t"])
    z_t = model.noised(z0, noise, t)
    assert_published(file, "noisy", z_t)
    noise_hat = model.denoiser(z_t, t, tensor(file["text"]))
    assert_published(file, "noise_pred", noise_hat)
    loss = noise_loss(noise_hat, noise).mean()
    assert_published(file, "total", loss)
    assert_gradients_published(file, "grad_norm_total", model, loss)
    assert_published(file, "z", model.clean(z_t, noise, t), view=batch_first)
