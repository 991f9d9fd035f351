"""Processes killed at random moments (`kill -9`): the same command goes on, comes to the same end, leaves nothing over.

`CHAOS_KILLS` says how many kills each test makes, `CHAOS_SEED` when; the seed stands in the message of a failure.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from atm.base.storage import read_model
from atm.training.record import RunFolder
from folders import make_folder

KILLS = int(os.environ.get("CHAOS_KILLS", "10"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
LONGEST = 600.0
TINY = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "atm", *map(str, words)]


def seconds_of(*words: object) -> float:
    begun = time.monotonic()
    subprocess.run(command(*words), check=True, capture_output=True, timeout=LONGEST)
    return time.monotonic() - begun


def killed_at(moment: float, *words: object) -> bool:
    """Start a command and kill it after so many seconds; False: it had ended before, and well."""
    process = subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, said
    return False


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if ".part" in path.name or path.name.endswith(".lock")]


def test_a_training_that_is_killed_goes_on_with_the_same_curve(tmp_path):
    data = make_folder(tmp_path / "data", clips=24)
    settings = ["mdm_small", f"data={data}", *TINY, "steps=40", "batch_size=4", "log_every=1", "checkpoint_every=3"]
    took = seconds_of("train", *settings, "--out", tmp_path / "whole", "-q")
    draw, run = random.Random(SEED), tmp_path / "killed"
    for number in range(KILLS):
        words = ["--resume", run] if (run / "config.yaml").is_file() else [*settings, "--out", run]
        killed_at(took * draw.uniform(0.3, 1.0), "train", *words, "-q")
        assert run.is_dir() or number == 0
    words = ["--resume", run] if (run / "config.yaml").is_file() else [*settings, "--out", run]
    seconds_of("train", *words, "-q")
    whole, killed = (
        [{k: v for k, v in line.items() if k != "seconds"} for line in RunFolder(tmp_path / name).read_metrics()]
        for name in ("whole", "killed")
    )
    assert whole == killed, f"seed {SEED}"
    first, second = (read_model(tmp_path / name / "model.safetensors").state for name in ("whole", "killed"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not left_over(tmp_path)


def test_a_data_set_that_is_killed_while_it_is_written_appears_whole_or_not_at_all(tmp_path):
    words = ["data", "scripted", tmp_path / "data", "--clips", 60, "--seed", 3, "--jobs", 1, "-q"]
    took = seconds_of("data", "scripted", tmp_path / "whole", "--clips", 60, "--seed", 3, "--jobs", 1, "-q")
    draw = random.Random(SEED)
    for _ in range(KILLS):
        if killed_at(took * draw.uniform(0.3, 1.0), *words):
            assert not (tmp_path / "data").exists() or (tmp_path / "data" / "dataset.json").is_file(), f"seed {SEED}"
    seconds_of(*words)
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    for file in files:
        assert (tmp_path / "data" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    assert not left_over(tmp_path)


def test_a_store_that_is_killed_while_it_is_built_is_built_by_the_next(tmp_path):
    folder = make_folder(tmp_path / "data", clips=400)
    script = f"from atm.data.humanml3d import open_dataset; print(len(open_dataset({str(folder)!r}, 'train')))"
    words, draw = [sys.executable, "-c", script], random.Random(SEED)
    begun = time.monotonic()
    expected = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    took = time.monotonic() - begun
    for _ in range(KILLS):
        for file in (folder / ".atm").iterdir():
            file.unlink()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(took * draw.uniform(0.5, 1.0))
        process.kill()
        process.communicate()
        assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == expected, f"seed {SEED}"
        assert not left_over(folder)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_signal_leaves_a_checkpoint_of_its_step(tmp_path, name):
    data, run = make_folder(tmp_path / "data", clips=24), tmp_path / "run"
    settings = ["mdm_small", f"data={data}", *TINY, "steps=100000", "batch_size=4", "log_every=1"]
    process = subprocess.Popen(
        command("train", *settings, "--out", run, "-q"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    begun = time.monotonic()
    while not RunFolder(run).read_metrics() and time.monotonic() < begun + LONGEST:
        time.sleep(0.2)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 128 + getattr(signal, name) and "Traceback" not in said
    saved = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert saved["step"] == RunFolder(run).read_metrics()[-1]["step"]
    assert f"go on with: atm train --resume {run}" in said
