"""MLD against its published code: the VAE, the denoiser, the schedule, the sampler, the losses of both stages.

Weights are filled by rule under the published keys. The expectations are the fact sheet's tolerance: rtol 1e-4 and
atol 1e-4 of the expected array's root mean square. The published code has tokens first, ours has batches first.
"""

import functools

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


def build(file: dict[str, np.ndarray], *, tokens: int = 1) -> MLD:
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


def assert_published(actual: Tensor, expected: np.ndarray | Tensor) -> None:
    expected = torch.as_tensor(expected)
    rms = expected.double().square().mean().sqrt().item()
    torch.testing.assert_close(actual.detach(), expected, rtol=1e-4, atol=1e-4 * rms, check_dtype=False)


def assert_gradients_published(module: torch.nn.Module, loss: Tensor, expected: np.ndarray) -> None:
    """The norm over all weights that the loss reaches."""
    module.zero_grad()
    loss.backward()
    squares = [weight.grad.square().sum() for weight in module.parameters() if weight.grad is not None]
    assert_published(torch.stack(squares).sum().sqrt(), expected)


@pytest.mark.parametrize(
    ("name", "tokens"), [("mld_vae_latent1.npz", 1), ("mld_vae_latent7.npz", 7), ("mld_vae_latent1_sin.npz", 1)]
)
@torch.no_grad()
def test_the_vae_gives_the_published_latents_and_motions(golden, name, tokens):
    file = golden(name)
    vae = build(file, tokens=tokens).vae
    mask = length_mask(tensor(file["lengths"]), file["features"].shape[1])
    posterior = vae.encode(tensor(file["features"]), mask)
    assert_published(posterior.mean, batch_first(file["mu"]))
    assert_published(posterior.std, batch_first(file["std"]))
    z = posterior.at(batch_first(file["eps"]))
    assert_published(z, batch_first(file["z"]))
    # Decoded as far as the longest motion, whatever was encoded.
    assert_published(vae.decode(z, mask[:, : int(file["lengths"].max())]), file["decoded"])


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
    assert_published(model.denoiser(z_t, tensor(file["t_vector"]), text), file["out_t_vector"])
    if "scale" in file:
        t, null = torch.full((len(z_t),), 481), tensor(file["empty_text"])
        for scale, expected in ((1.0, "cond"), (0.0, "uncond"), (float(file["scale"]), "guided")):
            assert_published(model.guided(z_t, t, text, null, scale=scale), file[f"out_{expected}_t481"])


@torch.no_grad()
def test_the_denoiser_of_frames_gives_the_published_noise(golden):
    file = golden("mld_denoiser_novae.npz")
    config = mld_humanml3d_frames()
    denoiser = FrameDenoiser(config, 768, 263).eval()
    fill_(denoiser, prefix="denoiser.", rule=str(file["rule"]))
    x_t = tensor(file["sample"])
    mask = length_mask(tensor(file["lengths"]), x_t.shape[1])
    t = tensor(file["t"]).expand(len(x_t))
    assert_published(denoiser(x_t, t, tensor(file["text"]), mask), file["out"])


def test_the_schedule_is_the_published_one_and_ends_at_its_level_zero(golden):
    file = golden("mld_sample_ddim50.npz")
    assert_published(latent_chain(1000).alphas_cumprod, file["sched_alphas_cumprod"])
    chain = latent_chain(1000, kept=50)
    assert chain.levels == file["timesteps"][::-1].tolist()
    assert_published(chain.final_alpha_cumprod, file["sched_final_alpha_cumprod"])


def run(model: MLD, file: dict[str, np.ndarray]) -> list[Tensor]:
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
    for step, expected in ((1, "after_first_step"), (25, "after_25_steps")):
        assert_published(states[step], file[expected])
    assert_published(states[-1], batch_first(file["z"]))
    lengths = tensor(file["lengths"])
    assert_published(model.vae.decode(states[-1], length_mask(lengths, int(lengths.max()))), file["decoded"])


@torch.no_grad()
def test_a_sampler_of_fewer_steps_goes_the_published_way(golden):
    file = golden("mld_sample_ddim8.npz")
    assert latent_chain(1000, kept=8).levels == file["timesteps"][::-1].tolist()
    assert_published(run(build(file), file)[-1], batch_first(file["z"]))


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
    assert_published(x0_hat, file["m_rst"])
    losses = stage.losses(x0_hat, x0, posterior)
    assert_published(losses.features.mean(), file["recons_feature"])
    assert_published(losses.joints.mean(), file["recons_joints"])
    assert_published(losses.kl.mean(), file["kl_motion"])
    total = (losses.features + config.joint_weight * losses.joints + config.kl_weight * losses.kl).mean()
    assert_published(total, file["total"])
    assert_gradients_published(stage, total, file["grad_norm_total"])


def test_the_loss_of_the_denoiser_and_its_gradient_are_the_published_ones(golden):
    file = golden("mld_loss_diffusion.npz")
    model = build(file)
    z0, noise, t = batch_first(file["z"]), tensor(file["noise"]), tensor(file["t"])
    z_t = model.noised(z0, noise, t)
    assert_published(z_t, file["noisy"])
    noise_hat = model.denoiser(z_t, t, tensor(file["text"]))
    assert_published(noise_hat, file["noise_pred"])
    loss = noise_loss(noise_hat, noise).mean()
    assert_published(loss, file["total"])
    assert_gradients_published(model, loss, file["grad_norm_total"])
    assert_published(model.clean(z_t, noise, t), z0)
