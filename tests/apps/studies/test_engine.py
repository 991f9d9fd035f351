"""Rows as jobs: nothing runs twice, a crash is tried once more, the dead are taken over."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fakes import calls, plan, run_fake, small_study

from atm.apps.studies.jobs import JobFolder, plan_jobs
from atm.apps.studies.launch import Cluster, Here, Processes, run_jobs
from atm.apps.studies.study import Row, needs
from atm.apps.studies.work import work
from atm.base import lease as leases
from atm.base.errors import InputError
from atm.base.lease import claimed
from atm.training.presets import preset


@pytest.fixture
def run(tmp_path):
    """Runs the small study's jobs in tmp_path with the fake runner; gives the failures by name."""

    def call(study=None, runner=run_fake, **changes) -> dict[str, str]:
        jobs = plan_jobs(study or small_study(), plan(tmp_path, **changes))
        folders = [JobFolder(tmp_path / "rows" / job.name) for job in jobs]
        for folder, job in zip(folders, jobs, strict=True):
            folder.prepare(job)
        run_jobs(folders, Here(runner), needs=lambda _: [], ended=lambda _: None)
        return {folder.path.name: folder.error.read_text() for folder in folders if folder.failed}

    return call


def folder_of(tmp_path, row: str, runner_file: str = "", content: str = "") -> JobFolder:
    """A prepared job, with a word to the fake runner."""
    study, how = small_study(), plan(tmp_path)
    job = next(job for job in plan_jobs(study, how) if job.name == row)
    folder = JobFolder(tmp_path / "rows" / row)
    folder.prepare(job)
    if runner_file:
        (folder.path / runner_file).write_text(content)
    return folder


def test_every_row_runs_with_every_seed_once_and_never_again(run, tmp_path):
    assert run(seeds=(0, 1)) == {}
    names = [f"{row}-{seed}" for seed in (0, 1) for row in ("none", "inter", "both")]
    assert [calls(tmp_path, name) for name in names] == [1] * 6
    run(seeds=(0, 1, 2))
    assert [calls(tmp_path, name) for name in [*names, "both-2"]] == [1] * 7


def test_rows_begin_in_order_the_first_seed_first(tmp_path):
    names = [job.name for job in plan_jobs(small_study(), plan(tmp_path, seeds=(3, 1)))]
    assert names == ["none-3", "inter-3", "both-3", "none-1", "inter-1", "both-1"]


def test_a_row_that_crashes_once_is_tried_again_and_one_that_crashes_twice_is_reported(run, tmp_path):
    folder_of(tmp_path, "none-0", "fail", "1")
    folder_of(tmp_path, "inter-0", "fail", "9")
    failures = run()
    assert [calls(tmp_path, f"{row}-0") for row in ("none", "inter", "both")] == [2, 2, 1]
    assert list(failures) == ["inter-0"]
    assert failures["inter-0"].startswith("crashed 2 times, at last with RuntimeError: call 2 fails\n")
    assert "Traceback" in failures["inter-0"]


def test_a_failed_row_is_tried_again_by_the_next_call(run, tmp_path):
    folder_of(tmp_path, "inter-0", "fail", "2")
    assert list(run()) == ["inter-0"]
    assert run() == {} and calls(tmp_path, "inter-0") == 3 and calls(tmp_path, "none-0") == 1


def test_bad_input_is_not_tried_again(tmp_path):
    folder = folder_of(tmp_path, "none-0")

    def refuse(job, where):
        (where.path / "calls").open("a").write("x\n")
        raise InputError("no such space")

    work(folder.path, refuse)
    assert folder.failed and folder.error.read_text() == "no such space\n" and calls(tmp_path, "none-0") == 1


def test_an_interrupted_row_is_left_open_and_not_claimed(tmp_path):
    folder = folder_of(tmp_path, "none-0")

    def interrupted(job, where):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(folder.path, interrupted)
    assert not folder.finished and not folder.failed and not folder.claimed


def test_a_claimed_row_is_not_run_by_another(tmp_path):
    folder = folder_of(tmp_path, "none-0")
    with claimed(folder.path) as mine:
        assert mine and folder.claimed
        work(folder.path, run_fake)
        assert calls(tmp_path, "none-0") == 0
    assert not folder.claimed
    work(folder.path, run_fake)
    assert folder.finished


def test_of_many_who_want_a_row_at_once_one_gets_it(tmp_path):
    """Threads of one process: to the claims it is all the same who they are."""
    import threading

    got, barrier, done = [], threading.Barrier(16), threading.Barrier(16)

    def want():
        barrier.wait()
        with claimed(tmp_path) as mine:
            got.append(mine)
            done.wait()

    threads = [threading.Thread(target=want) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 15 + [True]


HOLD = """
import sys, time
from pathlib import Path
from atm.base import lease
lease.DEAD_AFTER_SECONDS, lease.BEAT_SECONDS = 1.0, 0.2
with lease.claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another process that holds the row in tmp_path, and would be dead after a second without a sign of life."""
    monkeypatch.setattr(leases, "DEAD_AFTER_SECONDS", 1.0)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.2)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    yield holder
    holder.kill()
    holder.wait()


def test_the_claim_of_a_dead_process_is_taken_over_at_once(tmp_path, elsewhere):
    folder = JobFolder(tmp_path)
    assert folder.claimed
    elsewhere.kill()
    elsewhere.wait()
    with claimed(tmp_path) as mine:
        assert mine
    assert not folder.claimed


def test_the_claim_of_another_machine_is_dead_when_its_heart_stops(tmp_path, elsewhere, monkeypatch):
    """The process lives here, but its file says another machine: only touches can show that it lives."""
    monkeypatch.setattr("filelock._identity.socket.gethostname", lambda: "another")
    watch = JobFolder(tmp_path)
    assert watch.claimed
    time.sleep(1.5)
    assert watch.claimed
    elsewhere.send_signal(signal.SIGSTOP)  # as if the machine had gone: no touch any more
    deadline = time.monotonic() + 10
    while watch.claimed and time.monotonic() < deadline:
        time.sleep(0.2)
    with claimed(tmp_path) as mine:
        assert mine


def test_a_holder_shows_that_it_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    with claimed(tmp_path):
        path = tmp_path / "claim.lock"
        os.utime(path, (0, 0))
        for _ in range(100):
            if path.stat().st_mtime > 0:
                break
            time.sleep(0.05)
        assert path.stat().st_mtime > 0


def test_other_settings_in_the_same_folder_are_refused_by_their_names(run):
    run()
    steps = preset(small_study().base).steps
    with pytest.raises(InputError, match=rf"none-0 was made with other settings \(.*steps {steps}, now 3"):
        run(small_study(settings=("steps=3",)))


def test_another_evaluation_keeps_the_training_and_measures_again(run, tmp_path):
    run(repeats=3)
    trained = tmp_path / "rows" / "none-0" / "run"
    trained.mkdir()
    run(repeats=20)
    assert calls(tmp_path, "none-0") == 2 and trained.is_dir()


class Rows:
    """Handed-out jobs of a study with a chain: `last` builds on `middle`, that on `first`."""

    def __init__(self, tmp_path):
        rows = (
            Row(name="first", measured=False),
            Row(name="middle", settings=("alignment.space=run:first",), measured=False),
            Row(name="last", settings=("alignment.space=run:middle",)),
        )
        self.study = small_study(rows=rows, against=None)
        self.jobs = plan_jobs(self.study, plan(tmp_path))
        self.folders = [JobFolder(tmp_path / job.name) for job in self.jobs]
        for job, folder in zip(self.jobs, self.folders, strict=True):
            folder.prepare(job)
        self.by_name = {folder.path.name: folder for folder in self.folders}
        self.seen = []

    def run(self, runner, order=None):
        run_jobs(
            order or self.folders, Here(runner), ended=lambda folder: self.seen.append(folder.path.name),
            needs=lambda folder: [self.by_name[name] for name in folder.job().needs],
        )  # fmt: skip


def test_a_chain_runs_in_the_order_of_its_needs_and_later_rows_get_the_folders_of_earlier_ones(tmp_path):
    from atm.apps.studies.jobs import Result, run_config

    chain, spaces = Rows(tmp_path), {}

    def runner(job, folder):
        (row,) = job.configs
        spaces[row] = run_config(job, row, folder.path.parent).alignment.space
        return Result()

    chain.run(runner, order=chain.folders[::-1])
    assert list(spaces) == ["first", "middle", "last"]
    assert spaces == {
        "first": None,
        "middle": str((tmp_path / "first-0" / "run").resolve()),
        "last": str((tmp_path / "middle-0" / "run").resolve()),
    }


def test_what_builds_on_a_failed_row_is_not_run_and_says_why(tmp_path):
    chain = Rows(tmp_path)

    def runner(job, folder):
        raise InputError("no data")

    chain.run(runner)
    assert [folder.failed for folder in chain.folders] == [True] * 3
    assert chain.folders[1].error.read_text() == "not run: it builds on first-0, which failed\n"


def test_some_rows_bring_the_stages_that_they_build_on(tmp_path):
    study = Rows(tmp_path).study
    assert [row.name for row in study.only(["last"]).rows] == ["first", "middle", "last"]
    assert needs(study.config(study.row("last"))) == {"middle"}


@pytest.mark.slow
def test_a_process_that_is_killed_is_started_once_more_and_its_row_ends(tmp_path, monkeypatch):
    """`none` is killed once, so its second process finishes it; `inter` runs beside it."""
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    folders = [folder_of(tmp_path, "none-0", "die"), folder_of(tmp_path, "inter-0")]
    run_jobs(folders, Processes(run_fake, 2), needs=lambda _: [], ended=lambda _: None)
    assert all(folder.finished for folder in folders)
    assert calls(tmp_path, "none-0") == 2 and calls(tmp_path, "inter-0") == 1


@pytest.mark.slow
def test_a_cluster_runs_the_rows_as_jobs(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))
    folder = folder_of(tmp_path, "none-0")
    launcher = Cluster(run_fake, tmp_path / "jobs", {"timeout_min": 5}, cluster="local")
    run_jobs([folder], launcher, needs=lambda _: [], ended=lambda _: None)
    assert folder.finished and calls(tmp_path, "none-0") == 1
    assert folder.path.joinpath("calls").read_text().strip() != str(os.getpid())


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="submitit refuses these jobs"):
        Cluster(run_fake, tmp_path, {})
    with pytest.raises(InputError, match="submitit refuses these jobs"):
        Cluster(run_fake, tmp_path, {"no_such_thing": 1}, cluster="local")


def test_a_job_whose_cluster_takes_it_off_goes_back_into_the_queue(tmp_path):
    pytest.importorskip("submitit")
    from atm.apps.studies.launch import Resumable

    again = Resumable(run_fake).checkpoint(tmp_path)
    assert isinstance(again.function, Resumable) and again.args == (tmp_path,)
