"""Every system trains by the one loop: from a preset to a run, with the losses where they act, resumable to the bit."""

import pytest
import torch

from atm.apps import train as start
from atm.apps.retrieval_database import build_database
from atm.base.config import load, override, save
from atm.base.errors import InputError
from atm.base.storage import read_model
from atm.data.humanml3d import open_dataset
from atm.generators.remodiffuse.database import write_database
from atm.models import GENERATORS, load_generator
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig, save_space
from atm.training.config import TrainConfig
from atm.training.presets import preset
from atm.training.record import RunFolder
from doubles import FakeTextEncoder
from folders import make_folder

ENCODER = FakeTextEncoder(8, "minilm")
WIDTHS = ["width=16", "heads=2", "feed_forward=16", "layers=1"]
TEXT = ["text_width=8", "text_heads=2", "text_feed_forward=16", "text_window=6"]
VAE = [*WIDTHS, "latent_tokens=2"]
TRUNK = [f"trunk.{each}" for each in WIDTHS]
CODES = ["codes=16", "code_width=8"]
CAUSAL = ["front_layers=1", "head_width=16", "head_layers=1", "latent_width=8", "prefix_latents=2"]
TINY = {
    "causal_flow": [*WIDTHS, *CAUSAL],
    "mld_vae": VAE,
    "mld": [*WIDTHS, *(f"autoencoder.{each}" for each in VAE)],
    "motiondiffuse": [*WIDTHS, *TEXT, "frame_width=8"],
    "remodiffuse": [*WIDTHS, *TEXT, "frame_width=8", "retrieval_text_heads=2"],
    "momask_rvq": [*CODES, "width=16", "depth=1", "levels=3"],
    "momask_mask": [*TRUNK, *CODES],
    "momask_residual": [*TRUNK, *CODES, "levels=3"],
    "momask_length": ["widths=[8,8,8]"],
    "bamm_transformer": [*TRUNK, *CODES],
}
GIVE_A_MOTION = ["causal_flow", "mld", "motiondiffuse", "remodiffuse", "momask_rvq"]
GIVE_NONE = ["momask_mask", "momask_residual", "momask_length", "bamm_transformer"]


class Workshop:
    """Data, a space and a database in a folder, and the runs that others start from."""

    def __init__(self, folder):
        self.folder = folder
        self.data = make_folder(folder / "data", clips=16)
        space = SpaceConfig(width=8, feed_forward=8, layers=1, decoder_layers=1, heads=1, text_encoder="minilm")
        save_space(Space(space, ENCODER, Normaliser.identity(263)), folder / "space.safetensors")
        write_database(folder / "db.safetensors", build_database(open_dataset(self.data, "train"), ENCODER))
        for name in ("mld_vae", "momask_rvq"):
            start.start(self.config(name, "steps=1"), folder / name, show_progress=False)

    def config(self, name: str, *settings: str, arm: str = "small") -> TrainConfig:
        stages = {
            "mld": ["vae=mld_vae"],
            "remodiffuse": ["database=db.safetensors"],
            "momask_mask": ["tokeniser=momask_rvq"],
            "momask_residual": ["tokeniser=momask_rvq"],
            "bamm_transformer": ["tokeniser=momask_rvq"],
        }.get(name, [])
        model = [f"model.{each}" for each in TINY[name]]
        model += [f"model.{key}={self.folder / file}" for key, _, file in (each.partition("=") for each in stages)]
        # A decay would depend on how many steps there are.
        short = ["steps=3", "batch_size=4", "precision=32-true", "log_every=1", "warmup_steps=0", "cosine_to=none"]
        return override(preset(f"{name}_{arm}"), [f"data={self.data}", *model, *short, *settings])


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workshop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATM_CACHE", str(folder / "cache"))
        patch.setattr(start, "load_text_encoder", lambda _name: ENCODER)
        yield Workshop(folder)


def train(config, out):
    return start.start(config, out, show_progress=False)


@pytest.mark.parametrize("name", TINY)
def test_a_stopped_and_resumed_run_equals_one_that_was_never_stopped(tmp_path, workshop, name):
    config = workshop.config(name)
    train(config, tmp_path / "whole")
    train(config.model_copy(update={"steps": 2}), tmp_path / "halves")
    halves = RunFolder(tmp_path / "halves")
    save(load(TrainConfig, halves.config).model_copy(update={"steps": 3}), halves.config)
    assert start.resume(halves.path, show_progress=False).finished

    ours, theirs = (read_model(tmp_path / run / "model.safetensors") for run in ("whole", "halves"))
    assert ours.kind == theirs.kind and ours.config == theirs.config
    for key, value in ours.state.items():
        assert torch.equal(value, theirs.state[key]), key
    if name in GENERATORS:
        assert load_generator(halves.path, ENCODER).config == config.model
    else:
        with pytest.raises(InputError, match=f"holds a {name}, a stage that generates nothing by itself"):
            load_generator(halves.path, ENCODER)


@pytest.mark.parametrize("name", GIVE_A_MOTION)
def test_the_losses_reach_the_weights_of_what_makes_the_motion(tmp_path, workshop, name):
    settings = ["gradient_log_every=1", "alignment.intra.gamma=1", "alignment.max_noise=1"]
    config = workshop.config(
        name, f"alignment.space={workshop.folder / 'space.safetensors'}", *settings, arm="small_atm"
    )
    assert train(config, tmp_path / "run").finished
    lines = RunFolder(tmp_path / "run").read_metrics()
    assert all(line["gradient/alignment"] > 0 and line["total"] > line["loss"] for line in lines)


@pytest.mark.parametrize("name", GIVE_NONE)
def test_where_no_motion_is_made_the_losses_are_refused(tmp_path, workshop, name):
    space = workshop.folder / "space.safetensors"
    with pytest.raises(InputError, match="need a motion"):
        train(workshop.config(name, f"alignment.space={space}"), tmp_path / "run")


def test_the_latents_of_a_causal_flow_are_those_of_its_training_split(tmp_path, workshop):
    """Fitted once, when the run begins: a resumed run has them from its checkpoint, whatever the data is then."""
    config = workshop.config("causal_flow", "steps=1")
    train(config, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    began = read_model(run.path / "model.safetensors").state["latents.components"]
    other = make_folder(tmp_path / "other", clips=16, seed=1)
    save(config.model_copy(update={"data": str(other), "steps": 2}), run.config)
    assert start.resume(run.path, show_progress=False).finished
    assert torch.equal(read_model(run.path / "model.safetensors").state["latents.components"], began)
    train(config.model_copy(update={"data": str(other)}), tmp_path / "new")
    assert not torch.equal(read_model(tmp_path / "new" / "model.safetensors").state["latents.components"], began)


def test_the_second_stage_of_mld_leaves_its_vae_as_it_was(tmp_path, workshop):
    train(workshop.config("mld"), tmp_path / "run")
    first, second = (
        read_model(path / "model.safetensors").state for path in (workshop.folder / "mld_vae", tmp_path / "run")
    )
    frozen = {key for key in first if key.startswith("vae.")}
    assert frozen and all(torch.equal(first[key], second[key]) for key in frozen)


def test_a_resumed_mld_needs_its_first_stage_no_more(tmp_path, workshop):
    config = workshop.config("mld", "steps=1")
    train(config, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    gone = config.model.model_copy(update={"vae": str(tmp_path / "gone")})
    save(config.model_copy(update={"model": gone, "steps": 2}), run.config)
    assert start.resume(run.path, show_progress=False).finished


def test_a_tokeniser_weighs_root_and_contacts_as_its_config_says(tmp_path, workshop):
    """The folder's deviations are 1 everywhere; of 263 columns, 4 of the root and 4 contacts are divided."""
    train(workshop.config("momask_rvq", "model.root_weight=5", "steps=1"), tmp_path / "run")
    std = read_model(tmp_path / "run" / "model.safetensors").state["normaliser.std"]
    assert torch.allclose(std[torch.isclose(std, torch.tensor(1.0)).logical_not()], torch.tensor(0.2))
    assert (~torch.isclose(std, torch.tensor(1.0))).sum() == 8


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("mld", "model.vae=none", "train the preset mld_vae_... first, then give model.vae=RUN"),
        ("remodiffuse", "model.database=none", "atm retrieval build DATA FILE --text-encoder minilm"),
        ("momask_mask", "model.tokeniser=none", "give model.tokeniser=RUN of a momask_rvq"),
        ("momask_residual", "model.levels=4", "the tokeniser has 3 levels, but levels=4"),
    ],
)
def test_a_training_without_what_it_builds_on_is_told_what_to_give(tmp_path, workshop, name, setting, message):
    with pytest.raises(InputError, match=message):
        train(workshop.config(name, setting), tmp_path / "run")
