"""`atm import`: a tiny published checkpoint of every system becomes a run folder that the other commands take."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import REMODIFFUSE, WRITERS, Written, evaluator, mdm, mld, momask, motiondiffuse, statistics, tmr

from atm.apps.importing import find_system, import_published, list_systems
from atm.apps.importing.recognise import recognised
from atm.apps.pack import pack
from atm.base.errors import InputError
from atm.cli.app import run as atm
from atm.evaluation.weights import load_evaluator
from atm.generators.mdm.presets import mdm_humanml3d_50
from atm.generators.remodiffuse import weights as remodiffuse_weights
from atm.models import GENERATORS, find_spec, load_generator
from atm.motion import Motion
from atm.space import load_space
from atm.text.encoders import MODELS
from doubles import FakeTextEncoder

NOT_PUBLISHED = ("code_sum", "code_count")
"""Averages behind a tokeniser's codes."""

PUBLISHED = [name for name in GENERATORS if name != "causal_flow"]
"""CausalFlow is ours: nobody published a checkpoint of it."""


@pytest.fixture(autouse=True)
def small_remodiffuse(monkeypatch):
    small = {width: known._replace(config=REMODIFFUSE) for width, known in remodiffuse_weights.PUBLISHED.items()}
    monkeypatch.setattr(remodiffuse_weights, "PUBLISHED", small)


def imported(system: str, written: Written, run: Path, **options):
    return import_published(system, written.path, run, show_progress=False, **dict(written.options) | options)


def encoder_of(config) -> FakeTextEncoder:
    return FakeTextEncoder(MODELS[config.text_encoder].width, config.text_encoder)


def load(system: str, run: Path, like):
    if system == "evaluator":
        return load_evaluator(run / "model.safetensors")
    encoder = encoder_of(like.config)
    return load_space(run, encoder).eval() if system == "tmr" else load_generator(run, encoder)


@pytest.mark.parametrize("system", WRITERS)
def test_a_published_checkpoint_becomes_a_run_with_its_weights_and_where_they_are_from(tmp_path, system):
    written, run = WRITERS[system](tmp_path / "theirs"), tmp_path / "run"
    outcome = imported(system, written, run)
    assert outcome.path == run
    model = load(system, run, written.model)
    for key, value in written.model.state_dict().items():
        if not key.startswith("normaliser.") and not key.endswith(NOT_PUBLISHED):
            torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=0)
    record = json.loads((run / "record.json").read_text())
    assert (record["imported"], record["recognised"]) == (system, outcome.recognised)
    for file, digest in record["source"].items():
        assert hashlib.sha256(Path(file).read_bytes()).hexdigest() == digest
    assert pack(run, tmp_path / "packed.safetensors").stat().st_size < (run / "model.safetensors").stat().st_size


@pytest.mark.parametrize("system", PUBLISHED)
def test_an_imported_generator_generates(tmp_path, system):
    written, run = WRITERS[system](tmp_path / "theirs"), tmp_path / "run"
    imported(system, written, run)
    motion = load(system, run, written.model).sample(["he walks", "she sits"], torch.tensor([40, 24]), seeds=[1, 2])
    assert motion.features[motion.mask].isfinite().all()
    assert motion.features.shape[2] == 263


def test_an_imported_evaluator_and_space_embed(tmp_path):
    """Both on the statistics that lie beside their weights."""
    motion = Motion(torch.randn(2, 40, 263), torch.tensor([40, 24]))
    imported("evaluator", evaluator(tmp_path / "evaluator"), tmp_path / "e")
    assert load_evaluator(tmp_path / "e" / "model.safetensors").encode_motion(motion).shape == (2, 5)
    written = tmr(tmp_path / "tmr")
    imported("tmr", written, tmp_path / "t")
    assert load("tmr", tmp_path / "t", written.model).encode_motion(motion).shape == (2, 16)


@pytest.mark.parametrize(
    ("system", "features", "name", "changes"),
    [
        ("mdm", 263, "mdm_humanml3d", "width=16, layers=1, diffusion_steps=6"),
        ("mdm", 251, "mdm_kit", "width=16, layers=1, diffusion_steps=6"),
        ("mld", 251, "mld_kit", "autoencoder.width=8"),
        ("momask", 251, "momask_kit", "rvq.width=8"),
        ("bamm", 263, "bamm_humanml3d", "rvq.width=8"),
        ("evaluator", 251, "evaluator_kit", "movement_width=8"),
    ],
)
def test_what_was_recognised_is_the_nearest_published_model_and_what_differs(tmp_path, system, features, name, changes):
    said = imported(system, WRITERS[system](tmp_path / "theirs", features), tmp_path / "run").recognised
    body = {263: "HumanML3D, 22 joints, 20 fps", 251: "KIT-ML, 21 joints, 12.5 fps"}[features]
    assert said.startswith(f"{name} ({features} features per frame: {body}), but ")
    assert changes in said
    assert "database" not in said and "vocabulary" not in said


def test_a_model_just_as_published_is_told_by_its_name_alone():
    presets = find_system("mdm").release.presets
    assert recognised(mdm_humanml3d_50(), 263, presets) == (
        "mdm_humanml3d_50 (263 features per frame: HumanML3D, 22 joints, 20 fps)"
    )


def test_every_generator_of_the_house_can_be_imported_and_the_list_says_how():
    said = list_systems()
    for name in PUBLISHED:
        release = find_spec(name).release
        for words in (f"{name}\n", release.files, release.supports, release.licence):
            assert words in said
    assert "\ntmr\n" in said and "\nevaluator\n" in said
    assert set(WRITERS) == {*PUBLISHED, "tmr", "evaluator"}


@pytest.mark.parametrize(("system", "files"), [("mdm", "Mean.npy and Std.npy"), ("mld", "Mean.npy and Std.npy")])
def test_statistics_are_asked_for_where_the_checkpoint_has_none(tmp_path, system, files):
    written = WRITERS[system](tmp_path / "theirs")
    with pytest.raises(InputError, match=rf"no statistics beside its weights: give the folder with {files}.*--stats"):
        import_published(system, written.path, tmp_path / "run", show_progress=False)
    with pytest.raises(InputError, match=r"Mean\.npy"):
        import_published(system, written.path, tmp_path / "run", stats=tmp_path, show_progress=False)
    kit = statistics(tmp_path / "kit", 251, ("Mean.npy", "Std.npy"))
    with pytest.raises(
        InputError, match=r"263 features per frame \(HumanML3D\), but the statistics are of 251 .*KIT-ML"
    ):
        import_published(system, written.path, tmp_path / "run", stats=kit, show_progress=False)
    assert not (tmp_path / "run").exists()


def test_statistics_that_contradict_those_of_the_checkpoint_are_not_passed_over(tmp_path):
    written, other = momask(tmp_path / "theirs"), tmp_path / "other"
    imported("momask", written, tmp_path / "same", stats=written.path / "rvq_tiny" / "meta")
    statistics(other, 263)
    np.save(other / "std.npy", np.full(263, 2.0, np.float32))
    with pytest.raises(InputError, match="statistics beside it, which differ .* leave out --stats"):
        imported("momask", written, tmp_path / "run", stats=other)


@pytest.mark.parametrize(
    ("system", "write", "other"),
    [("mdm", mld, "mld"), ("mld", mdm, "mdm"), ("motiondiffuse", mld, "mld"), ("tmr", motiondiffuse, "motiondiffuse")],
)
def test_a_checkpoint_of_another_system_is_told_by_its_keys(tmp_path, system, write, other):
    path = write(tmp_path / "theirs").path
    file = path if path.is_file() else next(file for file in path.rglob("*") if file.suffix in (".pt", ".tar"))
    if system == "tmr":
        file = file.rename(file.with_suffix(".ckpt"))
    with pytest.raises(InputError, match=rf"is no checkpoint of {system}: it has keys that `atm import {other}` reads"):
        import_published(system, file, tmp_path / "run", show_progress=False)


def broken(system: str, folder: Path) -> Written:
    """A checkpoint of which one key is renamed and one has another shape."""
    written = WRITERS[system](folder)
    file = find_system(system).release.weight_files(written.path)[0]
    content = torch.load(file)
    tables = [value for value in content.values() if isinstance(value, dict) and len(value) > 2]
    table = content if not tables else tables[0]
    keys = [key for key, value in table.items() if isinstance(value, torch.Tensor) and value.numel() > 1]
    keys = [key for key in keys if not key.startswith(("clip", "t2m_", "sequence_pos")) and not key.endswith("pe")]
    first, last = keys[2], keys[-1]
    table[f"{first}.tail"] = table.pop(first)
    table[last] = torch.zeros(7, 7, 7, 7)
    torch.save(content, file)
    return written


@pytest.mark.parametrize("system", WRITERS)
def test_keys_that_are_missing_unknown_or_misshapen_are_named_for_every_system(tmp_path, system):
    with pytest.raises(InputError) as error:
        imported(system, broken(system, tmp_path / "theirs"), tmp_path / "run")
    for words in ("1 keys missing", "1 keys unknown", ".tail", "keys of another shape", "(7, 7, 7, 7) instead of"):
        assert words in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("system", WRITERS)
def test_a_truncated_checkpoint_is_said_to_be_damaged_for_every_system(tmp_path, system):
    written = WRITERS[system](tmp_path / "theirs")
    file = find_system(system).release.weight_files(written.path)[0]
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"cannot read .* damaged"):
        imported(system, written, tmp_path / "run")


def with_options(system: str, folder: Path) -> Written:
    """A checkpoint that holds the options of its training as an object, in each of its files."""
    written = WRITERS[system](folder)
    for file in find_system(system).release.weight_files(written.path):
        content = torch.load(file)
        table = {"model": content} if all(isinstance(value, torch.Tensor) for value in content.values()) else content
        torch.save(table | {"options": argparse.Namespace(lr=0.4)}, file)
    return written


@pytest.mark.parametrize("system", [name for name in WRITERS if name != "tmr"])
def test_a_checkpoint_that_asks_for_more_than_weights_is_read_when_it_is_trusted(tmp_path, system):
    """Every system hands the trust on to every file that it reads."""
    written = with_options(system, tmp_path / "theirs")
    with pytest.raises(InputError, match=r"run argparse\.Namespace\. Nothing was run\. .*--trust"):
        imported(system, written, tmp_path / "run")
    imported(system, written, tmp_path / "run", trust=True)


def test_a_tmr_of_kit_is_for_retrieval_only_and_says_so(tmp_path):
    """By its folder's name or its options; the weights of both take 263 features."""
    outcome = imported("tmr", tmr(tmp_path / "theirs", data="kitml"), tmp_path / "run")
    assert "retrieval only" in outcome.notes[0]
    written = tmr(tmp_path / "named otherwise")
    assert imported("tmr", written, tmp_path / "humanml3d").notes == []
    (written.path / "config.json").write_text('{"data": {"path": "datasets/annotations/kitml"}}')
    (tmp_path / "named otherwise" / "stats" / "humanml3d").rename(tmp_path / "named otherwise" / "stats" / "kitml")
    folder = written.path.rename(written.path.with_name("tmr"))
    assert "retrieval only" in import_published("tmr", folder, tmp_path / "kit", show_progress=False).notes[0]


def test_a_remodiffuse_says_what_it_retrieves_from(tmp_path):
    written = WRITERS["remodiffuse"](tmp_path / "theirs")
    file = tmp_path / "theirs" / "data" / "database" / "t2m_text_train.npz"
    assert str(file) in imported("remodiffuse", written, tmp_path / "a").notes[0]
    moved = file.rename(tmp_path / "database.npz")
    assert "--database" in imported("remodiffuse", written, tmp_path / "b").notes[0]
    assert str(moved) in imported("remodiffuse", written, tmp_path / "c", database=moved).notes[0]


def test_what_a_system_does_not_take_and_a_folder_in_use_are_refused(tmp_path):
    written, run = mdm(tmp_path / "theirs"), tmp_path / "run"
    with pytest.raises(InputError, match="mdm takes no --glove"):
        imported("mdm", written, run, glove=tmp_path)
    with pytest.raises(InputError, match="unknown system 'momsk': did you mean 'momask'"):
        imported("momsk", written, run)
    with pytest.raises(InputError, match=r"there is no .*nothing: expected a published checkpoint, save/humanml"):
        import_published("mdm", tmp_path / "nothing", run)
    imported("mdm", written, run)
    with pytest.raises(InputError, match="holds a run already"):
        imported("mdm", written, run)


def command(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["atm", "import", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        atm()
    return exit_.value.code or 0


def test_the_command_prints_what_it_recognised_and_last_the_path(tmp_path, monkeypatch, capsys):
    written, run = mdm(tmp_path / "theirs"), tmp_path / "run"
    assert command(monkeypatch, "mdm", written.path, run, "--stats", written.options["stats"], "-q") == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(run)]
    assert said.err.startswith("recognised mdm_humanml3d (263 features")
    assert command(monkeypatch, "--list") == 0
    assert "mdm\n    published as  save/humanml_trans_enc_512" in capsys.readouterr().out


def test_the_command_answers_bad_input_in_one_sentence_with_exit_code_2(tmp_path, monkeypatch, capsys):
    written = with_options("mdm", tmp_path / "theirs")
    stats = ("--stats", written.options["stats"], "-q")
    for words in ((), ("mdm",), ("mdm", written.path, tmp_path / "run", *stats), ("mdn", written.path, tmp_path / "r")):
        assert command(monkeypatch, *words) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and len(said.splitlines()) == 1, said
    assert command(monkeypatch, "mdm", written.path, tmp_path / "run", *stats, "--trust") == 0


def test_weights_that_are_nan_are_refused_at_the_import(tmp_path):
    written = mdm(tmp_path / "theirs")
    file = next(written.path.glob("model*.pt"))
    weights = torch.load(file)
    name = next(iter(weights))
    torch.save(weights | {name: weights[name] * float("nan")}, file)
    with pytest.raises(InputError, match=r"hold NaN or infinite values \(1 tables, the first is .*take an earlier one"):
        imported("mdm", written, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_options_with_a_byte_order_mark_and_weights_of_a_wrapped_model_are_read(tmp_path):
    written = mdm(tmp_path / "theirs")
    options = written.path / "args.json"
    options.write_bytes(b"\xef\xbb\xbf" + options.read_bytes())
    file = next(written.path.glob("model*.pt"))
    torch.save({f"module.{key}": value for key, value in torch.load(file).items()}, file)
    assert imported("mdm", written, tmp_path / "run").path == tmp_path / "run"
