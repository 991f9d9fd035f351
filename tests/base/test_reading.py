"""Files from outside: content, or one sentence, before memory or time is spent on what cannot be meant."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.base.reading import parse_json, read_arrays, read_json, read_plain_text, read_yaml


def header(shape: str, dtype: str = "<f4", body: bytes = bytes(64)) -> bytes:
    """A `.npy` whose header says what it likes."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + body


def put(folder, name: str, content: bytes):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("shape", ["(1000000000000, 22, 3)", "(4294967296, 4294967296, 4294967296)", "(-1, 263)"])
def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path, shape):
    with pytest.raises(InputError, match="its header says"):
        read_arrays(put(tmp_path, "a.npy", header(shape)))


def test_a_small_archive_that_unpacks_to_a_gigabyte_is_refused_before_it_does(tmp_path):
    """Zeros pack a thousand times; the archive is made piece by piece, so that the test does not hold them either."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:  # noqa: SIM117
        with archive.open("joints.npy", "w", force_zip64=True) as entry:
            for _ in range(100):
                entry.write(bytes(10**6))
    with pytest.raises(InputError, match="unpack to 100,000,000"):
        read_arrays(tmp_path / "bomb.npz")


def test_a_flipped_bit_an_object_and_a_cut_are_each_one_sentence(tmp_path):
    stream = io.BytesIO()
    np.savez(stream, joints=np.ones((20, 22, 3), np.float32))
    whole = stream.getvalue()
    flipped = bytearray(whole)
    flipped[300] ^= 1
    objects = io.BytesIO()
    np.save(objects, np.array([None], object), allow_pickle=True)
    for name, content in {"a.npz": bytes(flipped), "b.npy": objects.getvalue(), "c.npz": whole[:500]}.items():
        with pytest.raises(InputError, match="cannot be read|holds Python objects") as caught:
            read_arrays(put(tmp_path, name, content))
        assert "\n" not in str(caught.value)


def test_what_is_whole_is_read(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", one=array, word=np.array("walk"))
    assert np.array_equal(read_arrays(tmp_path / "a.npy"), array)
    found = read_arrays(tmp_path / "a.npz")
    assert np.array_equal(found["one"], array) and str(found["word"]) == "walk"


@pytest.mark.parametrize("read", [read_arrays, read_plain_text, read_json, read_yaml])
def test_a_pipe_does_not_hang_and_a_missing_file_is_said(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a folder, a pipe or a device"):
        read(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not there"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ("[" * 200 + "]" * 200, "nested more than 100"),
        ("9" * 5000, "is no JSON"),
    ],
)
def test_json_that_is_none_or_nests_without_end_is_one_sentence(content, said):
    with pytest.raises(InputError, match=said) as caught:
        parse_json(content)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "no UTF-8"),
        (b"a: [", "is no YAML"),
        (b"- " * 5000 + b"x", "nested"),
        (b"&a [*a]", "nested"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{n}: &{n} [{','.join([f'*{o}'] * 10)}]\n" for o, n in zip("abcdefg", "bcdefgh", strict=True)
        ), "holds more than"),
        (b"!!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)  # fmt: skip
def test_yaml_that_is_none_or_refers_to_itself_is_one_sentence(tmp_path, content, said):
    file = put(tmp_path, "a.yaml", content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=said):
        read_yaml(file)
