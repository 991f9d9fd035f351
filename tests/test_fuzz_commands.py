"""Every option and argument of every command with hostile values: work, or one sentence and exit code 2.

The tree of commands is walked, so a new command or option is attacked from its first day. The quick form takes
`FUZZ_VALUES` values of each parameter (1), the slow one all; `FUZZ_SEED` draws others.
"""

import hashlib
import io
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy  # noqa: F401 (torch brings it in when it is first needed, which takes seconds)
import torch
import typer

from atm import cli
from atm.cli.app import app
from atm.cli.bench import bench_app
from atm.export.bvh import save_bvh
from atm.export.npz import MotionFile, save_npz
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.models import save_generator
from atm.motion import HUMANML3D
from atm.motion.layers import Normaliser
from atm.text import load_text_encoder
from folders import make_folder

VALUES = int(os.environ.get("FUZZ_VALUES", "1"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
MOST_SECONDS = 5

DIGITS = "9" * 5000
"""More than the 4,300 digits of which Python makes a number."""
NUMBERS = [
    "", "-1", "0", "nan", "inf", "-inf", "1e400", "1e-320", DIGITS, f"-{DIGITS}", str(2**63), str(10**30), "²", "0x10",
    "1,5", "\ud800", "\0",
]  # fmt: skip
WORDS = [
    "", " ", "\0", "\ud800", "\udcff", "मानव", "走" * 300, "../../x", "=", "a=b", "$HOME", "%s", "[x]", "[/red]", "²",
    "nan", "x:²", "2²", f"x:{DIGITS}", f"0,{DIGITS}", "²,1", DIGITS, "a" * 100_000,
]  # fmt: skip
PATHS = [
    "", ".", "/proc", "\0", "\ud800", "\udcff", "मानव", "n" * 300, "n/" * 3000, "no/thing", "text", "text/x", "pipe",
    "folder", "loop", "/dev/null",
    *(
        f"{name}{suffix}" for name in ("noise", "empty", "folder")
        for suffix in (".npz", ".npy", ".bvh", ".glb", ".safetensors", ".json", ".yaml", ".html", ".csv")
    ),
]  # fmt: skip

TINY = "model.width=16 model.feed_forward=16 model.layers=1 model.heads=2 model.frame_width=8 steps=1 batch_size=4"
LINES = {
    "generate": "{text=walks} --model tiny.safetensors --seconds 1 --out g.npz",
    "export": "{source=walk.npz} {out=out.bvh}",
    "studio": "{models=no-model} --port 0 --no-browser",
    "mcp": "{folder=mcp} --model no-model",
    "compare": "{models=tiny.safetensors} --seconds 1 --prompts prompts.json --out c.html",
    "explain": "{model=tiny.safetensors} --data no-data --out e.html",
    "retrieve": "{query=walks} --data data --out r.html",
    "presets": "",
    "train": f"{{preset=mdm_small}} {{settings=data=data}} {TINY} --out run",
    "import": "{system=mdm} {source=folder} {out=imported}",
    "assemble": "{system=momask} {stages=tiny.safetensors} --out assembled",
    "pack": "{run=tiny.safetensors} {out=packed.safetensors}",
    "check-generator": "{model=no-model}",
    "evaluate": "{what=tiny.safetensors} --data no-data --repeats 1 --limit 4 --no-multimodality",
    "study": "{name=losses} {settings=steps=1} --print",
    "demo": "--out demo --steps -1",
    "data scripted": "{out=scripted} --clips 2 --jobs 1",
    "data check": "{folder=data}",
    "data join": "{folders=data} data {out=joined}",
    "data prepare bvh": "{folder=bvh} {out=prepared} --captions captions.csv --jobs 1",
    "data prepare amass": "{folder=folder} {out=prepared} --index noise.csv --texts folder --body-models folder",
    "retrieval build": "{data=data} {out=base.safetensors}",
    "bench train": "--data no-data --quick",
    "bench losses": "--data no-data --quick",
    "bench scale": "--data no-data --quick",
    "bench sample": "--data no-data --quick",
    "bench evaluate": "--quick --compare noise.json",
    "bench start": "--quick --compare noise.json",
    "bench serve": "--model no-model --quick",
    "bench data": "{folder=no-data}",
}
"""Command -> a line of it that ends soon: its own values, each of which is exchanged for hostile ones in turn."""


class Hangs(BaseException):
    """No command may catch this."""


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give every command of the tree with the words that call it."""
    command = command or typer.main.get_command(app)
    if inner := getattr(command, "commands", None):
        for name, one in inner.items():
            yield from commands(one, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(commands())


def values_of(parameter: Any) -> list[str]:
    kind = str(parameter.type_descriptor.annotation)
    return NUMBERS if "int" in kind or "float" in kind else PATHS if "Path" in kind else WORDS


def line_with(name: str, parameter: Any, value: str) -> list[str]:
    """The command's line, with a value in the place of this parameter's; None: as it is."""
    words, seen = name.split(), parameter is None
    given = LINES[name].split()
    while given:
        word = given.pop(0)
        if word.startswith("{"):
            of, _, usual = word[1:-1].partition("=")
            words.append(value if parameter and of == parameter.name else usual)
        elif parameter and word in parameter.opts:
            words.append(f"{word}={value}")
            given.pop(0) if given else None
            seen = True
        else:
            words.append(word)
    if not seen and parameter.param_type_name == "option":
        words.append(f"{parameter.opts[0]}={value}")
    return words


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny generator with random weights."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    config = MDMConfig(
        width=16, heads=2, feed_forward=16, layers=1, diffusion_steps=2, mask_frames=True, text_encoder="minilm"
    )
    torch.manual_seed(0)
    save_generator(path, MDM(config, load_text_encoder(), Normaliser.identity(263)))
    return path


@pytest.fixture
def things(tmp_path, model) -> SimpleNamespace:
    """A folder with something of every kind, good and bad."""
    folder = tmp_path / "things"
    folder.mkdir()
    shutil.copy(model, folder)
    make_folder(folder / "data", clips=16)
    joints = np.zeros((30, 22, 3), np.float32)
    joints[..., 1] = np.linspace(0, 1.7, 22)
    save_npz(folder / "walk.npz", MotionFile(joints, HUMANML3D, text="walks"))
    (folder / "bvh").mkdir()
    save_bvh(folder / "bvh" / "a.bvh", joints, HUMANML3D)
    (folder / "captions.csv").write_text("file,caption\na.bvh,a person walks\n")
    (folder / "prompts.json").write_text('["a person walks"]')
    (folder / "text").write_text("words")
    for suffix in (".npz", ".npy", ".bvh", ".glb", ".safetensors", ".json", ".yaml", ".html", ".csv"):
        (folder / f"noise{suffix}").write_bytes(random.Random(suffix).randbytes(300))
        (folder / f"empty{suffix}").touch()
        (folder / f"folder{suffix}").mkdir()
    (folder / "folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    return SimpleNamespace(folder=folder, before=fingerprint(folder))


def fingerprint(folder: Path) -> dict[str, str]:
    """Hash of everything that a test laid there."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `Hangs` after so much time of the processor, or twenty times as much by the clock; 0: never."""

    def hangs(*_: object) -> None:
        raise Hangs

    timers = [("ITIMER_PROF", "SIGPROF", seconds), ("ITIMER_REAL", "SIGALRM", 20 * seconds)]
    here = [
        (getattr(signal, timer), getattr(signal, name), most) for timer, name, most in timers if hasattr(signal, name)
    ]
    before = [(number, signal.signal(number, hangs)) for _, number, _ in here]
    try:
        for timer, _, most in here:
            signal.setitimer(timer, most)
        yield
    finally:
        for timer, _, _ in here:
            signal.setitimer(timer, 0)
        for number, handler in before:
            signal.signal(number, handler)


def ended(words: list[str], seconds: float = MOST_SECONDS) -> str | None:
    """Run a command; what is wrong with how it ended, or None. `seconds`: 0 waits for it."""
    sys.argv = ["atm", *words]
    sys.stdin = SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: False)
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        with alarm(seconds):
            cli.main()
        return "no exit code"
    except SystemExit as end:
        sys.stderr.flush()
        said = sys.stderr.buffer.getvalue().decode()
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        if end.code in (0, None, 1):
            return None if "Traceback" not in said else said
        if end.code == 2 and len(errors) == 1 and said.strip().splitlines()[-1] == errors[0] and len(errors[0]) > 15:
            return None if len(errors[0]) < 20_000 else f"an error of {len(errors[0])} characters"
        return f"exit code {end.code}: {said[-500:]!r}"
    except Hangs:
        return "hangs"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:300]


def attack(name: str, things: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, values: int | None) -> None:
    """Call a command with hostile values of each of its parameters, one at a time."""

    monkeypatch.chdir(things.folder)
    # It does nothing where a word follows, and the checker of types does not know typer's context.
    monkeypatch.setattr(bench_app, "registered_callback", None)
    for stream in ("argv", "stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))
    ended(line_with(name, None, ""), 0)  # imports what it needs
    draw, wrong = random.Random(f"{SEED} {name}"), []
    for parameter in COMMANDS[name].params:
        if "bool" in str(parameter.type_descriptor.annotation):
            continue
        own = values_of(parameter)
        for value in own if values is None else draw.sample(own, values):
            words = line_with(name, parameter, value)
            # A benchmark that is given data works: even its quick form takes more than a moment.
            most = 8 * MOST_SECONDS if name.startswith("bench ") else MOST_SECONDS
            fault = ended(words, most)
            if fault == "hangs":
                fault = ended(words, most)  # the first time may have gone into imports that other values never came to
            if fault:
                wrong.append(f"atm {' '.join(word[:60] for word in words)!r}: {fault}")
    after = fingerprint(things.folder)
    lost = [f"{file} is lost" for file, digest in things.before.items() if after.get(file) != digest]
    assert not wrong and not lost, "\n".join([*wrong, *lost])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_hostile_value_on_the_command_line_is_worked_with_or_refused_in_one_sentence(name, things, monkeypatch):
    attack(name, things, monkeypatch, VALUES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_hostile_value_on_the_command_line_is_worked_with_or_refused(name, things, monkeypatch):
    attack(name, things, monkeypatch, None)
