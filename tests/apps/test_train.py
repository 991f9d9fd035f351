"""From a config to a run: which model is built, what it starts from, and what is refused."""

import numpy as np
import pytest
import torch

from atm import cli
from atm.apps import train as start
from atm.base.config import load, override
from atm.base.errors import InputError
from atm.base.storage import read_model
from atm.models import load_generator
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig, save_space
from atm.text import load_text_encoder
from atm.training.config import TrainConfig
from atm.training.presets import all_presets, preset
from atm.training.record import RunFolder
from folders import make_folder

TINY_MDM = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]
SHORT = ["steps=2", "batch_size=4", "precision=32-true", "log_every=1"]


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder()


@pytest.fixture(autouse=True)
def one_language_model(minilm, monkeypatch):
    """Loaded once for all tests of the file."""
    monkeypatch.setattr(start, "load_text_encoder", lambda _name: minilm)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data") / "data", clips=16)


@pytest.fixture(scope="module")
def space(tmp_path_factory, minilm):
    path = tmp_path_factory.mktemp("space") / "space.safetensors"
    save_space(tiny_space(minilm), path)
    return path


def tiny_space(minilm, width: int = 263) -> Space:
    config = SpaceConfig(width=8, feed_forward=8, layers=1, decoder_layers=1, heads=1, text_encoder="minilm")
    return Space(config, minilm, Normaliser.identity(width))


def mdm(data, *settings: str, name: str = "mdm_small") -> TrainConfig:
    return override(preset(name), [f"data={data}", *TINY_MDM, *SHORT, *settings])


def train(config, out, **options):
    return start.start(config, out, show_progress=False, **options)


def test_an_aligned_run_goes_from_config_to_model(tmp_path, data, space, minilm):
    config = mdm(data, f"alignment.space={space}", "seed=3", name="mdm_small_atm")
    assert train(config, tmp_path / "run").finished
    run = RunFolder(tmp_path / "run")
    assert load(TrainConfig, run.config) == config
    assert any(name.startswith("alignment/") for name in run.read_metrics()[-1])
    assert load_generator(run.path, minilm).config == config.model


@pytest.mark.parametrize("name", ["space_scripted", "evaluator_scripted"])
def test_spaces_and_evaluators_train_by_the_same_loop(tmp_path, data, name):
    tiny = {
        "space_scripted": ["model.width=8", "model.feed_forward=8", "model.layers=1", "model.heads=2"],
        "evaluator_scripted": ["model.motion_width=8", "model.movement_width=8", "model.text_width=8"],
    }[name]
    config = override(preset(name), [f"data={data}", *tiny, *SHORT, "validate_every=1"])
    assert train(config, tmp_path / "run").finished
    assert read_model(tmp_path / "run" / "model.safetensors").kind == name.partition("_")[0]
    assert any("validation_loss" in line for line in RunFolder(tmp_path / "run").read_metrics())
    assert start.resume(tmp_path / "run", show_progress=False).finished


def test_a_run_from_a_model_takes_its_config_and_continues_its_weights(tmp_path, data):
    train(mdm(data, "ema=none"), tmp_path / "first")
    wider = mdm(data, "model.width=32", "learning_rate=1e-30", "ema=none", "steps=1")
    train(start.with_model_of(wider, tmp_path / "first"), tmp_path / "second", from_model=tmp_path / "first")
    first, second = (read_model(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert second.config == first.config and second.config["width"] == 16
    for name, value in first.state.items():
        torch.testing.assert_close(second.state[name], value)


def test_a_run_that_starts_from_a_model_takes_its_config_and_the_changes_to_it(tmp_path, data, monkeypatch):
    """The preset has another guidance and another dropout of the text than the first run: of the command's settings,
    that of the guidance counts."""
    train(mdm(data, "model.guidance_scale=3.5", "model.condition_dropout=0.2"), tmp_path / "first")
    settings = [f"data={data}", *SHORT, "model.guidance_scale=1.5"]
    folders = ["--from", str(tmp_path / "first"), "--out", str(tmp_path / "second")]
    monkeypatch.setattr("sys.argv", ["atm", "train", "mdm_small", *settings, *folders, "--quiet"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    model = load(TrainConfig, RunFolder(tmp_path / "second").config).model
    assert (model.guidance_scale, model.condition_dropout, model.width) == (1.5, 0.2, 16)


def test_changes_that_the_weights_do_not_fit_are_refused(tmp_path, data):
    train(mdm(data), tmp_path / "first")
    with pytest.raises(InputError, match="first"):
        train(mdm(data, "model.layers=2"), tmp_path / "second", from_model=tmp_path / "first")


def test_an_evaluator_that_goes_on_keeps_its_words(tmp_path, data):
    """Row i of its table belongs to word i, whatever the new data says."""
    config = override(preset("evaluator_scripted"), [f"data={data}", *SHORT, "model.motion_width=8"])
    train(config, tmp_path / "first")
    other = make_folder(tmp_path / "other", clips=9)
    for file in (other / "texts").glob("*.txt"):
        file.write_text("someone dances#someone/PRON dance/VERB#0.0#0.0\n")
    going_on = start.with_model_of(config.model_copy(update={"data": str(other)}), tmp_path / "first")
    train(going_on, tmp_path / "second", from_model=tmp_path / "first")
    first, second = (read_model(tmp_path / name / "model.safetensors").config for name in ("first", "second"))
    assert second["vocabulary"] == first["vocabulary"]


def test_a_model_of_another_kind_is_no_start(data, space):
    with pytest.raises(InputError, match="holds a model of kind 'space', but the preset trains 'mdm'"):
        start.with_model_of(mdm(data), space)


def test_a_model_of_other_features_is_no_start(tmp_path, data):
    train(mdm(make_folder(tmp_path / "kit", width=251)), tmp_path / "first")
    with pytest.raises(InputError, match=r"normaliser.mean \(251,\) instead of \(263,\)"):
        train(mdm(data), tmp_path / "second", from_model=tmp_path / "first")


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path, data):
    train(mdm(data), tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already: go on with `atm train --resume"):
        train(mdm(data, "seed=9"), tmp_path / "run")
    assert RunFolder(tmp_path / "run").read_record()["seed"] == 0


def test_data_must_be_given_and_be_there(tmp_path, data):
    with pytest.raises(InputError, match="no data: give data=DIR"):
        train(mdm("none"), tmp_path / "run")
    with pytest.raises(InputError, match="no data folder at"):
        train(mdm(tmp_path / "nowhere"), tmp_path / "run")


def test_a_space_must_be_there_be_a_space_and_fit_the_data(tmp_path, data, space, minilm):
    def aligned(path):
        return mdm(data, f"alignment.space={path}")

    with pytest.raises(InputError, match="no model at"):
        train(aligned(tmp_path / "nowhere"), tmp_path / "run")
    train(mdm(data), tmp_path / "generator")
    with pytest.raises(InputError, match="expected a text-motion space, but .* holds a model of kind 'generator'"):
        train(aligned(tmp_path / "generator"), tmp_path / "run")
    save_space(tiny_space(minilm, width=251), tmp_path / "kit.safetensors")
    with pytest.raises(InputError, match="trained on 251 features per frame, but the data set has 263"):
        train(aligned(tmp_path / "kit.safetensors"), tmp_path / "run")
    with pytest.raises(InputError, match="need a motion"):
        config = override(preset("space_scripted"), [f"data={data}", *SHORT, f"alignment.space={space}"])
        train(config, tmp_path / "run")


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path):
    with pytest.raises(InputError, match="is not a run folder: there is no config.yaml in it"):
        start.resume(tmp_path)
    (tmp_path / "config.yaml").write_text("- not\n- a config\n")
    with pytest.raises(InputError, match="is no config"):
        start.resume(tmp_path)


def test_a_run_whose_data_was_moved_says_so_and_goes_on_with_the_new_place(tmp_path, monkeypatch):
    """What it is told once stands in its config: the next time it needs no word."""
    make_folder(tmp_path / "data", clips=16)
    train(mdm(tmp_path / "data", "steps=2"), tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text(
        (tmp_path / "run" / "config.yaml").read_text().replace("steps: 2", "steps: 4", 1)
    )
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"the data of .*run, .*data, is not there: .*--resume .*run data=DIR"):
        start.resume(tmp_path / "run", show_progress=False)
    monkeypatch.setattr(
        "sys.argv", ["atm", "train", "--resume", str(tmp_path / "run"), f"data={tmp_path / 'elsewhere'}", "--quiet"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code and RunFolder(tmp_path / "run").read_metrics()[-1]["step"] == 4
    assert start.resume(tmp_path / "run", show_progress=False).finished


def test_a_run_does_not_go_on_with_other_data(tmp_path, data):
    train(mdm(data), tmp_path / "run")
    other = make_folder(tmp_path / "other", clips=16)
    np.save(other / "Mean.npy", np.full(263, 0.5, np.float32))
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(InputError, match=r"other is not the data of .*run: its Mean.npy is another"):
        start.resume(tmp_path / "run", data=other, show_progress=False)
    with pytest.raises(InputError, match="is no folder"):
        start.resume(tmp_path / "run", data=tmp_path / "nowhere", show_progress=False)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before


def test_a_checkpoint_with_nan_is_not_gone_on_with(tmp_path, data):
    train(mdm(data), tmp_path / "run")
    file = RunFolder(tmp_path / "run").checkpoint
    saved = torch.load(file, weights_only=True)
    name = next(name for name, value in saved["model"].items() if value.ndim == 2)
    saved["model"][name][0, 0] = float("nan")
    torch.save(saved, file)
    with pytest.raises(InputError, match=rf"last.pt holds weights that are NaN or infinite \({name}: 1 of"):
        start.resume(tmp_path / "run", show_progress=False)


def test_a_clip_that_cannot_be_read_is_left_out_and_named(tmp_path):
    data = make_folder(tmp_path / "data", clips=16)
    (data / "new_joint_vecs" / "000001.npy").write_bytes(b"torn")
    with pytest.warns(UserWarning, match="1 clips are left out: 000001 cannot be read"):
        train(mdm(data), tmp_path / "run")


@pytest.mark.parametrize("name", all_presets())
def test_every_preset_is_a_valid_config(name):
    """`model_copy` does not validate, so a table row could hold what no user may set."""
    config = preset(name)
    assert TrainConfig.model_validate(config.model_dump()) == config
    assert (config.alignment is not None) == name.endswith("_atm")


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'mdm_humanml3d'"):
        preset("mdm_humanml")
