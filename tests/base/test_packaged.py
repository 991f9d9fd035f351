"""Packaged weights: each is the file that was packaged, or it is refused."""

import hashlib
import shutil
from pathlib import Path

import pytest

from atm.apps.pack import pack
from atm.base import packaged
from atm.base.errors import InputError
from atm.base.packaged import FOLDER, NAMES, SUMS, read_sums
from atm.base.storage import find_model, read_model

SMALLEST = NAMES["evaluator"]


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """An installation of its own that has the evaluator alone."""
    for name in (SMALLEST, SUMS):
        shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    return tmp_path


def test_every_packaged_weight_has_its_sum_and_no_other_file_has():
    there = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FOLDER.glob("*.safetensors")}
    assert read_sums(FOLDER) == there
    assert set(NAMES.values()) == set(there)


def test_a_packaged_weight_with_one_other_bit_is_refused_in_one_sentence(installed):
    """The bit is the lowest of the last weight: shapes, config and every other number are as they were."""
    file = find_model("evaluator")
    content = file.read_bytes()
    whole = read_model(file)
    file.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    with pytest.raises(InputError, match=f"{SMALLEST} are damaged: .* what {SUMS} says; install atm again$"):
        read_model(file)
    file.write_bytes(content)
    assert read_model(file).config == whole.config


def test_a_packaged_weight_without_a_sum_is_refused(installed):
    (installed / SUMS).write_text("")
    with pytest.raises(InputError, match=f"no line for {SMALLEST}"):
        read_model(find_model("evaluator"))


def test_a_packaged_weight_is_hashed_once_in_a_process(installed, monkeypatch):
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: hashed.append(args) or digest(*args))
    for _ in range(3):
        read_model(find_model("evaluator"))
    assert len(hashed) == 1


def test_packing_beside_sums_writes_the_sum_of_what_was_packed(installed, tmp_path):
    again = pack(installed / SMALLEST, tmp_path / "again.safetensors")
    assert read_sums(tmp_path)["again.safetensors"] == hashlib.sha256(again.read_bytes()).hexdigest()
    assert read_sums(tmp_path)[SMALLEST] == read_sums(FOLDER)[SMALLEST]
