"""The two bodies of the field: every number about joints, frames and columns is written here, and only here.

Source: Guo et al. 2022, "Generating Diverse and Natural 3D Human Motions from Text", and its published data tools.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from atm.base.errors import InputError

_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_LEFT, _RIGHT, _UP, _DOWN, _FRONT = _X, (-1.0, 0.0, 0.0), _Y, (0.0, -1.0, 0.0), _Z
_NOWHERE = (0.0, 0.0, 0.0)

_DIRECTIONS = {"o": _NOWHERE, "l": _LEFT, "r": _RIGHT, "u": _UP, "d": _DOWN, "f": _FRONT}


@dataclass(frozen=True)
class Skeleton:
    """A body: its joints, how they hang together, and how its features are laid out. y is up.

    Equality and hash go by the fields, so a skeleton can be a key.
    """

    name: str
    joint_names: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    """Joints from inner to outer; the first chains start at the root, an arm's chain at the joint it hangs on."""
    fps: float
    """Frames per second of the published features."""
    metres_per_unit: float
    """Length of the published features' unit: 1 for metres, 0.001 for millimetres."""
    raw_directions: tuple[tuple[float, float, float], ...]
    """Unit vector of each bone (parent to joint) in the reference pose, which rotations are counted from."""
    bone_lengths: tuple[float, ...] | None
    """Parent to joint in the published target body, in published units; None: it depends on a file of the data set."""
    face_joints: tuple[int, int, int, int]
    """Right hip, left hip, right shoulder, left shoulder: which way the body faces."""
    leg_joints: tuple[int, int]
    """Ends of upper and lower leg: the ratio of leg lengths scales a body to the target body."""
    left_foot: tuple[int, int]
    """Ankle and toe as the contact columns read them."""
    right_foot: tuple[int, int]
    contact_threshold: float
    """A foot joint is in contact while its squared displacement per frame, in published units, is below this."""

    @property
    def n_joints(self) -> int:
        return len(self.joint_names)

    @property
    def feature_width(self) -> int:
        """Numbers per frame: 263 for HumanML3D, 251 for KIT."""
        return self.columns["contacts"].stop

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Return where each group of features stands, in order.

        `yaw_step` (half a turn's angle, radians per frame), `root_step` (x and z), `root_height`, `positions` (joints
        1 and up), `rotations` (6-d, joints 1 and up), `velocities` (all joints, per frame), `contacts` (left ankle,
        left toe, right ankle, right toe).
        """
        outer = self.n_joints - 1
        widths = {
            "yaw_step": 1,
            "root_step": 2,
            "root_height": 1,
            "positions": 3 * outer,
            "rotations": 6 * outer,
            "velocities": 3 * self.n_joints,
            "contacts": 4,
        }
        columns, start = {}, 0
        for name, width in widths.items():
            columns[name] = slice(start, start + width)
            start += width
        return columns

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The joint that each joint hangs on; -1 for the root."""
        parents = [-1] * self.n_joints
        for chain in self.chains:
            for parent, joint in pairwise(chain):
                parents[joint] = parent
        return tuple(parents)

    @cached_property
    def rotation_parents(self) -> tuple[int, ...]:
        """The joint whose rotation each joint's local rotation is relative to; -1 for the root.

        Not always the parent: the published chains start at the root's rotation, also those of the arms.
        """
        relative_to = list(self.parents)
        for chain in self.chains:
            relative_to[chain[1]] = 0
        return tuple(relative_to)

    @cached_property
    def outward(self) -> tuple[int, ...]:
        """All joints but the root, each after its parent: the order to walk the chains in."""
        return tuple(joint for chain in self.chains for joint in chain[1:])

    @property
    def target_offsets(self) -> Float[Tensor, "J 3"] | None:
        """Bones of the target body in the reference pose, in published units; None where the lengths are unknown."""
        if self.bone_lengths is None:
            return None
        return torch.tensor(self.raw_directions) * torch.tensor(self.bone_lengths)[:, None]

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The joints that stand first, second, ... behind the start of a chain. The chains' rotations depend on the
        root's alone, so the joints of a level can be computed together."""
        longest = max(len(chain) for chain in self.chains)
        return tuple(tuple(chain[depth] for chain in self.chains if depth < len(chain)) for depth in range(1, longest))

    @property
    def contact_joints(self) -> tuple[int, int, int, int]:
        """Joints of the contact columns, in their order."""
        return self.left_foot + self.right_foot

    @cached_property
    def mirror_order(self) -> tuple[int, ...]:
        """Joint i of a mirrored body is joint `mirror_order[i]` of the body."""
        swapped = {"left": "right", "right": "left"}
        partner = ("_".join(swapped.get(part, part) for part in name.split("_")) for name in self.joint_names)
        return tuple(self.joint_names.index(name) for name in partner)

    def index(self, joint: str) -> int:
        """Return index of a joint by its name.

        Raises:
            ValueError: the body has no joint of that name.
        """
        if joint not in self.joint_names:
            raise ValueError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.joint_names)}")
        return self.joint_names.index(joint)

    def frames(self, seconds: float) -> int:
        """Return whole frames of a duration, rounded to the nearest."""
        return round(seconds * self.fps)


HUMANML3D = Skeleton(
    name="HumanML3D",
    joint_names=(
        "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
        "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    ),
    chains=((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20)),
    fps=20.0,
    metres_per_unit=1.0,
    raw_directions=tuple(_DIRECTIONS[d] for d in "olruddudduffulrfdddddd"),
    # The first frame of clip 000021, the published target body, in float32's full precision.
    bone_lengths=(
        0.0, 0.10307397, 0.10988337, 0.13156824, 0.3936232, 0.39018822, 0.14319022, 0.43243307, 0.42564335,
        0.057364736, 0.14338182, 0.14941907, 0.21936005, 0.13748677, 0.14338283, 0.10303922, 0.13161404, 0.12298438,
        0.25684, 0.26309174, 0.26601171, 0.2698764,
    ),
    face_joints=(2, 1, 17, 16),
    leg_joints=(5, 8),
    left_foot=(7, 10),
    right_foot=(8, 11),
    contact_threshold=0.002,
)  # fmt: skip

# KIT's own names are those of the Master Motor Map, where joints 5 and 11 count as left. We follow the published
# features, which turn each clip until joints 5 and 11 stand on the right of +z, and count contacts by these sides.
KIT = Skeleton(
    name="KIT-ML",
    joint_names=(
        "pelvis", "spine1", "spine2", "neck", "head", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "right_midfoot", "right_foot",
        "left_hip", "left_knee", "left_ankle", "left_midfoot", "left_foot",
    ),
    chains=((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
    fps=12.5,
    metres_per_unit=0.001,
    raw_directions=tuple(_DIRECTIONS[d] for d in "ouuuulddrddlddffrddff"),
    bone_lengths=None,
    face_joints=(11, 16, 5, 8),
    leg_joints=(17, 18),
    left_foot=(19, 20),
    right_foot=(14, 15),
    contact_threshold=0.05,
)  # fmt: skip


def skeleton_of_width(width: int) -> Skeleton:
    """Return the skeleton whose features have this many numbers per frame.

    Raises:
        InputError: neither body has features of this width.
    """
    for skeleton in (HUMANML3D, KIT):
        if skeleton.feature_width == width:
            return skeleton
    known = " or ".join(f"{s.feature_width} ({s.name}, {s.n_joints} joints, {s.fps:g} fps)" for s in (HUMANML3D, KIT))
    raise InputError(
        f"expected motion features with {known} numbers per frame, got {width}. "
        "Convert joint positions with atm.motion.features_from_joints first."
    )
