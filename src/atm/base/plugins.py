"""What other installed packages add, by entry points: known by name at once, imported when it is asked for."""

import functools
import sys
import warnings
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from atm.base.errors import InputError


def plugin_names(group: str, taken: Collection[str] = ()) -> list[str]:
    """Return names that other packages register in a group of entry points; none of them is imported.

    A name that the house has `taken` stays its own, and one that several packages register is nobody's: both are said
    in a warning, once.
    """
    names = []
    for name, points in _points(group, tuple(sys.path)).items():
        if name in taken:
            _warn(f"{_packages(points)} registers {name!r} in {group}, which is a name of atm's own: atm's is taken")
        elif len(points) > 1:
            _warn(_clash(group, name, points))
        else:
            names.append(name)
    return names


def load_plugin(group: str, name: str) -> Any:
    """Return what a package registers under this name, which must be there.

    Raises:
        InputError: several packages register it, or the one that does cannot be imported.
    """
    points = _points(group, tuple(sys.path))[name]
    if len(points) > 1:
        raise InputError(_clash(group, name, points))
    try:
        return points[0].load()
    except Exception as error:  # code of another package, which may do anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{_packages(points)} registers {name!r} in {group} as {points[0].value}, which cannot be loaded: "
            f"{type(error).__name__}: {reason}"
        ) from error


def is_plugin(group: str, name: str) -> bool:
    """Return whether some package registers this name, alone or with others."""
    return name in _points(group, tuple(sys.path))


# Keyed by the search path as well, since a scan takes time and what is installed follows from the path.
@functools.cache
def _points(group: str, _path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, _packages([point]), point.value)):
        found.setdefault(point.name, []).append(point)
    return found


def _packages(points: list[EntryPoint]) -> str:
    names = [f"{point.dist.name} {point.dist.version}" if point.dist else "a package" for point in points]
    return f"the package {names[0]}" if len(names) == 1 else f"the packages {' and '.join(names)}"


def _clash(group: str, name: str, points: list[EntryPoint]) -> str:
    return f"{_packages(points)} all register {name!r} in {group}: uninstall all but one"


@functools.cache
def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)
