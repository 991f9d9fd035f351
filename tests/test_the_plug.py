"""The lines that the project is about: the same in the README, the design, the example and the training step."""

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

from folders import make_folder

ROOT = Path(__file__).parents[1]
SOURCES = ["docs/design.md", "examples/bare_loop.py", "src/atm/training/step.py"]


def plug() -> list[str]:
    """The lines of the README's block."""
    section = (ROOT / "README.md").read_text().split("## The losses")[1]
    return re.search(r"```python\n(.*?)```", section, flags=re.DOTALL).group(1).splitlines()


def lines_of(source: str) -> list[str]:
    return [line.strip() for line in (ROOT / source).read_text().splitlines()]


@pytest.mark.parametrize("source", SOURCES)
def test_the_lines_of_the_readme_stand_in_the_source(source):
    assert len(plug()) == 3
    assert set(plug()) <= set(lines_of(source))


def test_the_bare_loop_fits_on_a_page_and_trains(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("bare_loop", ROOT / "examples" / "bare_loop.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    code = (ROOT / "examples" / "bare_loop.py").read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
    data = make_folder(tmp_path / "data", clips=16)
    losses = module.train(str(data), steps=4, batch_size=4)
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert textwrap.dedent(capsys.readouterr().out).count("inter") == 4
