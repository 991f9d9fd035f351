"""The oracles' verdict on a motion, in a sentence per action: "asked 5 steps backwards, made 4"."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from jaxtyping import Float
from numpy import ndarray

from atm.motion.program import Action
from atm.scripted.asked import Asked
from atm.scripted.oracles import Body, Check, Verdict, judge
from atm.scripted.oracles.verdict import UNDOING

_COUNTED = {
    "walk": ("step", "steps"), "run": ("running step", "running steps"), "jump": ("jump", "jumps"),
    "hop": ("hop", "hops"), "kick": ("kick", "kicks"), "punch": ("punch", "punches"), "clap": ("clap", "claps"),
    "wave": ("wave", "waves"), "bow": ("bow", "bows"), "crouch": ("crouch", "crouches"),
    "raise_arms": ("raise", "raises"),
}  # fmt: skip
"""Words for one and for several of what a verb counts. For other verbs the text says how often they were done."""
_WAYS = {"forward": "forwards", "backward": "backwards", "left": "to the left", "right": "to the right", "up": "up"}
_PATHS = {"straight": "straight", "curve": "in a curve", "circle": "in a circle"}
_PACES = {"slow": "slowly", "fast": "quickly", "normal": "at no special pace"}


class Finding(NamedTuple):
    """One asked action, or the order of all."""

    text: str
    right: bool

    def __str__(self) -> str:
        return f"{'✓' if self.right else '✗'} {self.text}"


class Examined(NamedTuple):
    """Judgement of the oracles on one motion."""

    findings: tuple[Finding, ...]
    verdict: Verdict
    """The checks behind the findings, for scores."""

    @property
    def seen(self) -> tuple[str, ...]:
        """Return what was done and not asked for: it is told and not judged."""
        return tuple(
            _phrase(Action(one.verb, one.count, one.side, one.direction, one.path, one.degrees, one.speed or "normal"))
            for one in self.verdict.extra
        )

    def __str__(self) -> str:
        said = [str(finding) for finding in self.findings]
        if self.seen and not self.verdict.right:
            said.append(f"seen instead: {', '.join(self.seen)}")
        return " · ".join(said)


def examine(joints: Float[ndarray, "T J 3"], asked: Asked) -> Examined | None:
    """Compare a motion with what its sentence asks for, action by action.

    Args:
        joints: in metres, y up, 20 frames a second, 22 joints; one clip without padding.
        asked: from `asked_of`.

    Returns:
        None where the sentence asks for nothing that the oracles know.

    Raises:
        InputError: joints of another shape, without frames, or not finite.
    """
    if asked.program is None:
        return None
    verdict = judge(Body.of(joints), asked.program)
    actions, per_action = asked.program.actions, _per_action(verdict.checks)
    findings: list[Finding] = []
    checks: list[Check] = []
    counted: set[str] = set()
    all_done = all(check.made for check in verdict.checks if check.attribute == "occurs")
    for place, action in enumerate(actions):
        own = per_action[place]
        if action.verb in UNDOING and action.count is None and actions.count(action) > 1:
            if action in actions[:place]:
                continue
            same = [other for other, its in zip(actions, per_action, strict=True) if other == action for other in its]
            action, own = _many_times(action, same, verdict)
            all_done = all_done and own[1].right
            counted.add(action.verb)
        findings.append(_finding(action, own))
        checks += own
    order = [check for check in verdict.checks if check.attribute == "order"] if asked.ordered else []
    if order and not order[0].right and all_done:
        asked_for, made = (names.replace("_", " ") for names in (order[0].asked, order[0].made))
        findings.append(Finding(f"asked for {asked_for}, in this order; made {made}", False))
    extra = tuple(one for one in verdict.extra if one.verb not in counted)
    return Examined(tuple(findings), Verdict((*checks, *order), extra))


def _per_action(checks: Sequence[Check]) -> list[list[Check]]:
    """Return the checks of each action: those of one begin with whether it occurs."""
    groups: list[list[Check]] = []
    for check in checks:
        if check.attribute == "occurs":
            groups.append([])
        if check.attribute != "order":
            groups[-1].append(check)
    return groups


def _many_times(action: Action, checks: Sequence[Check], verdict: Verdict) -> tuple[Action, list[Check]]:
    """Return an action that is asked several times over, as one with a count; what was done beyond that counts, too."""
    occurred = [check for check in checks if check.attribute == "occurs"]
    made = sum(check.made for check in occurred) + sum(
        one.count or 1 for one in verdict.extra if one.verb == action.verb
    )
    counted = Check("count", action.verb, len(occurred), made, made == len(occurred))
    others = [check for check in checks if check.attribute not in ("occurs", "count")]
    occurs = Check("occurs", action.verb, True, made > 0, made > 0)
    return replace(action, count=len(occurred)), [occurs, counted, *others]


def _finding(action: Action, checks: Sequence[Check]) -> Finding:
    wrong = {check.attribute: check.made for check in checks if not check.right}
    asked = _phrase(action)
    if not wrong:
        return Finding(asked, True)
    count = wrong.pop("count", action.count)
    if action.count is not None and action.verb in _COUNTED:
        made = "none" if "occurs" in wrong else f"{count} {_said(action.verb, wrong)}".rstrip()
        return Finding(f"asked {asked}, made {made}", False)
    ways = _said(action.verb, wrong)
    often = "" if count is None else _often(count)
    done = "did not" if "occurs" in wrong else f"did it {' '.join(filter(None, (often, ways))) or 'otherwise'}"
    return Finding(f"asked to {asked}, {done}", False)


def _phrase(action: Action) -> str:
    """Return what is asked: "5 steps backwards quickly", "wave with the left hand"."""
    what = action.verb.removesuffix("_arms").replace("_", " ")
    counted = action.count is not None and action.verb in _COUNTED
    if counted:
        what = f"{action.count} {_COUNTED[action.verb][action.count != 1]}"
    elif action.count is not None:
        what += f" {_often(action.count)}"
    ways = {name: getattr(action, name) for name in ("path", "direction", "side", "degrees", "speed")}
    if ways["speed"] == "normal":
        ways["speed"] = None
    if action.verb == "raise_arms" and ways["side"] is None:
        what += " of an arm" if counted else " an arm"
    return f"{what} {_said(action.verb, ways)}".rstrip()


def _said(verb: str, ways: dict[str, Any]) -> str:
    """Return attributes in words; what is None has none."""
    words = {
        "path": lambda path: _PATHS[path],
        "direction": lambda direction: _WAYS[direction],
        "side": lambda side: _side(verb, side),
        "degrees": lambda degrees: f"by {degrees:.0f} degrees",
        "speed": lambda speed: _PACES[speed],
    }
    return " ".join(say(ways[name]) for name, say in words.items() if ways.get(name) is not None)


def _often(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _side(verb: str, side: str) -> str:
    if verb in ("walk", "run"):
        return _WAYS[side]
    if verb == "raise_arms":
        return "with both arms" if side == "both" else f"with the {side} arm"
    limb = "foot" if verb in ("hop", "kick") else "hand"
    with_limb = f"{'on' if verb == 'hop' else 'with'} the {side} {limb}"
    return ("with both hands in turn" if verb == "punch" else "with both hands") if side == "both" else with_limb
