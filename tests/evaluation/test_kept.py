"""What is kept of real motions between evaluations: the same figures, and never those of something else."""

from dataclasses import replace

import numpy as np
import pytest
from test_protocol import Noise, run, some_entries

from atm.base.seal import is_sound
from atm.evaluation.kept import kept, source_digest
from atm.evaluation.replication import Judge
from atm.evaluation.report import REAL


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "evaluation"


class Counting:
    """A judge that counts what it is asked, of which every second motion is right."""

    def __init__(self, version: str = "1"):
        self.asked = 0
        self.judge = Judge(self.verdict, lambda verdicts: {"all": float(np.mean(verdicts))}, version)

    def verdict(self, joints, program, caption):
        self.asked += 1
        return self.asked % 2


def scripted():
    return [replace(entry, program={"number": number}) for number, entry in enumerate(some_entries())]


def test_a_second_evaluation_reads_no_real_motion_with_the_oracles_again(cache):
    first, second = Counting(), Counting()
    reports = [run(Noise(), scripted(), repeats=1, judge=one.judge) for one in (first, second)]
    assert (first.asked, second.asked) == (40 + 32, 32)
    assert reports[0].estimates(REAL) == reports[1].estimates(REAL)


@pytest.mark.parametrize("change", ["judge", "program", "motion", "held out"])
def test_what_was_kept_is_not_taken_for_another_judge_or_other_motions(cache, change):
    run(Noise(), scripted(), repeats=1, judge=Counting().judge)
    entries, other = scripted(), Counting("2" if change == "judge" else "1")
    if change == "program":
        entries[3] = replace(entries[3], program={"number": 99})
    if change == "motion":
        entries[3] = replace(entries[3], features=entries[3].features + 0.01)
    if change == "held out":
        entries[3] = replace(entries[3], held_out=True)
    run(Noise(), entries, repeats=1, judge=other.judge)
    assert other.asked == 40 + 32


def test_the_kinematic_reference_is_the_same_from_disk(cache):
    reports = [run(Noise(), repeats=1) for _ in range(2)]
    assert list(cache.glob("kinematic-*.npy"))
    assert reports[0].replications == reports[1].replications


def test_a_damaged_file_is_made_anew(cache):
    made = kept("thing", ["a"], lambda: np.arange(5))
    (file,) = cache.glob("thing-*.npy")
    file.write_bytes(file.read_bytes()[:-3] + b"abc")
    assert not is_sound(file)
    assert np.array_equal(kept("thing", ["a"], lambda: np.arange(5)), made) and is_sound(file)


def test_what_cannot_be_kept_is_said_and_used(cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder belongs")
    with pytest.warns(UserWarning, match="not kept for the next evaluation"):
        assert np.array_equal(kept("thing", ["a"], lambda: np.arange(5)), np.arange(5))


def test_another_state_of_the_source_has_another_digest(tmp_path, monkeypatch):
    package = tmp_path / "some_package" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "some_package" / "__init__.py").write_text("")
    (package / "a.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = source_digest("some_package.inner")
    assert source_digest("some_package.inner") == before
    (package / "a.py").write_text("x = 2")
    assert source_digest("some_package.inner") != before
