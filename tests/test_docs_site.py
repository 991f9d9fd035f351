"""The site of `make docs`: every command in its reference, nothing from elsewhere, pages and the notebook that run."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest
import typer
import yaml

from atm.cli.app import app
from test_python_page import run, snippets

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "first_motions.ipynb"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_command_with_every_option(hooks):
    reference = hooks.commands_reference()
    sections = dict(re.findall(r"^## (atm [\w -]+)\n(.*?)(?=^## |\Z)", reference, flags=re.MULTILINE | re.DOTALL))
    waiting, found = [("atm", typer.main.get_command(app))], 0
    while waiting:
        path, command = waiting.pop()
        if below := getattr(command, "commands", {}):
            waiting += [(f"{path} {name}", one) for name, one in below.items()]
            continue
        found += 1
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]:
                assert f"`{option}`" in sections[path], f"{path} lacks {option}"
    assert found == len(sections) - 1, "atm bench can be called by itself"
    assert "| `--samples` | Motions per sentence. | `1` |" in sections["atm generate"]
    assert 'atm generate "a person bows" --model' in sections["atm generate"]


def test_links_that_lead_out_of_the_site_become_words(hooks):
    page = PurePosixPath("results/day.md")
    text = "[code](../../src/atm/interface.py#L1), [design](../design.md#4), [near](near.md), [far](https://a.b/c)"
    expected = "code, [design](../design.md#4), [near](near.md), [far](https://a.b/c)"
    assert hooks.without_foreign_links(text, page) == expected
    assert hooks.without_foreign_links("[readme](../README.md)", PurePosixPath("mcp.md")) == "readme"


def test_every_page_of_the_navigation_exists_and_every_page_is_reached(hooks):
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = set(re.findall(r"[\w./-]+\.md", str(config["nav"])))
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []
    whole = set(re.findall(r"[\w./-]+\.md", str(hooks.on_config({"nav": config["nav"]})["nav"])))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert whole == pages


def test_the_snippet_of_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(snippets("docs/tutorial.md"))
    assert str(names["motion"].joints.shape) in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["begin.glb"]


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(code: str, names: dict) -> object:
    """Runs a cell as a notebook does: the value of its last line, where that is an expression, is shown."""
    *before, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        before, last = [*before, last], None
    exec(compile(ast.Module(before, []), NOTEBOOK.name, "exec"), names)
    return last and eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_the_notebook_holds_no_output_of_somebodys_machine():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None


def test_the_notebook_runs_and_its_motions_show_themselves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    values = [shown(code, names) for code in cells()]
    pages = [value._repr_html_() for value in values if hasattr(value, "_repr_html_")]
    assert len(pages) == 2 and all(page.startswith("<iframe srcdoc=") for page in pages)
    assert "on the floor" in capsys.readouterr().out
    assert names["cosines"].shape == (3, 3) and (tmp_path / "walk_and_wave.bvh").is_file()


@pytest.mark.slow
def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="atm-motion[docs] is not installed")
    pytest.importorskip("material", reason="atm-motion[docs] is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    loads = re.compile(r"""<(?:script|img|iframe)[^>]+src=["'](?:https?:)?//|<link[^>]+href=["'](?:https?:)?//""")
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 25
    assert [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))] == []
    sheets = [sheet.read_text(encoding="utf-8") for sheet in tmp_path.rglob("*.css")]
    assert sheets and not any(re.search(r"url\([\"']?(?:https?:)?//|@import", sheet) for sheet in sheets)
    reference = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    for name in ("save_pretrained", "from_pretrained", "similarity", "inter_motion_loss", "rotations", "InputError"):
        assert name in reference
    assert "atm bench serve" in (tmp_path / "reference" / "commands.html").read_text(encoding="utf-8")
