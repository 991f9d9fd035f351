"""The times of training steps."""

import pytest
from fakes import plan, small_study

from atm.apps.studies import cost
from atm.apps.studies.jobs import JobFolder, plan_jobs
from folders import make_folder

TINY = ("model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Baseline and both losses, of a tiny MDM on 32 clips of noise; the first split for training has 24."""
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))
    data = make_folder(tmp_path / "data", clips=32)
    rows = tuple(row for row in small_study().rows if row.name != "inter")
    study = small_study(rows=rows, kind="cost", metrics=("step_ms", "hours"), settings=(*TINY, "steps=7200"))
    (job,) = plan_jobs(study, plan(data, quick=True))
    folder = JobFolder(tmp_path / "cost-0")
    folder.prepare(job)
    return job, folder


def test_each_row_has_a_time_for_every_round_and_hours_for_all_its_steps(job):
    result = cost.time_steps(*job, show_progress=False)
    _, rounds, _ = cost.QUICK_STEPS
    assert set(result.values) == {"none", "both"}
    for values in result.values.values():
        assert len(values["step_ms"]) == rounds and min(values["step_ms"]) > 0
        # 7,200 steps of 1 ms are 7.2 s, that is 0.002 hours.
        assert values["hours"] == pytest.approx([0.002 * ms for ms in values["step_ms"]])


def test_rows_are_timed_in_turn(job, monkeypatch):
    taken = []

    def timer(ready):
        name = "none" if ready.alignment is None else "both"
        return lambda steps: taken.append((name, steps)) or 10.0 * steps

    monkeypatch.setattr(cost, "_timer", timer)
    monkeypatch.setattr(cost, "QUICK_STEPS", (2, 3, 5))
    result = cost.time_steps(*job, show_progress=False)
    assert taken == [("none", 2), ("both", 2)] + [("none", 5), ("both", 5)] * 3
    assert result.values["none"]["step_ms"] == [10.0] * 3
