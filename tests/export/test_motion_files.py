"""Motions into files and back."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import atm
from atm.apps.export import SUFFIXES, save_motion
from atm.base.errors import InputError
from atm.cli.app import run as command_line
from atm.export import load_motion, load_motions
from atm.motion import HUMANML3D, KIT
from atm.motion.anatomy import UNITS

HERE = [suffix for suffix in SUFFIXES if not suffix.startswith((".usd", ".fbx"))]
"""What is written without a library that may be missing."""


def test_npz_gives_back_what_was_saved(walk, tmp_path):
    features = np.random.default_rng(0).normal(size=(len(walk), 263)).astype(np.float32)
    provenance = {"model": "mdm_small", "seed": 7}
    path = save_motion(
        tmp_path / "new" / "walk.npz", walk, features=features, text="a person walks", provenance=provenance
    )
    motion = load_motion(path)
    np.testing.assert_array_equal(motion.joints, walk)
    np.testing.assert_array_equal(motion.features, features)
    assert (motion.text, motion.provenance, motion.skeleton) == ("a person walks", provenance, HUMANML3D)


def test_npz_keeps_the_frame_rate_of_its_source(walk, tmp_path):
    at_60 = replace(HUMANML3D, fps=60.0)
    motion = load_motion(save_motion(tmp_path / "walk.npz", walk, skeleton=at_60))
    assert motion.skeleton == at_60
    assert atm.load_motion(tmp_path / "walk.npz").seconds == len(walk) / 60


@pytest.mark.parametrize("fps", [0, -20.0, np.nan, np.inf, 1e9, [20, 20], "20", True])
def test_npz_of_an_impossible_frame_rate_is_refused(walk, tmp_path, fps):
    np.savez(tmp_path / "walk.npz", joints=walk, fps=fps)
    with pytest.raises(InputError, match="'fps' is .*: expected one number of frames per second"):
        load_motion(tmp_path / "walk.npz")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.full((1, 263), np.nan), "hold NaN or infinity"), (np.zeros((1, 251)), r"expected features \(frames, 263\)"),
        (np.zeros((9999, 263)), "9999 rows of features do not belong"), (np.array("words"), "expected features"),
    ],
)  # fmt: skip
def test_features_that_are_not_those_of_the_joints_are_refused(walk, tmp_path, features, said):
    rows = np.repeat(features, len(walk), axis=0) if len(np.shape(features)) == 2 and len(features) == 1 else features
    np.savez(tmp_path / "walk.npz", joints=walk, features=rows)
    with pytest.raises(InputError, match=said):
        load_motion(tmp_path / "walk.npz")


def test_a_motion_of_60_frames_per_second_is_read_by_a_space_as_at_20(walk, tmp_path):
    """Every third of 60 frames is a frame at 20: in straight lines, the others lie between two of them."""
    times = np.arange(3 * len(walk) - 2) / 3
    below, share = times.astype(int), (times % 1)[:, None, None]
    fine = ((1 - share) * walk[below] + share * walk[np.minimum(below + 1, len(walk) - 1)]).astype(np.float32)
    save_motion(tmp_path / "fine.npz", fine, skeleton=replace(HUMANML3D, fps=60.0))
    save_motion(tmp_path / "walk.npz", walk)
    fine_features, features = (atm.load_motion(tmp_path / f"{name}.npz").features for name in ("fine", "walk"))
    np.testing.assert_allclose(fine_features, features, atol=2e-4)


def test_npz_is_readable_without_this_package(walk, tmp_path):
    with np.load(save_motion(tmp_path / "walk.npz", walk), allow_pickle=False) as arrays:
        assert arrays["fps"] == 20
        assert tuple(arrays["joint_names"]) == HUMANML3D.joint_names


def test_npy_of_joints_gives_back_the_joints(walk, tmp_path):
    np.testing.assert_array_equal(load_motion(save_motion(tmp_path / "walk.npy", walk)).joints, walk)


def test_csv_has_a_row_for_each_frame_and_a_column_for_each_coordinate(walk, tmp_path):
    lines = save_motion(tmp_path / "walk.csv", walk).read_text().splitlines()
    assert lines[0].startswith("seconds,pelvis_x,pelvis_y,pelvis_z,left_hip_x,") and len(lines) == 1 + len(walk)
    rows = np.array([line.split(",") for line in lines[1:]], dtype=float)
    np.testing.assert_allclose(rows[:, 0], np.arange(len(walk)) / 20)
    np.testing.assert_allclose(rows[:, 1:].reshape(walk.shape), walk, atol=1e-6)


def test_npy_of_features_becomes_joints(tmp_path):
    """All features zero but the root height: every joint stands on the axis, the root at that height."""
    features = np.zeros((5, 263), dtype=np.float32)
    features[:, HUMANML3D.columns["root_height"]] = 0.9
    np.save(tmp_path / "still.npy", features)
    motion = load_motion(tmp_path / "still.npy")
    assert motion.joints.shape == (5, 22, 3)
    np.testing.assert_allclose(motion.joints[:, 0], [[0, 0.9, 0]] * 5, atol=1e-6)


def test_published_kit_joints_in_millimetres_become_metres(tmp_path):
    joints = np.random.default_rng(0).uniform(0, 1700, size=(3, KIT.n_joints, 3))
    np.save(tmp_path / "kit.npy", joints)
    motion = load_motion(tmp_path / "kit.npy")
    assert motion.skeleton == KIT
    np.testing.assert_allclose(motion.joints, joints / 1000, rtol=1e-6)


@pytest.mark.parametrize("suffix", HERE)
def test_every_suffix_writes_a_file_of_its_kind(walk, tmp_path, suffix):
    path = save_motion(tmp_path / f"walk{suffix}", walk[:6], text="a person walks")
    beginnings = {
        ".npz": b"PK", ".npy": b"\x93NUMPY", ".csv": b"seconds,", ".bvh": b"HIERARCHY", ".glb": b"glTF",
        ".vrma": b"glTF", ".amass.npz": b"PK", ".kimodo.npz": b"PK", ".constraints.json": b"[",
        ".mp4": b"\x00\x00\x00", ".gif": b"GIF89a", ".png": b"\x89PNG", ".html": b"<!doctype html>",
    }  # fmt: skip
    assert path.read_bytes().startswith(beginnings[suffix])


def test_an_unknown_suffix_is_answered_with_the_known_ones(walk, tmp_path):
    with pytest.raises(InputError, match=r"unknown output suffix '.bvhh': did you mean '.bvh'"):
        save_motion(tmp_path / "walk.bvhh", walk)
    with pytest.raises(InputError, match=r"unknown output suffix .*walk"):
        save_motion(tmp_path / "walk", walk)


def test_a_motion_with_nan_is_refused_by_frame(walk, tmp_path):
    walk[3, 5, 1] = np.nan
    with pytest.raises(InputError, match="1 of 40 frames hold NaN or infinity, the first is frame 3"):
        save_motion(tmp_path / "walk.npz", walk)
    assert not (tmp_path / "walk.npz").exists()


def test_joints_of_another_skeleton_are_refused(walk, tmp_path):
    with pytest.raises(InputError, match=r"expected joint positions \(frames, 21, 3\) of KIT-ML, got \(40, 22, 3\)"):
        save_motion(tmp_path / "walk.npz", walk, skeleton=KIT)


def test_a_path_that_cannot_be_written_is_said(walk, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        save_motion(tmp_path / "file" / "walk.npz", walk)


@pytest.mark.parametrize("name", ["random.npz", "random.npy", "empty.npz", "empty.npy"])
def test_a_file_that_is_no_array_file_is_said(tmp_path, name):
    (tmp_path / name).write_bytes(b"no numbers here" if name.startswith("random") else b"")
    with pytest.raises(InputError, match="cannot be read"):
        load_motion(tmp_path / name)


def test_a_truncated_npz_is_said(walk, tmp_path):
    path = save_motion(tmp_path / "walk.npz", walk)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="cannot be read"):
        load_motion(path)


def test_a_missing_file_a_foreign_suffix_and_foreign_arrays_are_said(tmp_path):
    with pytest.raises(InputError, match="no such motion file"):
        load_motion(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"expected a motion as .npz or .npy"):
        load_motion(tmp_path / "walk.txt")
    np.save(tmp_path / "image.npy", np.zeros((4, 5, 3)))
    with pytest.raises(InputError, match=r"got an array of shape \(4, 5, 3\)"):
        load_motion(tmp_path / "image.npy")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(InputError, match="found weights"):
        load_motion(tmp_path / "other.npz")
    np.save(tmp_path / "wide.npy", np.zeros((4, 100)))
    with pytest.raises(InputError, match="got 100"):
        load_motion(tmp_path / "wide.npy")


def results(walk, **changes) -> dict:
    """What MDM's sampling writes: motions last by frame, texts, lengths."""
    motion = np.stack([walk, walk[::-1]]).transpose(0, 2, 3, 1)
    content = {"motion": motion, "text": ["walks", "walks back"], "lengths": np.array([len(walk), 9]), "num_samples": 2}
    return content | changes


def test_results_of_mdm_are_read_with_texts_and_lengths(walk, tmp_path):
    np.save(tmp_path / "results.npy", results(walk))
    first, second = load_motions(tmp_path / "results.npy")
    np.testing.assert_array_equal(first.joints, walk)
    np.testing.assert_array_equal(second.joints, walk[::-1][:9])
    assert (first.text, second.text) == ("walks", "walks back")
    with pytest.raises(InputError, match="holds 2 motions, expected one: `atm export"):
        load_motion(tmp_path / "results.npy")
    np.save(tmp_path / "results.npy", results(walk, motion=np.stack([walk] * 2), text=["a", "b"]))
    np.testing.assert_array_equal(load_motions(tmp_path / "results.npy")[0].joints, walk)


def test_results_of_mdm_are_exported_one_file_each(walk, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "results.npy", results(walk))
    monkeypatch.setattr("sys.argv", ["atm", "export", str(tmp_path / "results.npy"), str(tmp_path / "walk.npz")])
    with pytest.raises(SystemExit) as ended:
        command_line()
    assert not ended.value.code
    assert capsys.readouterr().out.split() == [str(tmp_path / f"walk-{number}.npz") for number in (0, 1)]
    assert load_motion(tmp_path / "walk-1.npz").text == "walks back"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"motion": np.zeros((2, 25, 6, 9))}, "holds motions of shape .*2, 25, 6, 9"),
        ({"motion": "none"}, "expected MDM's results"),
        ({"lengths": np.array([1, 900])}, r"lengths \[1, 900\]"),
        ({"text": ["one"]}, "but 1 texts"),
    ],
)
def test_results_that_are_none_are_said(walk, tmp_path, changes, said):
    np.save(tmp_path / "results.npy", results(walk, **changes))
    with pytest.raises(InputError, match=said):
        load_motions(tmp_path / "results.npy")


@pytest.mark.parametrize("unit", ["centimetres", "millimetres", "inches"])
def test_joints_in_another_unit_are_read_by_the_size_of_the_body_and_said(walk, tmp_path, unit):
    np.save(tmp_path / "walk.npy", walk / UNITS[unit])
    with pytest.warns(UserWarning, match=f"is in {unit}, as the size of the body says"):
        motion = load_motion(tmp_path / "walk.npy")
    np.testing.assert_allclose(motion.joints, walk, atol=1e-5)


def test_what_can_hardly_be_a_person_is_warned_of_in_every_kind_of_file(walk, tmp_path):
    np.save(tmp_path / "z.npy", walk[..., [0, 2, 1]])
    with pytest.warns(UserWarning, match="z.npy stands along z, not along y"):
        load_motion(tmp_path / "z.npy")
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=(20, 263)))
    with pytest.warns(UserWarning, match="noise.npy holds rotations .* normalised features"):
        load_motion(tmp_path / "noise.npy")
    save_motion(tmp_path / "walk.npz", walk)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_motion(tmp_path / "walk.npz")


def test_a_git_lfs_pointer_is_told(tmp_path):
    (tmp_path / "walk.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(InputError, match="is a Git LFS pointer.*git lfs pull"):
        load_motion(tmp_path / "walk.npy")
