"""The recipes: what a preset says beside the numbers of its publication."""

import math

import pytest

from atm.generators.mld.schedule import latent_chain
from atm.generators.parts.diffusion import noise_chain
from atm.training.presets import PRESETS, mld, motiondiffuse, preset
from atm.training.presets.row import epochs


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


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("_atm")])
def test_an_aligned_preset_is_its_baseline_and_the_losses(name):
    baseline = name.removesuffix("_atm")
    assert preset(name).model_copy(update={"alignment": None}) == preset(baseline)
