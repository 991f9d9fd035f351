"""What a space hears: forced choice and probes, on embeddings whose answers are known."""

import math

import numpy as np
import pytest
import torch

from atm.apps.probing import probe_evaluator, probe_space, probing_table
from atm.data.humanml3d import Caption, open_dataset, write_text
from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.probing import RAREST, draw_pairs, forced_choice, linear_probe, probe_all
from atm.evaluation.words import SPECIAL
from atm.meaning import differs, parse_meaning
from atm.motion.layers import Normaliser
from atm.space import Space, space_small
from atm.text import tag_words
from doubles import FakeTextEncoder
from folders import make_folder


def at(*degrees: float) -> torch.Tensor:
    radians = torch.tensor([math.radians(degree) for degree in degrees])
    return torch.stack([radians.cos(), radians.sin()], dim=1)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_forced_choice_is_the_share_of_motions_that_are_nearer_to_the_true_caption(distance):
    """Motions at 0. True captions at 10, 50, 20, 5; false ones at 20, 40, 20, 90: right, wrong, a draw, right."""
    names = ["count", "count", "side", "side"]
    found = forced_choice(at(10, 50, 20, 5), at(20, 40, 20, 90), at(0, 0, 0, 0), names, distance=distance)
    assert {name: (share["right"], share["n"]) for name, share in found.items()} == {
        "count": (0.5, 2),
        "side": (0.75, 2),
        "all": (0.625, 4),
    }


def test_a_space_that_hears_nothing_chooses_by_chance():
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert forced_choice(z, z, z.flip(0), ["count"] * 6, distance="cosine")["count"]["right"] == 0.5


def test_each_motion_has_one_pair_for_each_attribute_that_its_captions_tell():
    captions = [["a person walks", "a person walks five steps", "a man walks 5 steps"], ["a man waves his left hand"]]
    pairs = draw_pairs(captions, np.random.default_rng(0))
    assert sorted((pair.motion, pair.attribute) for pair in pairs) == [
        (0, "action"), (0, "count"), (1, "action"), (1, "side"),
    ]  # fmt: skip
    for pair in pairs:
        assert pair.text in captions[pair.motion]
        (difference,) = differs(parse_meaning(pair.text), parse_meaning(pair.false))
        assert difference.attribute == pair.attribute


def test_a_probe_reads_what_is_linear_and_only_that():
    """The first column says the label; noise says nothing, so that its probe stays near the share of one in two."""
    rng = torch.Generator().manual_seed(0)
    labels = ["left", "right"] * 100
    side = torch.tensor([-1.0, 1.0]).repeat(100)
    noise = torch.randn(200, 3, generator=rng)
    linear = torch.cat([side[:, None] + 0.1 * noise[:, :1], noise[:, 1:]], dim=1)
    probe = linear_probe(linear, labels, linear.flip(0), labels[::-1])
    assert (probe.right, probe.chance, probe.values, probe.n) == (1.0, 0.5, 2, 200)
    deaf = linear_probe(noise, labels, torch.randn(200, 3, generator=rng), labels)
    assert abs(deaf.right - 0.5) < 0.15  # four deviations of 200 coin throws


def test_values_too_rare_to_be_learnt_are_left_out():
    labels = ["1"] * RAREST + ["2"] * RAREST + ["3"] * (RAREST - 1)
    x = torch.tensor([[float(label)] for label in labels])
    probe = linear_probe(x, labels, x, labels)
    assert (probe.values, probe.n) == (2, 2 * RAREST)
    assert linear_probe(x[:RAREST], labels[:RAREST], x, labels) is None


def test_probes_learn_on_one_set_and_are_tried_on_the_other():
    captions = [[f"a person jumps {number}"] for number in ["twice", "three times"] * RAREST]

    def read(texts: list[str], motions: list[int]) -> dict[str, torch.Tensor]:
        return {"deaf": torch.ones(len(texts), 2), "keen": torch.tensor([[float("twice" in text)] for text in texts])}

    found = probe_all(read, captions, read, captions[:10])["count"]
    assert (found["keen"].right, found["keen"].n) == (1.0, 10)
    assert found["deaf"].right == 0.5


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Motions of random features whose captions say a number."""
    folder = make_folder(tmp_path_factory.mktemp("counted") / "data", clips=64)
    for i, file in enumerate(sorted((folder / "texts").iterdir())):
        text = f"a person jumps {'two' if i % 2 else 'three'} times"
        write_text(file, [Caption(text, tuple(tag_words(text)))])
    return open_dataset(folder, "train"), open_dataset(folder, "test")


def test_a_space_and_its_language_model_are_heard_at_every_stage(counted):
    train, test = counted
    config = space_small().model_copy(update={"width": 16, "feed_forward": 16, "layers": 1, "decoder_layers": 1})
    language = FakeTextEncoder()
    space = Space(config, language, Normaliser.identity(263)).eval()
    heard = probe_space(space, language, train, test, seed=0, show_progress=False)
    assert heard["forced_choice"]["count"]["n"] == len(test)
    stages = heard["probes"]["count"]
    assert set(stages) == {"sentence embedding", "mean of the token states", "space, text", "motion"}
    # Two sentences in all: what the language model says of them differs.
    assert stages["sentence embedding"]["right"] == 1
    table = probing_table(heard)
    assert "count" in table and "sentence embedding" in table


def test_an_evaluator_is_heard(counted):
    train, test = counted
    sizes = {"movement_width": 8, "motion_width": 8, "text_width": 8, "word_width": 8, "embedding": 8}
    config = EvaluatorConfig(**sizes, vocabulary=(*SPECIAL, "jump", "two", "three"))
    heard = probe_evaluator(
        Evaluator(config, Normaliser.identity(263)).eval(), train, test, seed=0, show_progress=False
    )
    assert set(heard["probes"]["count"]) == {"evaluator, text", "motion"}
