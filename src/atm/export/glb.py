"""A motion as a binary glTF 2.0 file (`.glb`): a skeleton with a skinned figure, for game engines, Blender, the web.

Metres, y up, the figure of the rest pose stands in a T and looks along +z: glTF's own convention. The rotations are
those of the BVH file (`atm.motion.rig`); the figure is the one of all our pictures (`atm.export.body`).

Format: Khronos Group, glTF 2.0 specification, sections 3 (content) and 4 (binary container).
"""

from pathlib import Path

import numpy as np
import pygltflib as gltf
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.storage import atomic
from atm.export.figure import figure_parts
from atm.export.names import FileStyle
from atm.export.styled import styled
from atm.motion import Skeleton
from atm.motion.rig import Rig, children_of, outward

NUMBERS = {gltf.FLOAT: "<f4", gltf.UNSIGNED_SHORT: "<u2", gltf.UNSIGNED_INT: "<u4"}
TYPES = {1: gltf.SCALAR, 3: gltf.VEC3, 4: gltf.VEC4, 16: gltf.MAT4}


def save_glb(
    path: Path | str,
    joints: Float[np.ndarray, "T J 3"],
    skeleton: Skeleton,
    *,
    text: str = "",
    style: FileStyle | None = None,
) -> None:
    """Write a motion whose forward kinematics gives the joint positions back, as far as bones keep their length.

    Args:
        path: where to.
        joints: in metres, y up.
        skeleton: names the joints; its frame rate is the animation's.
        text: becomes the animation's name.
        style: names of the joints and frame rate; the format itself says metres and y up.
    """
    _, rig, names = styled(joints, skeleton, style)
    file = animated_skeleton(rig, names, text)
    _figure(file, rest_pose(rig), skeleton)
    with atomic(Path(path)) as part:
        part.write_bytes(b"".join(file.save_to_bytes()))


def animated_skeleton(rig: Rig, names: list[str], text: str) -> gltf.GLTF2:
    """Return a file of the joints alone and how they move; node k is joint k."""
    file = gltf.GLTF2(asset=gltf.Asset(generator="atm"), scene=0, buffers=[gltf.Buffer()])
    file.set_binary_blob(b"")
    file.nodes = _joints(rig, rest_pose(rig), names)
    file.scenes = [gltf.Scene(nodes=[0])]
    file.animations = [_animation(file, rig, text)]
    return file


def add_array(
    file: gltf.GLTF2, values: np.ndarray, kind: int = gltf.FLOAT, *, target: int | None = None, bounds: bool = False
) -> int:
    """Append an array as an accessor; return its number.

    Args:
        file: takes it.
        values: (N,) or (N, components).
        kind: component type, as glTF numbers them.
        target: what a vertex buffer is for; None: no vertex data.
        bounds: write the least and greatest values, which positions and times must have.
    """
    rows = values.reshape(len(values), -1).astype(NUMBERS[kind])
    before, content = file.binary_blob(), rows.tobytes()
    file.bufferViews.append(gltf.BufferView(buffer=0, byteOffset=len(before), byteLength=len(content), target=target))
    file.set_binary_blob(before + content + b"\0" * (-len(content) % 4))
    limits = {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()} if bounds else {}
    file.accessors.append(
        gltf.Accessor(
            bufferView=len(file.bufferViews) - 1,
            componentType=kind,
            count=len(rows),
            type=TYPES[rows.shape[1]],
            **limits,
        )
    )
    return len(file.accessors) - 1


def rest_pose(rig: Rig) -> Float[np.ndarray, "J 3"]:
    """Return where the joints are in the rest pose, the lowest on the floor."""
    rest = np.zeros_like(rig.offsets)
    for joint in outward(rig.parents)[1:]:
        rest[joint] = rest[rig.parents[joint]] + rig.offsets[joint]
    return rest - [0.0, rest[:, 1].min(), 0.0]


def _joints(rig: Rig, rest: Float[np.ndarray, "J 3"], names: list[str]) -> list[gltf.Node]:
    """Return a node for each joint in the rest pose, numbered as in the skeleton."""
    return [
        gltf.Node(
            name=names[joint],
            translation=(rig.offsets[joint] if joint else rest[0]).tolist(),
            children=below,
        )
        for joint, below in children_of(rig.parents).items()
    ]


def _animation(file: gltf.GLTF2, rig: Rig, text: str) -> gltf.Animation:
    """Return rotations of all joints, and the places of the root."""
    seconds = add_array(file, np.arange(len(rig.rotations)) / rig.fps, bounds=True)
    animation = gltf.Animation(name=text or "motion")

    def move(joint: int, what: str, values: np.ndarray) -> None:
        target = gltf.AnimationChannelTarget(node=joint, path=what)
        animation.channels.append(gltf.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(gltf.AnimationSampler(input=seconds, output=add_array(file, values)))

    for joint in range(len(rig.parents)):
        move(joint, "rotation", continuous(Rotation.from_matrix(rig.rotations[:, joint]).as_quat()))
    move(0, "translation", rig.root)
    return animation


def continuous(quaternions: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
    """Return the same rotations with signs that do not jump: q and -q are one rotation, but not halfway between."""
    jumps = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    signs = np.concatenate([[1.0], np.where(np.cumsum(jumps) % 2, -1.0, 1.0)])
    return quaternions * signs[:, None]


def _figure(file: gltf.GLTF2, rest: Float[np.ndarray, "J 3"], skeleton: Skeleton) -> None:
    """Add the figure in the rest pose as one mesh that hangs on the joints: a part for each colour."""
    inverse = np.tile(np.eye(4), (skeleton.n_joints, 1, 1))
    inverse[:, 3, :3] = -rest  # columns first, so that the last row of an array is the translation
    joints = list(range(skeleton.n_joints))
    file.skins = [gltf.Skin(joints=joints, skeleton=0, inverseBindMatrices=add_array(file, inverse.reshape(-1, 16)))]
    parts = []
    for part in figure_parts(rest, skeleton):
        bones = np.zeros((len(part.joints), 4))
        bones[:, 0] = part.joints
        weights = np.tile([1.0, 0.0, 0.0, 0.0], (len(part.joints), 1))
        attributes = gltf.Attributes(
            POSITION=add_array(file, part.vertices, target=gltf.ARRAY_BUFFER, bounds=True),
            NORMAL=add_array(file, part.normals, target=gltf.ARRAY_BUFFER),
            JOINTS_0=add_array(file, bones, gltf.UNSIGNED_SHORT, target=gltf.ARRAY_BUFFER),
            WEIGHTS_0=add_array(file, weights, target=gltf.ARRAY_BUFFER),
        )
        indices = add_array(file, part.triangles.ravel(), gltf.UNSIGNED_INT, target=gltf.ELEMENT_ARRAY_BUFFER)
        parts.append(gltf.Primitive(attributes=attributes, indices=indices, material=len(file.materials)))
        shine = gltf.PbrMetallicRoughness(baseColorFactor=[*part.colour, 1.0], metallicFactor=0.0, roughnessFactor=0.7)
        file.materials.append(gltf.Material(name=part.side, pbrMetallicRoughness=shine))
    file.meshes = [gltf.Mesh(name="figure", primitives=parts)]
    file.nodes.append(gltf.Node(name="figure", mesh=0, skin=0))
    file.scenes = [gltf.Scene(nodes=[0, len(file.nodes) - 1])]
