"""NumPy files of strangers: dictionaries are read, nothing in them runs, and what they really are is told."""

import os

import numpy as np
import pytest

from atm.base.arrays import encode_latin1
from atm.base.errors import InputError
from atm.base.reading import read_arrays, read_json


class Runs:
    """Reading it back makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_plain_arrays_and_archives_are_read(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(3))
    np.savez(tmp_path / "two.npz", joints=np.ones(2), text=np.array("walks"))
    np.testing.assert_array_equal(read_arrays(tmp_path / "one.npy"), [0, 1, 2])
    found = read_arrays(tmp_path / "two.npz")
    assert set(found) == {"joints", "text"} and str(found["text"]) == "walks"


def test_a_dictionary_is_read_without_running_anything(tmp_path):
    content = {"motion": np.ones((2, 3)), "text": ["a", "b"], "lengths": np.array([1, 2]), "num": np.int64(2)}
    np.save(tmp_path / "results.npy", content)
    found = read_arrays(tmp_path / "results.npy")
    assert found["text"] == ["a", "b"] and found["num"] == 2
    np.testing.assert_array_equal(found["motion"], content["motion"])


def test_a_file_that_would_run_something_is_refused_and_names_it(tmp_path):
    np.save(tmp_path / "evil.npy", {"motion": Runs(tmp_path / "made")})
    with pytest.raises(InputError, match=r"Python would have to run \w+\.mkdir"):
        read_arrays(tmp_path / "evil.npy")
    assert not (tmp_path / "made").exists()
    np.savez(tmp_path / "evil.npz", motion=np.array(Runs(tmp_path / "made"), dtype=object))
    with pytest.raises(InputError):
        read_arrays(tmp_path / "evil.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer.*git lfs pull"),
        (b"  <!DOCTYPE html>", "is a web page"),
        (b"", "is empty"),
        (b"anything else", "cannot be read"),
        (b"\x93NUMPY\x01\x00", "cannot be read"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_is_no_array_is_told_and_never_told_to_be_unpickled(tmp_path, content, said, suffix):
    (tmp_path / f"file{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        read_arrays(tmp_path / f"file{suffix}")
    assert "allow_pickle" not in str(error.value)


def test_bytes_are_spelled_in_one_way_alone():
    assert encode_latin1("\xff", "latin1") == b"\xff"
    with pytest.raises(ValueError, match="not rot13"):
        encode_latin1("a", "rot13")


def test_a_byte_order_mark_is_no_part_of_json(tmp_path):
    (tmp_path / "args.json").write_bytes(b'\xef\xbb\xbf{"layers": 1}')
    assert read_json(tmp_path / "args.json") == {"layers": 1}
    (tmp_path / "args.json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        read_json(tmp_path / "args.json")
