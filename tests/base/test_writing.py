"""How files are written: what stood there stands until the new one is whole, and nobody else's file is replaced."""

import errno
import hashlib
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load as from_bytes

from atm.base import outputs, storage
from atm.base.errors import InputError
from atm.base.outputs import check_output, output
from atm.base.storage import appearing, as_safetensors, atomic


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "cache"))


def write(path, text: str, **options) -> None:
    with output(path, **options) as part:
        part.write_text(text)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "cache")


def test_a_read_only_file_stays_as_it_is(tmp_path):
    file = tmp_path / "keep.bvh"
    file.write_text("precious")
    file.chmod(0o444)
    with pytest.raises(InputError, match="keep.bvh cannot be written: it is read-only"), atomic(file) as part:
        part.write_text("new")
    assert file.read_text() == "precious" and names(tmp_path) == ["keep.bvh"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_loses_nothing(tmp_path, number):
    file = tmp_path / "walk.npz"
    write(file, "first")
    with pytest.raises(InputError, match="an older file there is unchanged"), output(file) as part:
        part.write_text("half")
        raise OSError(number, os.strerror(number))
    assert file.read_text() == "first" and names(tmp_path) == ["walk.npz"]


def test_a_folder_in_the_place_of_a_file_is_said(tmp_path):
    (tmp_path / "walk.npz").mkdir()
    with pytest.raises(InputError, match="it is a folder"), atomic(tmp_path / "walk.npz"):
        pass


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    with atomic(tmp_path / "link.txt") as part:
        part.write_text("new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "target.txt").read_text() == "new"


def test_the_rights_of_a_file_stay(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o640)
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with atomic(tmp_path / "a.txt") as one, atomic(tmp_path / "a.txt") as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "a.txt").read_text() == "one", "the outer block ends last"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_of_one_folder_do_not_mix_and_the_second_is_refused(tmp_path):
    out = tmp_path / "data"
    with pytest.raises(InputError, match="cannot write .*data"), appearing(out) as second:
        with appearing(out) as first:
            for number in range(5):
                (first / f"A{number}").write_text("a")
            (second / "B0").write_text("b")
        (second / "B1").write_text("b")
    assert sorted(path.name for path in out.iterdir()) == [f"A{number}" for number in range(5)]
    assert names(tmp_path) == ["data"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    with appearing(tmp_path / "data") as made:
        (made / "a").write_text("a")
    assert names(tmp_path / "data") == ["a"]


def test_what_a_dead_process_left_half_written_goes(tmp_path):
    script = """
import os, sys
from pathlib import Path
from atm.base.storage import appearing, atomic
with atomic(Path(sys.argv[1]) / "a.txt") as part, appearing(Path(sys.argv[1]) / "data"):
    part.write_text("half")
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len(names(tmp_path)) == 2, "a file and a folder, half written"
    with atomic(tmp_path / "b.txt") as part:
        part.write_text("whole")
    assert names(tmp_path) == ["b.txt"]


def test_what_a_living_process_writes_is_left_to_it(tmp_path, monkeypatch):
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("half")
        monkeypatch.setattr(storage, "_cleared", set())
        storage.clear_left_over(tmp_path)
        assert part.exists()


def test_a_foreign_file_is_not_overwritten_without_force(tmp_path):
    file = tmp_path / "keep.npz"
    file.write_text("precious")
    with pytest.raises(InputError, match="not what atm wrote there: name another file, or give --force"):
        write(file, "new")
    assert file.read_text() == "precious"
    write(file, "new", force=True)
    assert file.read_text() == "new"


def test_a_file_that_was_made_before_is_replaced_until_somebody_changes_it(tmp_path):
    file = tmp_path / "walk.npz"
    for text in ("first", "second", "third"):
        write(file, text)
    file.write_text("by hand")
    with pytest.raises(InputError, match="is there already"):
        check_output(file)


def test_a_copy_under_another_name_is_not_atms_to_replace(tmp_path):
    write(tmp_path / "walk.npz", "made")
    (tmp_path / "best.npz").write_text("made")
    with pytest.raises(InputError, match="best.npz is there already"):
        check_output(tmp_path / "best.npz")


def test_without_a_cache_folder_a_file_is_written_and_later_counts_as_foreign(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ATM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot remember"):
        write(tmp_path / "walk.npz", "made")
    assert (tmp_path / "walk.npz").read_text() == "made"
    with pytest.raises(InputError, match="--force"):
        check_output(tmp_path / "walk.npz")


def test_force_of_the_command_line_holds_for_its_command(tmp_path):
    (tmp_path / "walk.npz").write_text("precious")
    outputs.allow_replacing(True)
    try:
        check_output(tmp_path / "walk.npz")
    finally:
        outputs.allow_replacing(False)
    with pytest.raises(InputError):
        check_output(tmp_path / "walk.npz")


def test_equal_weights_are_equal_bytes():
    """The library draws the order of its metadata anew for each file: two keys in 20 files agree once in 500,000."""
    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2, dtype=torch.float16)}
    metadata = {"config": '{"a": "ü"}', "atm": "generator"}
    made = [as_safetensors(tensors, metadata) for _ in range(20)]
    assert len({hashlib.sha256(one).hexdigest() for one in made}) == 1
    read = from_bytes(made[0])
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)
