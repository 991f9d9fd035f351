"""`atm evaluate` of a space."""

import json
from pathlib import Path

import pytest
import torch

from atm.apps.evaluate import evaluate_space, kind_of
from atm.base.packaged import named, packaged
from atm.base.storage import find_model
from atm.motion.layers import Normaliser
from atm.space import Space, save_space, space_small
from atm.text import load_text_encoder
from folders import make_folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    config = space_small().model_copy(update={"width": 16, "feed_forward": 16, "layers": 1, "decoder_layers": 1})
    torch.manual_seed(0)
    save_space(Space(config, load_text_encoder("minilm"), Normaliser.identity(263)), folder / "space.safetensors")
    return make_folder(folder / "data", clips=40), folder / "space.safetensors"


def test_a_space_is_told_from_other_things(files):
    data, space = files
    assert kind_of(space) == "space"
    assert kind_of(data) is None


def test_every_protocol_is_reported_in_both_directions_for_motions_and_clips(files, monkeypatch, tmp_path):
    monkeypatch.setenv("ATM_CACHE", str(tmp_path))
    data, space = files
    text, path = evaluate_space(space, data=data, split="train", show_progress=False)
    report = json.loads(path.read_text())
    # 30 motions are too few for batches of 32.
    assert set(report) == {"all", "threshold", "nsim", "clips", "clips threshold", "hearing"}
    assert {"t2m/R@1", "t2m/MedR", "m2t/R@10"} <= set(report["all"])
    assert "epsilon 0.85 drops" in text


def test_a_packaged_model_goes_by_its_name_where_no_file_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named(Path("space")) == packaged("space") == find_model("space")
    assert named(Path("runs/space")) == Path("runs/space")
    (tmp_path / "space").mkdir()
    assert named(Path("space")) == Path("space")
