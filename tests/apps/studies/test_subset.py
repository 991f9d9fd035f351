"""A few clips of a data folder, for a quick study."""

import numpy as np
import pytest

from atm.apps.studies import subset
from atm.base.errors import InputError
from atm.data.humanml3d import open_dataset
from folders import make_folder


def test_a_subset_has_the_first_clips_of_each_split_and_the_same_statistics(tmp_path, monkeypatch):
    monkeypatch.setattr(subset, "CLIPS", {"train": 5, "val": 2, "test": 3})
    source = make_folder(tmp_path / "data", clips=32)  # 24, 4 and 4
    folder = subset.write_subset(source, tmp_path / "few")
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        few, all_of_them = open_dataset(folder, split), open_dataset(source, split)
        assert [item.id for item in few.items] == [item.id for item in all_of_them.items[:count]]
        np.testing.assert_array_equal(few.features(few.items[0]), all_of_them.features(all_of_them.items[0]))
    np.testing.assert_array_equal(few.mean, all_of_them.mean)
    assert len(list((folder / "new_joint_vecs").iterdir())) == 10


def test_a_subset_that_is_there_is_taken_as_it_is(tmp_path):
    source = make_folder(tmp_path / "data", clips=32)
    folder = subset.write_subset(source, tmp_path / "few")
    (folder / "mark").touch()
    assert subset.write_subset(source, folder) == folder and (folder / "mark").is_file()


def test_a_folder_that_is_no_data_set_leaves_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        subset.write_subset(tmp_path / "empty", tmp_path / "few")
    assert not (tmp_path / "few").exists()
