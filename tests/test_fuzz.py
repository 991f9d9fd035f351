"""Every reader against damaged files: content or one sentence, in seconds, with nothing run that a file asks for.

The quick form takes `FUZZ_INPUTS` inputs of each kind (60), the slow one 2,000; `FUZZ_SEED` draws others.
"""

import io
import json
import os
import pickle
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from atm.apps.compare.prompts import read_prompts
from atm.base.config import load, override
from atm.base.errors import InputError
from atm.base.storage import as_safetensors, read_model
from atm.curation.prepare.bvh import joint_names, read_bvh
from atm.curation.prepare.captions import read_captions_file
from atm.curation.prepare.naming import read_mapping
from atm.data.store import read_clip
from atm.evaluation.folder import read_motion
from atm.evaluation.report import Report
from atm.export import load_motion
from atm.export.bvh import save_bvh
from atm.export.glb import save_glb
from atm.export.recordings import read_motion as read_recording
from atm.generators.remodiffuse.database import read_database
from atm.models import load_generator
from atm.motion import HUMANML3D
from atm.published import read_pickle
from atm.scripted.sampling import read_combinations
from atm.training.checkpoint import read_checkpoint
from atm.training.config import TrainConfig
from atm.training.presets import preset
from atm.training.record import RunFolder

INPUTS = int(os.environ.get("FUZZ_INPUTS", "60"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
MOST_SECONDS = 5.0
CANARY = "ATM_FUZZ_CANARY"


class Touch:
    """A pickle that would leave a mark if anything ran it."""

    def __reduce__(self):
        return os.putenv, (CANARY, "ran")


def joints() -> np.ndarray:
    places = np.zeros((20, 22, 3), np.float32)
    places[:, :, 1] = np.linspace(0, 1.7, 22)
    places[:, :, 0] = np.linspace(0, 0.3, 22)
    return places


def stored(write: Callable[[io.BytesIO], None]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def bvh(folder: Path) -> bytes:
    save_bvh(folder / "good.bvh", joints(), HUMANML3D)
    return (folder / "good.bvh").read_bytes()


def record(path: Path) -> None:
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    (folder / "record.json").write_bytes(path.read_bytes())
    RunFolder(folder).read_record()


def metrics(path: Path) -> None:
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_bytes(path.read_bytes())
    RunFolder(folder).drop_metrics_after(3)


def glb(folder: Path) -> bytes:
    save_glb(folder / "good.glb", joints(), HUMANML3D)
    return (folder / "good.glb").read_bytes()


def amass(folder: Path) -> bytes:
    poses = np.zeros((20, 156), np.float32)
    arrays = {"poses": poses, "trans": np.zeros((20, 3), np.float32), "mocap_framerate": np.float64(60)}
    return stored(lambda file: np.savez(file, **arrays))


def archive(folder: Path) -> bytes:
    facts = {"text": np.array("a"), "provenance": np.array("{}")}
    return stored(lambda file: np.savez_compressed(file, joints=joints(), **facts))


def model(folder: Path) -> bytes:
    metadata = {"atm": "generator", "config": preset("mdm_small").model.model_dump_json()}
    return as_safetensors({"weight": torch.ones(3)}, metadata)


KINDS: dict[str, tuple[str, Callable[[Path], bytes], tuple[Callable[[Path], object], ...]]] = {
    "npz": (".npz", archive, (load_motion, lambda path: read_motion(path, HUMANML3D), read_database)),
    "npy": (
        ".npy",
        lambda _: stored(lambda file: np.save(file, np.zeros((50, 263), np.float32))),
        (load_motion, lambda path: read_motion(path, HUMANML3D), lambda path: read_clip(path, 263)),
    ),
    "bvh": (".bvh", bvh, (read_bvh, joint_names, read_recording)),
    "glb": (".glb", glb, (read_recording,)),
    "amass": (".npz", amass, (read_recording,)),
    "model": (".safetensors", model, (read_model, load_generator, read_database)),
    "weights": (
        ".pt",
        lambda _: stored(lambda file: torch.save({"a": torch.zeros(3), "b": {"c": torch.ones(2)}}, file)),
        (read_pickle, read_checkpoint),
    ),
    "pickle": (".pt", lambda _: pickle.dumps({"a": Touch()}), (read_pickle, read_checkpoint)),
    "config": (
        ".yaml",
        lambda _: yaml.safe_dump(preset("mdm_small_atm").model_dump(mode="json")).encode(),
        (lambda path: load(TrainConfig, path),),
    ),
    "prompts": (".json", lambda _: b'["a person walks", {"text": "he jumps", "seconds": 3}]', (read_prompts,)),
    "captions": (".csv", lambda _: b"file,caption,start,end\na.bvh,a person walks,0,2\n", (read_captions_file,)),
    "caption lines": (
        ".jsonl",
        lambda _: b'{"file": "a.bvh", "caption": "a person walks", "start": 0, "end": 2}\n',
        (read_captions_file,),
    ),
    "mapping": (".yaml", lambda _: b"left_knee: LeftLeg\nhead: Head\n", (read_mapping,)),
    "hold out": (".json", lambda _: b'[{"verb": "walk", "count": 7}]', (read_combinations,)),
    "record": (".json", lambda _: json.dumps({"seed": 1, "step": 5}).encode(), (record,)),
    "metrics": (".jsonl", lambda _: b'{"step": 1, "loss": 2.0}\n{"step": 4}\n', (metrics,)),
    "report": (".json", lambda _: b'{"name": "a", "short": true}', (Report.read,)),
}

TOKENS = [
    b"\0", b"\xff\xfe", b"9" * 5000, b"1e308", b"-1", b"nan", b"[" * 2000, b"{" * 2000, b'"', b"'", b"\n", b"&a [*a]",
    b"null", b"true", b"{}", b"[]", b"\xed\xa0\x80", b"!!python/object/apply:os.system ['true']", b" " * 5000, b"}",
    b"]",
]  # fmt: skip


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Change a file in one to four places: bits, cuts, doubled and swapped parts, and words that parsers fear."""
    for _ in range(draw.randint(1, 4)):
        a, b = sorted(draw.randint(0, len(content)) for _ in range(2))
        b = min(b, a + draw.choice([1, 4, 64, 10**6]))
        way = draw.randrange(6)
        if way == 0 and content:
            place = draw.randrange(len(content))
            content = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
        elif way == 1:
            content = content[:a] + content[b:]
        elif way == 2:
            content = content[:a]
        elif way == 3:
            content = content[:b] + content[a:]
        elif way == 4:
            content = content[:a] + draw.choice(TOKENS) + content[b:]
        else:
            content = content[:a] + draw.randbytes(b - a) + content[b:]
    return content


def attack(folder: Path, kind: str, inputs: int) -> None:
    suffix, good, readers = KINDS[kind]
    whole, draw = good(folder), random.Random(f"{SEED} {kind}")
    for number in range(inputs):
        file = folder / f"{number}{suffix}"
        content = whole if number == 0 else damaged(whole, draw)
        file.write_bytes(content)
        for place, read in enumerate(readers):
            begun = time.process_time()
            try:
                read(file)
            except InputError as error:
                assert str(error) and len(str(error)) < 20_000
            except Exception as error:
                raise AssertionError(f"{kind} {number}, reader {place}, seed {SEED}: {error!r}") from error
            assert time.process_time() - begun < MOST_SECONDS, f"{kind} {number}, reader {place}, seed {SEED}"
        assert file.read_bytes() == content, "a reader leaves a file as it is"
        file.unlink()
    assert CANARY not in os.environ


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path, kind):
    attack(tmp_path, kind, INPUTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_damaged_files_are_read_or_refused_in_one_sentence(tmp_path, kind):
    attack(tmp_path, kind, 2000)


KEYS = [
    "steps", "seed", "batch_size", "learning_rate", "alignment.inter.weight", "alignment", "model", "model.width",
    "model.name", "betas", "milestones", "data", "precision", "window", "ema", "alignment.space", "keep", "steps[0]",
    "", ".steps", "steps.", "model..width", "model.width.x", "__class__", "model." * 500 + "a",
]  # fmt: skip
VALUES = [
    "nan", "inf", "-1", "0", "1e400", "\u0661\u0662", "1_000", "0x10", "true", "none", "", "[]", "{}", "[1,2,3]",
    "{a: 1}",
    "${oc.env:HOME}", "${nope}", "???", "a=b", "'", '"', "[", "{", "&a [*a]", "\0", "\n", "9" * 5000, "\ud800",
    "a" * 100_000, "{" * 3000, "../../x",
]  # fmt: skip


def test_every_key_with_every_value_is_taken_or_refused_in_one_sentence():
    base = preset("mdm_small_atm")
    for key in KEYS:
        for value in VALUES:
            try:
                override(base, [f"{key}={value}"])
            except InputError:
                continue
            except Exception as error:
                raise AssertionError(f"{key}={value[:60]!r}: {error!r}") from error
