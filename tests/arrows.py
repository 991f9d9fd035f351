"""Count the arrows between the rooms of src/atm: `python tests/arrows.py [SRC]` prints them, and who knows whom.

An arrow is a pair of rooms of which one imports the other, anywhere in its modules: at their top, inside functions,
for type checkers alone. Standard library only, so that it runs on any state of the code.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "atm"


def room_of(path: Path, source: Path) -> str:
    return path.relative_to(source).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a module imports anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full, `from atm.room import name`"
            names += [f"atm.{alias.name}" for alias in node.names] if node.module == "atm" else [node.module]
    return {name.split(".")[1] for name in names if name.startswith("atm.")}


def arrows(source: Path = SOURCE) -> dict[str, set[str]]:
    """Return which rooms each room knows."""
    known: dict[str, set[str]] = defaultdict(set)
    for path in sorted(source.rglob("*.py")):
        if path != source / "__init__.py":
            room = room_of(path, source)
            known[room] |= imported_rooms(path) - {room}
    return known


if __name__ == "__main__":
    found = arrows(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE)
    print(f"{len(found)} rooms, {sum(map(len, found.values()))} arrows")
    for room in sorted(found):
        print(f"{room:12} {' '.join(sorted(found[room]))}")
