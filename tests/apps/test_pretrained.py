"""Models in folders of a hub's layout: checked when they are loaded, and had from the hub by its own library."""

import hashlib
import json
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from safetensors import safe_open

import atm
from atm.base.storage import find_model

WALK = "a person walks forward"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return model.save_pretrained(tmp_path / "kept")


@pytest.fixture
def hub(folder, tmp_path, monkeypatch) -> Path:
    """The hub library's own cache, offline, with one model; gives the folder of its files."""
    cache = tmp_path / "hub" / "models--someone--walker"
    snapshot = cache / "snapshots" / REVISION
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(REVISION)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_a_folder_holds_weights_statistics_config_card_and_digests(model, folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "manifest.json", "model.safetensors",
    ]  # fmt: skip
    assert json.loads((folder / "config.json").read_text()) == json.loads(model.generator.config.model_dump_json())
    with safe_open(folder / "model.safetensors", framework="np") as file:
        np.testing.assert_array_equal(file.get_tensor("normaliser.mean"), model.generator.normaliser.mean.cpu())
        np.testing.assert_array_equal(file.get_tensor("normaliser.std"), model.generator.normaliser.std.cpu())
    digests = json.loads((folder / "manifest.json").read_text())
    assert digests == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("README.md", "config.json", "model.safetensors")
    }
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: atm\ntags:\n- text-to-motion\n---\n") and "up to 9.8 s" in card


def test_a_model_comes_back_from_its_folder_moved_anywhere(model, folder, tmp_path):
    moved = folder.rename(tmp_path / "elsewhere")
    for again in (atm.TextToMotion.from_pretrained(moved), atm.load(moved)):
        np.testing.assert_array_equal(again.generate(WALK, seconds=1).joints, model.generate(WALK, seconds=1).joints)
    with pytest.raises(atm.InputError, match="is there already"):
        model.save_pretrained(moved)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
@pytest.mark.parametrize("load", [atm.load, find_model], ids=["Python", "commands"])
def test_a_folder_whose_files_are_not_those_of_its_manifest_is_refused(folder, name, load):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(atm.InputError, match=f"{name} is not what manifest.json says"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(atm.InputError, match="is no folder of save_pretrained"):
        load(folder)


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("", "is no folder of save_pretrained: Expecting value"),
        ("[]", "its manifest.json does not name model.safetensors"),
        ('{"config.json": "0"}', "its manifest.json does not name model.safetensors"),
        ('{"model.safetensors": "0", "../x": "0"}', "names '../x', which is no file of the folder"),
        ('{"model.safetensors": 5}', "model.safetensors is not what manifest.json says"),
    ],
)
def test_a_manifest_that_is_none_is_refused(folder, manifest, sentence):
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(atm.InputError, match=sentence):
        atm.load(folder)


def test_a_folder_without_a_manifest_is_none_of_save_pretrained(folder):
    (folder / "manifest.json").unlink()
    with pytest.raises(atm.InputError, match="is no folder of save_pretrained"):
        atm.TextToMotion.from_pretrained(folder)
    assert atm.load(folder).name == "mdm", "a run folder has no manifest"


@pytest.mark.parametrize(
    "name", ["hf://someone/walker", f"hf://someone/walker@{REVISION}", Path("hf://someone/walker")]
)
def test_a_model_of_the_hub_is_loaded_by_its_name(model, hub, name):
    loaded = atm.load(name)
    assert loaded.file == hub / "model.safetensors"
    np.testing.assert_array_equal(loaded.generate(WALK, seconds=1).joints, model.generate(WALK, seconds=1).joints)


def test_a_file_of_the_hub_that_came_over_damaged_is_refused(hub):
    (hub / "config.json").write_text("{}")
    for load in (atm.load, atm.TextToMotion.from_pretrained):
        with pytest.raises(atm.InputError, match="config.json is not what manifest.json says"):
            load("hf://someone/walker")
    (hub / "manifest.json").unlink()
    with pytest.raises(atm.InputError, match="is no folder of save_pretrained"):
        atm.load("hf://someone/walker")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "hf://someone/jogger",
            "hf://someone/jogger cannot be had from the hub: .*; check the name and the connection",
        ),
        ("hf://walker", "a model on the hub is hf://OWNER/NAME or hf://OWNER/NAME@REVISION, got 'hf://walker'"),
        ("hf://a/b/c", "a model on the hub is hf://OWNER/NAME"),
        ("hf://--/..", "cannot be had from the hub"),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(hub, name, sentence):
    with pytest.raises(atm.InputError, match=sentence) as error:
        atm.load(name)
    assert "\n" not in str(error.value)


def test_without_the_hubs_library_its_name_is_said(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(atm.InputError, match="needs huggingface_hub: pip install huggingface_hub"):
        atm.load("hf://someone/walker")
