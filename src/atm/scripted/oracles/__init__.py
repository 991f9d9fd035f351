"""Oracles: what a body did, said from joint positions alone, so that "five steps", "twice", "left" can be scored.

Each is a physical definition (a step: a foot leaves its place, travels, is planted again) with its thresholds as
named constants beside it. They know nothing of how a motion was made, and read captured, scripted and generated
motion alike; a body that jitters is low-passed first, as far as its jitter asks.

    read(joints)                "5 walk straight forward (0.2-3.1 s), then 1 sit_down (3.4-5.0 s)"
    judge(joints, program)      asked, made, right? for every attribute of every asked action
    oracle_scores(verdicts)     share right per attribute, with 95 % intervals
"""

from atm.scripted.oracles.body import Body
from atm.scripted.oracles.flights import count_hops, count_jumps
from atm.scripted.oracles.hands import count_claps, count_punches, count_waves, raised_hand, waving_hand
from atm.scripted.oracles.kicks import count_kicks
from atm.scripted.oracles.posture import (
    count_bows,
    count_crouches,
    count_get_ups,
    count_lies,
    count_sits,
    count_stands,
)
from atm.scripted.oracles.reading import Observed, Reading, read
from atm.scripted.oracles.steps import count_steps, travel_direction, travel_path, turn_degrees
from atm.scripted.oracles.verdict import Check, Verdict, in_their_parts, judge, oracle_scores

__all__ = [
    "Body",
    "Check",
    "Observed",
    "Reading",
    "Verdict",
    "count_bows",
    "count_claps",
    "count_crouches",
    "count_get_ups",
    "count_hops",
    "count_jumps",
    "count_kicks",
    "count_lies",
    "count_punches",
    "count_sits",
    "count_stands",
    "count_steps",
    "count_waves",
    "in_their_parts",
    "judge",
    "oracle_scores",
    "raised_hand",
    "read",
    "travel_direction",
    "travel_path",
    "turn_degrees",
    "waving_hand",
]
