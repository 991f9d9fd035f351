"""Choices of a motion file: what its joints are called, by program; unit, frame rate and upward axis."""

from dataclasses import dataclass

from atm.base.errors import InputError, unknown

NAMINGS = ("humanml3d", "mixamo", "smpl", "unreal", "vrm")
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
"""Units of a file, and how many of each are a metre."""
UPWARD = ("y", "z")

# Mixamo (https://www.mixamo.com), SMPL's own figure, Unreal's mannequin, VRM 1.0's humanoid bones; the sides are put in
# by `joint_name`. Mixamo's colon is left out: three.js, whose loaders leave it out of Mixamo's files, too, reads a BVH
# with colons as one that does not move.
_MIDDLE = {
    "pelvis": ("mixamorigHips", "Pelvis", "pelvis", "hips"),
    "spine1": ("mixamorigSpine", "Spine1", "spine_01", "spine"),
    "spine2": ("mixamorigSpine1", "Spine2", "spine_02", "chest"),
    "spine3": ("mixamorigSpine2", "Spine3", "spine_03", "upperChest"),
    "neck": ("mixamorigNeck", "Neck", "neck_01", "neck"),
    "head": ("mixamorigHead", "Head", "head", "head"),
}
_SIDED = {
    "hip": ("UpLeg", "Hip", "thigh", "UpperLeg"),
    "knee": ("Leg", "Knee", "calf", "LowerLeg"),
    "ankle": ("Foot", "Ankle", "foot", "Foot"),
    "foot": ("ToeBase", "Foot", "ball", "Toes"),
    "collar": ("Shoulder", "Collar", "clavicle", "Shoulder"),
    "shoulder": ("Arm", "Shoulder", "upperarm", "UpperArm"),
    "elbow": ("ForeArm", "Elbow", "lowerarm", "LowerArm"),
    "wrist": ("Hand", "Wrist", "hand", "Hand"),
}


@dataclass(frozen=True)
class FileStyle:
    """How the skeleton of a motion file is written.

    Raises:
        InputError: a word that is none of the known, or a rate that none can be.
    """

    names: str = "humanml3d"
    """Names of the joints, one of `NAMINGS`; `humanml3d` are those of the motion's own skeleton."""
    unit: str = "m"
    """Unit of length, one of `UNITS`."""
    fps: float | None = None
    """Frames per second; None: those of the motion."""
    up: str = "y"
    """Upward axis, `y` or `z`; the figure of the rest pose looks along +z or -y."""

    def __post_init__(self) -> None:
        for what, given, known in (("names", self.names, NAMINGS), ("unit", self.unit, UNITS), ("up", self.up, UPWARD)):
            if given not in known:
                raise unknown(what, given, known)
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"fps must be over 0 and at most 1000, got {self.fps:g}")


def joint_name(joint: str, naming: str) -> str:
    """Return what a joint of ours is called; one that the naming has no word for (KIT's midfoot) keeps its name."""
    if naming == NAMINGS[0]:
        return joint
    column = NAMINGS.index(naming) - 1
    side, _, part = joint.rpartition("_")
    if joint in _MIDDLE:
        return _MIDDLE[joint][column]
    if part not in _SIDED:
        return joint
    word, left = _SIDED[part][column], side == "left"
    return {
        "mixamo": f"mixamorig{side.capitalize()}{word}",
        "smpl": f"{'L' if left else 'R'}_{word}",
        "unreal": f"{word}_{'l' if left else 'r'}",
        "vrm": f"{side}{word}",
    }[naming]
