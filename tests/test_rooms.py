"""The order of the house: a room imports only itself and what stands before it in this table."""

import ast
from collections.abc import Container
from pathlib import Path

import pytest

import atm

ROOT = Path(atm.__file__).parent

ROOMS = (
    "errors",  # what a user did wrong, in one sentence
    "motion",  # skeletons, features in both directions
    "interface",  # the contracts
    "config",  # the base of all configs
    "cache",  # where things that can be computed again are kept
    "progress",  # bars
    "plugins",  # what other packages add
    "packaged",  # the files of the weights that come with the package
    "storage",  # model files, written whole or not at all
    "layers",  # what networks of several rooms share
    "published",  # reading what others published, safely
    "alignment",  # THE IDEA
    "text",
    "data",
    "embedding",
    "generators",
    "evaluation",
    "training",
    "importing",  # published checkpoints to run folders
    "export",
    "generate",  # from sentences to files
    "explain",
    "compare",  # models side by side
    "retrieve",  # search in a data set
    "pack",  # makes the weights that come with the package
    "studies",  # the paper's tables and figures as commands
    "demo",
    "cli",
    "__main__",
)
"""docs/design.md, section 3, has the same order."""

LONG = {}
"""Files over 500 lines, and why each is one file."""
LIMIT = 500


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports anywhere in it: at its top, inside functions, and for type checkers alone."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full, `from atm.room import name`"
            names += [f"atm.{alias.name}" for alias in node.names] if node.module == "atm" else [node.module]
    return {name.split(".")[1] for name in names if name.startswith("atm.")}


def test_every_module_stands_in_a_room_of_the_table():
    assert {room_of(path) for path in modules()} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_before_it(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        str(path.relative_to(ROOT)): sorted(beyond)
        for path in modules()
        if room_of(path) == room and (beyond := imported_rooms(path) - allowed)
    }
    assert not wrong, f"{room} imports what stands behind it"


def test_no_module_imports_itself_through_others():
    """Circles inside a room, where the table says nothing: only imports at the top of modules can close one."""
    names = {".".join(("atm", *path.relative_to(ROOT).with_suffix("").parts)): path for path in modules()}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    imports = {name: _imported_at_the_top(path, names) for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(imports[name]):
                visit(other, [*way, name])
            done.add(name)

    for name in names:
        visit(name, [])


def _imported_at_the_top(path: Path, names: Container[str]) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in names else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in names}


def test_no_file_is_too_long_to_be_read():
    long = {str(path.relative_to(ROOT)) for path in modules() if len(path.read_text().splitlines()) > LIMIT}
    assert long == LONG.keys(), f"split it, or list it with a reason: over {LIMIT} lines"


def test_the_design_names_the_rooms_in_this_order():
    design = ROOT.parents[1] / "docs" / "design.md"
    section = design.read_text(encoding="utf-8").split("## 3. The rooms")[1].split("\n## ")[0]
    block = section.split("\n\n")[2]
    named = [name.strip() for name in block.replace("\n", " ").split("<")]
    assert named == list(ROOMS[:-1])
