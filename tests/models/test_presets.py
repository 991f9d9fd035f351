"""The recipes: what a preset says beside the numbers of its publication."""

import math

import pytest

from atm.generators.diffusion.steps import noise_chain
from atm.generators.mld import presets as mld
from atm.generators.mld.schedule import latent_chain
from atm.generators.motiondiffuse import presets as motiondiffuse
from atm.generators.parts.recipes import epochs
from atm.training.presets import all_presets, preset


@pytest.mark.parametrize(
    ("usable", "chain"),
    [(motiondiffuse.USABLE, noise_chain(1000, "linear", predicts="epsilon")), (mld.USABLE, latent_chain(1000))],
    ids=["motiondiffuse", "mld"],
)
def test_the_losses_look_no_further_than_where_an_error_of_the_noise_grows_tenfold(usable, chain):
    """x0_hat = (x_t - n eps) / s with s^2 = 1 - n^2: an error of eps is n / s times as large in x0_hat."""

    def factor(level: float) -> float:
        signal = math.sqrt(chain.alphas_cumprod[round(level * 999)])
        return math.sqrt(1 - signal**2) / signal

    assert factor(usable) <= 10 < factor(usable + 0.01)


def test_an_epoch_is_every_motion_once():
    assert epochs(10, motions=128, batch=64) == 20


@pytest.mark.parametrize("name", [name for name in all_presets() if name.endswith("_atm")])
def test_an_aligned_preset_is_its_baseline_and_the_losses(name):
    baseline = name.removesuffix("_atm")
    assert preset(name).model_copy(update={"alignment": None}) == preset(baseline)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("mdm_humanml3d", {"learning_rate": 1e-4, "weight_decay": 0.0, "batch_size": 64, "pad_to": 196, "ema": None}),
        ("mdm_humanml3d_50", {"ema": 0.9999}),
        # Nobody chose 0.01: it is what PyTorch takes where nothing is said.
        ("mld_vae_humanml3d", {"learning_rate": 1e-4, "weight_decay": 0.01, "batch_size": 128}),
        ("mld_humanml3d", {"learning_rate": 1e-4, "weight_decay": 0.01, "batch_size": 64}),
        ("motiondiffuse_humanml3d", {"learning_rate": 2e-4, "weight_decay": 0.0, "gradient_clip": 0.5}),
        ("remodiffuse_humanml3d", {"learning_rate": 2e-4, "cosine_to": 2e-5, "gradient_clip": None}),
        ("momask_rvq_humanml3d", {"learning_rate": 2e-4, "betas": (0.9, 0.99), "warmup_steps": 2000, "window": 64}),
        # Its README's command says --gamma 0.05; 0.1 is only the default of that option.
        ("momask_rvq_humanml3d", {"milestones": (152_000, 252_000), "milestone_factor": 0.05, "batch_size": 256}),
        # 500 epochs in batches of 32: 4,888 motions of KIT-ML are 76,000 steps.
        ("space_kit", {"steps": 76_000, "batch_size": 32}),
        ("space_humanml3d", {"steps": 370_000, "batch_size": 32}),
        ("momask_mask_kit", {"weight_decay": 1e-5, "betas": (0.9, 0.99), "milestones": (50_000,), "batch_size": 16}),
        ("momask_length_humanml3d", {"learning_rate": 1e-4, "betas": (0.9, 0.999), "gradient_clip": 0.5}),
        ("bamm_transformer_humanml3d", {"milestones": (50_000, 80_000), "weight_decay": 1e-5}),
    ],
)
def test_recipes_have_the_published_numbers(name, published):
    recipe = preset(name)
    assert {field: getattr(recipe, field) for field in published} == published
