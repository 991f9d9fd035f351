"""Evaluate a run, a model file, or a folder of motions, from paths."""

import hashlib
from pathlib import Path

import torch

from atm.data.humanml3d import open_dataset
from atm.errors import InputError
from atm.evaluation.evaluator import Tail
from atm.evaluation.protocol import entries_of, evaluate, evaluate_folder, reference_of
from atm.evaluation.report import Multimodality, Report
from atm.evaluation.weights import load_evaluator
from atm.generators import load_generator
from atm.packaged import packaged
from atm.storage import MODEL_FILE, RUN_CONFIG, find_model
from atm.text import CachedTextEncoder

TAILS: tuple[Tail, ...] = ("zero", "published")


def evaluate_path(
    what: Path,
    *,
    data: Path,
    evaluator: Path | None = None,
    split: str = "test",
    repeats: int = 20,
    limit: int | None = None,
    multimodality: bool = True,
    tail: str = "zero",
    guidance_scale: float | None = None,
    seed: int = 0,
    out: Path | None = None,
    show_progress: bool = True,
) -> tuple[Report, Path]:
    """Evaluate and write the report.

    Args:
        what: run folder, model file, or a folder of motions named by the ids of the split.
        data: data folder; its train split gives the statistics of the kinematic distance.
        evaluator: run folder or file; None: the packaged one, which knows scripted motions only.
        split, repeats, limit, multimodality, tail, guidance_scale, seed: see `evaluate`.
        out: None: `evaluation.json` in the run folder, or beside the model file or motions.
        show_progress: a bar.

    Returns:
        The report, and the path that it was written to.
    """
    for name, value in (("repeats", repeats), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    if tail not in TAILS:
        raise InputError(f"tail must be {' or '.join(TAILS)}, got {tail!r}")
    judge = load_evaluator(packaged("evaluator") if evaluator is None else find_model(evaluator))
    dataset = open_dataset(data, split)
    entries, reference = entries_of(dataset), reference_of(open_dataset(data, "train"))
    common = {"repeats": repeats, "reference": reference, "seed": seed, "show_progress": show_progress}
    if what.is_dir() and not any((what / name).is_file() for name in (MODEL_FILE, RUN_CONFIG)):
        path = out or what / "evaluation.json"
        return evaluate_folder(what, entries, judge, path=path, **common), path
    file = find_model(what)
    path = out or (what if what.is_dir() else file.parent) / "evaluation.json"
    generator = load_generator(file)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator.to(device)
    judge.to(device)
    encoder = CachedTextEncoder(generator.text_encoder)
    encoder.prepare(dataset.captions(), progress=show_progress)
    object.__setattr__(generator, "text_encoder", encoder)

    def generate(text, lengths, seeds):
        return generator.sample(text, lengths, seeds=seeds, guidance_scale=guidance_scale)

    report = evaluate(
        generate, entries, judge, name=what.stem, model=_digest(file, guidance_scale),
        samples=limit, multimodality=Multimodality() if multimodality else None, tail=tail, path=path, **common,
    )  # fmt: skip
    return report, path


def _digest(file: Path, guidance_scale: float | None) -> str:
    """What tells one generator from another: its weights, and how they are sampled."""
    guidance = "its own" if guidance_scale is None else f"{guidance_scale:g}"
    return f"{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}, guidance {guidance}"
