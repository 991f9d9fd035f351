"""Batches of windows: each a span of one motion, under a caption of the whole of it."""

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.data.batches import BatchSampler
from atm.data.humanml3d import open_dataset
from doubles import FakeTextEncoder
from folders import make_folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Motions of 60, 64 and 68 frames."""
    return open_dataset(make_folder(tmp_path_factory.mktemp("data") / "data", clips=24), "train")


def sampler(dataset, window: int, **options) -> BatchSampler:
    return BatchSampler(dataset, FakeTextEncoder(), **({"batch_size": 4, "seed": 5, "window": window} | options))


def test_a_window_is_a_span_of_its_motion_under_a_caption_of_it(dataset):
    items = {item.id: item for item in dataset.items}
    batches = [sampler(dataset, 48)(step) for step in range(8)]
    starts = set()
    for batch in batches:
        assert batch.motion.features.shape[1] == 48 and (batch.motion.lengths == 48).all()
        for row, name in enumerate(batch.ids):
            whole = dataset.features(items[name])
            spans = np.lib.stride_tricks.sliding_window_view(whole, 48, axis=0).transpose(0, 2, 1)
            found = np.flatnonzero((spans == batch.motion.features[row].numpy()).all((1, 2)))
            assert found.tolist() == [batch.first[row]], "the batch says where its crops begin"
            starts.add(int(found[0]))
            assert batch.text[row] in {caption.text for caption in items[name].captions}
    assert len(starts) > 10, "the starts should be spread over the 13 to 21 possible ones"


def test_motions_shorter_than_the_window_are_left_out(dataset):
    long_enough = {item.id for item in dataset.items if item.frames >= 64}
    assert 0 < len(long_enough) < len(dataset)
    draw = sampler(dataset, 64)
    epoch = {name for step in range(len(long_enough) // 4) for name in draw(step).ids}
    assert epoch == long_enough


def test_the_same_step_gives_the_same_window(dataset):
    ours, theirs = sampler(dataset, 48)(3), sampler(dataset, 48)(3)
    np.testing.assert_array_equal(ours.motion.features, theirs.motion.features)


def test_a_window_longer_than_every_motion_is_refused(dataset):
    with pytest.raises(InputError, match="no motion has the 69 frames of a window: the longest has 68"):
        sampler(dataset, 69)


def test_a_batch_carries_what_each_language_model_says_and_each_is_asked_once(tmp_path):
    class Counting(FakeTextEncoder):
        asked = 0

        def __call__(self, text):
            type(self).asked += 1
            return super().__call__(text)

    one, other = Counting(8, "one"), FakeTextEncoder(6, "other")
    dataset = open_dataset(make_folder(tmp_path / "data", clips=16), "train")
    batch = BatchSampler(dataset, one, batch_size=4, seed=0, language=[one, other])(0)
    assert set(batch.language) == {"one", "other"} and Counting.asked == 1
    assert batch.said_by(one).sentence is batch.sentence, "and the batch is read, not the model"
    assert torch.equal(batch.said_by(other).tokens, other(batch.text).tokens)
    assert torch.equal(batch.said_by(FakeTextEncoder(5, "third")).mask, FakeTextEncoder(5)(batch.text).mask)
