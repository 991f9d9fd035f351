"""A search in a space where a caption lies exactly at its motion: what is found, and what is embedded anew."""

from pathlib import Path

import numpy as np
import pytest
import torch

from atm.apps.retrieve.index import PIECE, build_index
from atm.data.humanml3d import MotionDataset, open_dataset
from atm.motion import Motion
from folders import make_folder


class Exact:
    """A motion is the mean of its frames' last four features; a caption is that of the motion that it belongs to."""

    def __init__(self, dataset: MotionDataset):
        self.of_text = {
            caption.text: torch.from_numpy(dataset.features(item)[:, -4:].mean(0))
            for item in dataset.items
            for caption in item.captions
        }
        self.embedded = {"motions": 0, "texts": 0}

    def encode_motion(self, motion: Motion) -> torch.Tensor:
        self.embedded["motions"] += len(motion)
        inside = motion.features[..., -4:] * motion.mask[..., None]
        return inside.sum(1) / motion.lengths[:, None]

    def encode_text(self, text: list[str]) -> torch.Tensor:
        self.embedded["texts"] += len(text)
        return torch.stack([self.of_text[sentence] for sentence in text])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    return make_folder(tmp_path / "data", clips=24)


def searched(folder: Path, weights: bytes = b"weights"):
    """The training split (18 motions of two captions each) in its exact space, and that space."""
    dataset = open_dataset(folder, "train")
    file = folder / "space.safetensors"
    file.write_bytes(weights)
    space = Exact(dataset)
    return build_index(space, file, dataset, show_progress=False), space


def test_a_caption_finds_its_own_motion_first(folder):
    index, _ = searched(folder)
    for item in index.dataset.items:
        for caption in item.captions:
            first, *others = index.motions_like(caption.text, top=5)
            assert first.item.id == item.id
            assert first.cosine == pytest.approx(1)
            assert first.text in {own.text for own in item.captions}
            cosines = [first.cosine, *(hit.cosine for hit in others)]
            assert cosines == sorted(cosines, reverse=True) and len(cosines) == 5


def test_a_part_that_two_captions_describe_is_found_once(folder):
    """Frames 10 to 52 twice: two entries of the data set, and one motion to look at."""
    with (folder / "texts" / "000000.txt").open("a") as file:
        file.write("one#one/NUM#0.5#2.6\ntwo#two/NUM#0.5#2.6\n")
    index, _ = searched(folder)
    assert len(index.dataset) == 20
    found = index.motions_like("two", top=20)
    assert [hit.item.id for hit in found].count("000000@10-52") == 1
    assert found[0].item.id == "000000@10-52"
    assert len(found) == 19


def test_a_motion_finds_its_own_captions_first(folder):
    index, _ = searched(folder)
    for item in index.dataset.items:
        hits = index.captions_like(np.array(index.dataset.features(item)), top=4)
        assert {hit.text for hit in hits[:2]} == {caption.text for caption in item.captions}
        assert hits[1].cosine == pytest.approx(1) and hits[2].cosine < 0.9999
        assert hits[0].item.id == item.id


def test_no_more_is_found_than_there_is(folder):
    index, _ = searched(folder)
    assert len(index.motions_like("a person walks 0", top=50)) == len(index.dataset) == 18
    captions = {hit.text for hit in index.captions_like(np.zeros((40, 263), np.float32), top=50)}
    assert captions == set(index.dataset.captions())


def test_what_was_embedded_once_is_not_embedded_again(folder):
    first, space = searched(folder)
    assert space.embedded == {"motions": 18, "texts": 36}
    again, space = searched(folder)
    assert space.embedded == {"motions": 0, "texts": 0}
    torch.testing.assert_close(again.z_motion, first.z_motion)
    torch.testing.assert_close(again.z_text, first.z_text)


def test_another_space_a_changed_clip_and_a_damaged_file_are_embedded_anew(folder):
    searched(folder)
    _, space = searched(folder, b"other weights")
    assert space.embedded == {"motions": 18, "texts": 36}
    clip = folder / "new_joint_vecs" / "000003.npy"
    np.save(clip, np.load(clip) + 1)
    index, space = searched(folder)
    assert space.embedded == {"motions": 18, "texts": 0}
    assert index.motions_like("a person sits 3", top=1)[0].item.id == "000003"
    for file in (folder.parent / "cache" / "retrieval").iterdir():
        file.write_bytes(b"torn")
    _, space = searched(folder)
    assert space.embedded == {"motions": 18, "texts": 36}


def test_a_search_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    """Two pieces; the space fails in the second: the next call embeds that one alone."""
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    folder = make_folder(tmp_path / "data", clips=(PIECE + 8) * 4 // 3, frames=40)
    dataset = open_dataset(folder, "train")
    assert len(dataset) == PIECE + 8
    file = tmp_path / "space"
    file.write_bytes(b"weights")
    space, whole = Exact(dataset), Exact.encode_motion

    def failing(self, motion):
        if self.embedded["motions"] >= PIECE:
            raise KeyboardInterrupt
        return whole(self, motion)

    monkeypatch.setattr(Exact, "encode_motion", failing)
    with pytest.raises(KeyboardInterrupt):
        build_index(space, file, dataset, show_progress=False)
    monkeypatch.setattr(Exact, "encode_motion", whole)
    space = Exact(dataset)
    build_index(space, file, dataset, show_progress=False)
    assert space.embedded["motions"] == 8


def test_a_cache_that_cannot_be_written_costs_a_warning(folder, monkeypatch):
    blocked = folder / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("ATM_CACHE", str(blocked / "below"))
    with pytest.warns(UserWarning, match="cannot keep embeddings"):
        index, _ = searched(folder)
    assert index.motions_like("a person walks 0", top=1)[0].item.id == "000000"
