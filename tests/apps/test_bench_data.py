"""`atm bench data`: every way reads the same crops, and what is measured is told."""

import numpy as np
import pytest

from atm.apps.bench.data import FIRST_START, IN_MEMORY, SECOND_START, DataReport, Speed, bench_data, ways_to_read
from atm.data.batches import crop_of
from atm.data.humanml3d import open_dataset
from doubles import FakeTextEncoder
from folders import make_folder


@pytest.fixture
def folder(tmp_path):
    """A folder in which one clip has a part with its own captions, frames 10 to 52."""
    folder = make_folder(tmp_path / "data")
    with (folder / "texts" / "000000.txt").open("a") as file:
        file.write("a person stops#a/DET person/NOUN stop/VERB#0.5#2.6\n")
    return folder


def test_all_ways_read_the_same_rows(folder):
    dataset = open_dataset(folder, "train")
    rng = np.random.default_rng(3)
    for item in dataset.items:
        first, frames = crop_of(item.frames, rng)
        rows = [read(item, first, frames) for read in ways_to_read(dataset, folder).values()]
        assert rows[0].shape == (frames, 263)
        for other in rows[1:]:
            np.testing.assert_array_equal(other, rows[0])


def test_speeds_starts_and_memory_are_told(folder, monkeypatch):
    monkeypatch.setattr("atm.apps.bench.data.CROPS", 20)
    monkeypatch.setattr("atm.apps.bench.data.ROUNDS", 3)
    monkeypatch.setattr("atm.apps.bench.data.BATCHES", 2)
    # A process of its own, which takes seconds to start: the slow test has it.
    monkeypatch.setattr("atm.apps.bench.data._memory", lambda *_: 7.0)
    report = bench_data(folder, FakeTextEncoder(), batch_size=4, show_progress=False)
    assert report.clips == 19 and report.frames == sum(60 + 4 * (i % 3) for i in range(18)) + 42
    for speed in (*report.crops, report.batches):
        assert 0 < speed.low <= speed.median <= speed.high
    assert all(seconds > 0 for seconds in report.starts.values())
    assert [*report.memory.values()] == [7.0]
    assert [table.row_count for table in report.tables()] == [4, 1]


@pytest.mark.slow
def test_a_store_that_is_built_anew_leaves_the_folder_as_it_was(folder):
    open_dataset(folder, "train")
    was = sorted(folder.rglob("*"))
    report = bench_data(folder, FakeTextEncoder(), build=True, show_progress=False)
    assert sorted(folder.rglob("*")) == was
    assert report.starts.keys() == {SECOND_START, FIRST_START, IN_MEMORY}
    assert all(megabytes > 0 for megabytes in report.memory.values())


def test_the_ratio_is_that_of_the_store_over_a_file_per_clip():
    speeds = tuple(Speed(name, median, 1.0, 2.0) for name, median in (("store", 300.0), ("files", 20.0), ("maps", 1.0)))
    assert DataReport(1, 1, speeds, speeds[0], {}, {}).ratio == 15.0
