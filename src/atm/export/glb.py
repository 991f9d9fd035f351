"""A motion as a binary glTF 2.0 file (`.glb`): a skeleton with a skinned figure, for game engines, Blender, the web.

Metres, y up, the figure of the rest pose stands in a T and looks along +z: glTF's own convention. The rotations are
those of the BVH file (`atm.motion.rig`); the figure is the one of all our pictures (`atm.export.body`).

Format: Khronos Group, glTF 2.0 specification, sections 3 (content) and 4 (binary container).
"""

from pathlib import Path

import numpy as np
import pygltflib as gltf
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from atm.base.storage import atomic
from atm.export.body import SIDE_COLOURS, ExportedBody, body_of
from atm.export.names import FileStyle, joint_name
from atm.motion import Skeleton
from atm.motion.rig import Rig, children_of, fit_rig

AROUND, RINGS = 12, 4
"""Corners around a capsule, and rings of each of its round ends."""
_NUMBERS = {gltf.FLOAT: "<f4", gltf.UNSIGNED_SHORT: "<u2", gltf.UNSIGNED_INT: "<u4"}
_TYPES = {1: gltf.SCALAR, 3: gltf.VEC3, 4: gltf.VEC4, 16: gltf.MAT4}


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
    style = style or FileStyle()
    rig = fit_rig(np.asarray(joints, dtype=np.float64), skeleton).at(style.fps or skeleton.fps)
    rest = _rest_pose(rig, skeleton)
    file = gltf.GLTF2(asset=gltf.Asset(generator="atm"), scene=0, buffers=[gltf.Buffer()])
    file.set_binary_blob(b"")
    file.nodes = _joints(rig, rest, [joint_name(name, style.names) for name in skeleton.joint_names])
    _figure(file, rest, skeleton)
    file.animations = [_animation(file, rig, text)]
    with atomic(Path(path)) as part:
        part.write_bytes(b"".join(file.save_to_bytes()))


def _add(
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
    rows = values.reshape(len(values), -1).astype(_NUMBERS[kind])
    before, content = file.binary_blob(), rows.tobytes()
    file.bufferViews.append(gltf.BufferView(buffer=0, byteOffset=len(before), byteLength=len(content), target=target))
    file.set_binary_blob(before + content + b"\0" * (-len(content) % 4))
    limits = {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()} if bounds else {}
    file.accessors.append(
        gltf.Accessor(
            bufferView=len(file.bufferViews) - 1,
            componentType=kind,
            count=len(rows),
            type=_TYPES[rows.shape[1]],
            **limits,
        )
    )
    return len(file.accessors) - 1


def _rest_pose(rig: Rig, skeleton: Skeleton) -> Float[np.ndarray, "J 3"]:
    """Return where the joints are in the T-pose, the lowest on the floor."""
    rest, below, waiting = np.zeros((skeleton.n_joints, 3)), children_of(skeleton.parents), [0]
    while waiting:
        joint = waiting.pop()
        for child in below[joint]:
            rest[child] = rest[joint] + rig.offsets[child]
            waiting.append(child)
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
    seconds = _add(file, np.arange(len(rig.rotations)) / rig.fps, bounds=True)
    animation = gltf.Animation(name=text or "motion")

    def move(joint: int, what: str, values: np.ndarray) -> None:
        target = gltf.AnimationChannelTarget(node=joint, path=what)
        animation.channels.append(gltf.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(gltf.AnimationSampler(input=seconds, output=_add(file, values)))

    for joint in range(len(rig.parents)):
        move(joint, "rotation", _continuous(Rotation.from_matrix(rig.rotations[:, joint]).as_quat()))
    move(0, "translation", rig.root)
    return animation


def _continuous(quaternions: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
    """Return the same rotations with signs that do not jump: q and -q are one rotation, but not halfway between."""
    jumps = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    signs = np.concatenate([[1.0], np.where(np.cumsum(jumps) % 2, -1.0, 1.0)])
    return quaternions * signs[:, None]


def _figure(file: gltf.GLTF2, rest: Float[np.ndarray, "J 3"], skeleton: Skeleton) -> None:
    """Add the figure in the rest pose as one mesh that hangs on the joints: a part for each colour."""
    inverse = np.tile(np.eye(4), (skeleton.n_joints, 1, 1))
    inverse[:, 3, :3] = -rest  # columns first, so that the last row of an array is the translation
    joints = list(range(skeleton.n_joints))
    file.skins = [gltf.Skin(joints=joints, skeleton=0, inverseBindMatrices=_add(file, inverse.reshape(-1, 16)))]
    body, parts = body_of(skeleton).plain(), []
    holders = _holders(body, skeleton)
    for side, colour in SIDE_COLOURS.items():
        members = [k for k, own in enumerate(body.sides) if own == side]
        vertices, normals, joint, triangles = _capsules(
            body.place(rest)[members], body.radii[members], holders[members]
        )
        bones = np.zeros((len(joint), 4))
        bones[:, 0] = joint
        weights = np.tile([1.0, 0.0, 0.0, 0.0], (len(joint), 1))
        attributes = gltf.Attributes(
            POSITION=_add(file, vertices, target=gltf.ARRAY_BUFFER, bounds=True),
            NORMAL=_add(file, normals, target=gltf.ARRAY_BUFFER),
            JOINTS_0=_add(file, bones, gltf.UNSIGNED_SHORT, target=gltf.ARRAY_BUFFER),
            WEIGHTS_0=_add(file, weights, target=gltf.ARRAY_BUFFER),
        )
        indices = _add(file, triangles.ravel(), gltf.UNSIGNED_INT, target=gltf.ELEMENT_ARRAY_BUFFER)
        parts.append(gltf.Primitive(attributes=attributes, indices=indices, material=len(file.materials)))
        file.materials.append(_material(side, colour))
    file.meshes = [gltf.Mesh(name="figure", primitives=parts)]
    file.nodes.append(gltf.Node(name="figure", mesh=0, skin=0))
    file.scenes = [gltf.Scene(nodes=[0, len(file.nodes) - 1])]


def _material(side: str, colour: str) -> gltf.Material:
    """Return materials are in linear light, our colours are sRGB: a power of 2.2 is near enough."""
    linear = [(int(colour[at : at + 2], 16) / 255) ** 2.2 for at in (1, 3, 5)]
    shine = gltf.PbrMetallicRoughness(baseColorFactor=[*linear, 1.0], metallicFactor=0.0, roughnessFactor=0.7)
    return gltf.Material(name=side, pbrMetallicRoughness=shine)


def _holders(body: ExportedBody, skeleton: Skeleton) -> Int[np.ndarray, "K 2"]:
    """Return the joint that each end of a capsule turns with: of those that it lies between, the one nearest to the
    root."""
    depth = [0] * skeleton.n_joints
    for joint in range(skeleton.n_joints):
        above = skeleton.parents[joint]
        while above >= 0:
            depth[joint], above = depth[joint] + 1, skeleton.parents[above]
    # A wide capsule's side reaches across to hips or shoulders; its middle says what it belongs to. What lies behind
    # the end of a bone has that bone's first joint below zero, and turns with the end.
    middle = body.ends > 1e-9
    return np.array([[min(np.flatnonzero(end), key=lambda joint: depth[joint]) for end in ends] for ends in middle])


def _capsules(
    ends: Float[np.ndarray, "K 2 3"], radii: Float[np.ndarray, "K 2"], holders: Int[np.ndarray, "K 2"]
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "V"], Int[np.ndarray, "F 3"]]:
    """Return vertices, normals, joints and triangles of capsules."""
    angle = np.concatenate([np.linspace(-np.pi / 2, 0, RINGS), np.linspace(0, np.pi / 2, RINGS)])
    turn = np.arange(AROUND) * 2 * np.pi / AROUND
    shape = np.stack(
        [
            np.cos(angle)[:, None] * np.cos(turn),
            np.repeat(np.sin(angle)[:, None], AROUND, axis=1),
            np.cos(angle)[:, None] * np.sin(turn),
        ],
        axis=-1,
    ).reshape(-1, 3)
    end = np.repeat([0, 1], RINGS * AROUND)
    ring, corner = np.divmod(np.arange((2 * RINGS - 1) * AROUND), AROUND)
    one, next_one = ring * AROUND + corner, ring * AROUND + (corner + 1) % AROUND
    faces = np.concatenate(
        [np.stack([one, one + AROUND, next_one], 1), np.stack([next_one, one + AROUND, next_one + AROUND], 1)]
    )
    vertices, normals, joints, triangles = [], [], [], []
    for k in range(len(ends)):
        frame = _frame(ends[k, 1] - ends[k, 0])
        normal = shape @ frame
        normals.append(normal)
        vertices.append(ends[k][end] + radii[k][end][:, None] * normal)
        joints.append(holders[k][end])
        triangles.append(faces + k * len(shape))
    return tuple(map(np.concatenate, (vertices, normals, joints, triangles)))


def _frame(along: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Return rows: x, y along the bone, z."""
    length = np.linalg.norm(along)
    y = along / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])
    aside = np.array([1.0, 0.0, 0.0]) if abs(y[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    z = np.cross(aside, y)
    z /= np.linalg.norm(z)
    return np.stack([np.cross(y, z), y, z])
