"""Every command that the README and the docs show is run here, scaled down; every file that they name exists."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from atm.base.config import override
from atm.cli.app import app
from atm.training.presets import preset

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "src" / "atm" / "weights" / "README.md"]
SMALLER = {
    "train": ["steps=2", "batch_size=4", "validate_every=2", "--quiet"],
    "evaluate": ["--repeats", "1", "--limit", "32", "--no-multimodality", "--quiet"],
    "generate": ["--seconds", "1", "--quiet"],
    "study": ["--rows", "none", "--quiet"],
    "explain": ["--batches", "1", "--quiet"],
    "compare": ["--quiet"],
    "retrieve": ["--quiet"],
}
"""What is put behind a command of the docs, so that it ends in seconds."""


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks that start with atm."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = [line.split("    #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix(".venv/bin/") for line in lines if re.match(r"(\.venv/bin/)?atm ", line)]


def scaled_down(command: str) -> list[str]:
    words = shlex.split(command)
    if words[1:3] == ["data", "scripted"]:
        # 60 clips give 9 test motions at least, but an evaluation ranks within 32.
        words = [*words[:4], "--clips", "240", "--jobs", "1", "--quiet"]
    return words + SMALLER.get(words[1], [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one_that_exists(page):
    """Its name, its options, its presets and the keys that it sets; what it takes to run is not asked here."""
    for line in commands(page):
        command, words = typer.main.get_command(app), shlex.split(line)
        context = command.make_context(words[0], words[1:])
        while isinstance(command, typer.core.TyperGroup):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest)
        if context.params.get("preset"):
            override(preset(context.params["preset"]), context.params["settings"] or [])


def test_the_readme_opens_with_the_two_commands():
    first = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL).group(1)
    assert [line.split()[:2] for line in first.splitlines()] == [["make", "demo"], ["make", "test"]]


def test_every_make_target_of_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"make\s+([a-z][a-z-]+)`", (ROOT / "README.md").read_text().replace("\n", " "))
    assert {"demo", "demo-full", "test-slow"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"no target {target}"


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/own-rig.md"])
def test_every_command_of_a_page_to_follow_runs(tmp_path, page):
    environment = os.environ | {"ATM_CACHE": str(tmp_path / "cache")}
    for name, content in re.findall(r'```yaml title="([^"]+)"\n(.*?)```', (ROOT / page).read_text(), flags=re.DOTALL):
        (tmp_path / name).write_text(content)
    for command in commands(ROOT / page):
        words = scaled_down(command)
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr[-2000:]}"
