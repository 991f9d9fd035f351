"""Every snippet of docs/python.md and of the README's Python section runs as it stands, one after the other."""

import re
from pathlib import Path

import pytest

from folders import make_folder

ROOT = Path(__file__).parents[1]


def snippets(page: str) -> list[str]:
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [code for code in found if "atm." in code or "motion" in code]


def run(code: list[str]) -> dict:
    names: dict = {}
    for snippet in code:
        exec(compile(snippet, "docs/python.md", "exec"), names)
    return names


def test_the_snippets_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = snippets("docs/python.md")
    assert len(code) == 9 and "atm.evaluate" in code[-1]
    names = run(code[:-1])
    said = capsys.readouterr().out
    # What the comments of the page promise.
    assert said.startswith("<Take 'a person waves twice': 4 s, 80 frames of HumanML3D>\n")
    assert "\n8.0\na sequence needs a part or more" in said and names["longer"].seconds == 8.0
    assert names["cosines"].shape == (2, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "end.npz", "middle.glb", "motions", "waver", "waves.bvh",
    ]  # fmt: skip


def test_the_snippet_of_the_readme_is_that_of_the_page():
    (mine,) = [code for code in snippets("README.md") if "atm.load" in code]
    assert mine in snippets("docs/python.md")


@pytest.mark.slow
def test_the_evaluation_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "scripted", clips=288)
    code = snippets("docs/python.md")
    run([code[0], code[-1]])
    assert re.search(r"^fid [\d.]+$", capsys.readouterr().out, re.MULTILINE)
