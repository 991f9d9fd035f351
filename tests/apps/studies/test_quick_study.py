"""A study as a user runs it: data, training, evaluation, report; and the same again, which has nothing to do."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_quick_study_runs_is_marked_and_does_not_run_twice(tmp_path):
    def study(*arguments: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"ATM_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "atm", "study", "losses", "--quick", "--rows", "none,both", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = study()
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "studies/losses-quick/report.html"
    out = tmp_path / "studies" / "losses-quick"
    for name in ("table.md", "table.csv", "report.html"):
        assert "THESE FIGURES MEAN NOTHING" in (out / name).read_text(), name
    for name in ("figure.svg", "figure.png"):
        assert (out / name).stat().st_size > 1000
    models = {path: path.stat().st_mtime_ns for path in out.glob("rows/*/run/model.safetensors")}
    assert len(models) == 2
    again = study()
    assert again.returncode == 0, again.stderr[-2000:]
    assert {path: path.stat().st_mtime_ns for path in models} == models
    assert again.stdout == done.stdout
