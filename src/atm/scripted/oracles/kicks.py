"""Blows with a foot."""

import numpy as np

from atm.scripted.oracles.body import ANKLE, HIP, KNEE, SIDES, Body, rate, smooth
from atm.scripted.oracles.peaks import find_peaks

KICK_HEIGHT_M = 0.3
"""The ankle of a kick is at least this high over the floor."""
KICK_AHEAD_M = 0.35
"""The ankle of a kick gets at least this far ahead of its hip."""
KICK_SWING_M = 0.2
"""It comes from, and goes back to, at least this much less far ahead."""
KICK_LEG_SHARE = 0.75
"""The leg of a kick stretches to this share of its length."""
KICK_GROUND_SPEED_M_S = 0.8
"""Who kicks stands: the pelvis is slower than this; the legs of a fast runner reach as far."""
UPRIGHT_DEGREES = 60.0
"""Trunk of who stands is tilted by less."""
KICK_APART_FRAMES = 6
"""Two kicks of a foot are at least 0.3 s apart."""


def kicks(body: Body, side: int) -> list[int]:
    """Return frames at which the foot of this side (0 left, 1 right) is furthest ahead in a kick."""
    hip, knee, ankle = (body.quick[:, pair[side]] for pair in (HIP, KNEE, ANKLE))
    length = np.median(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))
    offset = body.seen_from_body(ankle - hip)
    stretched = np.linalg.norm(offset, axis=1) > KICK_LEG_SHARE * length
    # A foot that is low counts as under the body, so that what comes between two kicks is told by height as well.
    reach = np.where(ankle[:, 1] > KICK_HEIGHT_M, offset[:, 2], 0.0)
    blows = find_peaks(reach, height=KICK_AHEAD_M, prominence=KICK_SWING_M, distance=KICK_APART_FRAMES).frames
    ground_speed = np.linalg.norm(rate(smooth(body.pelvis[:, [0, 2]], 2.0)), axis=1)
    stands = (body.trunk_tilt < UPRIGHT_DEGREES) & (ground_speed < KICK_GROUND_SPEED_M_S)
    return [f for f in blows.tolist() if stretched[max(0, f - 2) : f + 3].any() and stands[f]]


def count_kicks(joints: np.ndarray | Body) -> dict[str, int]:
    """Return kicks with the left and with the right foot."""
    body = Body.of(joints)
    return {SIDES[side]: len(kicks(body, side)) for side in (0, 1)}
