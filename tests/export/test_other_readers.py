"""Files opened by programs that are not ours, where they are installed: usd-core, bvhio, pybvh, Blender."""

import os
import subprocess

import numpy as np
import pytest

from atm.apps.export import save_motion
from atm.base.errors import InputError
from atm.export.fbx import blender_command
from atm.export.names import FileStyle
from atm.motion import HUMANML3D
from atm.motion.bodies import constant_bones

MILLIMETRE = 1e-3


def upright(joints: np.ndarray) -> np.ndarray:
    """From z up to y up."""
    return np.stack([joints[..., 0], joints[..., 2], -joints[..., 1]], axis=-1)


@pytest.mark.parametrize("ending", [".usda", ".usd", ".usdc"])
@pytest.mark.parametrize("style", [FileStyle(), FileStyle("mixamo", "cm", 40, "z")], ids=["plain", "styled"])
def test_usd_core_finds_the_joints_the_unit_and_the_axis(ending, style, walk, tmp_path):
    pxr = pytest.importorskip("pxr.UsdSkel")
    from pxr import Usd, UsdGeom

    path = save_motion(tmp_path / f"walk{ending}", walk, style=style)
    assert path.read_bytes().startswith(b"#usda" if ending == ".usda" else b"PXR-USDC")
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageUpAxis(stage) == style.up.upper()
    assert stage.GetTimeCodesPerSecond() == (style.fps or 20)
    metres, cache = UsdGeom.GetStageMetersPerUnit(stage), pxr.Cache()
    assert metres == {"m": 1.0, "cm": 0.01}[style.unit]
    cache.Populate(pxr.Root(stage.GetDefaultPrim()), Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(pxr.Skeleton(stage.GetPrimAtPath("/motion/skeleton")))
    ways = [str(way).split("/") for way in query.GetJointOrder()]
    assert ways[0] == ["mixamorigHips" if style.names == "mixamo" else "pelvis"] and query.HasBindPose()
    if style.names == "humanml3d":
        order = [[way[-1] for way in ways].index(name) for name in HUMANML3D.joint_names]
    else:
        from atm.export.names import joint_name

        order = [[way[-1] for way in ways].index(joint_name(name, style.names)) for name in HUMANML3D.joint_names]
    wanted = constant_bones(walk, HUMANML3D)
    for frame, joints in enumerate(wanted):
        time = frame * (2 if style.fps else 1)
        found = np.array([m.ExtractTranslation() for m in query.ComputeJointSkelTransforms(time)])[order] * metres
        np.testing.assert_allclose(upright(found) if style.up == "z" else found, joints, atol=MILLIMETRE)
    meshes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    assert len(meshes) == 3 and all(pxr.BindingAPI(mesh).GetSkeleton() for mesh in meshes)


def test_bvhio_finds_the_joints(walk, tmp_path):
    bvhio = pytest.importorskip("bvhio")
    root = bvhio.readAsHierarchy(str(save_motion(tmp_path / "walk.bvh", walk)))
    wanted = constant_bones(walk, HUMANML3D)
    for frame in (0, 20, 39):
        root.loadPose(frame)
        places = {joint.Name: [*joint.PositionWorld] for joint, _, _ in root.layout()}
        np.testing.assert_allclose([places[name] for name in HUMANML3D.joint_names], wanted[frame], atol=MILLIMETRE)


def test_pybvh_finds_the_joints(walk, tmp_path):
    pybvh = pytest.importorskip("pybvh")
    read = pybvh.read_bvh_file(str(save_motion(tmp_path / "walk.bvh", walk)))
    order = [[node.name for node in read.nodes].index(name) for name in HUMANML3D.joint_names]
    np.testing.assert_allclose(read.node_positions()[:, order], constant_bones(walk, HUMANML3D), atol=MILLIMETRE)


READ_FBX = """
import sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = 20
bpy.ops.import_scene.fbx(filepath=sys.argv[-1], anim_offset=0.0)
body = next(one for one in bpy.data.objects if one.type == "ARMATURE")
bpy.context.scene.frame_set(30)
for bone in body.pose.bones:
    print("bone", bone.name, *(body.matrix_world @ bone.head))
print("meshes", sum(one.type == "MESH" for one in bpy.data.objects))
"""


@pytest.mark.slow
def test_blender_finds_the_joints_of_an_fbx_file(walk, tmp_path):
    try:
        command = blender_command()
    except InputError:
        pytest.skip("no Blender")
    path = save_motion(tmp_path / "walk.fbx", walk)
    (tmp_path / "read.py").write_text(READ_FBX)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    said = subprocess.run(
        [*command, str(tmp_path / "read.py"), *(["--"] if command[1:] else []), str(path)],
        capture_output=True, text=True, env=environment, check=True,
    ).stdout  # fmt: skip
    bones = {line.split()[1]: line.split()[2:] for line in said.splitlines() if line.startswith("bone ")}
    found = upright(np.array([bones[name] for name in HUMANML3D.joint_names], dtype=float))
    np.testing.assert_allclose(found, constant_bones(walk, HUMANML3D)[30], atol=MILLIMETRE)
    assert "meshes 1" in said


def test_fbx_without_blender_says_how_to_get_it(walk, tmp_path, monkeypatch):
    monkeypatch.setenv("ATM_BLENDER", str(tmp_path / "no-blender"))
    with pytest.raises(InputError, match="ATM_BLENDER is .*, which is no program"):
        save_motion(tmp_path / "walk.fbx", walk)
    monkeypatch.delenv("ATM_BLENDER")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("atm.export.fbx.find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install bpy into a Python environment of its own .* set ATM_BLENDER"):
        save_motion(tmp_path / "walk.fbx", walk)
    assert not (tmp_path / "walk.fbx").exists()


def test_blender_that_fails_is_said_and_leaves_nothing(walk, tmp_path, monkeypatch):
    broken = tmp_path / "python-broken"
    broken.write_text("#!/bin/sh\necho no module named bpy >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("ATM_BLENDER", str(broken))
    with pytest.raises(InputError, match="wrote no FBX file: no module named bpy"):
        save_motion(tmp_path / "walk.fbx", walk)
    assert not (tmp_path / "walk.fbx").exists()


def test_usd_without_its_library_names_the_extra(walk, tmp_path, monkeypatch):
    monkeypatch.setattr("atm.apps.export.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"written by the library usd-core, .* pip install 'atm-motion\[usd\]'"):
        save_motion(tmp_path / "walk.usd", walk)
