"""Training over two processes on the CPU, as a user starts it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from toys import Bench

from atm.base.errors import InputError
from atm.base.storage import read_model
from atm.data.batches import BatchSampler
from atm.training.distributed import gathered, lost_in_words, make_fabric, true_anywhere
from atm.training.record import RunFolder
from atm.training.step import step_generator
from doubles import FakeTextEncoder
from folders import make_folder

TINY = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]
TWO = [
    "batch_size=4",
    "log_every=1",
    "checkpoint_every=100",
    "gradient_log_every=2",
    "alignment.gather=true",
    "cosine_to=none",
    "precision=32-true",
]


def test_one_process_agrees_with_itself():
    fabric = make_fabric()
    assert (fabric.world_size, fabric.global_rank, fabric.is_global_zero) == (1, 0, True)
    assert true_anywhere(fabric, True) and not true_anywhere(fabric, False)
    assert gathered(fabric, ["a"]) == ["a"]


def test_ranks_draw_other_random_numbers_and_the_first_those_of_a_run_alone():
    draws = [torch.rand(3, generator=step_generator(5, 7, rank)).tolist() for rank in (0, 1, 2)]
    assert draws[0] == torch.rand(3, generator=step_generator(5, 7)).tolist()
    assert draws[0] != draws[1] != draws[2] != draws[0]


def test_the_processes_of_a_step_have_motions_of_their_own(tmp_path):
    """Process r of W takes batch s · W + r at step s: within an epoch no motion comes twice."""
    bench = Bench(tmp_path)
    sampler = BatchSampler(bench.dataset, FakeTextEncoder(), batch_size=3, seed=0)
    ids = [clip for step in (0, 1) for rank in (0, 1) for clip in sampler(step * 2 + rank).ids]
    assert len(ids) == len(set(ids)) == 12


def test_a_step_takes_a_batch_for_every_process(tmp_path, monkeypatch):
    """The second of two, who works alone here, so that nobody has to be met."""
    bench, asked, fabric = Bench(tmp_path), [], make_fabric()
    monkeypatch.setattr(type(fabric), "global_rank", 1)
    monkeypatch.setattr(type(fabric), "world_size", 2)
    monkeypatch.setattr("atm.training.loop.true_anywhere", lambda _fabric, flag: flag)

    def sampler(number):
        asked.append(number)
        return bench.sampler(bench.config())(number)

    bench.run("run", bench.config(steps=3), sampler=sampler, fabric=fabric)
    assert asked[:3] == [1, 3, 5]


def test_too_many_devices_are_refused(monkeypatch):
    monkeypatch.setattr("lightning.fabric.Fabric", _no_such_device)
    with pytest.raises(InputError, match="cannot train on 9 devices of 1 machines: You requested gpu"):
        make_fabric(devices=9)


@pytest.mark.parametrize(
    "said",
    ["[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234",
     "NCCL communicator was aborted on rank 0."],
)  # fmt: skip
def test_a_process_that_is_gone_is_said_in_one_sentence(monkeypatch, said):
    fabric = make_fabric()
    monkeypatch.setattr(type(fabric), "world_size", 2)
    with pytest.raises(
        InputError, match="process 0 of 2 lost another one, .* go on from the last checkpoint"
    ) as caught:
        _raise_inside(fabric, said)
    assert "\n" not in str(caught.value) and "pair.cc" not in str(caught.value)


def test_other_errors_of_a_process_are_left_as_they_are(monkeypatch):
    fabric = make_fabric()
    monkeypatch.setattr(type(fabric), "world_size", 2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        _raise_inside(fabric, "mat1 and mat2 shapes cannot be multiplied")


def _raise_inside(fabric, said: str) -> None:
    with lost_in_words(fabric):
        raise RuntimeError(said)


def _no_such_device(**_):
    raise RuntimeError("You requested gpu: [0, 1]")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_train_one_model_and_resume(tmp_path):
    """A run of four steps equals one of two steps that is resumed; both ranks took part, and one wrote."""
    data = make_folder(tmp_path / "data", clips=32)
    environment = os.environ | {"ATM_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}

    def train(*arguments: str) -> str:
        command = [sys.executable, "-m", "atm", "train", *arguments, "--devices", "2", "--quiet"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    start = ["mdm_small_atm", *TINY, *TWO, f"data={data}"]
    assert train(*start, "steps=4", "--out", "whole") == "whole\n"
    whole = RunFolder(tmp_path / "whole")
    assert whole.read_record()["processes"] == 2 and whole.read_record()["step"] == 4
    assert [line["step"] for line in whole.read_metrics()] == [1, 2, 3, 4]

    train(*start, "steps=2", "--out", "halves")
    config = tmp_path / "halves" / "config.yaml"
    config.write_text(config.read_text().replace("steps: 2\n", "steps: 4\n", 1))
    train("--resume", "halves")
    halves = RunFolder(tmp_path / "halves")
    for name, value in read_model(whole.model).state.items():
        np.testing.assert_allclose(value, read_model(halves.model).state[name], atol=1e-6, err_msg=name)

    one = subprocess.run(
        [sys.executable, "-m", "atm", "train", *start, "steps=1", "--out", "one", "--quiet"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert one.returncode == 0, one.stderr[-3000:]
    alone = RunFolder(tmp_path / "one").read_metrics()[0]
    assert alone["loss"] == pytest.approx(whole.read_metrics()[0]["loss"], rel=1e-4), "the first process, the same rows"
    assert alone["gradient_norm"] != pytest.approx(whole.read_metrics()[0]["gradient_norm"]), "those of the second, too"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rank_that_dies_ends_the_other_within_half_a_minute_in_one_sentence(tmp_path):
    script = tmp_path / "dies.py"
    script.write_text(
        "import os\n"
        "import atm.cli\n"
        "from atm.data import batches\n"
        "draw = batches.BatchSampler.__call__\n"
        "def draw_or_die(self, step):\n"
        "    if os.environ.get('LOCAL_RANK') == '1' and step > 20:\n"
        "        os._exit(9)\n"
        "    return draw(self, step)\n"
        "batches.BatchSampler.__call__ = draw_or_die\n"
        "if __name__ == '__main__':\n"
        "    atm.cli.main()\n"
    )
    data = make_folder(tmp_path / "data", clips=32)
    environment = os.environ | {"ATM_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    words = ["train", "mdm_small", *TINY, "batch_size=4", "checkpoint_every=2", "precision=32-true", "steps=100000"]
    done = subprocess.run(
        [sys.executable, str(script), *words, f"data={data}", "--devices", "2", "--out", "run", "--quiet"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr[-3000:]
    assert "lost another one" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()
