"""Checkpoints: whole or not at all, and answered in one sentence where they are damaged."""

import errno
import os

import pytest
import torch
from torch import nn
from toys import Bench, losses, still_pose, weights

from atm.base.errors import InputError
from atm.training.checkpoint import PARTS, MovingAverage, read_checkpoint, save_checkpoint

STATE = dict.fromkeys(PARTS, 0) | {"model": {"weight": torch.arange(5.0)}}


def full_disk(patch: pytest.MonkeyPatch) -> None:
    """From here on nothing can be made durable."""

    def refuse(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", refuse)


def test_what_was_saved_is_read(tmp_path):
    save_checkpoint(tmp_path / "last.pt", STATE)
    read = read_checkpoint(tmp_path / "last.pt")
    assert read.keys() == STATE.keys()
    assert torch.equal(read["model"]["weight"], torch.arange(5.0))


def test_a_missing_checkpoint_says_that_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match="nothing to resume"):
        read_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_bad_input(tmp_path, share):
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"last.pt is no whole checkpoint: .+") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_bad_input(tmp_path, seed):
    path = tmp_path / "last.pt"
    path.write_bytes(torch.randint(256, (999,), generator=torch.Generator().manual_seed(seed)).byte().numpy().tobytes())
    with pytest.raises(InputError, match="no whole checkpoint"):
        read_checkpoint(path)


def test_a_torch_file_that_is_no_checkpoint_is_bad_input(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="no checkpoint of a run: expected average, bad_in_a_row, best"):
        read_checkpoint(tmp_path / "last.pt")


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "last.pt", STATE)
    before = (tmp_path / "last.pt").read_bytes()
    full_disk(monkeypatch)
    with pytest.raises(InputError, match="cannot write .*last.pt: No space left on device; an older file there is"):
        save_checkpoint(tmp_path / "last.pt", STATE | {"step": 7})
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"], "no torn file stays behind"


def test_a_run_on_a_full_disk_keeps_its_last_checkpoint_and_can_go_on_later(tmp_path, monkeypatch):
    bench = Bench(tmp_path)
    config = bench.config(steps=4, checkpoint_every=2)
    bench.run("whole", config)
    bench.run("full", bench.config(steps=2))
    run = bench.at("full")
    kept = {path: path.read_bytes() for path in (run.checkpoint, run.model, run.config)}
    with monkeypatch.context() as patch:
        full_disk(patch)
        with pytest.raises(InputError, match="No space left on device") as caught:
            bench.run("full", config, resume=True)
    assert "\n" not in str(caught.value)
    assert all(path.read_bytes() == content for path, content in kept.items())
    bench.run("full", config, resume=True)
    assert losses(run) == losses(bench.at("whole"))
    assert all(torch.equal(value, weights(bench.at("whole"))[name]) for name, value in weights(run).items())


def test_a_checkpoint_of_another_model_is_bad_input(tmp_path):
    bench = Bench(tmp_path)
    bench.run("run", bench.config(steps=1))
    with pytest.raises(InputError, match=r"to_pose.weight \(263, 16\) instead of \(100, 16\)"):
        bench.run("run", bench.config(), resume=True, model=still_pose(width=100))


def test_the_moving_average_equals_a_slow_loop():
    """a <- d a + (1 - d) w after each step s, with d = min(decay, (1 + s) / (10 + s))."""
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    average = MovingAverage(module, decay=0.3)
    expected = {name: value.detach().clone() for name, value in module.named_parameters()}
    for step in range(1, 8):
        with torch.no_grad():
            for name, value in module.named_parameters():
                value += torch.randn(value.shape)
                decay = min(0.3, (1 + step) / (10 + step))
                expected[name] = decay * expected[name] + (1 - decay) * value
        average.update(step)
    for name, value in expected.items():
        torch.testing.assert_close(average.average[name], value)


def test_the_average_is_in_place_for_a_block_and_the_weights_come_back():
    module = nn.Linear(3, 2)
    average = MovingAverage(module, decay=0.9)
    with torch.no_grad():
        module.weight.zero_()
    before = average.average["weight"].clone()
    with pytest.raises(OSError, match="no disk"), average.in_place():
        assert torch.equal(module.weight, before)
        raise OSError("no disk")
    assert torch.equal(module.weight, torch.zeros(2, 3))
    assert torch.equal(average.average["weight"], before)
