"""docs/add-a-generator.md, followed to the letter: its files become an installed package, and its commands run."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.cli.app import run as atm
from atm.interface import Batch
from atm.models import build_generator, find_spec, load_generator, save_generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from atm.training.presets import all_presets
from doubles import FakeTextEncoder
from folders import make_folder
from installed import install

PAGE = Path(__file__).parents[1] / "docs" / "add-a-generator.md"
SMALLER = {
    "train": ["steps=2", "batch_size=4", "model.width=16", "model.layers=1", "model.sampling_steps=2", "--quiet"],
    "generate": ["--seconds", "1", "--quiet"],
}
"""What is put behind a command of the page, so that it ends in seconds."""
TOO_LONG = {"evaluate"}
"""Commands that need more motions than a test has; `tests/evaluation` runs them."""


def files_of_the_page() -> dict[str, str]:
    """Every block of code that a file's name stands above."""
    found = re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    return dict(found)


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """The package of the page, installed: an installer turns the entry points of its pyproject.toml into a file."""
    files = files_of_the_page()
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    groups = project["entry-points"].items()
    points = [line for name, rows in groups for line in (f"[{name}]", *(f"{k} = {v}" for k, v in rows.items()))]
    for name in [module for module in sys.modules if module.split(".")[0] == "flow_motion"]:
        monkeypatch.delitem(sys.modules, name)
    install(tmp_path / "site", monkeypatch, project["name"], files, "\n".join(points) + "\n")
    yield tmp_path
    for name in [module for module in sys.modules if module.split(".")[0] == "flow_motion"]:
        del sys.modules[name]


def small(features: int = 263):
    torch.manual_seed(0)
    config = find_spec("flow").config(width=16, heads=2, layers=1, sampling_steps=3, text_encoder="fake")
    return build_generator(config, FakeTextEncoder(), Normaliser(torch.zeros(features), torch.ones(features)))


def batch(features: int = 263) -> Batch:
    motion = Motion(torch.randn(3, 22, features), torch.tensor([22, 9, 13])).zero_padding()
    return Batch(motion, ["a person walks", "she sits", "jump"], torch.zeros(3, 4), ["a", "b", "c"])


def test_the_page_has_the_files_that_it_speaks_of(flow):
    assert list(files_of_the_page()) == [
        "flow_motion/config.py", "flow_motion/model.py", "flow_motion/__init__.py", "flow_motion/presets.py",
        "pyproject.toml",
    ]  # fmt: skip
    assert {"flow_small", "flow_small_atm"} <= all_presets().keys()


@pytest.mark.parametrize("features", [263, 251])
def test_its_generator_passes_every_check_that_applies(flow, features):
    results = check_generator(small(features).train(), batch(features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = [result.name for result in results if result.status == "not applicable"]
    assert skipped == [
        "known frames are kept", "frames that are not kept do not matter", "steps that are asked for give a motion",
        "a motion without a length finds its own",
    ]  # fmt: skip


def test_its_generator_learns(flow):
    """One batch over and over: the error of the velocity falls."""
    generator, fixed = small(), batch()
    optimiser = torch.optim.AdamW(generator.parameters(), lr=3e-3)

    def loss(seed: int) -> torch.Tensor:
        return generator.training_step(fixed, torch.Generator().manual_seed(seed)).loss.mean()

    with torch.no_grad():
        before = np.mean([float(loss(seed)) for seed in range(1000, 1010)])
    for seed in range(60):
        optimiser.zero_grad()
        loss(seed).backward()
        optimiser.step()
    with torch.no_grad():
        after = np.mean([float(loss(seed)) for seed in range(1000, 1010)])
    assert after < 0.8 * before


def test_the_estimate_of_a_right_velocity_is_the_clean_motion(flow):
    """By the equations of the page: where the velocity is x0 - noise, x_t + (1 - t) v is x0 at any t."""
    generator, fixed = small(), batch()
    rng = torch.Generator().manual_seed(5)
    torch.rand(3, generator=rng)
    noise = torch.randn(fixed.motion.features.shape, generator=rng)
    generator.forward = lambda x_t, t, condition, mask: fixed.motion.features - noise
    step = generator.training_step(fixed, torch.Generator().manual_seed(5))
    torch.testing.assert_close(step.motion.features, fixed.motion.features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.loss, torch.zeros(3))


def test_its_file_is_read_while_its_package_is_installed(flow, monkeypatch):
    file = flow / "model.safetensors"
    generator = small().eval()
    save_generator(file, generator)
    loaded = load_generator(file, FakeTextEncoder())
    torch.testing.assert_close(loaded.state_dict(), generator.state_dict(), rtol=0, atol=0)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(flow / "site")])
    with pytest.raises(InputError, match="unknown model 'flow'.* is the package installed that brings it?"):
        load_generator(file, FakeTextEncoder())


def test_every_command_of_the_page_runs(flow, monkeypatch, capsys):
    block = re.search(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL).group(1)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert [words[1] for words in commands] == ["presets", "train", "train", "check-generator", "generate", "evaluate"]
    monkeypatch.chdir(flow)
    make_folder(flow / "scripted", clips=16)
    for words in commands:
        if words[1] in TOO_LONG:
            continue
        monkeypatch.setattr(sys, "argv", words + SMALLER.get(words[1], []))
        with pytest.raises(SystemExit) as end:
            atm()
        said = capsys.readouterr()
        assert not end.value.code, f"{' '.join(words)}\n{said.out}\n{said.err}"
        if words[1] == "presets":
            assert "flow_small_atm" in said.out
    assert (flow / "runs" / "flow_atm" / "model.safetensors").is_file()
    assert (flow / "walk.html").is_file()
    lines = (flow / "runs" / "flow_atm" / "config.yaml").read_text()
    assert "name: flow" in lines and "  inter:\n    weight: 0.1" in lines
