"""Docstrings in plain English: a function's opens with a verb, never with a word that hangs on what is not there."""

import ast
from pathlib import Path

import atm

ROOT = Path(atm.__file__).parent
HANGING = ("Of", "What", "Where", "Whose", "Whether")


def functions() -> list[tuple[str, str]]:
    """Place and docstring of every function that has one."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)):
                found.append((f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", said))
    return found


def test_no_function_opens_with_a_word_that_hangs_in_the_air():
    assert not [place for place, said in functions() if said.split()[0].strip(",:;") in HANGING]
