"""Progress bars: on a terminal they move, in a log file they leave a line now and then."""

import time

import pytest

from atm.base.progress import progress, progress_bar, watched


def test_a_log_file_gets_lines_with_what_is_done_and_what_is_left(capsys, monkeypatch):
    monkeypatch.setattr("atm.base.progress.LINE_EVERY", 0.0)
    assert list(progress("abc", "reading letters")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("reading letters: 1 of 3 after 0:00:0")
    assert "left" in lines[1]


def test_what_is_stopped_by_the_clock_has_no_more_left_than_the_clock(capsys, monkeypatch):
    monkeypatch.setattr("atm.base.progress.LINE_EVERY", 0.0)
    with progress_bar() as bar:
        task = bar.add_task("training", total=4000, note="", ends=time.monotonic() + 90)
        bar.advance(task)
        time.sleep(0.2)
        bar.advance(task)
    assert "training: 2 of 4,000 after 0:00:00, 0:01:30 left" in capsys.readouterr().err


def test_lines_are_seconds_apart(capsys):
    list(progress(range(100), "counting"))
    assert "counting:" not in capsys.readouterr().err


def test_nothing_is_shown_where_nothing_is_wanted(capsys, monkeypatch):
    monkeypatch.setattr("atm.base.progress.LINE_EVERY", 0.0)
    with progress_bar(show=False) as bar:
        bar.advance(bar.add_task("hidden", total=2, note=""))
    assert capsys.readouterr().err == ""


def test_who_watches_is_told_of_every_step_and_may_end_the_loop():
    told, seen = [], []

    def watcher(done: int, steps: int) -> None:
        told.append((done, steps))
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError), watched(watcher):
        for item in progress("abc", "reading letters", show=False):
            seen.append(item)
    assert (told, seen) == ([(1, 3), (2, 3)], ["a", "b"])
    assert list(progress("abc", "reading letters", show=False)) == ["a", "b", "c"] and len(told) == 2
