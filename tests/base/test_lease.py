"""Two processes on one folder: the second waits or is refused in one sentence, and nobody waits for the dead."""

import subprocess
import sys

import pytest

from atm.base.errors import InputError
from atm.base.lease import held

HOLD = """
import sys, time
from pathlib import Path
from atm.base.lease import held
with held(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold(folder, seconds: float) -> subprocess.Popen:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_process_is_refused_in_one_sentence_and_a_dead_one_is_followed(tmp_path):
    holder = hold(tmp_path, 600)
    with (
        pytest.raises(InputError, match=f"process {holder.pid} on .* works in the run .* now: wait until") as caught,
        held(tmp_path, "the run"),
    ):
        pass
    assert "\n" not in str(caught.value)
    holder.kill()
    holder.wait()
    with held(tmp_path, "the run"):
        pass
    assert not list(tmp_path.iterdir())


def test_who_waits_gets_the_folder_when_the_other_has_ended(tmp_path, capsys):
    holder = hold(tmp_path, 2)
    with held(tmp_path, "the store", wait=True):
        assert holder.wait(timeout=10) == 0
    assert f"waiting for process {holder.pid}" in capsys.readouterr().err


def test_a_folder_that_nothing_was_written_to_is_not_left_behind(tmp_path):
    with pytest.raises(InputError, match="no data"), held(tmp_path / "runs" / "one", "the run"):
        raise InputError("no data")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to .*one"), held(tmp_path / "file" / "one", "the run"):
        pass
