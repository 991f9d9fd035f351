"""Sampling steps that are asked for: the network runs so often, the model's own number changes nothing, more are
refused."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from atm.base.errors import InputError
from atm.generators.causal_flow.model import CausalFlow
from atm.generators.causal_flow.presets import causal_flow_small
from atm.generators.mdm.model import MDM
from atm.generators.mdm.presets import mdm_small
from atm.generators.mld.model import MLD
from atm.generators.mld.presets import mld_humanml3d_frames
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.motiondiffuse.presets import motiondiffuse_small
from atm.generators.parts.inputs import check_steps
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

SIZES = {"width": 16, "heads": 2, "feed_forward": 16, "layers": 1, "max_frames": 24}
NOISE = {"diffusion_steps": 24, "sampling_steps": 4}
FLOW = {"front_layers": 1, "head_width": 16, "head_layers": 1, "latent_width": 10, "prefix_latents": 3}
TEXT_LAYERS = {"text_window": 6, "text_width": 8, "text_heads": 2, "text_feed_forward": 16, "text_layers": 1}
FRAMES = torch.tensor([8])


def make(kind: type[nn.Module], preset: Callable, sizes: dict) -> nn.Module:
    torch.manual_seed(0)
    config = preset().model_copy(update=SIZES | sizes | {"text_encoder": "fake"})
    model = kind(config, FakeTextEncoder(8), Normaliser.identity(263)).eval()
    for weight in model.parameters():
        if (weight == 0).all():  # a fresh MotionDiffuse ends in zeros, so that nothing could be seen
            nn.init.normal_(weight, std=0.3)
    return model


def each_model() -> list:
    """Return (model, what runs once in a step, steps at most); a flow runs its head once for each of 2 latents."""
    mdm, motiondiffuse = make(MDM, mdm_small, NOISE), make(MotionDiffuse, motiondiffuse_small, NOISE | TEXT_LAYERS)
    mld, flow = make(MLD, mld_humanml3d_frames, NOISE), make(CausalFlow, causal_flow_small, FLOW)
    return [
        pytest.param(mdm, lambda model: model, 1, 24, id="mdm"),
        pytest.param(motiondiffuse, lambda model: model, 1, 24, id="motiondiffuse"),
        pytest.param(mld, lambda model: model.denoiser, 1, 12, id="mld"),
        pytest.param(flow, lambda model: model.head, 2, 100, id="causal_flow"),
    ]


EACH_MODEL = pytest.mark.parametrize(("model", "network", "each", "most"), each_model())


@EACH_MODEL
def test_the_network_runs_as_often_as_steps_are_asked_for(model, network, each, most):
    runs: list[int] = []
    hook = network(model).register_forward_hook(lambda *_: runs.append(1))
    try:
        for steps in (1, 5, most):
            runs.clear()
            motion = model.sample(["walk"], FRAMES, seeds=[0], steps=steps)
            assert len(runs) == each * steps
            assert motion.features.isfinite().all()
    finally:
        hook.remove()


@EACH_MODEL
def test_a_models_own_number_of_steps_gives_its_own_motion_and_another_number_another(model, network, each, most):
    own, same, other = (
        model.sample(["walk"], FRAMES, seeds=[0], steps=steps).features
        for steps in (None, model.config.sampling_steps, model.config.sampling_steps + 3)
    )
    torch.testing.assert_close(same, own, rtol=0, atol=0)
    assert not torch.allclose(other, own)


@EACH_MODEL
def test_steps_that_a_model_cannot_go_are_refused(model, network, each, most):
    assert model.capabilities.steps == most
    for steps in (0, -1, most + 1):
        with pytest.raises(InputError, match=f"steps must be 1 to {most} for this model, got {steps}"):
            model.sample(["walk"], FRAMES, seeds=[0], steps=steps)


def test_all_levels_of_a_shortened_chain_are_the_whole_chain():
    model = make(MDM, mdm_small, NOISE)
    whole = make(MDM, mdm_small, NOISE | {"sampling_steps": None})
    asked = model.sample(["walk"], FRAMES, seeds=[0], steps=24).features
    torch.testing.assert_close(asked, whole.sample(["walk"], FRAMES, seeds=[0]).features, rtol=0, atol=0)


def test_a_model_without_steps_says_so():
    check_steps(None, 0)
    with pytest.raises(InputError, match="this model has no sampling steps to choose, got 5: leave steps out"):
        check_steps(5, 0)
