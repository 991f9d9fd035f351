"""Did the motion do what was asked? A program against a reading, attribute by attribute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from atm.evaluation.metrics import Share, share
from atm.motion.program import Action, Program
from atm.scripted.oracles.body import FPS, Body
from atm.scripted.oracles.reading import Observed, grouped, observe

Attribute = Literal["occurs", "count", "side", "direction", "path", "degrees", "speed", "order"]
ATTRIBUTES: tuple[Attribute, ...] = ("occurs", "count", "side", "direction", "path", "degrees", "speed", "order")

DEGREES_OFF = 15.0
"""A turn is right within this."""
UNDOING = {"sit_down": "stand_up", "stand_up": "sit_down", "lie_down": "get_up", "get_up": "lie_down"}
"""Action that has to happen between two repetitions of a verb."""

_NAMES = {
    "walk": ("step", "steps"),
    "run": ("running step", "running steps"),
    "punch": ("punch", "punches"),
    "crouch": ("crouch", "crouches"),
    "raise_arms": ("raise of the arms", "raises of the arms"),
}
"""Names of what is counted, if it is not the verb itself."""


@dataclass(frozen=True)
class Check:
    """One attribute of one asked action."""

    attribute: Attribute
    verb: str
    asked: Any
    made: Any
    """None: the action was not seen at all."""
    right: bool

    def __str__(self) -> str:
        if self.attribute == "occurs":
            return f"asked to {self.verb}, " + ("did" if self.made else "did not")
        if self.attribute == "order":
            return f"asked for {self.asked}, made {self.made}"
        made = "nothing" if self.made is None else self.made
        if self.attribute == "count":
            one, several = _NAMES.get(self.verb, (self.verb, f"{self.verb}s"))
            return f"asked {self.asked} {one if self.asked == 1 else several}, made {made}"
        unit = " degrees" if self.attribute == "degrees" else ""
        made = f"{made:.0f}" if isinstance(made, float) else made
        asked = f"{self.asked:.0f}" if isinstance(self.asked, float) else self.asked
        return f"asked to {self.verb} {asked}{unit} ({self.attribute}), made {made}"


@dataclass(frozen=True)
class Verdict:
    """Comparison of what a program asks for with what a motion shows."""

    checks: tuple[Check, ...]
    extra: tuple[Observed, ...] = field(default=())
    """Actions that were seen and not asked for; they are reported and not judged."""
    answers: tuple[tuple[Observed, ...], ...] = field(default=())
    """Actions that were seen for each that was asked, in the order of asking; empty: it was not seen."""

    @property
    def right(self) -> bool:
        """Everything that was asked was done."""
        return all(check.right for check in self.checks)

    def __str__(self) -> str:
        wrong = [str(check) for check in self.checks if not check.right]
        return "; ".join(wrong) if wrong else "all as asked"


def judge(joints: np.ndarray | Body, program: Program) -> Verdict:
    """Compare what a program asks for with what the joints show.

    The program only says what to look for; nothing of how it was performed is known here.

    Args:
        joints: (T, 22, 3) in metres, y up, 20 frames a second; one clip without padding.
        program: what was asked.

    Raises:
        InputError: joints of another shape, without frames, or not finite.
    """
    body = Body.of(joints)
    seen = grouped(body, observe(body))
    runs, in_order = _matched(program.actions, seen)
    checks: list[Check] = []
    for action, run in zip(program.actions, runs, strict=True):
        checks += _checks(action, run)
    if len(program.actions) > 1:
        asked = ", ".join(action.verb for action in program.actions)
        made = ", ".join(one.verb for one in seen if one.verb in asked) or "nothing"
        checks.append(Check("order", "sequence", asked, made, in_order))
    used = {id(one) for run in runs for one in run}
    extra = tuple(one for one in seen if id(one) not in used and one.verb != "stand")
    return Verdict(tuple(checks), extra, tuple(tuple(run) for run in runs))


def in_their_parts(verdict: Verdict, parts: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each asked action if it was done where its part of the motion is: most of its time lies there.

    Args:
        verdict: of a program of several actions.
        parts: when each action begins and ends in the real motion, seconds. A generated motion may part its time in
            another way and still be right, so real motions alone reach 1 (our measure of intra-motion alignment).
    """
    return [
        2 * sum(_shared(one.span.start / FPS, one.span.end / FPS, *part) for one in run)
        > sum(one.span.seconds for one in run)
        for run, part in zip(verdict.answers, parts, strict=True)
    ]


def _shared(begin: float, end: float, other_begin: float, other_end: float) -> float:
    return max(0.0, min(end, other_end) - max(begin, other_begin))


def _matched(actions: Sequence[Action], seen: Sequence[Observed]) -> tuple[list[list[Observed]], bool]:
    """Return, for each asked action, the observed ones that answer it, and if all were found in the asked order."""
    relevant = {action.verb for action in actions} | {UNDOING.get(action.verb) for action in actions}
    seen = [one for one in seen if one.verb in relevant]
    runs = _in_order(actions, seen)
    in_order = all(runs)
    if not in_order:
        used = {id(one) for run in runs for one in run}
        for i, action in enumerate(actions):
            if not runs[i]:
                left = [one for one in seen if id(one) not in used and one.verb == action.verb]
                runs[i] = left[:1]
                used.update(id(one) for one in runs[i])
    return runs, in_order


def _in_order(actions: Sequence[Action], seen: Sequence[Observed]) -> list[list[Observed]]:
    """Return the best alignment that keeps the order (dynamic programming over asked and observed actions)."""
    asked_verbs = {action.verb for action in actions}
    n, m = len(actions), len(seen)
    best = np.full((n + 1, m + 1), -np.inf)
    step: dict[tuple[int, int], tuple[int, int]] = {}
    best[n, :] = [-sum(_loss(one, asked_verbs) for one in seen[j:]) for j in range(m + 1)]
    for i in range(n - 1, -1, -1):
        for j in range(m, -1, -1):
            options = [(best[i + 1, j], (i + 1, j))]
            if j < m:
                options.append((best[i, j + 1] - _loss(seen[j], asked_verbs), (i, j + 1)))
            for end in range(j + 1, m + 1):
                gain = _gain(actions[i], seen[j:end])
                if gain is None:
                    break
                options.append((best[i + 1, end] + gain, (i + 1, end)))
            best[i, j], step[i, j] = max(options, key=lambda option: option[0])
    runs: list[list[Observed]] = [[] for _ in actions]
    i = j = 0
    while i < n:
        next_i, next_j = step[i, j]
        if next_i > i:
            runs[i] = list(seen[j:next_j])
        i, j = next_i, next_j
    return runs


FOUND_GAIN = 10.0
"""Finding an asked action outweighs all that may be wrong with it."""
LEFT_OUT_LOSS = 1.5
"""Leaving out an observed action of an asked verb costs more than the better count that this may give."""


def _loss(one: Observed, asked_verbs: set[str]) -> float:
    return LEFT_OUT_LOSS if one.verb in asked_verbs and one.verb != "stand" else 0.0


def _gain(action: Action, run: Sequence[Observed]) -> float | None:
    """Return how well observed actions in a row answer one asked action; None: they cannot."""
    verbs = [one.verb for one in run]
    if verbs[0] != action.verb:
        return None
    undoing = UNDOING.get(action.verb) if (action.count or 1) > 1 else None
    if any(verb not in (action.verb, undoing) for verb in verbs):
        return None
    if len(run) > 1 and action.verb == "turn":
        return None
    gain = FOUND_GAIN if verbs[-1] == action.verb else FOUND_GAIN - LEFT_OUT_LOSS
    for check in _checks(action, list(run)):
        if check.attribute == "count":
            gain += 1 / (1 + abs(check.made - check.asked))
        elif check.attribute in ("side", "direction"):
            gain += 1.0 * check.right
        elif check.attribute in ("path", "degrees"):
            gain += 0.5 * check.right
    return gain


def _checks(action: Action, run: Sequence[Observed]) -> list[Check]:
    """Return one check per attribute that is asked; a pace that a single repetition does not show is not judged."""
    own = [one for one in run if one.verb == action.verb]
    result = [Check("occurs", action.verb, True, bool(own), bool(own))]
    for attribute in ("count", "side", "direction", "path", "degrees", "speed"):
        asked = getattr(action, attribute)
        if asked is None or (attribute == "speed" and asked == "normal"):
            continue
        made = _made(attribute, own)
        if attribute == "speed" and own and made is None:
            continue
        right = made == asked if attribute != "degrees" else made is not None and abs(made - asked) <= DEGREES_OFF
        result.append(Check(attribute, action.verb, asked, made, bool(right)))
    return result


def _made(attribute: str, own: Sequence[Observed]) -> Any:
    """Return an attribute of several observed actions taken as one: counts add up, of names the longest one's
    stands."""
    if not own:
        return None
    if attribute == "count":
        return sum(one.count or 0 for one in own)
    if attribute == "degrees":
        return float(sum(one.degrees or 0.0 for one in own))
    if attribute == "side" and {one.side for one in own} >= {"left", "right"}:
        return "both"
    longest = max(own, key=lambda one: (one.count or 0, one.span.seconds))
    return getattr(longest, attribute)


def oracle_scores(verdicts: Iterable[Verdict]) -> dict[str, Share]:
    """Return share of right attributes over many motions, for tables.

    Returns:
        For each attribute that was asked at least once, and for "all" (motions with nothing wrong): see `share`.
    """
    verdicts = list(verdicts)
    counts = {name: [c.right for v in verdicts for c in v.checks if c.attribute == name] for name in ATTRIBUTES}
    counts["all"] = [verdict.right for verdict in verdicts]
    return {name: share(right) for name, right in counts.items() if right}
