"""ASF and AMC, CMU's own format: joints stand where they stood, whatever axes the bones turn about."""

from pathlib import Path

import bvh_skeletons
import numpy as np
import pytest
from bvh_skeletons import INDEX
from scipy.spatial.transform import Rotation
from test_prepare_bvh import motion

from atm.base.errors import InputError
from atm.curation.prepare import prepare_bvh
from atm.curation.prepare.amc import FPS, read_amc
from atm.curation.prepare.bvh import sample

BONES = {
    "lowerback": ("root", "pelvis", "spine1"),
    "upperback": ("lowerback", "spine1", "spine2"),
    "thorax": ("upperback", "spine2", "spine3"),
    "lowerneck": ("thorax", "spine3", "neck"),
    "upperneck": ("lowerneck", "neck", "head"),
    "head": ("upperneck", "head", None),
}
"""Name in the file: the bone that it hangs on, the joint where it begins, the joint where it ends."""
for _s, _side in (("l", "left"), ("r", "right")):
    BONES |= {
        f"{_s}hipjoint": ("root", "pelvis", f"{_side}_hip"),
        f"{_s}femur": (f"{_s}hipjoint", f"{_side}_hip", f"{_side}_knee"),
        f"{_s}tibia": (f"{_s}femur", f"{_side}_knee", f"{_side}_ankle"),
        f"{_s}foot": (f"{_s}tibia", f"{_side}_ankle", f"{_side}_foot"),
        f"{_s}toes": (f"{_s}foot", f"{_side}_foot", None),
        f"{_s}clavicle": ("thorax", "spine3", f"{_side}_collar"),
        f"{_s}scapula": (f"{_s}clavicle", f"{_side}_collar", f"{_side}_shoulder"),
        f"{_s}humerus": (f"{_s}scapula", f"{_side}_shoulder", f"{_side}_elbow"),
        f"{_s}radius": (f"{_s}humerus", f"{_side}_elbow", f"{_side}_wrist"),
        f"{_s}wrist": (f"{_s}radius", f"{_side}_wrist", None),
    }


def save(folder: Path, joints: np.ndarray, *, radians: bool = False) -> Path:
    """Write joints (T, 22, 3) in metres as `07.asf` and `07_01.amc`, in centimetres; each bone has axes of its own."""
    rest, turns = bvh_skeletons.t_pose(), bvh_skeletons.turns_of(joints, bvh_skeletons.t_pose())
    factor = np.pi / 180 if radians else 1.0
    rng = np.random.default_rng(0)
    data, rows = [], {"root": np.concatenate([joints[:, 0] * 100, turns[0].as_euler("xyz", degrees=True) * factor], 1)}
    for name, (above, begins, ends) in BONES.items():
        angles = rng.uniform(-90, 90, 3)
        axis = Rotation.from_euler("xyz", angles, degrees=True)
        bone = rest[INDEX[ends]] if ends else np.array([0, 0.05, 0.0])
        length = np.linalg.norm(bone)
        before = turns[INDEX[BONES[above][1]]] if above != "root" else turns[0]
        own = axis.inv() * (before.inv() * turns[INDEX[begins]]) * axis
        if begins != "pelvis":
            rows[name] = own.as_euler("xyz", degrees=True) * factor
        data += [
            f"  begin\n  id 1\n  name {name}", "  direction " + " ".join(f"{x:.9f}" for x in bone / length),
            f"  length {length * 100:.9f}", "  axis " + " ".join(f"{x * factor:.9f}" for x in angles) + "  XYZ",
            *(["  dof rx ry rz", "  limits (-160.0 20.0)\n    (-70.0 70.0)\n    (-60.0 70.0)"] if name in rows else []),
            "  end",
        ]  # fmt: skip
    children = {above: [name for name, bone in BONES.items() if bone[0] == above] for above in ("root", *BONES)}
    hierarchy = "".join(f"    {above} {' '.join(names)}\n" for above, names in children.items() if names)
    (folder / "07.asf").write_text(
        "# a comment\n:version 1.10\n:name VICON\n:units\n  mass 1.0\n  length 0.45\n"
        f"  angle {'rad' if radians else 'deg'}\n"
        ":documentation\n   none\n:root\n   order TX TY TZ RX RY RZ\n   axis XYZ\n   position 0 0 0\n"
        "   orientation 0 0 0\n:bonedata\n" + "\n".join(data) + f"\n:hierarchy\n  begin\n{hierarchy}  end\n"
    )
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", ":RADIANS" if radians else ":DEGREES"]
    for frame in range(len(joints)):
        lines.append(str(frame + 1))
        lines += [f"{name} {' '.join(f'{x:.9f}' for x in values[frame])}" for name, values in rows.items()]
    (folder / "07_01.amc").write_text("\n".join(lines) + "\n")
    return folder / "07_01.amc"


@pytest.mark.parametrize("radians", [False, True], ids=["degrees", "radians"])
def test_joints_stand_where_they_stood(tmp_path, radians):
    bvh = read_amc(save(tmp_path, motion()[:40], radians=radians))
    bones = [bvh.names.index(name) for name in BONES]
    positions = sample(bvh, bones, np.arange(40) * bvh.frame_time).positions[:, bones] / 100
    begins = [INDEX[begins] for _, begins, _ in BONES.values()]
    np.testing.assert_allclose(positions, motion()[:40, begins], atol=1e-5)
    assert bvh.frame_time == 1 / FPS


def test_a_recording_of_cmu_becomes_a_clip_at_the_rate_that_its_captions_say(tmp_path):
    save(tmp_path, motion())
    (tmp_path / "captions.csv").write_text("file,caption,fps\n07_01,a person walks,20\n")
    summary = prepare_bvh(tmp_path, tmp_path / "out", captions=tmp_path / "captions.csv", jobs=1, progress=False)
    assert summary.clips == 1 and not summary.faults and not summary.doubtful
    joints = np.load(tmp_path / "out" / "new_joints" / "07_01.npy")
    assert joints[-1, 0, 2] > 0.5, "it walks forward"
    left, right = joints[:, INDEX["left_wrist"], 1].max(), joints[:, INDEX["right_wrist"], 1].max()
    assert left > right + 0.3, "the left hand waves"
    knees = [INDEX["left_knee"], INDEX["right_knee"]]
    np.testing.assert_allclose(joints[:, knees, 1], motion()[: len(joints), knees, 1], atol=0.02)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "07.asf").unlink(), "needs its skeleton, such as 07.asf, beside it; there is none"),
        (lambda f: (f / "07.asf").write_text(":units\n"), "no ASF file that can be read"),
        (lambda f: (f / "07_01.amc").write_text(":DEGREES\n1\nroot 0 0 0\n"), "line 3: .*: expected 6 numbers"),
        (lambda f: (f / "07_01.amc").write_text("1\nroot 0 0 0 0 0 x\n"), "line 2: .*: expected numbers"),
        (lambda f: (f / "07_01.amc").write_text("1\nlwing 3\n"), "'lwing 3': no bone of its ASF file"),
        (lambda f: (f / "07_01.amc").write_text("1\nroot 0 0 0 0 0 0\n2\n"), "root has 1 of 2 frames"),
        (lambda f: (f / "07_01.amc").write_text("version https://git-lfs.github.com/spec\n"), "a Git LFS pointer"),
        (lambda f: (f / "07_01.amc").write_text("1\nroot 0 0 0 0 0 nan\n"), "NaN or infinite"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path, change, said):
    file = save(tmp_path, motion()[:3])
    change(tmp_path)
    with pytest.raises(InputError, match=said):
        read_amc(file)
