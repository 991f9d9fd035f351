"""From a sentence or a motion file to a page of results."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.apps.export import save_motion
from atm.apps.retrieve.command import MOST, retrieve
from atm.base.errors import InputError
from atm.data.humanml3d import open_dataset
from atm.motion import HUMANML3D
from atm.motion.layers import Normaliser
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform
from atm.space import Space, SpaceConfig, save_space
from atm.text import load_text_encoder
from folders import make_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data, a tiny space with random weights, and a motion that claps."""
    place = tmp_path_factory.mktemp("retrieve")
    make_folder(place / "data", clips=24)
    config = SpaceConfig(
        width=8, feed_forward=16, layers=1, decoder_layers=1, heads=1, text_encoder="minilm", sentence_encoder="minilm"
    )
    torch.manual_seed(0)
    save_space(Space(config, load_text_encoder(), Normaliser.identity(263)), place / "space.safetensors")
    joints = perform(Program((Action("clap", 3),)), np.random.default_rng(0))
    save_motion(place / "clap.npz", joints, skeleton=HUMANML3D, text="a clap")
    return place


@pytest.fixture
def search(place, monkeypatch):
    monkeypatch.setenv("ATM_CACHE", str(place / "cache"))

    def run(query: str, **options):
        known = {
            "data": place / "data",
            "space": place / "space.safetensors",
            "split": "train",
            "out": place / "r.html",
        }
        return retrieve(query, **(known | options), show_progress=False)

    return run


def view_of(page: Path) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page.read_text())[1])


def test_a_sentence_finds_motions_and_the_page_shows_them_in_their_order(search, place):
    found = search("a person walks", top=4)
    assert len(found.hits) == 4
    view = view_of(place / "r.html")
    assert [pane["label"] for pane in view["panes"]] == [
        f"{k}: {hit.cosine:.3f}" for k, hit in enumerate(found.hits, 1)
    ]
    assert [pane["caption"] for pane in view["panes"]] == [f"“{hit.text}”" for hit in found.hits]
    lengths = {item.id: item.frames for item in open_dataset(place / "data", "train").items}
    assert found.hits[0].item.frames == lengths[found.hits[0].item.id]


def test_a_motion_finds_captions_and_stands_before_them(search, place):
    found = search(str(place / "clap.npz"), top=6)
    assert len({hit.text for hit in found.hits}) == 6
    panes = view_of(place / "r.html")["panes"]
    assert panes[0]["label"] == "query" and panes[0]["caption"] == "“a clap”"
    # Two captions of one motion are one figure, at the better one's place.
    assert len(panes) == 1 + len({hit.item.id for hit in found.hits})


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (" ", {}, "the sentence is empty"),
        ("nowhere.npz", {}, "no such motion file: nowhere.npz"),
        ("he walks", {"top": 0}, f"top must be 1 to {MOST}, got 0"),
        ("he walks", {"out": Path("r.csv")}, "ends in .html, got r.csv"),
        ("he walks", {"split": "all"}, "no split 'all'"),
        ("he walks", {"space": Path("nowhere")}, "no model at nowhere"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, query, options, message):
    with pytest.raises(InputError, match=message):
        search(query, **options)


def test_a_space_of_another_data_set_is_refused(search, tmp_path):
    with pytest.raises(InputError, match="trained on 263 features per frame, but the data set has 251"):
        search("he walks", data=make_folder(tmp_path / "kit", clips=8, width=251))
