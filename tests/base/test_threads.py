"""Threads of the arithmetic wait passively and are no more than the container pays for, unless the user says so."""

import os
import subprocess
import sys

import pytest

from atm.base import threads


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of four cores on which nothing is set, and its container's quota as a file."""
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS"):
        # Set before it is deleted: what the code under test sets is then undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(threads, "QUOTA", tmp_path / "cpu.max")
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (None, None),
        ("max 100000\n", None),
        ("200000 100000\n", "2"),
        ("250000 100000\n", "2"),
        ("50000 100000\n", "1"),
        ("400000 100000\n", None),
        ("unreadable\n", None),
    ],
)
def test_there_are_as_many_threads_as_whole_cores_that_the_quota_pays_for(machine, quota, expected):
    """Where it pays for all four, or there is none, OpenMP counts the cores itself."""
    if quota is not None:
        machine.write_text(quota)
    threads.settle_threads()
    assert os.environ.get("OMP_NUM_THREADS") == expected
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_what_the_user_says_stands(machine, monkeypatch):
    machine.write_text("200000 100000\n")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads.settle_threads()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["OMP_NUM_THREADS"]) == ("ACTIVE", "3")


def test_a_command_settles_its_threads_before_torch_is_imported():
    code = (
        "import os, sys; import atm.base.threads as threads; import atm.cli.app as app\n"
        "app.settle_threads = lambda: print('torch' in sys.modules) or threads.settle_threads()\n"
        "sys.argv = ['atm', '--version']\n"
        "try: app.run()\n"
        "finally: print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    first, _, last = done.stdout.split()
    assert (first, last) == ("False", "PASSIVE"), done.stdout + done.stderr
