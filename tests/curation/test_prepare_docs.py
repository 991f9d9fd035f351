"""The commands of docs/prepare.md, on recordings and archives by the names that the page gives them."""

import re
import shlex
import sys
from pathlib import Path

import bvh_skeletons
import numpy as np
import pytest

from atm import cli
from atm.motion.program import Action, Program
from atm.scripted.motion.perform import perform

PAGE = (Path(__file__).parents[2] / "docs" / "prepare.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [*shlex.split(command), "--jobs", "1", "--quiet"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert not ended.value.code, captured.err
        return captured.out.splitlines()

    return run


def test_the_recipe_for_bvh_files_runs_as_written(run, tmp_path):
    joints = perform(Program((Action("walk", count=8), Action("bow"))), np.random.default_rng(0)).astype(np.float64)
    (tmp_path / "recordings" / "session").mkdir(parents=True)
    bvh_skeletons.save(tmp_path / "recordings" / "walk.bvh", joints, bvh_skeletons.mixamo())
    text = (tmp_path / "recordings" / "walk.bvh").read_text()
    for side, number in (("Left", 12), ("Right", 17)):
        text = re.sub(rf"mixamorig:{side}Leg\b", f"Joint {number}", text)
    (tmp_path / "recordings" / "session" / "long.bvh").write_text(text)
    (tmp_path / "captions.csv").write_text(blocks("csv")[0])
    (tmp_path / "joints.yaml").write_text(blocks("yaml")[0])
    plain, mapped = (block.strip() for block in blocks("bash")[:2])
    lines = run(plain)
    assert lines[-1] == "motions" and lines[0].startswith("1 clips written")
    assert "found no joint for left_knee, right_knee" in (tmp_path / "motions" / "skipped.txt").read_text()
    assert run(mapped)[0].startswith("3 clips written")


def test_the_recipe_for_amass_names_options_that_exist(run):
    (command,) = (block.strip() for block in blocks("bash") if "amass" in block)
    assert set(re.findall(r"--[a-z-]+", command)) == {"--index", "--texts", "--body-models"}
    assert "--body-models" in "\n".join(run("atm data prepare amass --help"))
