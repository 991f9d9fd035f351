"""The studies that have a name."""

from collections.abc import Callable

from atm.apps.studies import extensions as beyond
from atm.apps.studies import paper
from atm.apps.studies.study import Study
from atm.base.errors import unknown

STUDIES: dict[str, Callable[[], Study]] = {
    "generators": paper.generators,
    "losses": paper.losses,
    "margins": paper.margins,
    "metric-losses": paper.metric_losses,
    "examples": paper.examples,
    "rules": paper.rules,
    "cost": paper.cost,
    "weight": paper.weight,
    "batch": paper.batch,
    "clip": paper.clip,
    "epsilon": paper.epsilon,
    "gamma": paper.gamma,
    "meaning": beyond.meaning,
}
"""In the order of the paper; then those that go beyond it."""


def find_study(name: str) -> Study:
    """Return the study of this name; an InputError names the nearest."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]()
