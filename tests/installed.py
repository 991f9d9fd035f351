"""Packages that are installed for one test: a folder on the path with modules and what an installer leaves."""

import sys
from pathlib import Path

import pytest


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, modules: dict[str, str], entry_points: str
) -> None:
    """Put a package on the path, and take its modules out again after the test.

    Args:
        folder: that is made; one per package.
        monkeypatch: of the test.
        name: of the package.
        modules: source by module name, or by path.
        entry_points: as in an installed package's entry_points.txt.
    """
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    for module, source in modules.items():
        file = folder / (module if module.endswith(".py") else f"{module}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(folder)
