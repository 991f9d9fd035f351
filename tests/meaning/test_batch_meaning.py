"""Batches that carry what their captions say in detail."""

import torch

from atm.data.batches import BatchSampler
from atm.data.humanml3d import open_dataset
from atm.meaning import counterfactuals
from doubles import FakeTextEncoder
from folders import make_folder


def test_reading_the_meaning_changes_nothing_else_of_a_batch(tmp_path):
    dataset = open_dataset(make_folder(tmp_path / "data", clips=24), "train")
    options = {"batch_size": 6, "seed": 5}
    plain = BatchSampler(dataset, FakeTextEncoder(), **options)(3)
    read = BatchSampler(dataset, FakeTextEncoder(), **options, read_meaning=True)(3)
    assert plain.meaning is None
    assert read.text == plain.text
    assert torch.equal(read.motion.features, plain.motion.features)
    for caption, false in zip(read.text, read.meaning.counterfactual, strict=True):
        possible = [other.text for other in counterfactuals(caption) if other.attribute != "action"]
        assert false in (possible or [None])


def test_a_step_draws_its_counterfactuals_from_seed_and_step_alone(tmp_path):
    dataset = open_dataset(make_folder(tmp_path / "data", clips=24), "train")
    options = {"batch_size": 6, "seed": 5, "read_meaning": True}
    first = BatchSampler(dataset, FakeTextEncoder(), **options)
    first(0)
    assert (
        first(3).meaning.counterfactual == BatchSampler(dataset, FakeTextEncoder(), **options)(3).meaning.counterfactual
    )
