"""The BVH reader on small files whose joints can be placed by hand, and on the names that programs give."""

import numpy as np
import pytest

from atm.base.errors import InputError
from atm.curation.prepare.bvh import joint_names, read_bvh, sample
from atm.curation.prepare.naming import by_name, find_roles, read_mapping

ARM = """HIERARCHY
ROOT Hips
{
    OFFSET 5 5 5
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    JOINT Arm
    {
        OFFSET 0 2 0
        CHANNELS 1 Zrotation
        End Site
        {
            OFFSET 0 3 0
        }
    }
}
MOTION
Frames: 2
Frame Time: 0.05
1 0 0 90 0 0 0
1 0 0 90 90 0 90
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        (tmp_path / "file.bvh").write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "file.bvh"

    return write


def places(bvh) -> np.ndarray:
    times = np.arange(len(bvh.values)) * bvh.frame_time
    return sample(bvh, list(range(len(bvh.names))), times).positions


def test_joints_stand_where_a_hand_places_them(write):
    """First frame: the root at x = 1 turned a quarter about z, so that up becomes -x: the arm's joint at 1 - 2, its tip
    3 further. Second: after z a quarter about the turned x, which is up: the arm points along z, and its own turn about
    z, which has become -x... by hand: Rz(90) Rx(90) takes y to z, and Rz(90) before it takes y to -x, thus to -y."""
    joints = places(read_bvh(write(ARM)))
    np.testing.assert_allclose(joints[0], [[1, 0, 0], [-1, 0, 0], [-4, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(joints[1], [[1, 0, 0], [1, 0, 2], [1, -3, 2]], atol=1e-9)


@pytest.mark.parametrize(
    "variant",
    [
        ARM.replace("\n", "\r\n"),
        ARM.replace("    ", "\t").replace("Frames: 2", "Frames:\t2").replace("Frame Time: ", "Frame Time:\t"),
        ARM.replace("{\n", "{ ").replace("}\n", "} "),
        ARM.replace("Zrotation", "zrotation").replace("End Site", "End site").replace("HIERARCHY", "Hierarchy"),
        "\ufeff" + ARM + "\n\n",
        ARM.replace("0.05", ".05").replace("1 0 0 90 0 0 0\n", "1 0 0 90\n0 0 0 "),
        ARM + "\x1a",
        ARM + "\0" * 64 + "\r\n\x1a",
        ARM.encode("utf-16"),
        ARM.encode("utf-16-le"),
        ("\ufeff" + ARM).encode("utf-16-be"),
        "# by hand\n" + ARM.replace("OFFSET 0 2 0", "OFFSET 0 2 0  # up\n // the arm").replace("0.05\n", "0.05 # s\n"),
        ARM.replace("1 Zrotation", "1 Zrotation # about z"),
    ],
    ids=["windows", "tabs", "few lines", "case", "mark and blank lines", "broken rows", "Ctrl-Z", "NUL", "UTF-16",
         "UTF-16 without a mark", "UTF-16 of the other order", "comments", "a comment behind channels"],
)  # fmt: skip
def test_the_same_file_as_other_programs_write_it(variant, write):
    plain, other = read_bvh(write(ARM)), read_bvh(write(variant))
    assert other.names == plain.names
    np.testing.assert_array_equal(places(other), places(plain))


def test_a_file_of_one_frame_is_read(write):
    one = ARM.replace("Frames: 2", "Frames: 1").replace("1 0 0 90 90 0 90\n", "")
    np.testing.assert_array_equal(places(read_bvh(write(one))), places(read_bvh(write(ARM)))[:1])


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_whole_frames_are_read_whatever_their_header_counts(frames, write):
    bvh = read_bvh(write(ARM.replace("Frames: 2", f"Frames: {frames}")))
    np.testing.assert_array_equal(bvh.values, read_bvh(write(ARM)).values)
    assert bvh.note == f"Frames: says {frames}, but 2 follow, which were read"
    assert read_bvh(write(ARM)).note == ""


def test_a_name_with_a_number_sign_is_no_comment(write):
    assert read_bvh(write(ARM.replace("JOINT Arm", "JOINT Arm #left"))).names[1] == "Arm #left"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page"),
        (b"", "is empty"),
    ],
    ids=["pointer", "page", "empty"],
)
def test_what_a_download_left_in_place_of_a_file_is_told(content, said, write):
    with pytest.raises(InputError, match=said):
        read_bvh(write(content))


def test_names_may_hold_spaces_and_words_of_the_format(write):
    bvh = read_bvh(write(ARM.replace("JOINT Arm", "JOINT Bip01 L Joint").replace("ROOT Hips", "ROOT root")))
    assert bvh.names == ("root", "Bip01 L Joint", "Bip01 L Joint end")
    assert joint_names(write(ARM)) == ("Hips", "Arm")


@pytest.mark.parametrize(
    ("frame_time", "rate"),
    [("0.008333", 120), (".0083333", 120), ("0.0333333", 30), ("0.033333", 30), ("0.016667", 60), ("0.033367", 29.97),
     ("0.04", 25), ("8.333333e-03", 120)],
)  # fmt: skip
def test_a_rounded_frame_time_is_the_rate_that_it_stands_for(frame_time, rate, write):
    bvh = read_bvh(write(ARM.replace("0.05", frame_time)))
    assert 1 / bvh.frame_time == pytest.approx(rate, rel=1e-5 if rate == 29.97 else 1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "no BVH file"),
        (ARM.replace("HIERARCHY", "SKELETON"), "no BVH file: expected it to start with HIERARCHY"),
        (ARM[:-10], "says 2, but 1 frames of 7 channels and 4 numbers more follow: the file is cut short"),
        (ARM.partition("1 0 0")[0], "says 2, but 0 frames of 7 channels follow"),
        (ARM.replace("90 90 0 90", "90 nan 0 90"), "NaN"),
        (ARM.replace("90 90 0 90", "90 1,5 0 90"), "below MOTION, number 12 is '1,5': .*decimals need a point"),
        (ARM.replace("OFFSET 0 2 0", "OFFSET 0 two 0"), "OFFSET of Arm"),
        (ARM.replace("1 Zrotation", "1 Wrotation"), "channel 'Wrotation'"),
        (ARM.replace("Frame Time: 0.05", "Frame Time: 0"), "expected the seconds of one frame"),
        (ARM.replace("Frame Time: 0.05", "Frame Time: 20"), "expected the seconds of one frame"),
        (ARM.replace("    }\n}\nMOTION", "MOTION"), "braces are not closed"),
        (ARM.replace("OFFSET 0 2 0", "PLACE 0 2 0"), "cannot read the hierarchy at 'PLACE"),
    ],
)
def test_what_cannot_be_read_is_said(text, said, write):
    with pytest.raises(InputError, match=said):
        read_bvh(write(text))


LIMBS = ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
NAMES = {
    "CMU": "LeftUpLeg LeftLeg LeftFoot LeftToeBase LeftArm LeftForeArm LeftHand Head | LHipJoint LeftShoulder LThumb",
    "Mixamo": "mixamorig:LeftUpLeg mixamorig:LeftLeg mixamorig:LeftFoot mixamorig:LeftToeBase mixamorig:LeftArm "
    "mixamorig:LeftForeArm mixamorig:LeftHand mixamorig:Head | mixamorig:LeftShoulder mixamorig:LeftToe_End "
    "mixamorig:HeadTop_End mixamorig:LeftHandIndex1",
    "LAFAN1": "LeftUpLeg LeftLeg LeftFoot LeftToe LeftArm LeftForeArm LeftHand Head | LeftShoulder Spine2",
    "Bandai-Namco": "UpperLeg_L LowerLeg_L Foot_L Toes_L UpperArm_L LowerArm_L Hand_L Head | Shoulder_L joint_Root",
    "Biovision": "LeftHip LeftKnee LeftAnkle LeftToe LeftShoulder LeftElbow LeftWrist Head | LeftCollar Chest4",
    "3ds Max": "Bip01 L Thigh;Bip01 L Calf;Bip01 L Foot;Bip01 L Toe0;Bip01 L UpperArm;Bip01 L Forearm;Bip01 L Hand;"
    "Bip01 Head | Bip01 L Clavicle;Bip01 Spine1;Bip01 L Finger0",
    "Unreal": "thigh_l calf_l foot_l ball_l upperarm_l lowerarm_l hand_l head | clavicle_l thigh_twist_01_l index_01_l",
    "ASF": "lfemur ltibia lfoot ltoes lhumerus lradius lwrist head | lhipjoint lclavicle lhand lthumb",
    "DAZ": "lThigh lShin lFoot lToe lShldr lForeArm lHand head | lCollar lThumb1 abdomen",
    "OptiTrack": "Anna_LThigh Anna_LShin Anna_LFoot Anna_LToe Anna_LUArm Anna_LFArm Anna_LHand Anna_Head | "
    "Anna_LShoulder Anna_Ab Anna_Chest Anna_Neck",
    "SMPL": "L_Hip L_Knee L_Ankle L_Foot L_Shoulder L_Elbow L_Wrist Head | L_Collar L_Hand Pelvis",
    "ours": "left_hip left_knee left_ankle left_foot left_shoulder left_elbow left_wrist head | left_collar pelvis",
    "Xsens": "LeftUpperLeg LeftLowerLeg LeftFoot LeftToe LeftUpperArm LeftForeArm LeftHand Head | LeftShoulder Chest2",
    "Blender": "thigh.L shin.L foot.L toe.L upper_arm.L forearm.L hand.L head | shoulder.L heel.L",
    "VRoid": "J_Bip_L_UpperLeg J_Bip_L_LowerLeg J_Bip_L_Foot J_Bip_L_ToeBase J_Bip_L_UpperArm J_Bip_L_LowerArm "
    "J_Bip_L_Hand J_Bip_C_Head | J_Bip_C_Hips J_Bip_L_Shoulder J_Sec_Hair1_01 J_Sec_Hair2_01 J_Sec_L_Bust1",
    "DAZ Genesis": "lThighBend lShin lFoot lToe lShldrBend lForearmBend lHand head | lThighTwist lShldrTwist "
    "lForearmTwist lMetatarsals abdomenLower",
    "SOMA": "LeftLeg LeftShin LeftFoot LeftToeBase LeftArm LeftForeArm LeftHand Head | LeftHandThumb1 Neck1",
    "Advanced Skeleton": "Hip_L Knee_L Ankle_L Toes_L Shoulder_L Elbow_L Wrist_L Head_M | Root_M Scapula_L HipPart1_L "
    "Chest_M HeadEnd_M ToesEnd_L ThumbFinger1_L",
    "MikuMikuDance": "leg_L knee_L ankle_L toe_L arm_L elbow_L wrist_L head | shoulder_L upper lower",
    "MikuMikuDance in Japanese": "左足 左ひざ 左足首 左つま先 左腕 左ひじ 左手首 頭 | 左肩 首 左足ＩＫ 左腕捩",
    "Auto-Rig Pro": "thigh_stretch.l leg_stretch.l foot.l toes_01.l arm_stretch.l forearm_stretch.l hand.l head.x | "
    "root.x spine_01.x shoulder.l thumb1.l",
    "MotionBuilder among helpers": "Character1_LeftUpLeg Character1_LeftLeg Character1_LeftFoot Character1_LeftToeBase "
    "Character1_LeftArm Character1_LeftForeArm Character1_LeftHand Character1_Head | Character1_LeftShoulder J_L_Hair "
    "J_L_Hair_01 J_L_Skirt_00 J_L_Skirt_01 J_L_Skirt_02 J_R_Skirt_00 J_R_Skirt_01 J_R_Skirt_02 J_Mune J_L_Arm_Ribbon "
    "J_L_Mune_01 J_L_Mune_02 J_L_Sode_00 J_L_Sode_01 J_L_Sode_02 J_L_Sode_03 J_L_Tail_00 J_L_Tail_01",
    "a suffix": "l_upleg_JNT l_leg_JNT l_foot_JNT l_toebase_JNT l_arm_JNT l_forearm_JNT l_hand_JNT head_JNT | "
    "hips_JNT l_shoulder_JNT l_handIndex1_JNT",
}


@pytest.mark.parametrize("program", NAMES)
def test_names_of_many_programs_are_known(program):
    wanted, others = ([name.strip() for name in part.split(";" if ";" in part else None)]
                      for part in NAMES[program].split(" | "))  # fmt: skip
    found = by_name([*others, *wanted])
    expected = {f"left_{part}": name for part, name in zip(LIMBS, wanted, strict=False)} | {"head": wanted[-1]}
    assert {ours: [*others, *wanted][index] for ours, index in found.items()} == expected


def figure(names: dict[str, str]) -> str:
    """A stick figure: pelvis, one joint of spine, limbs, with these names; two frames of all zeros."""

    def joint(name, offset, *children, kind="JOINT"):
        inside = "".join(children) or "End Site\n{\nOFFSET 0 0 0.1\n}\n"
        channels = "CHANNELS 3 Zrotation Xrotation Yrotation"
        return f"{kind} {names.get(name, name)}\n{{\nOFFSET {offset}\n{channels}\n{inside}}}\n"

    def limbs(side, x):
        arm = joint(
            f"{side}_shoulder", f"{x} .4 0", joint(f"{side}_elbow", f"{x} 0 0", joint(f"{side}_wrist", f"{x} 0 0"))
        )
        leg = joint(f"{side}_hip", f"{x} 0 0", joint(f"{side}_knee", "0 -.4 0", joint(f"{side}_ankle", "0 -.4 0")))
        return arm, leg

    (left_arm, left_leg), (right_arm, right_leg) = limbs("left", 0.1), limbs("right", -0.1)
    spine = joint("spine", "0 .2 0", joint("head", "0 .5 0"), left_arm, right_arm)
    body = joint("pelvis", "0 0 0", spine, left_leg, right_leg, kind="ROOT")
    channels = 3 * body.count("CHANNELS")
    return f"HIERARCHY\n{body}MOTION\nFrames: 2\nFrame Time: 0.05\n{('0 ' * channels + chr(10)) * 2}"


def test_trunk_and_toes_follow_from_how_limbs_hang_together(write):
    bvh = read_bvh(write(figure({"pelvis": "Tom", "spine": "Dick"})))
    roles = find_roles(bvh, {}, "file.bvh")
    assert [bvh.names[joint] for joint in roles.spine] == ["Tom", "Dick"]
    assert [bvh.names[joint] for joint in roles.foot] == ["left_ankle end", "right_ankle end"]
    assert roles.neck == roles.head and roles.collar == (None, None) and roles.body is None


def test_a_head_that_is_not_called_so_is_the_end_of_the_branch_above_the_arms(write):
    """Rigify's spine goes on to the head, on which a face hangs."""
    text = figure({"pelvis": "spine", "spine": "spine.003", "head": "spine.005"}).partition("MOTION")[0]
    end = "End Site\n{\nOFFSET 0 0 0.1\n}\n"
    start = text.index("JOINT spine.005")
    inside = end
    for name in ("face", "spine.006"):
        inside = f"JOINT {name}\n{{\nOFFSET 0 .1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n{inside}}}\n"
    text = text[:start] + text[start:].replace(end, inside, 1)
    text += f"MOTION\nFrames: 1\nFrame Time: 0.05\n{'0 ' * 3 * text.count('CHANNELS')}\n"
    roles = find_roles(bvh := read_bvh(write(text)), {}, "file.bvh")
    assert bvh.names[roles.head] == "spine.006"


def test_missing_joints_are_listed_with_those_of_the_file_and_with_what_to_write(write):
    bvh = read_bvh(write(figure({"left_knee": "Tick", "right_wrist": "Trick"})))
    with pytest.raises(InputError) as error:
        find_roles(bvh, {}, "file.bvh")
    said = str(error.value)
    assert "found no joint for left_knee among" in said  # the wrist's place has the tip of the forearm's bone
    assert "Tick" in said and "--mapping" in said and "`left_knee: NAME_IN_THE_FILE`" in said
    roles = find_roles(bvh, {"left_knee": "Tick"}, "file.bvh")
    assert bvh.names[roles.knee[0]] == "Tick" and bvh.names[roles.wrist[1]] == "Trick"


def test_a_mapping_goes_before_the_table(write):
    bvh = read_bvh(write(figure({})))
    roles = find_roles(bvh, {"spine3": "pelvis", "left_hip": "left_hip"}, "file.bvh")
    assert [bvh.names[joint] for joint in roles.spine] == ["pelvis"]
    of_another_skeleton = find_roles(bvh, {"left_hip": "Joint 12"}, "file.bvh")
    assert of_another_skeleton == find_roles(bvh, {}, "file.bvh")


def test_limbs_that_do_not_hang_together_are_refused(write):
    bvh = read_bvh(write(figure({})))
    with pytest.raises(InputError, match="took 'left_knee' for right_knee .* does not hang on"):
        find_roles(bvh, {"right_knee": "left_knee"}, "file.bvh")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("left_nee: Knee", "did you mean 'left_knee'"),
        ("- left_knee", "is no mapping"),
        ("a: [", "cannot read the mapping"),
    ],
)
def test_a_mapping_file_is_checked(content, said, tmp_path):
    (tmp_path / "joints.yaml").write_text(content)
    with pytest.raises(InputError, match=said):
        read_mapping(tmp_path / "joints.yaml")
