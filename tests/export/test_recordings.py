"""Files that this project writes, and those of others, read as motions."""

import numpy as np
import pytest
from rigs import RigKind, write_bvh_rig, write_glb_rig

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.export.names import NAMINGS, FileStyle
from atm.export.own_rig import open_rig
from atm.export.recordings import read_motion
from atm.motion import HUMANML3D, KIT
from atm.motion.bodies import constant_bones

MILLIMETRE = 1e-3


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
def test_a_file_of_ours_is_read_as_it_was_whatever_its_names(suffix, naming, walk, tmp_path):
    motion = read_motion(save_motion(tmp_path / f"walk{suffix}", walk, style=FileStyle(names=naming)))
    assert motion.skeleton == HUMANML3D
    np.testing.assert_allclose(motion.joints, constant_bones(walk, HUMANML3D), atol=MILLIMETRE)


def test_unit_axis_and_rate_of_a_file_are_found_out(walk, tmp_path):
    path = save_motion(tmp_path / "walk.bvh", walk, style=FileStyle(unit="cm", up="z", fps=40))
    motion = read_motion(path)
    assert motion.skeleton.fps == 40
    np.testing.assert_allclose(motion.joints[::2], constant_bones(walk, HUMANML3D), atol=MILLIMETRE)


def test_a_vrm_animation_is_read_again(walk, tmp_path):
    motion = read_motion(save_motion(tmp_path / "walk.vrma", walk))
    np.testing.assert_allclose(motion.joints, constant_bones(walk, HUMANML3D), atol=MILLIMETRE)


def test_kits_skeleton_is_read_as_kits(walk, tmp_path):
    joints = np.random.default_rng(0).normal(size=(5, KIT.n_joints, 3)) * 0.3
    joints += np.linspace(0, 1, 5)[:, None, None]
    for suffix in (".bvh", ".glb"):
        motion = read_motion(save_motion(tmp_path / f"kit{suffix}", joints, skeleton=KIT))
        assert motion.skeleton == KIT and motion.joints.shape == joints.shape


@pytest.mark.parametrize("write", [write_bvh_rig, write_glb_rig])
def test_a_body_of_another_is_put_on_ours(write, walk, tmp_path):
    """The arms of a motion that was put on a foreign rig point where they pointed, when it is read back."""
    rig = open_rig(write(tmp_path / f"rig.{write.__name__.split('_')[1]}", RigKind(arms=40, spine=5)))
    motion = read_motion(save_motion(tmp_path / f"there{rig.source.suffix}", walk, rig=rig))
    assert "put on HumanML3D's body" in motion.provenance["read"]
    for side in ("left", "right"):
        arm, ours = (
            joints[:, HUMANML3D.index(f"{side}_elbow")] - joints[:, HUMANML3D.index(f"{side}_shoulder")]
            for joints in (motion.joints, walk)
        )
        cosine = (arm * ours).sum(-1) / np.linalg.norm(arm, axis=-1) / np.linalg.norm(ours, axis=-1)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 2


def test_files_that_are_no_motions_are_said(tmp_path, walk):
    with pytest.raises(InputError, match=r"expected a motion as .npz, .npy, .bvh, .glb, .vrma, got"):
        read_motion(tmp_path / "walk.fbx")
    for name in ("none.bvh", "none.glb", "none.npz"):
        with pytest.raises(InputError, match="no such|cannot read"):
            read_motion(tmp_path / name)
    (tmp_path / "text.glb").write_text("no glTF at all")
    with pytest.raises(InputError, match="is no binary glTF file"):
        read_motion(tmp_path / "text.glb")
    path = save_motion(tmp_path / "walk.glb", walk)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="it is damaged"):
        read_motion(path)
