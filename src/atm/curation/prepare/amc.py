"""ASF and AMC, the format of CMU's database, as a BVH file holds the same.

An ASF file says a skeleton's bones: direction, length, and the axes that they turn about; an AMC file says how far each
turns in each frame. A bone begins where the bone that it hangs on ends, so that a bone here is a joint there.

Source: Acclaim's description of both; a bone's turn is C R C⁻¹, R about the fixed axes x, then y, then z, C its `axis`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.base.reading import mistaken
from atm.curation.prepare.bvh import Bvh

FPS = 120.0
"""Frames per second of CMU's files; an AMC file does not say."""
_ROOT = "root"


@dataclass(frozen=True)
class Bone:
    """One bone of an ASF file; the root is one without length."""

    name: str
    direction: Float[np.ndarray, "3"]
    length: float
    """In the file's unit."""
    axis: Rotation
    """Its own axes, seen from the world while all angles are zero."""
    dof: tuple[str, ...]
    """Numbers of a line in the AMC file: rx, ry, rz, tx, ty, tz, l."""


@dataclass(frozen=True)
class Skeleton:
    """An ASF file."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    degrees: bool


def read_amc(path: Path) -> Bvh:
    """Return an AMC file on the skeleton of the ASF file beside it.

    Raises:
        InputError: no ASF file, or one of the two cannot be read.
    """
    if said := mistaken(path):
        raise InputError(f"{path.name} {said}")
    asf = skeleton_file(path)
    skeleton = _read_asf(asf)
    names = _outward(skeleton, asf.name)
    values, degrees = _frames(path, skeleton)
    frames = len(values[_ROOT])
    parents: list[int] = []
    offsets: list[np.ndarray] = []
    channels: list[tuple[tuple[str, bool], ...]] = []
    columns: list[np.ndarray] = []
    turning = (("Z", True), ("Y", True), ("X", True))
    for name in names:
        bone, above = skeleton.bones[name], skeleton.parents.get(name)
        parents.append(-1 if above is None else names.index(above))
        offsets.append(np.zeros(3) if above is None else _end(skeleton.bones[above]))
        turns, places = _motion(bone, values.get(name), frames, degrees)
        if above is None:
            columns.append(places)
        columns.append(turns.as_euler("ZYX", degrees=True))
        channels.append((*((axis, False) for axis in "XYZ" if above is None), *turning))
    joints = list(names)
    for name in set(names) - set(skeleton.parents.values()):
        joints.append(f"{name} end")
        parents.append(names.index(name))
        offsets.append(_end(skeleton.bones[name]))
        channels.append(())
    return Bvh(
        tuple(joints), tuple(parents), np.stack(offsets), tuple(channels), np.concatenate(columns, axis=1), 1 / FPS,
        f"AMC on {asf.name}; such files do not say their rate, a column fps of the captions file does",
    )  # fmt: skip


def skeleton_file(path: Path) -> Path:
    """Return the ASF file of an AMC file: of its own name, of the subject's as in `07.asf` and `07_01.amc`, or the only
    one in the folder.

    Raises:
        InputError: there is none, or it is not clear which.
    """
    found = sorted(file for file in path.parent.iterdir() if file.suffix.lower() == ".asf")
    own = [file for file in found if path.stem == file.stem or path.stem.startswith(f"{file.stem}_")]
    if own:
        return max(own, key=lambda file: len(file.stem))
    if len(found) != 1:
        names = f"there are {', '.join(file.name for file in found)}" if found else "there is none"
        raise InputError(
            f"{path.name} needs its skeleton, such as {path.stem.partition('_')[0]}.asf, beside it; {names}"
        )
    return found[0]


@lru_cache(maxsize=8)
def _read_asf(path: Path) -> Skeleton:
    if said := mistaken(path):
        raise InputError(f"{path.name} {said}")
    sections = _sections(path)
    try:
        degrees = True
        for words in sections.get("units", []):
            degrees = words[1].lower().startswith("deg") if words[0] == "angle" else degrees
        bones = {_ROOT: _root(sections["root"], degrees)}
        bones |= {bone.name: bone for bone in _bones(sections["bonedata"], degrees)}
        parents = {child: words[0] for words in sections["hierarchy"] for child in words[1:] if words[0] in bones}
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"{path.name} is no ASF file that can be read ({type(error).__name__}: {error}): expected :units, :root, "
            ":bonedata and :hierarchy"
        ) from None
    return Skeleton(bones, parents, degrees)


def _sections(path: Path) -> dict[str, list[list[str]]]:
    """Return the words of each line, by section; comments left out."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
        elif words:
            current.append(words)
    return sections


def _root(lines: list[list[str]], degrees: bool) -> Bone:
    said = {words[0].lower(): words[1:] for words in lines}
    order = [word.lower() for word in said.get("order", ["TX", "TY", "TZ", "RX", "RY", "RZ"])]
    angles = said.get("orientation", ["0", "0", "0"])
    axis = _axis([*angles, *said.get("axis", ["XYZ"])], degrees)
    return Bone(_ROOT, np.zeros(3), 0.0, axis, tuple(order))


def _bones(lines: list[list[str]], degrees: bool) -> Iterator[Bone]:
    said: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            said = {}
        elif words[0] == "end":
            direction = np.array([float(word) for word in said["direction"]])
            axis = _axis(said.get("axis", ["0", "0", "0", "XYZ"]), degrees)
            dof = tuple(word.lower() for word in said.get("dof", []))
            length = float(said["length"][0])
            yield Bone(said["name"][0], direction / max(np.linalg.norm(direction), 1e-12), length, axis, dof)
        else:
            said[words[0].lower()] = words[1:]


def _axis(words: list[str], degrees: bool) -> Rotation:
    """Return three angles about the fixed axes in the order that follows them."""
    order = words[3].lower() if len(words) > 3 else "xyz"
    angles = dict(zip("xyz", map(float, words[:3]), strict=True))
    return Rotation.from_euler(order, [angles[axis] for axis in order], degrees=degrees)


def _outward(skeleton: Skeleton, source: str) -> list[str]:
    """Return names of the bones, each behind the one that it hangs on."""
    names = [_ROOT]
    for above in names:
        names += [child for child, parent in skeleton.parents.items() if parent == above and child not in names]
    lost = [name for name in skeleton.bones if name not in names]
    if lost:
        raise InputError(f"{source}: {', '.join(lost[:3])} hang on nothing in its :hierarchy")
    unknown = [name for name in names if name not in skeleton.bones]
    if unknown:
        raise InputError(f"{source}: :hierarchy names {', '.join(unknown[:3])}, which :bonedata does not have")
    return names


def _end(bone: Bone) -> Float[np.ndarray, "3"]:
    return bone.direction * bone.length


def _motion(
    bone: Bone, values: Float[np.ndarray, "T C"] | None, frames: int, degrees: bool
) -> tuple[Rotation, Float[np.ndarray, "T 3"]]:
    """Return turns in the world's axes, and places (zero where the bone has none)."""
    angles, places = np.zeros((frames, 3)), np.zeros((frames, 3))
    order = ""
    for column, name in enumerate(bone.dof if values is not None else ()):
        if name[0] in "rt" and name[1:] in ("x", "y", "z"):
            (angles if name[0] == "r" else places)[:, "xyz".index(name[1])] = values[:, column]
            order += name[1] if name[0] == "r" else ""
    order += "".join(axis for axis in "xyz" if axis not in order)
    turn = Rotation.from_euler(order, angles[:, ["xyz".index(axis) for axis in order]], degrees=degrees)
    return bone.axis * turn * bone.axis.inv(), places


def _frames(path: Path, skeleton: Skeleton) -> tuple[dict[str, Float[np.ndarray, "T C"]], bool]:
    """Return the numbers of each bone, frame by frame, and whether angles are in degrees."""
    rows: dict[str, list[list[float]]] = {}
    frames, degrees = 0, skeleton.degrees
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        words = line.partition("#")[0].strip("\0\x1a \t\r").split()
        if not words:
            continue
        if words[0].startswith(":"):
            degrees = {":degrees": True, ":radians": False}.get(words[0].lower(), degrees)
        elif re.fullmatch(r"\d+", words[0]) and len(words) == 1:
            frames += 1
        else:
            bone = skeleton.bones.get(words[0])
            if bone is None or len(words) != 1 + len(bone.dof):
                wanted = "no bone of its ASF file" if bone is None else f"expected {len(bone.dof)} numbers"
                raise InputError(f"{path.name}, line {number}: {' '.join(words)[:60]!r}: {wanted}")
            try:
                rows.setdefault(words[0], []).append([float(word) for word in words[1:]])
            except ValueError:
                raise InputError(f"{path.name}, line {number}: {' '.join(words)[:60]!r}: expected numbers") from None
    short = [name for name, found in rows.items() if len(found) != frames]
    if not frames or _ROOT not in rows or short:
        what = f"{short[0]} has {len(rows[short[0]])} of {frames} frames" if short else f"{frames} frames with a root"
        raise InputError(f"{path.name} is no whole AMC file: {what}")
    values = {name: np.array(found) for name, found in rows.items()}
    if not all(np.isfinite(found).all() for found in values.values()):
        raise InputError(f"{path.name} holds NaN or infinite numbers")
    return values, degrees
