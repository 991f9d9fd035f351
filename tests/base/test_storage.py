"""Model files: what goes in comes out, and a bad moment or a bad file never costs the good one."""

import resource
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.storage import atomic, load_state, read_model, save_model


class ToyConfig(Config):
    width: int = 3


class Toy(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()
        self.linear = nn.Linear(width, 2)
        self.register_buffer("std", torch.full((width,), 1e-6))
        self.register_buffer("table", torch.ones(9), persistent=False)


@contextmanager
def files_no_larger_than(size: int):
    """The operating system refuses to write more, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_saved_model_comes_back_with_kind_config_and_weights(tmp_path):
    model = Toy()
    save_model(tmp_path / "m.safetensors", model, ToyConfig(), "space")
    kind, config, state = read_model(tmp_path / "m.safetensors")
    assert (kind, config) == ("space", {"width": 3})
    assert set(state) == {"linear.weight", "linear.bias", "std"}
    other = Toy()
    load_state(other, state, source="m")
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_half_precision_rounds_weights_but_not_statistics(tmp_path):
    """float16 keeps 11 bits, so a weight is off by at most 2^-11 of itself; 1e-6 as float16 would be off by 5 %."""
    model = Toy()
    save_model(tmp_path / "m.safetensors", model, ToyConfig(), "space", half=True)
    state = read_model(tmp_path / "m.safetensors").state
    assert all(value.dtype == torch.float32 for value in state.values())
    torch.testing.assert_close(state["linear.weight"], model.linear.weight.detach(), rtol=2**-11, atol=1e-7)
    torch.testing.assert_close(state["std"], model.std, rtol=0, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_model_with_a_weight_that_is_no_number_is_refused(tmp_path, bad):
    model = Toy()
    model.linear.weight.data[1, 2] = bad
    save_model(tmp_path / "m.safetensors", model, ToyConfig(), "space")
    with pytest.raises(InputError, match=r"m.safetensors holds weights that are NaN or .* \(linear.weight: 1 of 6"):
        read_model(tmp_path / "m.safetensors")


def test_a_model_whose_weights_add_up_beyond_all_numbers_is_read(tmp_path):
    model = Toy()
    model.linear.weight.data[:] = 3e38
    save_model(tmp_path / "m.safetensors", model, ToyConfig(), "space")
    assert (read_model(tmp_path / "m.safetensors").state["linear.weight"] == 3e38).all()


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "m.safetensors"
    model = Toy()
    save_model(path, model, ToyConfig(), "space")
    with files_no_larger_than(64), pytest.raises(InputError, match="an older file there is unchanged"):
        save_model(path, Toy(), ToyConfig(), "space")
    torch.testing.assert_close(read_model(path).state["linear.weight"], model.linear.weight.detach(), rtol=0, atol=0)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "x") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        save_model(tmp_path / "nowhere" / "m.safetensors", Toy(), ToyConfig(), "space")


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\xff" * 4096])
def test_a_random_file_is_no_model(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="cannot read the model file|the model file .* is empty"):
        read_model(tmp_path / "m.safetensors")


def test_a_truncated_file_is_no_model(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, Toy(), ToyConfig(), "space")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="cannot read the model file"):
        read_model(path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot read the model file"):
        read_model(tmp_path / "m.safetensors")


def test_safetensors_of_another_program_are_told_apart(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="not one that atm wrote"):
        read_model(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit_are_named():
    state = Toy(4).state_dict()
    state["other"] = state.pop("linear.bias")
    with pytest.raises(InputError) as error:
        load_state(Toy(3), state, source="old.pt")
    for part in ("old.pt", "linear.bias", "other", "(2, 4) instead of (2, 3)"):
        assert part in str(error.value)
