"""BVH files of several skeletons against the one motion that they all hold."""

import functools
from dataclasses import replace

import bvh_skeletons
import numpy as np
import pytest
import torch
from bvh_skeletons import INDEX, SKELETONS
from scipy.spatial.transform import Rotation

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.curation.prepare import prepare_bvh
from atm.curation.prepare.bvh import first_frame, read_bvh
from atm.curation.prepare.naming import find_roles
from atm.motion import HUMANML3D, features_from_joints, joints_from_features
from atm.motion.program import Action, Program
from atm.scripted.motion.body import BONES
from atm.scripted.motion.perform import perform

CAPTIONS = "file,caption\nmotion.bvh,a person walks and bows\n"


@functools.cache
def motion() -> np.ndarray:
    """Somebody walks, waves with the left hand and bows: (T, 22, 3), facing +z at first, left on +x."""
    actions = (Action("walk", count=2), Action("wave", side="left", count=1), Action("bow"))
    return perform(Program(actions), np.random.default_rng(3)).astype(np.float64)


def stored(joints: np.ndarray) -> np.ndarray:
    """A motion as `new_joints` holds it."""
    return joints_from_features(features_from_joints(torch.from_numpy(joints), HUMANML3D), HUMANML3D).numpy()


def prepare(folder, captions=CAPTIONS, **options):
    (folder / "captions.csv").write_text(captions)
    return prepare_bvh(folder, folder / "out", captions=folder / "captions.csv", jobs=1, progress=False, **options)


def prepared(folder, skeleton, joints=None, **options) -> np.ndarray:
    """The joints that come of one file."""
    bvh_skeletons.save(folder / "motion.bvh", motion() if joints is None else joints, skeleton)
    summary = prepare(folder, **options)
    assert summary.clips == 1 and not summary.faults
    return np.load(folder / "out" / "new_joints" / "motion.npy")


def distance(joints: np.ndarray, others: np.ndarray) -> float:
    """The farthest that a joint is from where it should be; a rate of 30 may end a frame of 20 earlier."""
    assert abs(len(joints) - len(others)) <= 1
    return float(np.linalg.norm(joints - others[: len(joints)], axis=-1).max())


def bent_elsewhere(spine1: float, spine2: float) -> float:
    """Metres by which joints may be off when a file's spine has other joints than the body's.

    The bones above spine1 and spine2 are then turned by interpolation; each may be off by the angle between pelvis
    and chest times the share of it by which the interpolation misses.
    """
    turns = bvh_skeletons.turns_of(motion(), bvh_skeletons.t_pose())
    angle = (turns[0].inv() * turns[INDEX["spine3"]]).magnitude().max()
    bones = np.linalg.norm(motion()[0, [6, 9]] - motion()[0, [3, 6]], axis=-1)
    return float(angle * (spine1 * bones[0] + spine2 * bones[1]))


# Scripted bodies bend as captured ones do, about each axis in another place (SPINE_BLEND): forward, where most of it
# is, 0.85 of the bend between pelvis and chest lies below spine2 and all of it below spine3. CMU's file has 0 and 0.25
# at its second and third joint. Bandai-Namco's three joints have 0, 0.85 and 1: a third and two thirds of the way there
# are 0.57 and 0.9. The others have a joint for each of ours.
ELSEWHERE = {"cmu": (0.85, 0.75), "bandai_namco": (0.28, 0.1)}


@pytest.mark.parametrize("name", SKELETONS)
def test_every_skeleton_gives_the_same_motion(name, tmp_path):
    """5 mm: what lies between frames at 30 per second, and collars that swing without twist."""
    joints = prepared(tmp_path, SKELETONS[name]())
    assert distance(joints, stored(motion())) < 0.005 + bent_elsewhere(*ELSEWHERE.get(name, (0, 0)))
    left, right = joints[:, INDEX["left_wrist"], 1].max(), joints[:, INDEX["right_wrist"], 1].max()
    assert left > right + 0.3, "the left hand waves"
    assert joints[0, INDEX["left_hip"], 0] > 0 > joints[0, INDEX["right_hip"], 0]
    assert joints[..., 1].min() == pytest.approx(0, abs=1e-3)
    assert joints[-1, 0, 2] > 0.5, "it walks forward"


def test_our_own_export_comes_back_with_the_same_features(tmp_path):
    """BVH has six decimals: 1e-6 of a metre and of a degree. Rotations of short bones see most of that."""
    joints = stored(motion()).astype(np.float64)
    save_motion(tmp_path / "motion.bvh", joints)
    assert prepare(tmp_path).clips == 1
    features = np.load(tmp_path / "out" / "new_joint_vecs" / "motion.npy")
    expected = features_from_joints(torch.from_numpy(joints), HUMANML3D).numpy()
    np.testing.assert_allclose(features, expected, atol=5e-4)
    contacts = HUMANML3D.columns["contacts"]
    assert (features[:, contacts] == expected[:, contacts]).all()


@pytest.mark.parametrize("order", ["XYZ", "YZX", "ZXY", "YXZ", "XZY"])
def test_angles_are_read_in_the_order_of_their_channels(order, tmp_path):
    joints = prepared(tmp_path, replace(SKELETONS["mixamo"](), order=order, fps=20))
    assert distance(joints, stored(motion())) < 0.001


@pytest.mark.parametrize("fps", [15, 24, 25, 29.97, 50, 100])
def test_other_frame_rates_keep_time(fps, tmp_path):
    """At 15 frames per second a wave's stroke has three frames, and a curve through them cuts its corners: 4 cm."""
    joints = prepared(tmp_path, replace(SKELETONS["mixamo"](), fps=fps))
    assert distance(joints, stored(motion())) < (0.04 if fps < 20 else 0.01)


def test_where_a_recording_starts_and_looks_does_not_matter(tmp_path):
    turned = Rotation.from_euler("Y", 140, degrees=True).apply(motion().reshape(-1, 3)).reshape(motion().shape)
    joints = prepared(tmp_path, SKELETONS["lafan1"](), turned + np.array([3.0, 0.4, -5.0]))
    assert distance(joints, stored(motion())) < 0.01


def test_an_actor_of_another_size_comes_to_the_same_body(tmp_path):
    large = prepared(tmp_path, replace(SKELETONS["bandai_namco"](), size=1.2))
    small = prepared(tmp_path, replace(SKELETONS["bandai_namco"](), size=0.8))
    assert distance(large, small) < 0.001


def test_files_with_z_up_only_in_the_motion_are_stood_up(tmp_path):
    """Some converters turn the root and leave the rest pose as it was."""
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    joints = prepared(tmp_path, replace(SKELETONS["mixamo"](), to_world=z_up))
    assert distance(joints, stored(motion())) < 0.001


@pytest.mark.parametrize("name", ["lafan1", "cmu"])
def test_who_lies_down_all_the_time_is_not_stood_up(name, tmp_path):
    """Along the floor the body looks as if it stood, but the floor is at 0 upwards, not sideways."""
    lying = perform(Program((Action("get_up"),)), np.random.default_rng(0)).astype(np.float64)[:30]
    joints = prepared(tmp_path, SKELETONS[name](), lying)
    assert np.ptp(joints[0, :, 1]) < 0.5 < np.ptp(joints[0, :, [0, 2]])


@pytest.mark.parametrize("degrees", [12, 40, 200])
def test_a_rest_pose_may_face_anywhere(degrees, tmp_path):
    """A recording whose rest pose is a first frame faces as the actor did. If the trunk were counted from the axes
    nearest to it, who walks straight ahead would walk askew by so many degrees: 2 m at 12 degrees are 40 cm."""
    facing = Rotation.from_euler("Y", degrees, degrees=True).as_matrix()
    skeleton = SKELETONS["mixamo"]()
    skeleton = replace(skeleton, joints=bvh_skeletons.in_world_axes(skeleton.joints, facing.T))
    # 2 cm: in such a file the twist of the spine's joints is a guess, and the trunk bends.
    assert distance(prepared(tmp_path, skeleton), stored(motion())) < 0.02


def test_files_of_one_skeleton_may_have_other_upward_axes(tmp_path):
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    somewhere = motion() + np.array([3.0, 0, 4.0])
    bvh_skeletons.save(tmp_path / "y.bvh", somewhere, SKELETONS["lafan1"]())
    skeleton = replace(SKELETONS["lafan1"](), to_world=z_up)
    bvh_skeletons.save(tmp_path / "z.bvh", somewhere, skeleton)
    # A floor that is nowhere near 0: nothing speaks against the axis along which the body stands.
    bvh_skeletons.save(tmp_path / "deep.bvh", motion() - [0, 5.0, 0], skeleton)
    prepare(tmp_path, "file,caption\ny,walks\nz,walks\ndeep,walks\n")
    for name in ("y", "z", "deep"):
        assert distance(np.load(tmp_path / "out" / "new_joints" / f"{name}.npy"), stored(motion())) < 0.01


def test_the_upward_axis_can_be_given(tmp_path):
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    skeleton = replace(SKELETONS["lafan1"](), to_world=z_up)
    assert distance(prepared(tmp_path, skeleton, up="z"), stored(motion())) < 0.01
    with pytest.raises(InputError, match="unknown axis 'up'"):
        prepare(tmp_path, up="up")


def test_a_first_frame_in_rest_is_left_out_and_seconds_still_count_from_it(tmp_path):
    """CMU's files open with a T-pose; 0.5 s to 2 s of the file are the motion from 0.5 s less that frame on."""
    bvh_skeletons.save(tmp_path / "motion.bvh", motion(), SKELETONS["cmu"]())
    prepare(tmp_path, "file,caption,start,end\nmotion.bvh,walks,,\nmotion.bvh,steps,0.508334,2.008334\n")
    rest, part = (np.load(tmp_path / "out" / "new_joints" / f"motion_w0{k}.npy") for k in (0, 1))
    assert rest[0, INDEX["left_wrist"], 1] < 1.1, "hands hang, they are not out as in a T"
    assert len(part) == 30
    assert distance(part, stored(motion()[10:41])) < 0.005 + bent_elsewhere(*ELSEWHERE["cmu"])


@pytest.mark.parametrize("count", [2, 3, 20])
def test_all_frames_of_an_opening_in_rest_are_left_out(count, tmp_path):
    """Some of CMU's files hold the T-pose for several frames."""
    file = bvh_skeletons.save(tmp_path / "motion.bvh", motion(), replace(SKELETONS["cmu"](), opens_in_rest=count))
    bvh = read_bvh(file)
    assert first_frame(bvh, find_roles(bvh, {}, "motion.bvh").joints) == count
    assert f"first {count} frames apart from the motion" in next(iter(prepare(tmp_path).assumed))
    joints = np.load(tmp_path / "out" / "new_joints" / "motion.npy")
    assert distance(joints, stored(motion())) < 0.005 + bent_elsewhere(*ELSEWHERE["cmu"])


def test_frames_in_another_place_are_no_part_of_the_motion(tmp_path):
    """The pose is nearly that of the motion, but the body stands in the origin, two metres off."""
    bvh = read_bvh(bvh_skeletons.save(tmp_path / "motion.bvh", motion(), replace(SKELETONS["mixamo"](), fps=30)))
    joints = find_roles(bvh, {}, "motion.bvh").joints
    assert first_frame(bvh, joints) == 0
    values = np.concatenate([bvh.values[:1], bvh.values[:1], bvh.values])
    values[:2, [0, 2]] += 200.0
    assert first_frame(replace(bvh, values=values), joints) == 2


def test_somebody_who_stands_still_at_first_loses_no_frame(tmp_path):
    still = np.concatenate([np.repeat(motion()[:1], 12, axis=0), motion()])
    bvh = read_bvh(bvh_skeletons.save(tmp_path / "motion.bvh", still, replace(SKELETONS["mixamo"](), fps=20)))
    assert first_frame(bvh, find_roles(bvh, {}, "motion.bvh").joints) == 0


def test_the_captions_file_may_say_the_true_rate_of_a_file(tmp_path):
    """Of CMU's trials 326 were captured at 60 frames per second and say 120."""
    file = bvh_skeletons.save(tmp_path / "motion.bvh", motion(), replace(SKELETONS["mixamo"](), fps=60))
    file.write_text(file.read_text().replace("Frame Time: 0.016667", "Frame Time: 0.008333"))
    assert prepare(tmp_path, "file,caption,fps\nmotion,walks,60\n").clips == 1
    joints = np.load(tmp_path / "out" / "new_joints" / "motion.npy")
    assert distance(joints, stored(motion())) < 0.01
    prepare(tmp_path, "file,caption,fps\nmotion,walks,\n")
    assert len(np.load(tmp_path / "out" / "new_joints" / "motion.npy")) < 0.6 * len(joints)


def test_feet_stay_where_they_stand_on_a_body_of_other_proportions(tmp_path):
    """Somebody with longer thighs and shorter shanks crouches: with the pelvis where it was, our legs would push the
    feet centimetres into the floor. They move as they did; the pelvis goes elsewhere instead."""
    crouch = perform(Program((Action("crouch"),)), np.random.default_rng(1)).astype(np.float64)
    longer, shorter = 1.2, (sum(BONES[[4, 7]]) - 1.2 * BONES[4]) / BONES[7]
    rest = bvh_skeletons.t_pose()
    rest[[4, 5]] *= longer
    rest[[7, 8]] *= shorter
    actor = crouch.copy()
    actor[:, [4, 5]] += (longer - 1) * (crouch[:, [4, 5]] - crouch[:, [1, 2]])
    actor[:, [7, 8]] = actor[:, [4, 5]] + shorter * (crouch[:, [7, 8]] - crouch[:, [4, 5]])
    actor[:, [10, 11]] += actor[:, [7, 8]] - crouch[:, [7, 8]]
    actor += (crouch[:, [7, 8]] - actor[:, [7, 8]]).mean(1, keepdims=True)
    joints = prepared(tmp_path, replace(SKELETONS["mixamo"](), rest=rest), actor)
    feet, pelvis = (joints[:, which].mean(1) - actor[: len(joints), which].mean(1) for which in ([7, 8], [0]))
    assert np.ptp(feet, axis=0).max() < 0.005
    assert np.ptp(pelvis, axis=0).max() > 0.03


def test_swapped_sides_are_refused(tmp_path):
    """A left-handed file: x negated, so that left names are on the right of who walks forward."""
    bvh_skeletons.save(tmp_path / "motion.bvh", motion() * [-1, 1, 1], SKELETONS["mixamo"]())
    with pytest.raises(InputError, match="left and right are swapped"):
        prepare(tmp_path)


@pytest.mark.parametrize("turn", [(0, 90, 0), (0, 180, 0), (0, 30, 0), (60, 0, 0), (0, 0, 120)], ids=str)
def test_a_trunk_whose_rotations_are_left_to_chance_is_solved_from_positions(turn, tmp_path):
    """Programs that make files of positions turn the pelvis as they like; joints without length below it turn back, so
    that every position is right. Counted by the pelvis' rotation, the person would walk sideways."""
    cmu = replace(SKELETONS["cmu"](), opens_in_rest=0, fps=20)
    (tmp_path / "plain").mkdir()
    plain = prepared(tmp_path / "plain", cmu)
    bvh_skeletons.save(
        tmp_path / "motion.bvh", motion(), replace(cmu, loose={"Hips": Rotation.from_euler("XYZ", turn, degrees=True)})
    )
    summary = prepare(tmp_path)
    assert "trunk solved from joint positions, since its rotations are not those of its" in next(iter(summary.assumed))
    joints = np.load(tmp_path / "out" / "new_joints" / "motion.npy")
    # The spine between pelvis and chest, whose turns are left to chance as well, bends in equal parts.
    assert distance(joints, plain) < 0.005 + bent_elsewhere(*ELSEWHERE["cmu"])
    assert np.linalg.norm(joints - plain, axis=-1)[:, [0, 1, 2, 4, 5, 7, 8, 10, 11]].max() < 0.001


@pytest.mark.parametrize("name", SKELETONS)
def test_rotations_that_are_a_bodys_own_are_trusted(name, tmp_path):
    bvh_skeletons.save(tmp_path / "motion.bvh", motion(), replace(SKELETONS[name](), fps=20))
    assert "trunk turned from" in next(iter(prepare(tmp_path).assumed))


def kneeling(sits: bool) -> np.ndarray:
    """Somebody on knees and insteps, thighs upright or, on the heels, nearly level; who bows a little: (T, 22, 3)."""
    rest = bvh_skeletons.t_pose()
    lean = np.radians(20) * np.sin(np.linspace(0, np.pi, 30))
    joints = np.zeros((30, 22, 3))
    for joint in (0, *HUMANML3D.outward):
        bone = np.broadcast_to(rest[joint], (30, 3)).copy()
        part = HUMANML3D.joint_names[joint].rpartition("_")[2]
        if part == "knee":
            bone[:] = BONES[joint] * np.array([0, -np.sin(0.3), np.cos(0.3)] if sits else [0, -1, 0])
        elif part == "ankle":
            bone[:] = -BONES[joint] * bvh_skeletons.FRONT
        elif part == "foot":
            bone[:] = BONES[joint] * np.array([0, -np.sin(0.3), -np.cos(0.3)])
        elif part != "hip" and joint:
            bone = Rotation.from_euler("X", lean[:, None]).apply(bone)
        joints[:, joint] = joints[:, max(HUMANML3D.parents[joint], 0)] + bone
    return joints - [0, joints[..., 1].min(), 0]


@pytest.mark.parametrize("sits", [False, True], ids=["kneels", "sits on the heels"])
def test_who_kneels_has_no_swapped_sides(sits, tmp_path):
    """Insteps lie on the floor, and toes point backwards: but seen from the shanks, they are where toes are."""
    skeleton = replace(SKELETONS["mixamo"](), fps=20)
    joints = prepared(tmp_path, skeleton, kneeling(sits))
    assert distance(joints, stored(kneeling(sits))) < 0.03  # a bow starts a little elsewhere; swapped: 20 cm
    bvh_skeletons.save(tmp_path / "motion.bvh", kneeling(sits) * [-1, 1, 1], skeleton)
    with pytest.raises(InputError, match="the feet and knees point backwards: left and right are swapped"):
        prepare(tmp_path)


def test_feet_without_toes_whose_end_is_straight_below_say_nothing_of_sides(tmp_path):
    """As in Biovision's own sample. The knees, which bend to the front, say that left is left; if right is, too."""
    skeleton = SKELETONS["biovision"]()
    down = [replace(one, tip=(0, -0.08, 0)) if "Ankle" in one.name else one for one in skeleton.joints]
    joints = prepared(tmp_path, replace(skeleton, joints=down, fps=20))
    legs = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle")]
    aside = joints[:, legs] - stored(motion())[: len(joints), legs]
    assert np.ptp(aside, axis=(0, 1)).max() < 0.03  # heights count from the toes, which are elsewhere
    bvh_skeletons.save(tmp_path / "motion.bvh", motion() * [-1, 1, 1], replace(skeleton, joints=down, fps=20))
    with pytest.raises(InputError, match="knees point backwards: left and right are swapped"):
        prepare(tmp_path)
