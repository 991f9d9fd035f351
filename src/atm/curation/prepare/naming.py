"""Which joint of a file is which of a body, by the names that motion capture and animation programs give.

Names are compared without case, separators and what most of them begin or end with: `mixamorig:LeftUpLeg`,
`UpperLeg_L`, `Bip01 L Thigh`, `l_upleg_JNT` and `lfemur` are all a left upper leg. Only limbs and head go by name;
pelvis, spine, neck and collars follow from how these hang together, so that a spine may have any number of joints of
any name.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atm.base.errors import InputError, unknown
from atm.base.reading import read_yaml
from atm.curation.prepare.bvh import Bvh
from atm.motion import HUMANML3D

LIMBS = {
    "hip": ("upleg", "upperleg", "thigh", "thighbend", "femur", "hip", "leg"),
    "knee": ("knee", "lowleg", "lowerleg", "shin", "calf", "tibia", "leg"),
    "ankle": ("ankle", "foot"),
    "foot": ("toebase", "ball", "toes", "toe", "foot"),
    "shoulder": ("uparm", "upperarm", "uarm", "arm", "humerus", "shldr", "shldrbend", "shoulder"),
    "elbow": ("elbow", "lowarm", "lowerarm", "forearm", "forearmbend", "farm", "radius"),
    "wrist": ("wrist", "hand"),
}
"""HumanML3D's name of a limb's joint -> names in files, the surest first: "shoulder" is the upper arm's joint where
nothing is called arm, else the collar bone's, as in Mixamo; "leg" is the lower leg below an upleg, and the upper
one above a shin or knee, as in SOMA and MMD; "foot" is the toes' joint below an ankle, as in SMPL."""
_KNOWN = {name for names in LIMBS.values() for name in names}
_INNER = {"knee": "hip", "ankle": "knee", "foot": "ankle", "elbow": "shoulder", "wrist": "elbow"}
_SIDES = ("left", "right")
_MIDDLE = ("c", "m", "x")
"""Marks of a joint in the middle, at the place of L or R in other names, as in VRoid's `J_Bip_C_Head`, Advanced
Skeleton's `Head_M` and Auto-Rig Pro's `head.x`."""
_MARKS = (*_SIDES, *(side[0] for side in _SIDES), *_MIDDLE)
_NO_PART = ("stretch", "jnt", "bind", "def")
"""Words that say what a joint is for the rig, not the body, as in Auto-Rig Pro's `thigh_stretch.l`."""
_TRANSLATED = {
    "左": " left ", "右": " right ", "足首": " ankle ", "足": " leg ", "ひざ": " knee ", "つま先": " toe ", 
    "腕": " arm ", "ひじ": " elbow ", "手首": " wrist ", "肩": " collar ", "頭": " head ", "首": " neck ",
}  # fmt: skip
"""MikuMikuDance's names; what contains another stands before it."""
_NECKS = ("neck", "spine", "chest", "cervical")
"""Names of joints between the chest and the head, without numbers."""
_ON_A_HEAD = ("face", "jaw", "eye", "nose", "mouth", "teeth", "tongue", "hair", "hat")
_LONGEST_PREFIX = 3
"""Words before the joint's own name, as in `Character1_LeftArm`: two."""
_SAME_BODY = {name: "".join(part for part in name.split("_") if part not in _SIDES) for name in HUMANML3D.joint_names}


@dataclass(frozen=True)
class Roles:
    """Indices of joints in a file, in pairs (left, right)."""

    hip: tuple[int, int]
    knee: tuple[int, int]
    ankle: tuple[int, int]
    foot: tuple[int, int]
    """The joint of the toes; the tip of the foot where there is none."""
    shoulder: tuple[int, int]
    elbow: tuple[int, int]
    wrist: tuple[int, int]
    head: int
    neck: int
    """Joint that turns the bone to the head: the one before the head, or the head if it sits on the chest."""
    spine: tuple[int, ...]
    """From the pelvis, on which both legs hang, to the chest, on which both arms hang."""
    collar: tuple[int | None, int | None]
    """None where the arm hangs on the chest itself."""
    body: tuple[int, ...] | None
    """All 22, where the file has HumanML3D's own joints (those of SMPL); their positions need no retargeting."""

    @property
    def joints(self) -> list[int]:
        """All that are needed."""
        pairs = (self.hip, self.knee, self.ankle, self.foot, self.shoulder, self.elbow, self.wrist, self.collar)
        found = {joint for pair in pairs for joint in pair if joint is not None}
        return sorted(found | {self.head, self.neck, *self.spine, *(self.body or ())})


def find_roles(bvh: Bvh, mapping: dict[str, str], source: str) -> Roles:
    """Find a body in a file.

    Args:
        bvh: the file.
        mapping: HumanML3D's joint name -> the file's, for names that the table does not know or takes wrong. A name
            that this file does not have is meant for others.
        source: the file's name, for the error.

    Raises:
        InputError: joints are missing, or do not hang together as a body; says which, and how to write a mapping.
    """
    mapped = {ours: bvh.names.index(theirs) for ours, theirs in mapping.items() if theirs in bvh.names}
    named = _head_by_branch(bvh, by_name(bvh.names) | mapped)
    for side in _SIDES:
        for outer, inner in (("foot", "ankle"), ("wrist", "elbow")):
            if f"{side}_{outer}" not in named and f"{side}_{inner}" in named:
                tip = _tip_of(bvh, named[f"{side}_{inner}"])
                named |= {} if tip is None else {f"{side}_{outer}": tip}
    wanted = [f"{side}_{part}" for part in LIMBS for side in _SIDES] + ["head"]
    missing = [name for name in wanted if name not in named]
    if missing:
        raise InputError(
            f"{source}: found no joint for {', '.join(missing)} among {', '.join(_joints_of(bvh))}. Write a mapping, "
            f"a text file with a line such as `{missing[0]}: NAME_IN_THE_FILE` for each, and give it as --mapping"
        )
    _check_limbs(bvh, named, source)
    pairs = {part: (named[f"left_{part}"], named[f"right_{part}"]) for part in LIMBS}
    spine = _spine(bvh, named, pairs, source)
    head = named["head"]
    above_chest = _between(bvh, spine[-1], head)
    collars = [_between(bvh, spine[-1], shoulder) for shoulder in pairs["shoulder"]]
    left, right = (
        named.get(f"{side}_collar", between[-1] if between else None)
        for side, between in zip(_SIDES, collars, strict=True)
    )
    neck = named.get("neck", above_chest[-1] if above_chest else head)
    return Roles(**pairs, head=head, neck=neck, spine=spine, collar=(left, right), body=_same_body(bvh.names))


def read_mapping(path: Path | None) -> dict[str, str]:
    """Return a mapping file: YAML, one line for each joint, `left_knee: Name In The File`.

    Raises:
        InputError: not such a file, or a joint that HumanML3D does not have.
    """
    if path is None:
        return {}
    try:
        content = read_yaml(path)
    except InputError as error:
        raise InputError(f"cannot read the mapping: {path} {error}") from None
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} is no mapping: expected lines of the form `left_knee: Name In The File`")
    for name in content:
        if name not in HUMANML3D.joint_names:
            raise unknown(f"joint in {path}:", str(name), HUMANML3D.joint_names)
    return {ours: str(theirs) for ours, theirs in content.items()}


def by_name(names: Sequence[str]) -> dict[str, int]:
    """Return HumanML3D's names of limbs and head -> indices of the names that stand for them.

    Where joints of one figure stand among many others (hair, skirts, controls), the names with the prefix that explains
    most limbs are read alone.
    """
    found = _by_name(names, range(len(names)))
    whole = 2 * len(LIMBS) + 1
    if len(found) == whole:
        return found
    words = [_words(name) for name in names]
    prefixes = {tuple(word[:k]): None for word in words for k in range(1, min(_LONGEST_PREFIX, len(word) - 1) + 1)}
    for prefix in prefixes:
        members = [
            i for i, word in enumerate(words) if tuple(word[: len(prefix)]) == prefix and len(word) > len(prefix)
        ]
        if len(members) > len(found) and not set(prefix) & set(_MARKS):
            own = _by_name(names, members)
            found = own if len(own) > len(found) else found
    return found


def _by_name(names: Sequence[str], members: Sequence[int]) -> dict[str, int]:
    found: dict[tuple[str, str], int] = {}
    for index, (side, part) in zip(members, _sides_and_parts([names[i] for i in members]), strict=True):
        found.setdefault((side, part), index)
        found.setdefault((side, part.rstrip("0123456789")), index)
    named = {"head": found[("", "head")]} if ("", "head") in found else {}
    for side in _SIDES:
        for part, known in LIMBS.items():
            taken = named.get(f"{side}_{_INNER[part]}") if part in ("knee", "foot") else None
            if part == "hip" and not any((side, name) in found for name in LIMBS["knee"] if name != "leg"):
                known = known[:-1]
            matches = [found[(side, name)] for name in known if (side, name) in found]
            named |= {f"{side}_{part}": index for index in matches[:1] if index != taken}
    return named


def _sides_and_parts(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return for each name the side (left, right or none) and the rest, without prefixes, case and separators."""
    words = [_words(name.rpartition(":")[2]) for name in names]
    # A word before or behind most names is the figure's, not the joint's.
    for end, kept in ((0, slice(1, None)), (-1, slice(None, -1))):
        while (common := _in_most(words, end)) is not None:
            words = [word[kept] if len(word) > 1 and word[end] == common else word for word in words]
    return [_side_and_part(word) for word in words]


def _in_most(words: list[list[str]], end: int) -> str | None:
    """Return the first or last word of more than half of the names, sides apart."""
    counts = Counter(word[end] for word in words if len(word) > 1 and word[end] not in _MARKS).most_common(1)
    return counts[0][0] if counts and counts[0][1] > 0.5 * len(words) else None


def _words(name: str) -> list[str]:
    """Split `LeftUpLeg`, `UpperLeg_L`, `LThigh`, `Bip01 L Toe0`, `左足首` into lower-case words."""
    for theirs, ours in _TRANSLATED.items():
        name = name.replace(theirs, ours)
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+", name)
    return [word.lower() for word in words] or [name.lower()]


def _side_and_part(words: list[str]) -> tuple[str, str]:
    words = [word for word in words if word not in _NO_PART] or words
    whole = "".join(words)
    for side in _SIDES:
        for mark in (side, side[0]):
            if mark in words:
                rest = list(words)
                rest.remove(mark)
                return side, "".join(rest)
        for known in (whole.removeprefix(side), whole.removeprefix(side[0]), whole.removesuffix(side[0])):
            if known != whole and known.rstrip("0123456789") in _KNOWN:
                return side, known
    return "", "".join(word for word in words if word not in _MIDDLE)


def _same_body(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return HumanML3D's joints in its order, where a file names all of them so (with `L_` or `left_`, with any
    prefix)."""
    index = {side_and_part: index for index, side_and_part in reversed(list(enumerate(_sides_and_parts(names))))}
    wanted = [(next((s for s in _SIDES if name.startswith(s)), ""), part) for name, part in _SAME_BODY.items()]
    return tuple(index[joint] for joint in wanted) if all(joint in index for joint in wanted) else None


def _spine(bvh: Bvh, named: dict[str, int], pairs: dict[str, tuple[int, int]], source: str) -> tuple[int, ...]:
    """Return the joints from pelvis to chest; a mapping may name all or some of them."""
    pelvis = named.get("pelvis", _common(bvh, *pairs["hip"], source))
    chest = named.get("spine3", _common(bvh, *pairs["shoulder"], source))
    if chest not in bvh.way_up(named["head"]):
        head = bvh.names[named["head"]]
        raise InputError(f"{source}: the head {head!r} does not hang on {bvh.names[chest]!r}, as the arms do")
    if "spine1" in named or "spine2" in named:
        between = [named[name] for name in ("spine1", "spine2") if name in named]
    else:
        between = _between(bvh, _common(bvh, pelvis, chest, source), chest)
    return tuple(dict.fromkeys([pelvis, *between, chest]))


def _check_limbs(bvh: Bvh, named: dict[str, int], source: str) -> None:
    for side in _SIDES:
        for outer, inner in _INNER.items():
            joint, above = named[f"{side}_{outer}"], named[f"{side}_{inner}"]
            if joint == above or above not in bvh.way_up(joint):
                raise InputError(
                    f"{source}: took {bvh.names[joint]!r} for {side}_{outer} and {bvh.names[above]!r} for "
                    f"{side}_{inner}, but the first does not hang on the second; name the right ones with --mapping"
                )


def _head_by_branch(bvh: Bvh, named: dict[str, int]) -> dict[str, int]:
    """Return the names with a head, where none is called so: the last joint of the one branch that goes up from where
    the arms hang, as Rigify's `spine.006`. What hangs on a head (a face, a jaw) is not followed."""
    arms = [named.get(f"{side}_shoulder") for side in _SIDES]
    if "head" in named or None in arms:
        return named
    chest = next((joint for joint in bvh.way_up(arms[0]) if joint in bvh.way_up(arms[1])), None)
    limbs = {joint for arm in arms for joint in bvh.way_up(arm)}
    read = _sides_and_parts(bvh.names)
    head = chest
    while head is not None:
        above = [
            child for child in bvh.children(head) if bvh.channels[child] and child not in limbs and not read[child][0]
        ]
        necks = [child for child in above if read[child][1].startswith(_NECKS)]
        others = [child for child in above if not read[child][1].startswith(_ON_A_HEAD)]
        above = necks or (others if head != chest else [])
        if len(above) != 1:
            break
        head = above[0]
        if not necks:
            break
    return named if head in (None, chest) else named | {"head": head}


def _common(bvh: Bvh, one: int, other: int, source: str) -> int:
    """Return the joint on which both hang."""
    above = bvh.way_up(other)
    for joint in bvh.way_up(one):
        if joint in above:
            return joint
    raise InputError(f"{source}: {bvh.names[one]!r} and {bvh.names[other]!r} hang on different roots, not on one body")


def _between(bvh: Bvh, above: int, joint: int) -> list[int]:
    """Return the joints on the way from `above` to `joint`, without both."""
    way = bvh.way_up(joint)
    return list(reversed(way[1 : way.index(above)])) if above in way else []


def _tip_of(bvh: Bvh, joint: int) -> int | None:
    """Return the farthest joint or end site directly below a joint."""
    return max(bvh.children(joint), key=lambda child: float((bvh.offsets[child] ** 2).sum()), default=None)


def _joints_of(bvh: Bvh) -> list[str]:
    return [name for name, channels in zip(bvh.names, bvh.channels, strict=True) if channels]
