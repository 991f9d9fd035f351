"""What a run folder tells whoever finds it."""

import json

import pytest
from toys import Bench

from atm.base.errors import InputError
from atm.training.record import RunFolder


def folder_of(path) -> RunFolder:
    run = RunFolder(path)
    run.create()
    return run


def test_the_record_of_a_run_names_code_versions_machine_seed_and_minutes(tmp_path):
    bench = Bench(tmp_path)
    bench.run("run", bench.config(seed=7, steps=2))
    record = bench.at("run").read_record()
    assert {"commit", "changed_since_commit", "started"} <= record.keys()
    assert {"python", "torch", "numpy", "atm"} <= record["versions"].keys()
    assert "cores" in record["machine"]
    assert (record["seed"], record["step"], record["steps"], record["data"]) == (7, 2, 2, str(bench.data))
    assert 0 <= record["minutes"] < 5
    assert record["skipped_rows"] == {}


def test_facts_are_added_to_the_record_and_what_stood_there_stays(tmp_path):
    run = folder_of(tmp_path / "run")
    run.write_record(seed=1)
    started = run.read_record()["started"]
    run.write_record(step=5)
    assert run.read_record() | {"seed": 1, "step": 5, "started": started} == run.read_record()


def test_metrics_after_a_step_are_forgotten_and_those_before_stay(tmp_path):
    run = folder_of(tmp_path / "run")
    lines = [{"step": step, "loss": 1 / step} for step in (1, 2, 3, 4)]
    for line in lines:
        run.append_metrics(line)
    run.drop_metrics_after(2)
    assert run.read_metrics() == lines[:2]


def test_a_metrics_line_that_a_crash_cut_off_is_left_out(tmp_path):
    run = folder_of(tmp_path / "run")
    run.append_metrics({"step": 1})
    with run.metrics.open("a") as file:
        file.write(json.dumps({"step": 2})[:-3])
    assert run.read_metrics() == [{"step": 1}]
    run.drop_metrics_after(1)
    assert run.metrics.read_text() == '{"step": 1}\n'


def test_a_folder_with_a_config_that_no_run_wrote_is_not_free(tmp_path):
    run = folder_of(tmp_path / "run")
    assert not run.holds_something()
    run.config.write_text("of: somebody else\n")
    assert run.holds_something()


def test_a_run_that_stopped_before_its_first_checkpoint_may_be_overwritten(tmp_path):
    run = folder_of(tmp_path / "run")
    run.config.write_text("seed: 0\n")
    run.write_record(seed=0)
    assert not run.holds_something()
    run.forget()
    assert not run.config.exists() and not run.record.exists()


def test_a_run_knows_its_data_from_anywhere(tmp_path, monkeypatch):
    run = folder_of(tmp_path / "project" / "runs" / "x")
    data = tmp_path / "project" / "data"
    data.mkdir()
    run.write_record(started_in=str(tmp_path / "project"))
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "data").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert run.data("data").samefile(data)
    assert run.data(str(data)) == data


def test_a_run_that_was_moved_with_its_data_finds_it_again_and_one_without_says_which_it_was(tmp_path, monkeypatch):
    run = folder_of(tmp_path / "moved" / "runs" / "x")
    (tmp_path / "moved" / "demo" / "data").mkdir(parents=True)
    run.write_record(started_in=str(tmp_path / "gone"))
    monkeypatch.chdir("/")
    assert run.data("demo/data").samefile(tmp_path / "moved" / "demo" / "data")
    with pytest.raises(
        InputError, match="x was trained on other/data, which is not there: give its folder with --data"
    ):
        run.data("other/data")
