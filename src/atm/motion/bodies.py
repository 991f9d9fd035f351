"""Bodies that hold: bones of constant length under a generated motion, and feet that stay where they are planted.

A network gives joint positions, so that bones stretch and planted feet slide. Ours; the hold of a foot is the analytic
two-bone inverse kinematics of the field, with the pelvis lowered where a leg does not reach.
"""

from itertools import groupby

import numpy as np
import torch
from jaxtyping import Bool, Float

from atm.motion.kinematics import smooth_over_time
from atm.motion.rig import fit_rig
from atm.motion.skeletons import Skeleton

TOE_HEIGHT = 0.06
"""A planted foot's toe is below this, in metres over the floor."""
IN_AIR = 0.3
"""A toe that is higher than this, in metres over the floor, has left it."""
SPEEDS = (0.5, 0.25, 0.1, 0.05)
"""A planted foot's toe is slower than this, in m/s: the first under which it does not drift."""
SHORTEST = 0.15
"""A foot stands at least so long, in seconds; else it is in passing."""
DRIFT = 0.2
"""Size of the place on which a foot stands, in metres: what goes on beyond it is no stand."""
RISE = 0.03
"""Metres by which a toe goes up and down while its foot stands, at most: what rises more has left the floor."""
BLEND = 0.25
"""Seconds in which a foot is led to its stand and away from it."""
STRETCHED = 0.99
"""Share of its length to which a leg that is moved may be stretched, unless it was stretched more before."""
LOWER = 0.1
"""Metres by which the pelvis may be lowered, at most, so that a leg reaches its stand."""


def hold_body(
    joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, *, lengths: Float[np.ndarray, "J"] | None = None
) -> Float[np.ndarray, "T J 3"]:
    """Return the motion on constant bones, with its planted feet held.

    Args:
        joints: in metres, y up.
        skeleton: whose joints these are.
        lengths: of the bone that ends at each joint, in metres; None: the mean lengths of this motion.
    """
    return hold_feet(constant_bones(joints, skeleton, lengths=lengths), skeleton, before=joints)


def constant_bones(
    joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, *, lengths: Float[np.ndarray, "J"] | None = None
) -> Float[np.ndarray, "T J 3"]:
    """Return the motion on bones that keep their lengths; hips and chest keep their shapes, the root its path.

    Each bone points where it pointed, but for what the bones before it have moved its inner end. Arguments are those
    of `hold_body`.
    """
    return fit_rig(np.asarray(joints, dtype=np.float64), skeleton, lengths=lengths).joints


def planted_feet(joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton) -> Bool[np.ndarray, "T 2"]:
    """Return when the left and the right foot stand: toe near the floor and slow.

    What drifts too far for one stand is looked at again with less speed allowed, so that a foot that stands, is turned
    on the floor and stands again has two stands.
    """
    stands = np.zeros((len(joints), 2), dtype=bool)
    if len(joints) < 2:
        return stands
    floor = _floor(joints)
    for foot, side in enumerate(("left", "right")):
        toe = joints[:, skeleton.index(f"{side}_foot")]
        speed = skeleton.fps * np.linalg.norm(np.gradient(toe, axis=0), axis=-1)
        rest = toe[:, 1] < floor + TOE_HEIGHT
        for slow in SPEEDS:
            rest &= speed < slow
            for first, last in _runs(rest):
                x, rise, z = np.ptp(toe[first:last], axis=0)
                if np.hypot(x, z) < DRIFT and rise < RISE:
                    stands[first:last, foot] = last - first >= SHORTEST * skeleton.fps
                    rest[first:last] = False
    return stands


def hold_feet(
    joints: Float[np.ndarray, "T J 3"], skeleton: Skeleton, *, before: Float[np.ndarray, "T J 3"] | None = None
) -> Float[np.ndarray, "T J 3"]:
    """Return the motion with the toes of planted feet at one place for as long as they stand.

    A foot keeps its direction; its leg reaches for it by the knee, which bends to where it bent, and where it is too
    short, the pelvis comes down. Bones keep their lengths.

    Args:
        joints: in metres, y up, on constant bones (`constant_bones`).
        skeleton: whose joints these are.
        before: the motion before its bones were made constant, which says where feet near the floor shall be, so that
            none floats or sinks because a leg is shorter or longer now; None: `joints`.
    """
    joints = np.asarray(joints, dtype=np.float64)
    before = joints if before is None else np.asarray(before, dtype=np.float64)
    stands = planted_feet(before, skeleton)
    legs = [[skeleton.index(f"{side}_{part}") for part in ("hip", "knee", "ankle")] for side in ("left", "right")]
    toes = [skeleton.index(f"{side}_foot") for side in ("left", "right")]
    moves, lowered = [], np.zeros(len(joints))
    for foot, (leg, toe) in enumerate(zip(legs, toes, strict=True)):
        back = _near_floor(before[:, toe], before)[:, None] * (before[:, toe] - joints[:, toe])
        moves.append(back + _moves(joints[:, toe] + back, stands[:, foot], skeleton.fps))
        lowered = np.maximum(lowered, _missing(joints[:, leg], moves[foot]) * stands[:, foot])
    made = joints - _smooth(lowered, skeleton.fps)[:, None, None] * [0.0, 1.0, 0.0]
    for leg, toe, move in zip(legs, toes, moves, strict=True):
        hip, knee, ankle = leg
        foot = [joint for joint in range(skeleton.n_joints) if _hangs_on(joint, ankle, skeleton)]
        target = joints[:, ankle] + move
        knees, ankles = _two_bones(joints[:, leg], made[:, hip], target, forward=joints[:, toe] - joints[:, ankle])
        made[:, foot] = joints[:, foot] + (ankles - joints[:, ankle])[:, None]
        made[:, knee] = knees
    return made


def _floor(joints: Float[np.ndarray, "T J 3"]) -> float:
    """Return height of the floor; a toe that dips through it for a moment moves none."""
    return float(np.quantile(joints[..., 1].min(axis=1), 0.1))


def _near_floor(toe: Float[np.ndarray, "T 3"], joints: Float[np.ndarray, "T J 3"]) -> Float[np.ndarray, "T"]:
    """Return 1 for a toe on the floor, 0 for one in the air, and something between on its way up and down."""
    return _smoothstep((IN_AIR - (toe[:, 1] - _floor(joints))) / (IN_AIR - TOE_HEIGHT))


def _moves(toe: Float[np.ndarray, "T 3"], stands: Bool[np.ndarray, "T"], fps: float) -> Float[np.ndarray, "T 3"]:
    """Return by how much a foot is moved in each frame: to the mean place of each stand, and led there and away."""
    moves, runs = np.zeros_like(toe), _runs(stands)
    for first, last in runs:
        moves[first:last] = toe[first:last].mean(axis=0) - toe[first:last]
    ends = [0, *(frame for run in runs for frame in run), len(toe)]
    for first, last in zip(ends[::2], ends[1::2], strict=True):  # where the foot does not stand
        steps = min(max(round(BLEND * fps), 1), last - first + 1)
        fading = _smoothstep(1 - np.arange(1, last - first + 1) / steps)[:, None]
        if first > 0:
            moves[first:last] += fading * moves[first - 1]
        if last < len(toe):
            moves[first:last] += fading[::-1] * moves[last]
    return moves


def _missing(leg: Float[np.ndarray, "T 3 3"], move: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T"]:
    """Return by how much the hip has to come down so that the moved ankle is within reach, at most `LOWER`."""
    hip, ankle = leg[:, 0], leg[:, 2] + move
    across = np.linalg.norm((ankle - hip)[:, [0, 2]], axis=-1)
    down = np.sqrt(np.maximum(_reach(leg) ** 2 - across**2, 0))
    return np.clip(hip[:, 1] - ankle[:, 1] - down, 0, LOWER)


def _reach(leg: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "T"]:
    """Return how far from the hip an ankle may be put: nearly the leg's length, or as far as it was."""
    whole = np.linalg.norm(np.diff(leg, axis=1), axis=-1).sum(-1)
    return np.maximum(STRETCHED * whole, np.linalg.norm(leg[:, 2] - leg[:, 0], axis=-1))


def _smooth(lowered: Float[np.ndarray, "T"], fps: float) -> Float[np.ndarray, "T"]:
    """Return a smooth curve that is nowhere less than the given one."""
    reach = max(round(BLEND * fps), 1)
    longer = np.pad(lowered, reach, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(longer, 2 * reach + 1).max(axis=-1)
    # The filter is cut at four sigma: it looks as far as the highest of a neighbourhood does.
    return _gaussian(highest[:, None], reach / 4)[:, 0]


def _gaussian(values: Float[np.ndarray, "T C"], sigma: float) -> Float[np.ndarray, "T C"]:
    return smooth_over_time(torch.from_numpy(values), sigma).numpy()


def _two_bones(
    leg: Float[np.ndarray, "T 3 3"],
    hip: Float[np.ndarray, "T 3"],
    target: Float[np.ndarray, "T 3"],
    *,
    forward: Float[np.ndarray, "T 3"],
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3"]]:
    """Return knees and ankles of a leg whose hip is here and whose ankle shall be there (law of cosines).

    Args:
        leg: hip, knee and ankle as they were: their lengths, and where the knee bends to.
        hip: where the hip is now.
        target: where the ankle shall be; it is put as near as the leg reaches.
        forward: the way the foot points, to which a straight leg's knee bends.
    """
    thigh, shin = np.linalg.norm(np.diff(leg, axis=1), axis=-1).T
    before, way = leg[:, 2] - leg[:, 0], target - hip
    far = np.clip(np.linalg.norm(way, axis=-1), np.abs(thigh - shin) + 1e-6, _reach(leg))
    bent = _across(leg[:, 1] - leg[:, 0], _unit(before))
    along = _unit(way)
    # What the knee had is turned with the leg; what bends more than it did bends to where the knee mostly points.
    side = _across(bent, along)
    usual = _gaussian(bent, 3) + 0.02 * _unit(forward)
    share = (thigh**2 - shin**2 + far**2) / (2 * far)
    out = np.sqrt(np.maximum(thigh**2 - share**2, 0))
    more = np.maximum(out - np.linalg.norm(side, axis=-1), 0)[:, None]
    direction = _unit(side + more * _unit(_across(usual, along)))
    return hip + share[:, None] * along + out[:, None] * direction, hip + far[:, None] * along


def _hangs_on(joint: int, above: int, skeleton: Skeleton) -> bool:
    while joint >= 0 and joint != above:
        joint = skeleton.parents[joint]
    return joint == above


def _runs(marks: Bool[np.ndarray, "T"]) -> list[tuple[int, int]]:
    """Return first frame of each run of True, and the frame behind it."""
    runs, frame = [], 0
    for mark, run in groupby(marks):
        first, frame = frame, frame + len(list(run))
        if mark:
            runs.append((first, frame))
    return runs


def _across(vectors: Float[np.ndarray, "T 3"], axis: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    return vectors - (vectors * axis).sum(-1, keepdims=True) * axis


def _smoothstep(share: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _unit(vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
