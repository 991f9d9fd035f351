"""Equal in, equal out: what equal runs leave is the same to the byte; threads move a joint by micrometres."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.apps import train as start
from atm.apps.export import save_motion
from atm.base.config import override
from atm.scripted.write import write_scripted
from atm.training.presets import preset
from figures import walk
from folders import make_folder

__all__ = ["walk"]

TINY = ["model.width=16", "model.feed_forward=16", "model.layers=1", "model.heads=2", "model.frame_width=8"]
EXPORTS = [
    ".npz", ".npy", ".csv", ".bvh", ".glb", ".vrma", ".amass.npz", ".kimodo.npz", ".constraints.json", ".html", ".png",
]  # fmt: skip
USD = [".usda", ".usdc"] if importlib.util.find_spec("pxr") else []


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path in the folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def twice(folder: Path, make: Callable[[Path], object]) -> dict[str, str]:
    """Make something in two folders of the same name; what both hold, which must be the same."""
    found = []
    for name in ("first", "second"):
        place = folder / name / "made"
        place.parent.mkdir(parents=True)
        make(place)
        found.append(hashes(place.parent))
    assert found[0] and found[0] == found[1]
    return found[0]


def test_two_trainings_of_one_seed_leave_the_same_weights(tmp_path):
    data = make_folder(tmp_path / "data", clips=16)
    config = override(preset("mdm_small"), [f"data={data}", *TINY, "steps=6", "batch_size=4", "seed=5"])
    models = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        start.start(config.model_copy(update={"seed": seed}), tmp_path / name, show_progress=False)
        models[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert models["a"] == models["b"] != models["c"]


def test_two_scripted_data_folders_of_one_seed_are_the_same_whatever_makes_them(tmp_path):
    """One process or two: clips are drawn by their numbers."""
    made = {jobs: tmp_path / str(jobs) / "data" for jobs in (1, 2)}
    for jobs, folder in made.items():
        write_scripted(folder, clips=20, seed=7, jobs=jobs, progress=False)
    one, two = (hashes(folder) for folder in made.values())
    assert len(one) > 40 and one == two


@pytest.mark.parametrize("suffix", EXPORTS + USD)
def test_two_exports_of_one_motion_are_the_same(tmp_path, walk, suffix):
    def make(place: Path) -> None:
        place.mkdir()
        save_motion(place / f"walk{suffix}", walk[:12], text="a person walks", provenance={"seed": 3, "model": "m"})

    assert set(twice(tmp_path, make)) == {f"made/walk{suffix}"}


MAKE = """
import sys
from pathlib import Path
from atm.apps import train
from atm.apps.export import save_motion
from atm.base.config import override
from atm.export import load_motion
from atm.scripted.write import write_scripted
from atm.training.presets import preset

write_scripted(Path("data"), clips=20, seed=7, jobs=1, progress=False)
settings = ["data=data", "steps=4", "batch_size=4", "model.width=16", "model.heads=2", "model.layers=1"]
train.start(override(preset("mdm_small"), settings), Path("run"), show_progress=False)
motion = load_motion(next(iter(sorted(Path("data/new_joints").iterdir()))))
for suffix in sys.argv[1:]:
    save_motion(Path("walk" + suffix), motion.joints, text="a person walks", provenance={"seed": 3})
"""


@pytest.mark.slow
def test_two_processes_leave_the_same_bytes_whatever_order_their_sets_have(tmp_path):
    """Python draws the order of sets anew in each process, unless PYTHONHASHSEED says it."""
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "ATM_CACHE": str(tmp_path / f"cache{seed}")}
        words = [sys.executable, "-c", MAKE, *EXPORTS, *USD]
        subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
        kept = hashes(folder)
        made = ("data/", "walk", "run/model")
        # The store beside the data says when and where it was made.
        found.append({name: kept[name] for name in kept if name.startswith(made) and "/.atm/" not in name})
    assert len(found[0]) > 60 and found[0] == found[1]


GENERATE = """
import json, sys, torch
torch.set_num_threads(int(sys.argv[1]))
import atm
model = atm.load("generator")
sentences = ["a person walks forward four steps and then sits down", "someone waves with the left hand"]
print(json.dumps([model.generate(text, seed=3).joints.tolist() for text in sentences]))
"""


def generated(threads: int, **environment: str) -> list[np.ndarray]:
    """Motions of the packaged generator, made by a process with so many threads."""
    words = [sys.executable, "-c", GENERATE, str(threads)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return [np.array(joints) for joints in json.loads(done.stdout)]


@pytest.mark.slow
def test_another_number_of_threads_moves_no_joint_by_more_than_rounding_does():
    """Sums of 32 bits in another order: at 5 m from the origin one unit in the last place is half a micrometre."""
    for one, two in zip(generated(1), generated(2), strict=True):
        assert one.shape == two.shape and np.linalg.norm(one - two, axis=-1).max() < 1e-5


@pytest.mark.slow
@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the switch is of Intel's library")
def test_another_number_of_threads_changes_no_bit_where_the_library_is_told_so():
    one, two = (generated(threads, MKL_CBWR="AUTO,STRICT") for threads in (1, 2))
    for motion, again in zip(one, two, strict=True):
        np.testing.assert_array_equal(motion, again)
