"""`atm import`: a tiny published checkpoint of every system becomes a run folder that the other commands take."""

import hashlib
import json
import sys

import pytest
import torch

from atm.cli.app import run as atm
from atm.embedding import load_space
from atm.errors import InputError
from atm.evaluation.weights import load_evaluator
from atm.generators import generator_names, load_generator
from atm.generators.remodiffuse import weights as remodiffuse_weights
from atm.importing import import_published, systems
from atm.pack import pack
from checkpoints import REMODIFFUSE, WRITERS, bamm, evaluator, mdm, mld, momask, motiondiffuse, remodiffuse, tmr
from doubles import FakeTextEncoder

GENERATORS = ["mdm", "mld", "motiondiffuse", "remodiffuse", "momask", "bamm"]


@pytest.fixture(autouse=True)
def small_remodiffuse(monkeypatch):
    small = {width: known._replace(config=REMODIFFUSE) for width, known in remodiffuse_weights.PUBLISHED.items()}
    monkeypatch.setattr(remodiffuse_weights, "PUBLISHED", small)


def imported(system, written, out, **options):
    return import_published(system, written.path, out, show_progress=False, **written.options, **options)


def load(system, run):
    if system == "tmr":
        return load_space(run, FakeTextEncoder(768)).eval()
    if system == "evaluator":
        return load_evaluator(run / "model.safetensors")
    width = 768 if system == "mld" else 512
    name = json.loads((run / "record.json").read_text())["text_encoder"] if False else ENCODERS[system]
    return load_generator(run, FakeTextEncoder(width, name))


NOT_PUBLISHED = ("code_sum", "code_count")
"""Averages behind a tokeniser's codes."""
ENCODERS = {
    "mdm": "clip_b32_22", "mld": "clip_l14_77", "motiondiffuse": "clip_b32_77_padded",
    "remodiffuse": "clip_b32_77_padded", "momask": "clip_b32_77", "bamm": "clip_b32_77",
}  # fmt: skip


@pytest.mark.parametrize("system", WRITERS)
def test_a_published_checkpoint_becomes_a_run_with_its_weights_and_where_they_are_from(tmp_path, system):
    written, run = WRITERS[system](tmp_path / "theirs"), tmp_path / "run"
    outcome = imported(system, written, run)
    assert outcome.path == run
    model = load(system, run)
    for key, value in written.model.state_dict().items():
        if not key.startswith("normaliser.") and not key.endswith(NOT_PUBLISHED):
            torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=0)
    record = json.loads((run / "record.json").read_text())
    assert record["imported"] == system
    assert record["source"]
    for file, digest in record["source"].items():
        assert hashlib.sha256(open(file, "rb").read()).hexdigest() == digest
    packed = pack(run, tmp_path / "packed.safetensors")
    assert packed.stat().st_size < (run / "model.safetensors").stat().st_size
