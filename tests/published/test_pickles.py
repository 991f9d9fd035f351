"""Files from strangers: what they would run is said and not run, and trusted files run only what was said."""

import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from atm.base.errors import InputError
from atm.published import names_in, read_pickle
from atm.published.pickles import UNTOLD

OLD = {"_use_new_zipfile_serialization": False}


class Runs:
    """Reading it back makes a folder."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize(
    ("form", "trust"),
    [({}, False), (OLD, False), ({}, True), ({"pickle_protocol": 4}, True)],
    ids=["zip", "old", "trusted", "a protocol that PyTorch itself reads only trusted"],
)
def test_weights_and_plain_values_are_read(tmp_path, form, trust):
    content = {"state_dict": OrderedDict(w=torch.arange(3.0), b=torch.zeros(2).half()), "epoch": 3, "rates": [1e-4]}
    torch.save(content, tmp_path / "file.pt", **form)
    found = read_pickle(tmp_path / "file.pt", trust=trust)
    assert found["epoch"] == 3
    torch.testing.assert_close(found["state_dict"]["w"], torch.arange(3.0))


@pytest.mark.parametrize("form", [{}, OLD, {"pickle_protocol": 4}], ids=["zip", "old", "protocol 4"])
def test_a_file_that_would_run_something_is_not_run_and_says_what(tmp_path, form):
    made = tmp_path / "made"
    torch.save({"state_dict": {"w": torch.zeros(2)}, "extra": Runs(made)}, tmp_path / "file.pt", **form)
    name = f"{os.mkdir.__module__}.mkdir"
    with pytest.raises(InputError, match=rf"would have to run {name}\. Nothing was run\. .*--trust"):
        read_pickle(tmp_path / "file.pt")
    assert not made.exists()
    assert name in names_in(tmp_path / "file.pt")
    read_pickle(tmp_path / "file.pt", trust=True)
    assert made.is_dir()


def test_configs_of_omegaconf_need_trust_and_are_read_with_it(tmp_path):
    """As Lightning checkpoints of that time hold them, beside weights that need none."""
    content = {
        "state_dict": {"w": torch.ones(2)},
        "best": np.float64(0.41),
        "hyper_parameters": OmegaConf.create({"model": {"width": 256}}),
    }
    torch.save(content, tmp_path / "file.ckpt")
    with pytest.raises(InputError) as error:
        read_pickle(tmp_path / "file.ckpt")
    assert "omegaconf.dictconfig.DictConfig" in str(error.value)
    assert "numpy" not in str(error.value)
    assert "_rebuild_tensor" not in str(error.value)
    found = read_pickle(tmp_path / "file.ckpt", trust=True)
    assert found["best"] == 0.41
    assert found["hyper_parameters"].model.width == 256


@pytest.mark.parametrize("form", [{}, OLD], ids=["zip", "old"])
def test_numbers_and_arrays_of_numpy_beside_the_weights_need_no_trust(tmp_path, form):
    content = {"model": {"w": torch.ones(2)}, "step": np.int64(7), "best": np.float32(0.5), "mean": np.arange(3.0)}
    torch.save(content, tmp_path / "file.pt", **form)
    found = read_pickle(tmp_path / "file.pt")
    assert found["step"] == 7 and found["best"] == 0.5
    np.testing.assert_array_equal(found["mean"], [0, 1, 2])


@pytest.mark.parametrize("core", ["core", "_core"])
def test_numbers_are_read_by_the_names_of_older_numpy_too(tmp_path, core):
    torch.save({"step": np.int64(7)}, tmp_path / "new.pt")
    with zipfile.ZipFile(tmp_path / "new.pt") as whole:
        program = next(whole.read(name) for name in whole.namelist() if name.endswith("data.pkl"))
    assert b"numpy._core.multiarray" in program
    old = archive(tmp_path / "old.pt", program.replace(b"numpy._core.", f"numpy.{core}.".encode()))
    assert read_pickle(old) == {"step": 7}


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_a_wrapper_puts_before_every_key_is_left_out(tmp_path, wrapper):
    weights = {f"{wrapper}module.w": torch.ones(2), f"{wrapper}b": torch.zeros(1)}
    torch.save({"model": weights, "step": 3}, tmp_path / "nested.pt")
    torch.save(weights, tmp_path / "plain.pt")
    assert list(read_pickle(tmp_path / "nested.pt")["model"]) == ["module.w", "b"]
    assert list(read_pickle(tmp_path / "plain.pt")) == ["module.w", "b"]


def test_a_beginning_of_some_keys_alone_stays(tmp_path):
    torch.save({"module.w": torch.ones(2), "b": torch.zeros(1)}, tmp_path / "file.pt")
    assert list(read_pickle(tmp_path / "file.pt")) == ["module.w", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html><title>Google Drive</title>", "is a web page.*download the file itself"),
        (b"", "is empty"),
        (b"nothing of the kind", r"damaged, or another kind of file \(\S+"),
    ],
    ids=["pointer", "page", "empty", "other"],
)
def test_what_a_download_left_in_place_of_a_checkpoint_is_told(tmp_path, content, said):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_pickle(tmp_path / "model.pt")


@pytest.mark.parametrize("form", [{}, OLD], ids=["zip", "old"])
def test_packages_that_are_gone_do_not_stop_a_trusted_file(tmp_path, monkeypatch, form):
    (tmp_path / "gone_package.py").write_text("class Settings(dict):\n    def __init__(self):\n        self.rate = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_package

    settings = gone_package.Settings()
    settings["key"] = [1]
    torch.save({"w": torch.ones(2), "meta": {"settings": settings}}, tmp_path / "file.pth", **form)
    del sys.modules["gone_package"]
    (tmp_path / "gone_package.py").unlink()
    with pytest.raises(InputError, match=r"run gone_package\.Settings"):
        read_pickle(tmp_path / "file.pth")
    torch.testing.assert_close(read_pickle(tmp_path / "file.pth", trust=True)["w"], torch.ones(2))


def archive(path: Path, program: bytes) -> Path:
    """A file of today's form with this program in it."""
    torch.save({"w": torch.zeros(1)}, path)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w") as whole:
        for name, content in parts.items():
            whole.writestr(name, program if name.endswith("data.pkl") else content)
    return path


def test_a_name_that_is_made_up_while_reading_is_told_as_such_and_refused_even_when_trusted(tmp_path):
    """str("os") on the stack, then "mkdir", then: look these two up, and call it."""
    made = tmp_path / "made"
    look_up = b"cbuiltins\nstr\n(Vos\ntRVmkdir\n\x93"
    file = archive(tmp_path / "file.pt", b"\x80\x04" + look_up + b"(V" + str(made).encode() + b"\ntR.")
    assert names_in(file) == ["builtins.str", UNTOLD]
    with pytest.raises(InputError, match=f"builtins.str, {UNTOLD}"):
        read_pickle(file)
    with pytest.raises(InputError, match=r"even trusting it: .*os\.mkdir, which it did not say"):
        read_pickle(file, trust=True)
    assert not made.exists()


def test_names_said_once_and_fetched_again_are_followed(tmp_path):
    """Through the memo, a copy of the top, and things put down and taken away again."""
    words = b"Vos\nq\x00Vmkdir\nq\x01" + b"00"  # both remembered, then dropped
    noise = b"Vtorch\n20" + b"0" + b"(Vtorch\nVSize\n1"  # a copy, both dropped; two behind a mark, dropped with it
    file = archive(tmp_path / "file.pt", b"\x80\x04" + words + b"h\x00" + noise + b"h\x01\x93.")
    assert names_in(file) == ["os.mkdir"]


def test_the_raw_reader_of_tensors_inside_tensors_is_not_taken_for_harmless(tmp_path):
    """PyTorch's own function for it reads a second pickle with nothing forbidden."""
    file = archive(tmp_path / "file.pt", b"\x80\x02ctorch.storage\n_load_from_bytes\n(Vabc\ntR.")
    with pytest.raises(InputError, match=r"run torch\.storage\._load_from_bytes"):
        read_pickle(file)


@pytest.mark.parametrize("content", [b"no weights", b"\x80\x02junk", b"PK\x03\x04half", pickle.dumps({"a": 1})])
def test_what_is_no_file_of_weights_is_said_to_be_so(tmp_path, content):
    file = tmp_path / "file.pt"
    file.write_bytes(content)
    for trust in (False, True):
        with pytest.raises(InputError, match=r"cannot read .*file\.pt as PyTorch weights: it is damaged, or another"):
            read_pickle(file, trust=trust)


@pytest.mark.parametrize("form", [{}, OLD], ids=["zip", "old"])
def test_a_truncated_file_is_said_to_be_damaged(tmp_path, form):
    file = tmp_path / "file.pt"
    torch.save({"w": torch.arange(1000.0)}, file, **form)
    for kept in (-100, -2500, 40):
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(InputError, match="it is damaged, or another kind of file"):
            read_pickle(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*nothing\.pt"):
        read_pickle(tmp_path / "nothing.pt")
