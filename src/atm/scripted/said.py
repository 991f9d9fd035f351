"""Verdicts on what a sentence says: a program knows more than each of its captions, and no generator can know it."""

from dataclasses import replace

from atm.motion.program import Program
from atm.scripted.asked import asked_of
from atm.scripted.oracles.verdict import Check, Verdict


def as_said(verdict: Verdict, program: Program, sentence: str) -> Verdict:
    """Return a verdict on a program without the checks of what a sentence of it leaves open: "a person kicks" says
    neither how often nor which leg.

    That an action occurs, and the order, are always said. Of a sentence that is not read as the program's actions one
    by one nothing is left out.

    Args:
        verdict: of `judge`, on the program.
        program: all that the motion was to do.
        sentence: a true description of it.
    """
    asked = asked_of(sentence).program
    actions = () if asked is None else asked.actions
    if [action.verb for action in actions] != [action.verb for action in program.actions]:
        return verdict
    kept: list[Check] = []
    place = -1
    for check in verdict.checks:
        # The checks of an action begin with whether it occurs.
        place += check.attribute == "occurs"
        said = check.attribute in ("occurs", "order") or getattr(actions[place], check.attribute) not in (
            None,
            "normal",
        )
        if said:
            kept.append(check)
    return replace(verdict, checks=tuple(kept))
