"""One motion as BVH files of the skeletons that circulate, by a writer that shares no code with reader and exporter.

A body's motion is 22 joint positions. Here each joint also gets a turn, counted from a standing body in a T-pose; from
positions and turns a file follows for any rest pose, joint axes, order of angles, unit, upward axis and frame rate.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from atm.motion import HUMANML3D
from atm.scripted.motion.body import BONES, OFFSETS

INDEX = {name: joint for joint, name in enumerate(HUMANML3D.joint_names)}
PARENTS = HUMANML3D.parents
LEFT, UP, FRONT = np.eye(3)
SIDE = {"left": LEFT, "right": -LEFT}


def t_pose() -> np.ndarray:
    """Offsets of the 22 joints of a standing body with arms to the sides."""
    offsets = np.zeros((22, 3))
    for joint, name in enumerate(HUMANML3D.joint_names):
        side, _, part = name.rpartition("_")
        if joint in OFFSETS:
            offsets[joint] = OFFSETS[joint]
        elif part in ("elbow", "wrist"):
            offsets[joint] = SIDE[side] * BONES[joint]
        elif part in ("knee", "ankle"):
            offsets[joint] = -UP * BONES[joint]
        elif part == "foot":
            offsets[joint] = (FRONT * 0.9 - UP * 0.43589) * BONES[joint]
    return offsets


def swing(before: np.ndarray, after: np.ndarray) -> Rotation:
    """The smallest rotation from one direction to others, (T, 3)."""
    before = np.broadcast_to(before / np.linalg.norm(before, axis=-1, keepdims=True), after.shape)
    after = after / np.linalg.norm(after, axis=-1, keepdims=True)
    axis = np.cross(before, after)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (before * after).sum(-1, keepdims=True))
    return Rotation.from_rotvec(axis / np.maximum(sine, 1e-12) * angle)


def turns_of(joints: np.ndarray, rest: np.ndarray) -> list[Rotation]:
    """How each joint is turned from the rest pose: joints with several children exactly, the others without twist
    against the joint that they hang on."""
    bones = joints - joints[:, list(PARENTS)]
    turns: list[Rotation] = [Rotation.identity(len(joints))] * 22
    for joint in (0, *HUMANML3D.outward):
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        before = turns[PARENTS[joint]] if joint else Rotation.identity(len(joints))
        if len(children) > 1:
            turns[joint] = Rotation.concatenate(
                [Rotation.align_vectors(frame, rest[children])[0] for frame in bones[:, children]]
            )
        elif children:
            turns[joint] = swing(before.apply(rest[children[0]]), bones[:, children[0]]) * before
        else:
            turns[joint] = before
    # The spine between pelvis and chest shares out the twist.
    way = (turns[INDEX["spine3"]] * turns[0].inv()).as_rotvec()
    for name, child, share in (("spine1", "spine2", 1 / 3), ("spine2", "spine3", 2 / 3)):
        guess = Rotation.from_rotvec(share * way) * turns[0]
        turns[INDEX[name]] = swing(guess.apply(rest[INDEX[child]]), bones[:, INDEX[child]]) * guess
    return turns


@dataclass(frozen=True)
class Joint:
    """A joint of a file."""

    name: str
    parent: str | None
    ours: str
    """Whose place and turn it has."""
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    """Its own axes (columns) while the body stands in the rest pose."""
    tip: tuple[float, float, float] | None = None
    """End site, in metres in the rest pose's axes."""


@dataclass(frozen=True)
class Skeleton:
    joints: list[Joint]
    order: str
    fps: float
    unit: float = 1.0
    """Metres."""
    to_world: np.ndarray = field(default_factory=lambda: np.eye(3))
    """From y up, front +z, left +x to the file's axes."""
    rest: np.ndarray = field(default_factory=t_pose)
    places_everywhere: bool = False
    """Every joint has position channels."""
    opens_in_rest: int = 0
    """So many frames before the motion are the rest pose."""
    size: float = 1.0
    """How much larger than HumanML3D's body the actor is."""
    loose: dict[str, Rotation] = field(default_factory=dict)
    """Joints that are turned by so much more; what hangs on them lies in their place and turns back."""


def save(path: Path, joints: np.ndarray, skeleton: Skeleton) -> Path:
    """Writes joint positions (T, 22, 3) at 20 fps in metres."""
    turns = turns_of(joints, skeleton.rest)
    frames, seconds = len(joints), (len(joints) - 1) / 20
    times = np.arange(int(seconds * skeleton.fps + 1e-6) + 1) / skeleton.fps
    world = {}
    for joint in skeleton.joints:
        quaternions = turns[INDEX[joint.ours]].as_quat(canonical=False)
        flips = np.cumsum(np.concatenate([[0], (quaternions[1:] * quaternions[:-1]).sum(-1) < 0])) % 2
        curve = CubicSpline(np.arange(frames) / 20, np.where(flips[:, None], -quaternions, quaternions))
        world[joint.name] = Rotation.from_quat(curve(times)).as_matrix()
    for name, more in skeleton.loose.items():
        world[name] = world[name] @ more.as_matrix()
    root = CubicSpline(np.arange(frames) / 20, joints[:, 0])(times) * skeleton.size
    if skeleton.opens_in_rest:
        count = skeleton.opens_in_rest
        root = np.concatenate([root[:1]] * count + [root])
        world = {name: np.concatenate([np.eye(3)[None]] * count + [turn]) for name, turn in world.items()}
    rest = {joint.name: _rest_place(joint.ours, skeleton.rest) for joint in skeleton.joints}
    offsets, local = {}, {}
    for joint in skeleton.joints:
        turn = skeleton.to_world @ world[joint.name] @ joint.axes
        if joint.parent is None:
            offsets[joint.name], local[joint.name] = np.zeros(3), turn
            continue
        parent = next(other for other in skeleton.joints if other.name == joint.parent)
        bone = (rest[joint.name] - rest[joint.parent]) * skeleton.size
        offsets[joint.name] = parent.axes.T @ bone
        before = skeleton.to_world @ world[parent.name] @ parent.axes
        local[joint.name] = np.swapaxes(before, -1, -2) @ turn
    path.write_text(_text(skeleton, offsets, local, root @ skeleton.to_world.T))
    return path


def in_world_axes(skeleton: list[Joint], to_world: np.ndarray) -> list[Joint]:
    """The same joints with a rest pose that is drawn in the file's axes, not in y up."""
    return [Joint(one.name, one.parent, one.ours, to_world.T, one.tip) for one in skeleton]


def _rest_place(ours: str, rest: np.ndarray) -> np.ndarray:
    place, joint = np.zeros(3), INDEX[ours]
    while joint >= 0:
        place, joint = place + rest[joint], PARENTS[joint]
    return place


def _text(skeleton: Skeleton, offsets: dict, local: dict, root: np.ndarray) -> str:
    lines, columns = ["HIERARCHY"], []

    def numbers(values) -> str:
        return " ".join(f"{value:.6f}" for value in values)

    def write(joint: Joint, depth: int) -> None:
        tab, more = "\t" * depth, "\t" * (depth + 1)
        places = joint.parent is None or skeleton.places_everywhere
        lines.extend([f"{tab}{'ROOT' if joint.parent is None else 'JOINT'} {joint.name}", f"{tab}{{"])
        lines.append(f"{more}OFFSET {numbers(offsets[joint.name] / skeleton.unit)}")
        channels = ["Xposition", "Yposition", "Zposition"] if places else []
        channels += [f"{axis}rotation" for axis in skeleton.order]
        lines.append(f"{more}CHANNELS {len(channels)} {' '.join(channels)} ")
        frames = local[joint.name]
        if joint.parent is None:
            columns.append(root / skeleton.unit)
        elif places:
            columns.append(np.tile(offsets[joint.name] / skeleton.unit, (len(frames), 1)))
        columns.append(Rotation.from_matrix(frames).as_euler(skeleton.order, degrees=True))
        children = [other for other in skeleton.joints if other.parent == joint.name]
        for child in children:
            write(child, depth + 1)
        if not children:
            tip = joint.axes.T @ np.array(joint.tip or (0, 0, 0)) * skeleton.size / skeleton.unit
            lines.extend([f"{more}End Site", f"{more}{{", f"{more}\tOFFSET {numbers(tip)}", f"{more}}}"])
        lines.append(f"{tab}}}")

    for joint in skeleton.joints:
        if joint.parent is None:
            write(joint, 0)
    rows = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / skeleton.fps:.6f}", *map(numbers, rows)]
    return "\n".join(lines) + "\n"


# Rotations about one axis in degrees: joint axes of the skeletons below.
def _axes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Columns: where a joint's own x and y point while the body stands."""
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def cmu() -> Skeleton:
    """The Carnegie-Mellon database as converted for MotionBuilder: legs apart in the rest pose, a T-pose as first
    frame, 120 frames per second, its own unit."""
    joints = [
        Joint("Hips", None, "pelvis"),
        Joint("LowerBack", "Hips", "pelvis"),
        Joint("Spine", "LowerBack", "spine1"),
    ]
    joints += [Joint("Spine1", "Spine", "spine3"), Joint("Neck", "Spine1", "neck"), Joint("Neck1", "Neck", "neck")]
    joints += [Joint("Head", "Neck1", "head", tip=(0, 0.1, 0.02))]
    for side, s in (("left", "Left"), ("right", "Right")):
        joints += [
            Joint(f"{s[0]}HipJoint", "Hips", "pelvis"),
            Joint(f"{s}UpLeg", f"{s[0]}HipJoint", f"{side}_hip"),
            Joint(f"{s}Leg", f"{s}UpLeg", f"{side}_knee"),
            Joint(f"{s}Foot", f"{s}Leg", f"{side}_ankle"),
            Joint(f"{s}ToeBase", f"{s}Foot", f"{side}_foot", tip=(0, 0, 0.06)),
            Joint(f"{s}Shoulder", "Spine1", f"{side}_collar"),
            Joint(f"{s}Arm", f"{s}Shoulder", f"{side}_shoulder"),
            Joint(f"{s}ForeArm", f"{s}Arm", f"{side}_elbow"),
            Joint(f"{s}Hand", f"{s}ForeArm", f"{side}_wrist"),
            Joint(f"{s}FingerBase", f"{s}Hand", f"{side}_wrist"),
            Joint(f"{s}HandIndex1", f"{s}FingerBase", f"{side}_wrist", tip=(0, -0.05, 0)),
            Joint(f"{s[0]}Thumb", f"{s}Hand", f"{side}_wrist", tip=(0, 0, 0.04)),
        ]
    rest = t_pose()
    for side in ("left", "right"):
        for part in ("knee", "ankle"):
            apart = SIDE[side] * np.sin(np.radians(20)) - UP * np.cos(np.radians(20))
            rest[INDEX[f"{side}_{part}"]] = apart * BONES[INDEX[f"{side}_{part}"]]
    return Skeleton(joints, "ZYX", 120, unit=0.0254 / 0.45, rest=rest, opens_in_rest=1)


def mixamo() -> Skeleton:
    """Mixamo: a prefix before every name, centimetres, fingers, ends, an actor a tenth larger."""
    joints = [Joint("Hips", None, "pelvis"), Joint("Spine", "Hips", "spine1"), Joint("Spine1", "Spine", "spine2")]
    joints += [Joint("Spine2", "Spine1", "spine3"), Joint("Neck", "Spine2", "neck"), Joint("Head", "Neck", "head")]
    joints += [
        Joint("HeadTop_End", "Head", "head"),
        Joint("LeftEye", "Head", "head"),
        Joint("RightEye", "Head", "head"),
    ]
    for side, s in (("left", "Left"), ("right", "Right")):
        joints += [
            Joint(f"{s}UpLeg", "Hips", f"{side}_hip"),
            Joint(f"{s}Leg", f"{s}UpLeg", f"{side}_knee"),
            Joint(f"{s}Foot", f"{s}Leg", f"{side}_ankle"),
            Joint(f"{s}ToeBase", f"{s}Foot", f"{side}_foot"),
            Joint(f"{s}Toe_End", f"{s}ToeBase", f"{side}_foot"),
            Joint(f"{s}Shoulder", "Spine2", f"{side}_collar"),
            Joint(f"{s}Arm", f"{s}Shoulder", f"{side}_shoulder"),
            Joint(f"{s}ForeArm", f"{s}Arm", f"{side}_elbow"),
            Joint(f"{s}Hand", f"{s}ForeArm", f"{side}_wrist"),
            *(Joint(f"{s}Hand{finger}1", f"{s}Hand", f"{side}_wrist") for finger in ("Thumb", "Index", "Pinky")),
        ]
    prefix = "mixamorig:"
    joints = [Joint(prefix + one.name, one.parent and prefix + one.parent, one.ours, tip=one.tip) for one in joints]
    return Skeleton(joints, "ZYX", 60, unit=0.01, size=1.1)


def lafan1() -> Skeleton:
    """LAFAN1: x of each joint runs along its bone, so that with all angles zero the legs point up; 30 fps."""
    trunk = _axes(UP, FRONT)
    joints = [Joint("Hips", None, "pelvis", trunk)]
    for side, s in (("left", "Left"), ("right", "Right")):
        leg, foot = _axes(-UP, FRONT), _axes(FRONT, UP)
        joints += [
            Joint(f"{s}UpLeg", "Hips", f"{side}_hip", leg),
            Joint(f"{s}Leg", f"{s}UpLeg", f"{side}_knee", leg),
            Joint(f"{s}Foot", f"{s}Leg", f"{side}_ankle", foot),
            Joint(f"{s}Toe", f"{s}Foot", f"{side}_foot", foot),
        ]
    joints += [Joint("Spine", "Hips", "spine1", trunk), Joint("Spine1", "Spine", "spine2", trunk)]
    joints += [Joint("Spine2", "Spine1", "spine3", trunk), Joint("Neck", "Spine2", "neck", trunk)]
    joints += [Joint("Head", "Neck", "head", trunk)]
    for side, s in (("left", "Left"), ("right", "Right")):
        arm = _axes(SIDE[side], FRONT)
        joints += [
            Joint(f"{s}Shoulder", "Spine2", f"{side}_collar", arm),
            Joint(f"{s}Arm", f"{s}Shoulder", f"{side}_shoulder", arm),
            Joint(f"{s}ForeArm", f"{s}Arm", f"{side}_elbow", arm),
            Joint(f"{s}Hand", f"{s}ForeArm", f"{side}_wrist", arm),
        ]
    return Skeleton(joints, "ZYX", 30, unit=0.01)


def bandai_namco() -> Skeleton:
    """Bandai-Namco: a root on the floor, position channels everywhere, the spine's axes a quarter turn from the
    pelvis', those of right limbs against the bone; two joints of spine; 60 fps."""
    pelvis, spine = _axes(UP, -LEFT), _axes(UP, FRONT)
    joints = [Joint("joint_Root", None, "pelvis"), Joint("Hips", "joint_Root", "pelvis", pelvis)]
    joints += [Joint("Spine", "Hips", "spine2", spine), Joint("Chest", "Spine", "spine3", spine)]
    joints += [Joint("Neck", "Chest", "neck", spine), Joint("Head", "Neck", "head", spine)]
    for side, s, sign in (("left", "L", 1), ("right", "R", -1)):
        arm, leg, foot = _axes(LEFT, FRONT), _axes(-UP * sign, FRONT), _axes(FRONT * sign, UP)
        joints += [
            Joint(f"Shoulder_{s}", "Chest", f"{side}_collar", arm),
            Joint(f"UpperArm_{s}", f"Shoulder_{s}", f"{side}_shoulder", arm),
            Joint(f"LowerArm_{s}", f"UpperArm_{s}", f"{side}_elbow", arm),
            Joint(f"Hand_{s}", f"LowerArm_{s}", f"{side}_wrist", arm),
            Joint(f"UpperLeg_{s}", "Hips", f"{side}_hip", leg),
            Joint(f"LowerLeg_{s}", f"UpperLeg_{s}", f"{side}_knee", leg),
            Joint(f"Foot_{s}", f"LowerLeg_{s}", f"{side}_ankle", foot),
            Joint(f"Toes_{s}", f"Foot_{s}", f"{side}_foot", foot),
        ]
    return Skeleton(joints, "ZXY", 60, unit=0.01, places_everywhere=True)


def biovision() -> Skeleton:
    """The format's first skeleton, z up, facing -y, in inches, arms half down at rest, feet without toes, 120 fps."""
    joints = [Joint("Hips", None, "pelvis"), Joint("Chest", "Hips", "spine1"), Joint("Chest2", "Chest", "spine2")]
    joints += [Joint("Chest3", "Chest2", "spine3"), Joint("Neck", "Chest3", "neck"), Joint("Head", "Neck", "head")]
    rest = t_pose()
    for side, s in (("left", "Left"), ("right", "Right")):
        joints += [
            Joint(f"{s}Collar", "Chest3", f"{side}_collar"),
            Joint(f"{s}Shoulder", f"{s}Collar", f"{side}_shoulder"),
            Joint(f"{s}Elbow", f"{s}Shoulder", f"{side}_elbow"),
            Joint(f"{s}Wrist", f"{s}Elbow", f"{side}_wrist"),
            Joint(f"{s}Hip", "Hips", f"{side}_hip"),
            Joint(f"{s}Knee", f"{s}Hip", f"{side}_knee"),
            Joint(f"{s}Ankle", f"{s}Knee", f"{side}_ankle", tip=tuple(rest[INDEX[f"{side}_foot"]])),
        ]
        for part in ("elbow", "wrist"):
            down = SIDE[side] * 0.6 - UP * 0.8
            rest[INDEX[f"{side}_{part}"]] = down * BONES[INDEX[f"{side}_{part}"]]
    z_up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return Skeleton(in_world_axes(joints, z_up), "XYZ", 120, unit=0.0254, to_world=z_up, rest=rest)


SKELETONS = {
    "cmu": cmu,
    "mixamo": mixamo,
    "lafan1": lafan1,
    "bandai_namco": bandai_namco,
    "biovision": biovision,
}
