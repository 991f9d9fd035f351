"""AMASS archives against the motion that they were made of, on a stand-in for the SMPL+H model: our skeleton with hands
of no motion. What licences keep from the repository, real archives and models, has not been read here."""

import csv

import bvh_skeletons
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.curation.prepare import prepare_amass
from atm.curation.prepare.from_amass import cut_and_turn, read_index
from atm.curation.prepare.smplh import BodyModel, load_body_model
from atm.motion import HUMANML3D, features_from_joints, joints_from_features, mirror_joints
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

TO_AMASS = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
"""From y up, left on +x to AMASS' z up: minus x, z, y."""
PARENTS = [*HUMANML3D.parents, *([20] * 15), *([21] * 15)]


@pytest.fixture(scope="module")
def joints() -> np.ndarray:
    actions = (Action("walk", count=2), Action("wave", side="left", count=1))
    return perform(Program(actions), np.random.default_rng(5)).astype(np.float64)


def stored(joints: np.ndarray) -> np.ndarray:
    return joints_from_features(features_from_joints(torch.from_numpy(joints), HUMANML3D), HUMANML3D).numpy()


def write_body_models(folder) -> np.ndarray:
    """One vertex for each joint. The female body is a twentieth larger, and its first shape a tenth."""
    rest = np.zeros((52, 3))
    for joint in range(1, 52):
        offset = bvh_skeletons.t_pose()[joint] if joint < 22 else np.array([0.01, 0, 0])
        rest[joint] = rest[PARENTS[joint]] + offset
    rest += [0.0, -0.2, 0.01]  # as in SMPL, the pelvis is not the origin
    tree = np.array([PARENTS, range(52)], dtype=np.int64)
    for gender, size in (("male", 1.0), ("female", 1.05)):
        (folder / "smplh" / gender).mkdir(parents=True)
        shapes = np.zeros((52, 3, 16))
        shapes[:, :, 0] = 0.1 * rest
        np.savez(
            folder / "smplh" / gender / "model.npz",
            v_template=rest * size, shapedirs=shapes, J_regressor=np.eye(52), kintree_table=tree % 2**32,
        )  # fmt: skip
    return rest


def write_archive(file, joints: np.ndarray, pelvis: np.ndarray, *, rate: float, gender: str = "male") -> None:
    """A recording of joint positions at 20 frames per second; between them it stands still, to be left out again."""
    turns = bvh_skeletons.turns_of(joints, bvh_skeletons.t_pose())
    turns = [Rotation.from_matrix(TO_AMASS) * turn for turn in turns]
    poses = np.zeros((len(joints), 52, 3))
    for joint in range(22):
        before = turns[HUMANML3D.parents[joint]].inv() if joint else Rotation.identity(len(joints))
        poses[:, joint] = (before * turns[joint]).as_rotvec()
    repeats = int(rate / 20)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        file, poses=np.repeat(poses.reshape(len(joints), -1), repeats, axis=0), gender=np.array(gender),
        trans=np.repeat(joints[:, 0] @ TO_AMASS.T - pelvis, repeats, axis=0), betas=np.zeros(16),
        mocap_framerate=np.array(rate), dmpls=np.zeros((len(joints) * repeats, 8)),
    )  # fmt: skip


ROWS = [
    ("./pose_data/KIT/3/walk left_poses.npy", 0, 60, "000000.npy"),
    ("./pose_data/Eyes_Japan_Dataset/kudo/wave-kudo_poses.npy", 5, 45, "000001.npy"),
    ("./pose_data/humanact12/humanact12/P01.npy", 0, -1, "000002.npy"),
    ("./pose_data/CMU/01/01_01_poses.npy", 0, 40, "000003.npy"),
]


@pytest.fixture
def amass(tmp_path, joints):
    """Folders as users have them; the fourth recording is not downloaded."""
    pelvis = write_body_models(tmp_path / "models")[0]
    write_archive(tmp_path / "amass/KIT/3/walk left_poses.npz", joints, pelvis, rate=100)
    late = np.concatenate([np.repeat(joints[:1], 60, axis=0), joints])  # three seconds that are left out
    write_archive(tmp_path / "amass/EyesJapanDataset/kudo/wave-kudo_poses.npz", late, pelvis, rate=120)
    (tmp_path / "amass/humanact12").mkdir()
    np.save(tmp_path / "amass/humanact12/P01.npy", np.concatenate([joints[:50], joints[:50, :2]], axis=1))
    with (tmp_path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("source_path", "start_frame", "end_frame", "new_name"), *ROWS])
    (tmp_path / "texts").mkdir()
    for _, _, _, name in ROWS:
        text = "a man waves his left hand#a/DET man/NOUN wave/VERB his/DET left/ADJ hand/NOUN#0.0#0.0\n"
        (tmp_path / "texts" / name.replace("npy", "txt")).write_text(text)
    (tmp_path / "texts/M000001.txt").write_text("as published#as/ADP publish/VERB#0.0#0.0\n")
    return tmp_path


def prepare(amass, **options):
    return prepare_amass(
        amass / "amass", amass / "out", index=amass / "index.csv", texts=amass / "texts", body_models=amass / "models",
        jobs=1, progress=False, **options,
    )  # fmt: skip


def joints_of(amass, clip: str) -> np.ndarray:
    return np.load(amass / "out" / "new_joints" / f"{clip}.npy")


def test_a_recording_becomes_the_frames_of_the_index(amass, joints):
    summary = prepare(amass)
    assert summary.clips == 6  # three and their mirrored copies
    assert [fault.where for fault in summary.faults] == [ROWS[3][0]]
    np.testing.assert_allclose(joints_of(amass, "000000"), stored(joints[:60]), atol=1e-4)
    np.testing.assert_allclose(joints_of(amass, "000001"), stored(joints[5:45]), atol=1e-4)
    features = np.load(amass / "out/new_joint_vecs/000000.npy")
    assert features.shape == (59, 263) and features.dtype == np.float32


def test_humanact12_is_neither_cut_nor_turned(amass, joints):
    prepare(amass)
    np.testing.assert_allclose(joints_of(amass, "000002"), stored(joints[:50]), atol=1e-5)


def test_mirrored_copies_are_features_of_mirrored_joints(amass, joints):
    prepare(amass)
    mirrored = mirror_joints(torch.from_numpy(joints[:60])).numpy()
    np.testing.assert_allclose(joints_of(amass, "M000000"), stored(mirrored), atol=1e-4)


def test_a_published_mirrored_text_is_taken_and_another_is_swapped(amass):
    prepare(amass)
    texts = amass / "out" / "texts"
    assert (texts / "M000001.txt").read_text() == "as published#as/ADP publish/VERB#0.0#0.0\n"
    swapped = "a man waves his right hand#a/DET man/NOUN wave/VERB his/DET right/ADJ hand/NOUN#0.0#0.0\n"
    assert (texts / "M000000.txt").read_text() == swapped


def test_published_splits_are_kept_and_others_drawn(amass):
    assert "drawn by recording" in " ".join(prepare(amass).notes)
    for split, ids in {"train": ["M000002", "000000", "000003"], "val": ["000001"], "test": ["000002"]}.items():
        (amass / f"{split}.txt").write_text("\n".join(ids) + "\n")
    summary = prepare(amass)
    assert summary.fresh == 0, "clips are not made again for other splits"
    assert (amass / "out/train.txt").read_text().split() == ["M000002", "000000", "M000000"]
    assert (amass / "out/val.txt").read_text().split() == ["000001", "M000001"]


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("Eyes_Japan_Dataset", 3), ("MPI_HDM05", 3), ("TotalCapture", 1), ("MPI_Limits", 1), ("Transitions_mocap", 0.5),
     ("KIT", 0)],
)  # fmt: skip
def test_some_data_sets_lose_their_first_seconds_before_frames_are_counted(name, seconds):
    frames = np.arange(200.0)[:, None, None] * np.ones((1, 22, 3))
    clip = cut_and_turn(frames, f"./pose_data/{name}/x_poses.npy", 10, 20)
    assert clip[0, 0].tolist() == [-(20 * seconds + 10), 20 * seconds + 10, 20 * seconds + 10]
    assert len(clip) == 10


def test_250_frames_per_second_become_20_8_as_published(amass, joints):
    """Every int(250 / 20) = 12th frame is kept."""
    pelvis = np.load(amass / "models/smplh/male/model.npz")["v_template"][0]
    write_archive(amass / "amass/CMU/01/01_01_poses.npz", joints, pelvis, rate=250)  # 12 repeats of each frame
    prepare(amass)
    np.testing.assert_allclose(joints_of(amass, "000003"), stored(joints[:40]), atol=1e-4)


def test_everybody_but_male_gets_the_female_body(amass, joints):
    """A body of 1.05 times the size walks 1.05 times as far, until the clip is put on the target's size."""
    pelvis = 1.05 * np.load(amass / "models/smplh/male/model.npz")["v_template"][0]
    write_archive(amass / "amass/KIT/3/walk left_poses.npz", joints, pelvis, rate=20, gender="neutral")
    prepare(amass)
    walked = np.linalg.norm(joints_of(amass, "000000")[-1, 0, [0, 2]])
    expected = np.linalg.norm(stored(joints[:60])[-1, 0, [0, 2]])
    assert walked == pytest.approx(expected / 1.05, rel=1e-3)


def test_shapes_move_joints_before_they_are_turned():
    """Two bones of 1 m, the shape adds 0.5 to the second; the first joint turns it by 90 degrees about z."""
    model = BodyModel(
        np.array([[0, 0, 0], [0, 1.0, 0], [0, 2.0, 0]]),
        np.array([[0, 0, 0], [0, 0, 0], [0, 0.5, 0]])[..., None],
        np.array([-1, 0, 1]),
    )
    poses = np.array([[0, 0, 0, 0, 0, np.pi / 2, 0, 0, 0]])
    joints = model.pose(np.array([1.0]), poses, np.array([[1.0, 0, 0]]))
    np.testing.assert_allclose(joints, [[[1, 0, 0], [1, 1, 0], [-0.5, 1, 0]]], atol=1e-12)


def test_what_is_no_archive_is_named_and_left_out(amass):
    np.savez(amass / "amass/KIT/3/walk left_poses.npz", betas=np.zeros(16), gender=np.array("male"))
    (amass / "amass/EyesJapanDataset/kudo/wave-kudo_poses.npz").write_bytes(b"PK torn")
    (amass / "amass/CMU/01").mkdir(parents=True)
    smplx = {"poses": np.zeros((9, 165)), "trans": np.zeros((9, 3)), "betas": np.zeros(16), "gender": np.array("male")}
    np.savez(amass / "amass/CMU/01/01_01_poses.npz", mocap_frame_rate=np.array(30.0), **smplx)
    summary = prepare(amass)
    assert summary.clips == 2
    why = {fault.where.split("/")[2]: fault.why for fault in summary.faults}
    assert "no frame rate" in why["KIT"]
    assert "cannot be read" in why["Eyes_Japan_Dataset"]
    assert "take the SMPL+H G download" in why["CMU"]


def test_missing_models_index_and_texts_are_said(amass):
    (amass / "texts/000000.txt").unlink()
    assert ("000000", "has no text") in [(fault.where, fault.why) for fault in prepare(amass).faults]
    for content, said in ((b"pickle", r"cannot read .*model.npz"), (None, r"no female SMPL\+H model")):
        model = amass / "models/smplh/female/model.npz"
        model.unlink() if content is None else model.write_bytes(content)
        load_body_model.cache_clear()
        with pytest.raises(InputError, match=said):
            prepare(amass)
    (amass / "index.csv").write_text("source,start\n")
    with pytest.raises(InputError, match="not HumanML3D's index"):
        read_index(amass / "index.csv", amass / "texts")
