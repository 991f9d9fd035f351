"""`atm bench serve`: clients of the real HTTP API get their motions, in batches and one by one, and are counted."""

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import atm
from atm.apps.bench.measure import BenchReport, Comparison, Times
from atm.apps.bench.serve import ONE_BY_ONE, TOGETHER, ask, bench_serve, serving
from atm.apps.studio import models as studio_models
from atm.apps.studio.jobs import QueueFull, Workshop
from atm.apps.studio.made import Judge
from atm.apps.studio.models import StudioModel

WALK = {"text": "a person walks", "seconds": 0.5}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(atm.load_space("space"))


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """Rows of each batch that is made."""
    found, sample = [], studio_models.sample_rows

    def spy(generator, text, *rest, **options):
        found.append(len(text))
        return sample(generator, text, *rest, **options)

    monkeypatch.setattr(studio_models, "sample_rows", spy)
    return found


@pytest.mark.parametrize(("batch", "largest"), [(1, 1), (32, 4)])
def test_what_waits_is_made_in_batches_as_large_as_they_may_be(model, judge, sizes, batch, largest):
    """Four requests wait before the server begins to make any."""
    workshop = Workshop(judge, batch=batch)
    start, workshop.start = workshop.start, lambda: None
    with serving(StudioModel(model, "tiny"), workshop) as port, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, port, WALK | {"seed": seed}) for seed in range(4)]
        while workshop.waiting < 4:
            time.sleep(0.01)
        start()
        assert all(answer.result().latency > 0 for answer in answers)
    assert max(sizes) == largest and sum(sizes) == 4


def test_a_client_that_is_told_to_come_again_comes_again(model, judge):
    workshop = Workshop(judge, most_waiting=1)
    start, workshop.start = workshop.start, lambda: None
    with serving(StudioModel(model, "tiny"), workshop) as port, ThreadPoolExecutor(2) as pool:
        workshop._seconds = 0.0  # what a request is thought to take; a client is told a second at least
        first = pool.submit(ask, port, WALK)
        while workshop.waiting < 1:
            time.sleep(0.01)
        refusals, take = [], workshop.submit

        def submit(job):
            try:
                return take(job)
            except QueueFull:
                refusals.append(job)
                start()
                raise

        workshop.submit = submit
        second = pool.submit(ask, port, WALK)
        assert (first.result().refused, second.result().refused) == (0, len(refusals))
        assert len(refusals) == 1 and second.result().latency >= 1


def test_a_motion_that_could_not_be_made_ends_the_measurement(model, judge):
    said = "was not made: seconds must be 0.5 to 9.8 for this model, got 60"
    with serving(StudioModel(model, "tiny"), Workshop(judge)) as port, pytest.raises(atm.InputError, match=said):
        ask(port, WALK | {"seconds": 60})


def test_both_sides_are_measured_at_every_number_of_clients(model, tmp_path):
    report = BenchReport(bench_serve(quick=True, show=False, model=model.file), quick=True)
    assert [one.what for one in report.comparisons] == [
        "1 at once, motions of 0.5 s", "3 at once, motions of 0.5 s",
    ]  # fmt: skip
    for one, clients in zip(report.comparisons, (1, 3), strict=True):
        assert list(one.times) == [ONE_BY_ONE, TOGETHER]
        assert [len(times.latency) for times in one.times.values()] == [clients, clients]
        assert all(0 < max(times.latency) <= times.wall[0] for times in one.times.values())
    assert [table.row_count for table in report.tables()] == [2, 2, 4]
    report.write(tmp_path / "serve.json")
    side = json.loads((tmp_path / "serve.json").read_text())["comparisons"][1]["sides"][TOGETHER]
    assert side["latency"]["median"] == pytest.approx(statistics.median(side["latency"]["all"]))
    assert side["per_second"] == pytest.approx(3 / side["wall"][0])
    assert [one.what for one in bench_serve(quick=True, show=False, model=model.file, clients=2)] == [
        report.comparisons[0].what
    ]


def test_the_95th_percentile_is_what_one_in_twenty_exceeds():
    """Latencies of 0, 1, ... 100 seconds: 95 of them lie below 95, 5 above."""
    times = Times([50.5, 50.5], [1.0, 1.0], latency=[float(second) for second in range(101)])
    told = BenchReport([Comparison("serve", {"ours": times})], quick=False).as_json()["comparisons"][0]["sides"]["ours"]
    assert (told["latency"]["median"], told["latency"]["p95"], told["per_second"]) == (50.0, 95.0, 1.0)
