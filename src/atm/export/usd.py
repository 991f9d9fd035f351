"""A motion as a USD file (UsdSkel): a skeleton with its animation, and the figure that hangs on it.

The rotations are those of the BVH and GLB files (`atm.motion.rig`): the figure of the rest pose stands in a T. `.usda`
is text, `.usd` and `.usdc` are binary. Written by Pixar's library, which is no part of the package (`atm-motion[usd]`).
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, Vt
from scipy.spatial.transform import Rotation

from atm.export.bvh import Z_UP
from atm.export.figure import FigurePart, figure_parts
from atm.export.glb import continuous, rest_pose
from atm.export.names import UNITS, FileStyle
from atm.export.styled import styled
from atm.motion import Skeleton
from atm.motion.rig import Rig, outward

_ROOT = "/motion"


def save_usd(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    ending: str,
    text: str = "",
    style: FileStyle | None = None,
) -> None:
    """Write a motion whose forward kinematics gives the joint positions back, as far as bones keep their length.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints.
        ending: `.usda` for text, `.usd` or `.usdc` for binary.
        text: becomes the comment of the stage.
        style: names, unit, frame rate and upward axis.
    """
    style, rig, names = styled(joints, skeleton, style)
    rest, parts = rest_pose(rig), figure_parts(rest_pose(rig), skeleton)
    turn = Z_UP if style.up == "z" else np.eye(3)
    change = UNITS[style.unit] * turn.T
    rig = replace(rig, offsets=rig.offsets @ change, root=rig.root @ change, rotations=turn @ rig.rotations @ turn.T)
    parts = [part._replace(vertices=part.vertices @ change, normals=part.normals @ turn.T) for part in parts]
    stage = _stage(rig, style, text)
    _skeleton(stage, rig, rest @ change, names)
    for part in parts:
        _mesh(stage, part, outward(rig.parents))
    with tempfile.TemporaryDirectory(prefix="atm-") as folder:
        made = Path(folder) / f"motion{ending}"  # the library goes by the ending
        stage.GetRootLayer().Export(str(made))
        Path(path).write_bytes(made.read_bytes())


def _stage(rig: Rig, style: FileStyle, text: str) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if style.up == "z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1 / UNITS[style.unit])
    stage.SetFramesPerSecond(rig.fps)
    stage.SetTimeCodesPerSecond(rig.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(rig.root) - 1)
    stage.GetRootLayer().comment = text
    stage.SetDefaultPrim(UsdSkel.Root.Define(stage, _ROOT).GetPrim())
    return stage


def _skeleton(stage: Usd.Stage, rig: Rig, rest: Float[np.ndarray, "J 3"], names: list[str]) -> None:
    """Add joints and animation. USD names a joint by its way from the root, and wants parents before children."""
    order, ways = outward(rig.parents), {}
    for joint in order:
        above = rig.parents[joint]
        ways[joint] = names[joint] if above < 0 else f"{ways[above]}/{names[joint]}"
    local = rig.offsets.copy()
    local[0] = rest[0]
    skeleton = UsdSkel.Skeleton.Define(stage, f"{_ROOT}/skeleton")
    skeleton.CreateJointsAttr([ways[joint] for joint in order])
    skeleton.CreateBindTransformsAttr([_moved(rest[joint]) for joint in order])
    skeleton.CreateRestTransformsAttr([_moved(local[joint]) for joint in order])
    animation = UsdSkel.Animation.Define(stage, f"{_ROOT}/skeleton/animation")
    animation.CreateJointsAttr([ways[joint] for joint in order])
    animation.CreateScalesAttr(Vt.Vec3hArray(len(order), Gf.Vec3h(1)))
    turns, places = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    quaternions = np.stack(
        [continuous(Rotation.from_matrix(rig.rotations[:, joint]).as_quat()) for joint in order], axis=1
    )
    for frame, rows in enumerate(quaternions):
        turns.Set(Vt.QuatfArray([Gf.Quatf(float(w), float(x), float(y), float(z)) for x, y, z, w in rows]), frame)
        local[0] = rig.root[frame]
        places.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(local[order], np.float32)), frame)
    binding = UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])


def _mesh(stage: Usd.Stage, part: FigurePart, order: list[int]) -> None:
    mesh = UsdGeom.Mesh.Define(stage, f"{_ROOT}/{part.side}")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(part.vertices, np.float32)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(part.normals, np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateFaceVertexCountsAttr([3] * len(part.triangles))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(part.triangles.ravel(), np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([Gf.Vec3f(*part.colour)])
    mesh.CreateExtentAttr([Gf.Vec3f(*map(float, part.vertices.min(0))), Gf.Vec3f(*map(float, part.vertices.max(0)))])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([Sdf.Path(f"{_ROOT}/skeleton")])
    places = np.argsort(order)[part.joints]
    binding.CreateJointIndicesPrimvar(False, 1).Set(Vt.IntArray.FromNumpy(np.ascontiguousarray(places, np.int32)))
    binding.CreateJointWeightsPrimvar(False, 1).Set(Vt.FloatArray([1.0] * len(places)))
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1))


def _moved(place: Float[np.ndarray, "3"]) -> Gf.Matrix4d:
    return Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(*map(float, place)))
