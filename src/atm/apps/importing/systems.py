"""What can be imported, by name: every generator whose checkpoints were published, the space, the evaluator."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from torch import nn

from atm.base.errors import unknown
from atm.models import all_generators, save_generator
from atm.published import Release


class System(NamedTuple):
    """One published system."""

    name: str
    release: Release
    save: Callable[[Path, nn.Module], None]
    """Writes the model to a file."""


def _tmr() -> System:
    from atm.space.weights import RELEASE, save_space

    return System("tmr", RELEASE, lambda path, space: save_space(space, path))


def _evaluator() -> System:
    from atm.evaluation.weights import RELEASE, save_evaluator

    return System("evaluator", RELEASE, save_evaluator)


_OTHERS: dict[str, Callable[[], System]] = {"tmr": _tmr, "evaluator": _evaluator}


def systems() -> Iterator[System]:
    """Give all of them: generators first."""
    for name, entry in all_generators():
        if entry.release is not None:
            yield System(name, entry.release, save_generator)
    for row in _OTHERS.values():
        yield row()


def find_system(name: str) -> System:
    """Return the system of this name; an unknown name is answered with the nearest."""
    known = {system.name: system for system in systems()}
    if name not in known:
        raise unknown("system", name, known)
    return known[name]


def list_systems() -> str:
    """Return what can be imported, for a terminal: names, licences, files, variants."""
    lines = []
    for name, release, _ in systems():
        lines += [
            name,
            f"    published as  {release.files}",
            f"    what is read  {release.supports}",
            f"    licence       {release.licence}",
        ]
    return "\n".join(lines)
