"""Tiny models with random weights, read from their files."""

import pytest
import torch

import atm
from atm.generators.causal_flow.model import CausalFlow
from atm.generators.causal_flow.presets import causal_flow_small
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.models import save_generator
from atm.motion.layers import Normaliser
from atm.text import load_text_encoder


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder()


@pytest.fixture(scope="module")
def model(tmp_path_factory, minilm) -> atm.TextToMotion:
    """A tiny MDM with random weights, read from its file."""
    torch.manual_seed(0)
    config = MDMConfig(
        width=16, heads=2, feed_forward=16, layers=1, diffusion_steps=4, mask_frames=True, text_encoder="minilm"
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_generator(path, MDM(config, minilm, Normaliser.identity(263)))
    return atm.load(path)


@pytest.fixture(scope="module")
def going_on(tmp_path_factory, minilm) -> atm.TextToMotion:
    """A tiny CausalFlow with random weights, which goes on from motions."""
    torch.manual_seed(0)
    sizes = {"width": 16, "heads": 2, "feed_forward": 24, "front_layers": 1, "layers": 2, "head_width": 16}
    sizes |= {"head_layers": 1, "latent_width": 10, "max_frames": 40, "prefix_latents": 3, "text_encoder": "minilm"}
    flow = CausalFlow(causal_flow_small().model_copy(update=sizes), minilm, Normaliser.identity(263))
    path = tmp_path_factory.mktemp("flow") / "flow.safetensors"
    save_generator(path, flow)
    return atm.load(path)
