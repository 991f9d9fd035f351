"""The retrieval database: made from a data folder, searched by text and length, kept in a file."""

import math

import numpy as np
import pytest
import torch

from atm.apps.retrieval_database import build_database, database_of_folder
from atm.base.errors import InputError
from atm.data.humanml3d import open_dataset
from atm.generators.remodiffuse.database import (
    Database,
    best,
    own_entries,
    read_database,
    similarities,
    write_database,
)
from doubles import FakeTextEncoder
from folders import make_folder

SIZES = torch.tensor([10, 20, 20])


def small(**changes) -> Database:
    parts = {
        "features": torch.arange(50.0)[:, None].repeat(1, 3),
        "starts": SIZES.cumsum(0) - SIZES,
        "lengths": SIZES,
        "sentence": torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]),
        "captions": ["walk", "sit", "jump"],
        "ids": ["a", "b", "c"],
        "text_encoder": "fake",
    }
    return Database(**parts | changes)


def test_a_score_is_the_cosine_times_the_penalty_of_the_length():
    """Query along the first axis, 20 frames: cosines 1, 0, 1/sqrt 2; the first differs by 10 of 20 frames."""
    scores = similarities(small(), torch.tensor([[5.0, 0.0]]), torch.tensor([20]), length_penalty=0.1)
    torch.testing.assert_close(scores, torch.tensor([[math.exp(-0.1 * 0.5), 0.0, 1 / math.sqrt(2)]]))


def test_the_best_come_first_and_none_twice():
    rows, found = best(torch.tensor([[0.2, 0.9, 0.5], [0.3, 0.1, 0.2]]), 2)
    assert rows.tolist() == [[1, 2], [0, 2]]
    assert found.all()


def test_where_too_few_are_left_the_rest_is_said_to_be_missing():
    skip = torch.tensor([[True, False, True]])
    _, found = best(torch.tensor([[0.2, 0.9, 0.5]]), 2, skip)
    assert found.tolist() == [[True, False]]
    assert best(torch.tensor([[0.2]]), 2)[1].tolist() == [[True, False]]


def test_training_leaves_out_its_own_length_and_itself():
    """Trap: the length must be exactly the query's; a crop one unit shorter is known by its name."""
    lengths = torch.tensor([20, 12])
    assert own_entries(small(), lengths, None).tolist() == [[False, True, True], [False, False, False]]
    assert own_entries(small(), lengths, ["z", "b"]).tolist() == [[False, True, True], [False, True, False]]


def test_the_search_remembers_nothing():
    """Trap: published code answers a known caption with its first choice, whatever length is asked for next."""
    query, database = torch.tensor([[1.0, 0.9]]), small(sentence=torch.tensor([[1.0, 1.0], [1.0, 1.01], [0.0, 1.0]]))
    chosen = [
        best(similarities(database, query, torch.tensor([length]), length_penalty=5.0), 1)[0].item()
        for length in (20, 10, 20)
    ]
    assert chosen == [1, 0, 1]


def test_a_data_set_gives_an_entry_per_motion_under_its_first_caption(tmp_path):
    """18 of 24 clips are in the training split; of 60, 64 and 68 frames the first 62 are kept."""
    dataset = open_dataset(make_folder(tmp_path / "data"), "train")
    database = build_database(dataset, FakeTextEncoder(8), max_frames=62)
    assert len(database) == len(dataset) == 18
    assert database.lengths[:3].tolist() == [60, 62, 62]
    assert (database.captions[1], database.ids[1], database.text_encoder) == ("a person runs 1", "000001", "fake")
    torch.testing.assert_close(database.sentence[1:2], FakeTextEncoder(8)(["a person runs 1"]).sentence)
    own = torch.from_numpy(dataset.features(dataset.items[1])[:62].copy())
    torch.testing.assert_close(database.motion(1, 62), own, rtol=0, atol=0)


def test_a_motion_is_cut_or_padded_with_zeros():
    database = small()
    assert database.motion(1, 3)[:, 0].tolist() == [10, 11, 12]
    padded = database.motion(0, 12)[:, 0].tolist()
    assert padded == [*range(10), 0, 0]


def test_a_database_comes_back_from_its_file(tmp_path):
    file = tmp_path / "database.safetensors"
    write_database(file, small())
    read = read_database(file)
    for name in ("features", "starts", "lengths", "sentence"):
        assert torch.equal(getattr(read, name), getattr(small(), name))
    assert (read.captions, read.ids, read.text_encoder) == (["walk", "sit", "jump"], ["a", "b", "c"], "fake")
    assert read.tokens is None
    assert not read.normalised


def test_a_published_file_is_read_without_unpickling_its_captions(tmp_path):
    """Its motions are normalised already, and its token states replace the captions."""
    file = tmp_path / "t2m_text_train.npz"
    motions = np.random.RandomState(0).standard_normal((2, 5, 3)).astype(np.float32)
    np.savez(
        file,
        text_features=np.eye(2, 4, dtype=np.float32),
        captions=np.array(["walk", None], dtype=object),
        motions=motions,
        m_lengths=np.array([5, 4]),
        clip_seq_features=np.zeros((2, 77, 4), np.float32),
    )
    database = read_database(file)
    assert len(database) == 2
    assert database.normalised
    torch.testing.assert_close(database.motion(1, 5)[:4], torch.from_numpy(motions[1, :4]))
    assert (database.motion(1, 5)[4] == 0).all()


@pytest.mark.parametrize("name", ["database.safetensors", "database.npz"])
def test_what_is_no_database_is_said_to_be_so(tmp_path, name):
    with pytest.raises(InputError, match="cannot read"):
        read_database(tmp_path / name)
    (tmp_path / name).write_bytes(b"no database")
    with pytest.raises(InputError, match="cannot read"):
        read_database(tmp_path / name)


def test_a_folder_becomes_a_file_that_is_searched_by_its_language_model(tmp_path):
    data = make_folder(tmp_path / "data", clips=8)
    file = database_of_folder(data, tmp_path / "db.safetensors", split="train", text_encoder="minilm")
    database = read_database(file)
    assert database.ids == [item.id for item in open_dataset(data, "train").items]
    assert database.text_encoder == "minilm" and not database.normalised


def test_what_cannot_become_a_database_is_told(tmp_path):
    data = make_folder(tmp_path / "data", clips=8)
    for out, split, encoder, message in (
        ("db.npz", "train", "minilm", r"ends in \.safetensors, got .*db\.npz"),
        ("db.safetensors", "trian", "minilm", "has no split 'trian'"),
        ("db.safetensors", "train", "minlm", "did you mean 'minilm'"),
    ):
        with pytest.raises(InputError, match=message):
            database_of_folder(data, tmp_path / out, split=split, text_encoder=encoder)
    assert not list(tmp_path.glob("db*"))
