"""Motions made anew but for a part."""

import numpy as np
import pytest
import torch

import atm
from atm.apps.edit import kept_frames
from atm.motion import KIT


def test_a_model_that_completes_motions_keeps_any_parts(model):
    walk = model.generate("a person walks", seconds=2, seed=0, raw=True)
    other = model.edit(walk, "a person sits down", keep=[(0, 0.5), (1.5, 2)], seed=1, raw=True)
    kept = np.r_[0:10, 30:40]
    np.testing.assert_allclose(other.features[kept], walk.features[kept], atol=1e-4)
    assert np.abs(other.features[10:30] - walk.features[10:30]).max() > 1e-2
    assert other.text == "a person sits down" and other.provenance["keep"] == [[0, 0.5], [1.5, 2]]


def test_a_model_that_goes_on_keeps_a_beginning_and_makes_the_rest_from_it(going_on):
    first = going_on.generate("a person walks", seconds=1.5, seed=0, raw=True)
    second = going_on.edit(first, "a person claps", keep=[(0, 0.8)], seconds=1.8, seed=4, raw=True)
    assert len(second) == 36
    np.testing.assert_allclose(second.features[:16], first.features[:16], atol=1e-5)
    again = going_on.edit(first, "a person claps", keep=[(0, 0.8)], seconds=1.8, seed=5, raw=True)
    assert np.abs(again.features[16:] - second.features[16:]).max() > 1e-3


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([], "nothing is kept"),
        ([(0, 3)], "0 to 3 s is no part"),
        ([(1, 1)], "1 to 1 s is no part"),
        ([(0, 1), (0.5, 1.5)], "overlap"),
        ([(0, 0.01)], "less than a frame"),
        ([(0, 2)], "nothing to make"),
    ],
)
def test_a_part_that_cannot_be_kept_is_refused(model, keep, message):
    walk = model.generate("a person walks", seconds=2, raw=True)
    with pytest.raises(atm.InputError, match=message):
        model.edit(walk, "a person sits", keep=keep)


def test_a_model_that_goes_on_says_that_it_keeps_beginnings_alone(going_on):
    walk = going_on.generate("a person walks", seconds=1.5, raw=True)
    with pytest.raises(atm.InputError, match=r"keeps a beginning.*mdm, momask, bamm"):
        going_on.edit(walk, "a person sits", keep=[(0.5, 1)])


def test_a_motion_of_another_data_set_is_refused(model):
    take = model.generate("a person walks", seconds=1, raw=True)
    kit = atm.Take(take.joints[:, :21], skeleton=KIT, known_features=np.zeros((20, 251), np.float32))
    with pytest.raises(atm.InputError, match="251 features, but the model makes 263"):
        model.edit(kit, "a person sits", keep=[(0, 0.5)])


def test_frames_of_parts_are_those_between_their_seconds():
    assert kept_frames([(0.5, 1.0)], 30, 20.0).nonzero()[0].tolist() == list(range(10, 20))
    assert torch.from_numpy(kept_frames([(0, 0.1), (1.4, 1.5)], 30, 20.0)).sum() == 4


def test_a_model_that_keeps_features_walks_the_path_and_ends_on_it(model):
    stands = model.generate("a person stands", seconds=4, seed=0, raw=True)
    walks = model.edit(stands, "a person walks", path=[(0, 1), (1, 2)], seed=1, raw=True)
    np.testing.assert_allclose(walks.joints[-1, 0, [0, 2]], [1, 2], atol=1e-2)
    passed = np.linalg.norm(walks.joints[:, 0, [0, 2]] - [0, 1], axis=1)
    assert passed.min() < 0.05
    assert walks.provenance["path"] == [[0, 1], [1, 2]]


def test_parts_stand_on_a_path_in_all_but_where_the_root_goes(model):
    first = model.generate("a person stands", seconds=2, seed=0, raw=True)
    second = model.edit(first, "a person walks", keep=[(0.5, 1)], path=[(0, 2)], seconds=3, seed=1, raw=True)
    np.testing.assert_allclose(second.features[10:20, 3:], first.features[10:20, 3:], atol=1e-4)
    assert np.abs(second.features[20:40, 3:] - first.features[20:40, 3:]).max() > 1e-2
    np.testing.assert_allclose(second.joints[-1, 0, [0, 2]], [0, 2], atol=1e-2)


def test_a_model_that_cannot_be_held_on_a_path_says_so(going_on):
    walk = going_on.generate("a person walks", seconds=1.5, raw=True)
    with pytest.raises(atm.InputError, match="causal_flow cannot be held on a path: take one that can, such as mdm"):
        going_on.edit(walk, "a person walks", keep=[(0, 0.5)], path=[(0, 1)])
