"""Rules of wording: a function's docstring begins with a verb, a field's is a phrase that stands alone."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import atm

ROOT = Path(atm.__file__).parent

HALVES = {"of", "what", "where", "whose", "whether"}
"""First words that make half a sentence of a docstring: a reader has to find the other half."""

VERBS = """
add allow append apply ask attend average begin bow bring build change check choose clap classify compare compute
convert copy count crouch cut darken denoise do draw embed encode estimate evaluate explain find fit forget freeze
gather get give go guess hold hop integrate jump keep kick lead lean let lift link list load make measure mine move
name offer open penalise place pose print pull punch put quantise raise read refuse remove repeat retrieve return run
sample say search serve set show sit split stand start step sway swing tag take tell tip train turn update wait
walk wrap write
"""
"""Imperatives that functions' docstrings begin with; a new one is added here, in its place in the alphabet."""

SLANG = re.compile(r"\bthe house\b|\bnobody|\brow of nobody\b", re.IGNORECASE)
"""Words of the project's own that a user cannot know."""

PROPERTIES = {"property", "cached_property"}
"""Decorators of functions that read like fields."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_docstring_begins_in_the_middle_of_a_sentence():
    docs = [(place, text) for tree, name in _modules() for place, text in _docs(tree, name)]
    assert len(docs) > 1000
    assert [f"{place}: {text[:60]}" for place, text in docs if _first(text) in HALVES] == []


def test_functions_begin_with_a_verb():
    docs = [(place, text) for tree, name in _modules() for place, text in _functions(tree, name)]
    assert len(docs) > 1000
    assert [f"{place}: {text[:60]}" for place, text in docs if _first(text) not in VERBS.split()] == []


def test_every_listed_verb_is_used():
    used = {_first(text) for tree, name in _modules() for _, text in _functions(tree, name)}
    assert sorted(set(VERBS.split()) - used) == []


def test_no_slang():
    found = [
        f"{name}:{node.lineno}: {match.group()}"
        for tree, name in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := SLANG.search(node.value))
    ]
    assert found == []


def test_the_rules_find_what_they_forbid():
    source = '''
"""What it does."""
class Box:
    """Where things lie."""
    width: float = 1.0
    """Of the box."""
    def __init__(self):
        self.height = 2.0
        """Whose it is."""
    @property
    def area(self):
        """Whether it is large."""
    def weight(self):
        """The weight."""
'''
    tree = ast.parse(source)
    assert sorted(_first(text) for _, text in _docs(tree, "box")) == ["of", "the", "what", "where", "whether", "whose"]
    assert [text for _, text in _functions(tree, "box")] == ["The weight."]
    assert SLANG.search("A row of nobody.")


def _modules() -> Iterator[tuple[ast.Module, str]]:
    for file in sorted(ROOT.rglob("*.py")):
        yield ast.parse(file.read_text(encoding="utf-8")), str(file.relative_to(ROOT))


def _docs(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """Return place and text of docstrings of the module, its classes and functions, and of strings under fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (text := ast.get_docstring(node)):
            yield f"{name}:{node.body[0].lineno}", text
        body = getattr(node, "body", None)
        for above, below in pairwise(body) if isinstance(body, list) else ():
            if isinstance(above, ast.Assign | ast.AnnAssign) and (text := _string(below)):
                yield f"{name}:{below.lineno}", text


def _functions(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, Function) and (text := ast.get_docstring(node)):
            decorators = {ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in node.decorator_list}
            if not decorators & PROPERTIES:
                yield f"{name}:{node.body[0].lineno}", text


def _string(node: ast.stmt) -> str | None:
    value = node.value if isinstance(node, ast.Expr) else None
    return value.value.strip() if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _first(text: str) -> str:
    match = re.match(r"[A-Za-z]+", text)
    return match.group().lower() if match else ""
