"""`atm export` of several formats, of folders, and onto rigs."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from rigs import RigKind, write_bvh_rig

from atm.apps.convert import ExportOptions, export_files
from atm.apps.export import FORMATS, SUFFIXES, save_motion
from atm.base.errors import InputError
from atm.export.names import FileStyle
from figures import walk

__all__ = ["walk"]


@pytest.fixture
def motions(walk, tmp_path) -> Path:
    save_motion(tmp_path / "in" / "one.npz", walk, text="a person walks")
    save_motion(tmp_path / "in" / "deep" / "two.bvh", walk)
    (tmp_path / "in" / "notes.txt").write_text("no motion")
    return tmp_path / "in"


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_one_motion_becomes_several_formats_by_commas_or_repeated(motions, tmp_path):
    made = export_files(motions / "one.npz", tmp_path / "out", ExportOptions(("bvh,glb", "amass")))
    assert written(tmp_path / "out") == {"one.bvh", "one.glb", "one.amass.npz"} == {path.name for path in made}


def test_of_several_formats_each_takes_what_it_has_of_a_style(motions, tmp_path):
    style = FileStyle(names="mixamo", unit="cm")
    export_files(motions / "one.npz", tmp_path / "out", ExportOptions(("bvh,csv",), style))
    assert (
        "ROOT mixamorigHips" in (tmp_path / "out" / "one.bvh").read_text() and (tmp_path / "out" / "one.csv").exists()
    )
    with pytest.raises(InputError, match="unit can be chosen for .bvh, .* but the file is a .csv"):
        export_files(motions / "one.npz", tmp_path / "none", ExportOptions(("csv,glb",), style))
    assert not (tmp_path / "none").exists()


def test_a_folder_keeps_its_folders(motions, tmp_path):
    export_files(motions, tmp_path / "out", ExportOptions(("glb", "kimodo"), FileStyle()))
    assert written(tmp_path / "out") == {"one.glb", "one.kimodo.npz", "deep/two.glb", "deep/two.kimodo.npz"}


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_written(motions, tmp_path):
    np.savez(motions / "other.npz", weights=np.zeros(3))
    with pytest.raises(InputError, match="1 of 3 files could not be read, the others are written to .*other.npz"):
        export_files(motions, tmp_path / "out", ExportOptions(("csv",)))
    assert written(tmp_path / "out") == {"one.csv", "deep/two.csv"}


def test_what_would_become_one_file_or_overwrite_itself_is_refused_before_anything_is_written(motions, walk, tmp_path):
    save_motion(motions / "one.bvh", walk)
    with pytest.raises(InputError, match="would both become .*one.glb: rename one"):
        export_files(motions, tmp_path / "out", ExportOptions(("glb",)))
    with pytest.raises(InputError, match="would be overwritten by itself"):
        export_files(motions / "one.bvh", motions, ExportOptions(("bvh",)))
    assert not (tmp_path / "out").exists()


def test_wrong_calls_are_one_sentence(motions, tmp_path):
    for source, out, formats, said in (
        (motions, tmp_path / "out", (), "is a folder: say what its files shall become"),
        (motions / "none.npz", tmp_path / "x.bvh", (), "no such motion file or folder"),
        (motions / "one.npz", tmp_path / "x.bvhh", (), "unknown output suffix '.bvhh': did you mean '.bvh'"),
        (motions / "one.npz", tmp_path / "x.bvh", ("bvh",), "with --format the output is a folder"),
        (motions / "one.npz", tmp_path / "out", ("glbb",), "unknown output format 'glbb': did you mean 'glb'"),
    ):
        with pytest.raises(InputError, match=said):
            export_files(source, out, ExportOptions(formats))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no motion files"):
        export_files(tmp_path / "empty", tmp_path / "out", ExportOptions(("bvh",)))


def test_a_folder_comes_out_on_a_rig(motions, tmp_path):
    rig = write_bvh_rig(tmp_path / "rig.bvh", RigKind(prefix=""))
    made = export_files(motions, tmp_path / "out", ExportOptions(("bvh",), rig=rig))
    assert len(made) == 2 and all("ROOT Hips" in path.read_text() for path in made)
    with pytest.raises(InputError, match=r"a .bvh file is written, got one.glb"):
        export_files(motions / "one.npz", tmp_path / "out", ExportOptions(("glb",), rig=rig))
    with pytest.raises(InputError, match="a rig has names, unit and axis of its own"):
        export_files(motions, tmp_path / "out", ExportOptions(("bvh",), FileStyle(unit="cm"), rig=rig))


def test_formats_have_names_of_one_word_and_the_longest_ending_counts(walk, tmp_path):
    assert FORMATS["amass"] == ".amass.npz" and FORMATS["npz"] == ".npz" and len(FORMATS) == len(SUFFIXES)
    with np.load(save_motion(tmp_path / "walk.AMASS.npz", walk)) as archive:
        assert "poses" in archive.files
    with np.load(save_motion(tmp_path / "walk.x.npz", walk)) as file:
        assert "joints" in file.files
