"""BVH files as arrays: a reader that takes what the usual programs write, sampling in time, forward kinematics.

The format has no standard; the reader goes by Biovision's description and by what programs agree on: a position channel
replaces its part of OFFSET, rotation channels apply from left to right, each in the axes that the ones before have
turned.
"""

import codecs
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from atm.base.errors import InputError
from atm.base.reading import check_plain, mistaken

# What may stand between two words is bounded: a search that looks ahead without end takes time by the square of a file.
_NEXT = re.compile(
    r"(?P<joint>ROOT|JOINT)\s(?P<name>[^{]{0,400})\{|(?P<end>End\s{0,9}Site)[^{]{0,400}\{"
    r"|OFFSET\s{1,99}(?P<offset>\S{1,99}\s{1,99}\S{1,99}\s{1,99}\S{1,99})|CHANNELS\s{1,99}(?P<count>\d{1,4})|(?P<close>\})",
    re.IGNORECASE,
)
_MOTION = re.compile(r"\bMOTION\s+Frames\s*:\s*(?P<frames>\d{1,9})\b\s+Frame\s*Time\s*:\s*(?P<time>\S+)", re.IGNORECASE)
_COMMENT = re.compile(r"^[ \t]*(?:#|//).*$|(?:(?<=[\d.{}])|(?<=tion))[ \t]+(?:#|//).*$", re.MULTILINE)
"""A line that starts with # or //, or what stands behind such a mark after a number, a brace or a channel: names of
joints may hold any sign."""
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)

_APART_DEGREES, _APART_RATIO = 5.0, 8.0
"""A frame of the opening that is this far from the next (mean over joints), and so many times as far as one frame
usually is from the next, is no part of the motion."""
_APART_SIZE = 0.1
"""The same for the place of the root, as a share of the size of the rest pose."""
_STILL_DEGREES = 0.5
"""Mean over joints by which frames that open a file may differ, to be one pose that is held."""
_OPENING = 0.5
"""Seconds at the beginning of a file in which such poses are looked for."""
MOST_JOINTS, MOST_CHANNELS, MOST_BYTES = 2000, 12, 2**30
"""Most joints of a file, channels of a joint and bytes of a file; fingers, face and hair make a few hundred joints."""
_MOST_HEAD = 16 * 2**20
"""Bytes of the longest hierarchy."""
_FASTEST = 1e-5
"""Seconds of the shortest frame."""
_BLANKS, _WORD = re.compile(r"\s*"), re.compile(r"\s*(\S+)")
_SLOWEST = 1.0
"""Seconds of a frame; what is more was meant as frames per second or milliseconds."""


@dataclass(frozen=True)
class Bvh:
    """A BVH file. The end site of a joint counts as a joint without channels, named "<joint> end"."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """-1 for a root; a parent stands before its children."""
    offsets: Float[np.ndarray, "J 3"]
    """In the file's unit."""
    channels: tuple[tuple[tuple[str, bool], ...], ...]
    """Per joint, in the file's order: the axis, X Y or Z, and whether it is a rotation."""
    values: Float[np.ndarray, "T C"]
    """Positions in the file's unit, rotations in degrees."""
    frame_time: float
    """Seconds."""
    note: str = ""
    """Something of the file that is not as it says, and what was made of it."""

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (len(self.values) - 1) * self.frame_time

    @cached_property
    def rest(self) -> Float[np.ndarray, "J 3"]:
        """Return where the joints are while all rotations are zero."""
        places = self.offsets.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] += places[parent]
        return places

    def children(self, joint: int) -> list[int]:
        return [child for child, parent in enumerate(self.parents) if parent == joint]

    def way_up(self, joint: int) -> list[int]:
        """Return a joint, its parent, and so on to the root."""
        way = [joint]
        while self.parents[way[-1]] >= 0:
            way.append(self.parents[way[-1]])
        return way


@dataclass(frozen=True)
class Poses:
    """Some joints of a BVH file over time, in the file's own axes and unit."""

    positions: Float[np.ndarray, "T J 3"]
    """NaN for joints that were not asked for."""
    turns: Float[np.ndarray, "T J 3 3"]
    """From the joint's own axes to the file's."""


def read_bvh(path: Path) -> Bvh:
    """Return a BVH file, checked.

    Raises:
        InputError: not a BVH file, cut short within a frame, or with numbers that are none.
    """
    _check_size(path)
    text = _decoded(path.read_bytes())
    motion = _MOTION.search(text)
    if motion is None:
        raise InputError(f"{path.name} is no BVH file: expected HIERARCHY, then MOTION with Frames: and Frame Time:")
    names, parents, offsets, channels = _hierarchy(text[: motion.start()], path.name)
    frames, width = int(motion["frames"]), sum(map(len, channels))
    frame_time = _frame_time(motion["time"], path.name)
    values = _numbers(text[motion.end() :].split(), f"{path.name}: below MOTION")
    if width == 0:
        raise InputError(f"{path.name}: no joint has a channel, which is no motion")
    whole, rest = divmod(len(values), width)
    if rest or not whole:
        more = f" and {rest} numbers more" if rest else ""
        raise InputError(
            f"{path.name}: Frames: says {frames}, but {whole} frames of {width} channels{more} follow: the file is cut "
            "short, or its header is not its own"
        )
    note = "" if whole == frames else f"Frames: says {frames}, but {whole} follow, which were read"
    return Bvh(names, parents, offsets, channels, values.reshape(whole, width), frame_time, note)


def _check_size(path: Path) -> None:
    try:
        check_plain(path)
        size = path.stat().st_size
    except InputError as error:
        raise InputError(f"{path.name} {error}") from None
    if said := mistaken(path):
        raise InputError(f"{path.name} {said}")  # empty
    if size > MOST_BYTES:
        raise InputError(f"{path.name} has {size:,} bytes, at most {MOST_BYTES:,} are read: cut the recording")


def joint_names(path: Path) -> tuple[str, ...]:
    """Return names of all joints, from the hierarchy alone; an empty tuple where there is none to be read."""
    with path.open("rb") as file:
        head = b""
        while b"MOTION" not in head[-(1 << 17) :] and len(head) < _MOST_HEAD and (part := file.read(1 << 16)):
            head += part
    hierarchy = _decoded(head).partition("MOTION")[0]
    return tuple(match["name"].strip() for match in _NEXT.finditer(hierarchy) if match["joint"])


def first_frame(bvh: Bvh, joints: list[int]) -> int:
    """Return how many frames the file opens with that are outside the motion, such as the T-pose of CMU's files.

    These are poses that stand still, or leap, until the last leap to the motion: of the joints' turns or of the body's
    place, in a frame's time.
    """
    most = min(len(bvh.values), max(60, round(2 * _OPENING / bvh.frame_time)))
    if len(bvh.values) < 4:
        return 0
    needed = sorted({above for joint in joints for above in bvh.way_up(joint)})
    turns, places = _local(bvh, needed, np.arange(most))
    steps = np.degrees(2 * np.arccos(np.abs((turns[1:] * turns[:-1]).sum(-1)).clip(max=1.0))).mean(axis=1)
    ways = np.linalg.norm(np.diff(places[:, [bvh.parents[joint] < 0 for joint in needed]], axis=0), axis=-1).max(axis=1)
    size = float(np.ptp(bvh.rest, axis=0).max())
    leaps = (steps > _APART_DEGREES) & (steps > _APART_RATIO * np.median(steps[1:]))
    leaps |= (ways > _APART_SIZE * size) & (ways > _APART_RATIO * np.median(ways[1:]))
    first = 0
    for frame in range(min(len(steps) - 2, max(1, round(_OPENING / bvh.frame_time)))):
        if leaps[frame]:
            first = frame + 1
        elif steps[frame] > _STILL_DEGREES:
            break
    return first


def sample(bvh: Bvh, joints: list[int], times: Float[np.ndarray, "N"]) -> Poses:
    """Return positions and turns of some joints at some times.

    Between the frames of the file runs a cubic curve through the local rotations (as quaternions, made unit again) and
    positions: joint positions themselves would shorten bones, straight lines would shake where 30 frames become 20.

    Args:
        bvh: the file.
        joints: which joints; what lies between them and the root is computed, too.
        times: seconds from the file's first frame, rising, within the file.
    """
    needed = sorted({above for joint in joints for above in bvh.way_up(joint)})
    at = times / bvh.frame_time
    if np.abs(at - at.round()).max() < 1e-3:
        turns, places = _local(bvh, needed, at.round().astype(int))
    else:
        first = max(int(at[0]) - 2, 0)
        frames = np.arange(first, min(int(at[-1]) + 4, len(bvh.values)))
        turns, places = _local(bvh, needed, frames)
        turns, places = CubicSpline(frames, turns)(at), CubicSpline(frames, places)(at)
    return _forward(bvh, needed, turns, places)


def _decoded(content: bytes) -> str:
    """Return a file's text: UTF-8, UTF-16 or, as MikuMikuDance writes it, Shift-JIS; without what fills the end of
    files (NUL, Ctrl-Z) and without comments."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        text = content.decode("utf-16", errors="replace")
    elif content[1:2] == b"\0" or content[:1] == b"\0":
        text = content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    else:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("cp932", errors="replace")
    text = text.removeprefix("\ufeff").rstrip("\0\x1a \t\r\n")
    return _COMMENT.sub("", text) if "#" in text or "//" in text else text


def _forward(bvh: Bvh, needed: list[int], turns: np.ndarray, places: np.ndarray) -> Poses:
    local = Rotation.from_quat(turns.reshape(-1, 4)).as_matrix().reshape(*turns.shape[:2], 3, 3)
    positions = np.full((len(turns), len(bvh.names), 3), np.nan)
    world = np.full((len(turns), len(bvh.names), 3, 3), np.nan)
    for k, joint in enumerate(needed):
        parent = bvh.parents[joint]
        if parent < 0:
            positions[:, joint], world[:, joint] = places[:, k], local[:, k]
        else:
            positions[:, joint] = positions[:, parent] + np.einsum("tij,tj->ti", world[:, parent], places[:, k])
            world[:, joint] = world[:, parent] @ local[:, k]
    return Poses(positions, world)


def _local(
    bvh: Bvh, needed: list[int], frames: Int[np.ndarray, "T"]
) -> tuple[Float[np.ndarray, "T K 4"], Float[np.ndarray, "T K 3"]]:
    """Return rotations as quaternions without jumps of sign, and positions, relative to the parent."""
    values = bvh.values[frames]
    turns = np.zeros((len(frames), len(needed), 4))
    turns[..., 3] = 1.0
    places = np.repeat(bvh.offsets[None, needed], len(frames), axis=0)
    starts = np.cumsum([0, *map(len, bvh.channels)])
    by_order: dict[str, list[tuple[int, list[int]]]] = {}
    for k, joint in enumerate(needed):
        order, columns = "", []
        for column, (axis, turning) in enumerate(bvh.channels[joint], start=starts[joint]):
            if turning:
                order, columns = order + axis, [*columns, column]
            else:
                places[:, k, "XYZ".index(axis)] = values[:, column]
        if order:
            by_order.setdefault(order, []).append((k, columns))
    for order, found in by_order.items():
        angles = values[:, [columns for _, columns in found]]
        quaternions = Rotation.from_euler(order, angles.reshape(-1, len(order)), degrees=True).as_quat()
        turns[:, [k for k, _ in found]] = quaternions.reshape(*angles.shape[:2], 4)
    flips = _flipped(turns)
    return np.where(flips[..., None], -turns, turns), places


def _flipped(turns: Float[np.ndarray, "T K 4"]) -> Bool[np.ndarray, "T K"]:
    """Return q and -q are one rotation; which quaternions to negate so that each is near the one before."""
    away = (turns[1:] * turns[:-1]).sum(-1) < 0
    return np.concatenate([np.zeros((1, turns.shape[1]), bool), np.cumsum(away, axis=0) % 2 == 1])


def _hierarchy(text: str, source: str) -> tuple[tuple, tuple, np.ndarray, tuple]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[np.ndarray] = []
    channels: list[tuple[tuple[str, bool], ...]] = []
    open_joints: list[int] = []
    place = re.match(r"\s*HIERARCHY", text, re.IGNORECASE)
    if place is None:
        raise InputError(f"{source} is no BVH file: expected it to start with HIERARCHY")
    at = _BLANKS.match(text, place.end()).end()
    while at < len(text):
        if len(names) > MOST_JOINTS:
            raise InputError(f"{source} has more than {MOST_JOINTS:,} joints: no body has so many")
        found = _NEXT.match(text, at)
        if found is None or not (open_joints or found["joint"]):
            raise InputError(f"{source}: cannot read the hierarchy at {text[at : at + 40].strip()!r}")
        at = found.end()
        if found["joint"] or found["end"]:
            parent = open_joints[-1] if open_joints else -1
            names.append(found["name"].strip() if found["joint"] else f"{names[parent]} end")
            parents.append(parent)
            offsets.append(np.zeros(3))
            channels.append(())
            open_joints.append(len(names) - 1)
        elif found["offset"]:
            where = f"{source}: OFFSET of {names[open_joints[-1]]}"
            offsets[open_joints[-1]] = _numbers(found["offset"].split(), where)
        elif found["count"]:
            words, at = _words(text, at, int(found["count"]), source)
            channels[open_joints[-1]] = _channels(words, names[open_joints[-1]], source)
        else:
            open_joints.pop()
        at = _BLANKS.match(text, at).end()
    if open_joints or not names:
        raise InputError(f"{source}: the hierarchy is cut short, {len(open_joints)} braces are not closed")
    return tuple(names), tuple(parents), np.stack(offsets), tuple(channels)


def _words(text: str, at: int, count: int, source: str) -> tuple[list[str], int]:
    """Return so many words from a place on, and the place behind them."""
    if count > MOST_CHANNELS:
        raise InputError(f"{source}: a joint of {count} channels, expected 6 at most")
    words: list[str] = []
    for _ in range(count):
        found = _WORD.match(text, at)
        if found is None:
            break
        words.append(found[1])
        at = found.end()
    return words, at


def _channels(words: list[str], joint: str, source: str) -> tuple[tuple[str, bool], ...]:
    found = [_CHANNEL.fullmatch(word) for word in words]
    for word, match in zip(words, found, strict=True):
        if match is None:
            raise InputError(f"{source}: {joint} has a channel {word!r}, expected such as Xposition or Zrotation")
    channels = tuple((match[1].upper(), match[2].lower() == "rotation") for match in found if match)
    axes = [axis for axis, turning in channels if turning]
    if len(axes) > 3 or any(a == b for a, b in pairwise(axes)):
        raise InputError(f"{source}: {joint} turns about {' '.join(axes)}, expected at most three axes, each once")
    return channels


def _numbers(words: list[str], where: str) -> Float[np.ndarray, "N"]:
    try:
        numbers = np.array(words, dtype=np.float64)
    except ValueError:
        number, word = next((number, word) for number, word in enumerate(words, start=1) if not _is_number(word))
        point = ", decimals need a point" if "," in word else ""
        raise InputError(f"{where}, number {number} is {word!r}: expected a number{point}") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{where}, number {int(np.argmin(np.isfinite(numbers))) + 1} is NaN or infinite")
    return numbers


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _frame_time(word: str, source: str) -> float:
    """Return seconds per frame; a rounded fraction such as 0.008333 is taken for the whole number of frames per second
    that it stands for, else a minute of 120 frames per second would be off by a frame's third."""
    try:
        time = float(word)
    except ValueError:
        time = float("nan")
    if not _FASTEST <= time <= _SLOWEST:
        raise InputError(f"{source}: Frame Time is {word!r}, expected the seconds of one frame, such as 0.033333")
    digits = len(word.partition(".")[2].lower().partition("e")[0])
    rate = round(1 / time)
    return 1 / rate if abs(1 / rate - time) <= 10.0**-digits else time
