"""The order of the rooms: a room imports only itself and what stands before it in this table."""

import ast
from collections.abc import Container
from pathlib import Path

import pytest

import arrows
import atm
from arrows import imported_rooms

ROOT = Path(atm.__file__).parent

ROOMS = (
    "base",  # errors, configs, model files, the cache, progress bars, plugins
    "motion",  # skeletons, features in both directions, layers that every network shares
    "interface",  # the contracts
    "published",  # reading what others published, safely
    "alignment",  # THE IDEA
    "text",  # language models, cached
    "meaning",  # captions parsed: counts, sides, directions, order
    "space",  # the text-motion space that the losses measure in
    "data",  # HumanML3D folders, the store, batches
    "generators",
    "evaluation",  # metrics, the evaluator, the protocol
    "scripted",  # motions made by formula, their captions, oracles that judge motions
    "curation",  # data folders made and mended
    "models",  # the table of everything that can be trained and loaded
    "training",  # one loop
    "export",  # motion files
    "pages",  # what people look at
    "apps",  # everything that starts from paths and names
    "cli",
    "__main__",
)
"""docs/design.md, section 3, has the same order."""
MOST_ARROWS = 90
"""Pairs of rooms of which one imports the other. A new one has to be worth it, or another has to go."""

LONG = {}
"""Files over 500 lines, and why each is one file."""
LIMIT = 500


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room_of(path: Path) -> str:
    return arrows.room_of(path, ROOT)


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


def test_few_rooms_know_one_another():
    assert sum(map(len, arrows.arrows(ROOT).values())) <= MOST_ARROWS


NEVER = {
    "alignment": {"generators", "space", "text", "data"},
    "evaluation": {"generators", "scripted", "space"},
    "generators": {"space", "data"},
    "data": {"scripted"},
    "training": {"evaluation", "apps"},
}
"""What must not be known even if the order would allow it."""


@pytest.mark.parametrize("room", NEVER)
def test_a_room_does_not_know_what_it_must_not(room):
    known = {other for path in modules() if room_of(path) == room for other in imported_rooms(path)}
    assert not known & NEVER[room]


def test_only_the_command_line_starts_apps():
    known = {room_of(path) for path in modules() if "apps" in imported_rooms(path)}
    assert known <= {"apps", "cli"}


def test_no_module_imports_itself_through_others():
    """Circles inside a room, where the table says nothing; an import inside a function closes one as well."""
    names = {".".join(("atm", *path.relative_to(ROOT).with_suffix("").parts)): path for path in modules()}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    imports = {name: _imported_modules(path, names) for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(imports[name]):
                visit(other, [*way, name])
            done.add(name)

    for name in names:
        visit(name, [])


def _imported_modules(path: Path, names: Container[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
