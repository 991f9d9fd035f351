"""From a run folder to a page: which batch is mined, whose losses, and what is refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.alignment import Alignment, AlignmentConfig
from atm.alignment.inter import admissible_pairs
from atm.apps.explain.command import explain_model
from atm.apps.explain.subject import Subject, open_subject
from atm.base.config import save
from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.generators.tokens.config import RVQConfig
from atm.generators.tokens.stages import RVQStage
from atm.models import save_generator
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig, save_space
from atm.text import load_text_encoder
from atm.training.config import TrainConfig
from atm.training.record import RunFolder
from folders import make_folder

MODEL = MDMConfig(
    width=16, heads=2, feed_forward=16, layers=1, diffusion_steps=4, mask_frames=True, text_encoder="minilm"
)
SPACE = SpaceConfig(
    width=8, feed_forward=16, layers=1, decoder_layers=1, heads=1, text_encoder="minilm", sentence_encoder="minilm",
    epsilon=0.97,
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Data, a tiny space, a tiny MDM as a run with the losses, and the same as a file that knows nothing."""
    place = tmp_path_factory.mktemp("explain")
    minilm = load_text_encoder()
    make_folder(place / "data", clips=24, frames=84)
    make_folder(place / "kit", clips=8, width=251, frames=84)
    torch.manual_seed(0)
    save_space(Space(SPACE, minilm, Normaliser.identity(263)), place / "space.safetensors")
    model = MDM(MODEL, minilm, Normaliser.identity(263))
    run = RunFolder(place / "run")
    run.create()
    save_generator(run.model, model)
    save_generator(place / "model.safetensors", model)
    alignment = AlignmentConfig(
        space=str(place / "space.safetensors"), epsilon=0.99, sentence_encoder="minilm", inter={"weight": 0.5},
        intra={"gamma": 1},
    )  # fmt: skip
    save(TrainConfig(model=MODEL, data=str(place / "data"), alignment=alignment, batch_size=8), run.config)
    for step in (1, 2, 3):
        run.append_metrics({"step": step, "loss": 1.0, "alignment/inter/loss": 1.0 / step})
    return place


@pytest.fixture(scope="module")
def subject(place) -> Subject:
    return open_subject(place / "run", data=None, space=None, split="train")


def test_a_page_and_its_strips_are_written_and_the_page_is_named_last(place, tmp_path):
    out = tmp_path / "new" / "why.html"
    paths = explain_model(place / "run", index=5, batches=1, out=out, show_progress=False)
    assert paths[-1] == out and len(paths) == 5
    assert {path.name for path in paths[:-1]} == {
        f"why-{what}.{suffix}" for what in ("motions", "clips") for suffix in ("png", "svg")
    }
    assert all(path.is_file() for path in paths)
    page = out.read_text()
    assert "Over the training" in page and "In batches mined now" in page
    assert re.search(r"Asked for: “[^”]*5”", page)  # the captions of clip 5 end in its number
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page), "the page fetches something"


def test_the_batch_is_drawn_by_the_seed_and_holds_the_motion_that_is_asked_for(subject):
    for index in range(len(subject.dataset)):
        batch, row = subject.batch(index, seed=3)
        assert len(batch) == 8
        assert len(set(batch.ids)) == 8
        assert batch.ids[row] == subject.dataset.items[index].id
    first, again, other = (subject.batch(None, seed)[0] for seed in (3, 3, 4))
    assert first.ids == again.ids and first.text == again.text
    assert first.ids != other.ids


def test_the_losses_are_the_runs_own(subject):
    assert subject.alignment.config.epsilon == 0.99
    assert subject.alignment.config.inter.weight == 0.5
    assert "ε = 0.99 (minilm)" in subject.losses and "weighed 0.5" in subject.losses


def test_losses_that_read_the_meaning_are_explained_with_it(subject):
    config = subject.alignment.config.model_copy(update={"similarity": "meaning", "epsilon": -1.0})
    reading = replace(subject, alignment=Alignment(config, subject.alignment.space))
    batch = reading.batch(5, seed=3)[0]
    # Nothing is below epsilon: what is a negative all the same contradicts.
    seen = reading.alignment.embed(batch.motion, batch)
    assert torch.equal(admissible_pairs(config, seen), batch.meaning.contradicts)
    assert batch.meaning.contradicts.any()
    assert reading.explain_sentence("a person walks 8", seed=0, show_progress=False).inter is not None


def test_a_model_that_knows_of_no_losses_is_explained_by_those_of_the_paper_and_the_epsilon_of_the_space(place):
    space = place / "space.safetensors"
    subject = open_subject(place / "model.safetensors", data=place / "data", space=space, split="train")
    config = subject.alignment.config
    assert (config.epsilon, config.sentence_encoder, config.intra.gamma) == (0.97, "minilm", 0.8)
    assert config.inter.weight > 0 and config.intra.weight > 0
    assert "without the losses, or does not say" in subject.losses
    assert subject.metrics == []


def test_a_run_that_mines_nothing_is_explained_by_hard_negatives_and_told_so(place, tmp_path):
    config = AlignmentConfig(
        space=str(place / "space.safetensors"),
        sentence_encoder="minilm",
        inter={"loss": "triplet"},
        intra={"weight": 0},
    )
    run = RunFolder(tmp_path / "triplet")
    run.create()
    run.model.write_bytes((place / "model.safetensors").read_bytes())
    save(TrainConfig(model=MODEL, data=str(place / "data"), alignment=config), run.config)
    subject = open_subject(run.path, data=None, space=None, split="train")
    assert subject.alignment.config.inter.loss == "hard_negative"
    assert subject.alignment.config.intra.weight > 0
    assert "triplet loss mines no hard negative" in subject.losses


def test_a_sentence_is_explained_among_the_most_alike_captions_and_a_real_motion_stands_in(subject):
    explanation = subject.explain_sentence("a person walks 8", seed=0, show_progress=False)
    assert explanation.stand_in == "a person walks 8"
    own = explanation.inter.own
    assert own.id == "000008" and own.text == "a person walks 8"
    item = subject.dataset.items[8]
    assert item.id == own.id
    assert len(own.real) == item.frames // 4 * 4
    assert explanation.inter.negative.id != own.id
    again = subject.explain_sentence("a person walks 8", seed=0, show_progress=False)
    np.testing.assert_array_equal(again.inter.own.generated, own.generated)


def test_a_tokeniser_where_token_models_have_the_losses_is_explained_by_its_reconstruction(place, tmp_path):
    config = RVQConfig(width=8, depth=1, levels=2, codes=8, code_width=4)
    run = RunFolder(tmp_path / "tokeniser")
    run.create()
    save_model(run.model, RVQStage(config, Normaliser.identity(263)), config, "stage")
    save(TrainConfig(model=config, data=str(place / "data"), batch_size=8, window=64), run.config)
    subject = open_subject(run.path, data=None, space=place / "space.safetensors", split="train")
    batch, row = subject.batch(2, seed=0)
    assert set(batch.motion.lengths.tolist()) == {64}
    explanation = subject.explain(batch, row, seed=0, sampled=False, show_progress=False)
    assert explanation.inter.own.id == subject.dataset.items[2].id
    assert explanation.noise_level is None
    with pytest.raises(InputError, match="a stage, which samples no motion"):
        subject.explain_sentence("a person walks 8", seed=0, show_progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": 18}, "the split holds motions 0 to 17, got index 18"),
        ({"index": -1}, "got index -1"),
        ({"index": 1, "text": "a person walks"}, "either an index or a text"),
        ({"text": "  "}, "the sentence is empty"),
        ({"noise": 1.2}, "between 0 .* and 1 .*, got 1.2"),
        ({"out": Path("page.pdf")}, "ends in .html, got page.pdf"),
        ({"split": "tests"}, "no split 'tests'"),
        ({"data": Path("kit")}, "trained on 263 features per frame, but .* has 251"),
        ({"space": Path("model.safetensors")}, "expected a text-motion space"),
    ],
)
def test_what_cannot_be_explained_is_refused(place, options, message, monkeypatch):
    monkeypatch.chdir(place)
    with pytest.raises(InputError, match=message):
        explain_model(Path("run"), **({"out": Path("page.html"), "show_progress": False} | options))


def test_a_model_file_needs_data(place):
    with pytest.raises(InputError, match="does not say what it was trained on: give --data DIR"):
        explain_model(place / "model.safetensors", out=Path("page.html"), show_progress=False)
