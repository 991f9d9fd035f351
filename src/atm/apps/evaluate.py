"""Evaluate a run, a model file, or a folder of motions, from paths."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from atm.apps.best_of import CHOOSER, best_of
from atm.apps.options import EvaluateOptions
from atm.apps.probing import probe_evaluator, probe_space, probing_table
from atm.apps.resources import device, open_generator
from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.outputs import check_output, make_folder_of, output
from atm.base.packaged import packaged
from atm.base.storage import MODEL_FILE, RUN_CONFIG, find_model, read_model
from atm.data.humanml3d import MotionDataset, open_dataset
from atm.evaluation.kept import source_digest
from atm.evaluation.protocol import entries_of, evaluate, evaluate_folder, reference_of
from atm.evaluation.published import published_protocol
from atm.evaluation.replication import Judge
from atm.evaluation.report import PART, PROGRAM, Multimodality, Report
from atm.evaluation.weights import load_evaluator
from atm.interface import Batch, TextEncoder
from atm.motion import padded
from atm.space import SpaceConfig, load_space
from atm.space.report import retrieval_report
from atm.space.retrieval import retrieval_table
from atm.space.similarity import similarity_distribution, similarity_table
from atm.text import CachedTextEncoder, load_text_encoder

RETRIEVED_AT_ONCE = 64
JUDGED_BY = ("atm.scripted.oracles", "atm.scripted.said", "atm.scripted.captions", "atm.meaning", "atm.motion")
"""Code that a verdict follows from."""


def evaluate_path(
    what: Path,
    *,
    data: Path,
    evaluator: Path | None = None,
    options: EvaluateOptions | None = None,
    out: Path | None = None,
    show_progress: bool = True,
) -> tuple[Report, Path]:
    """Evaluate and write the report.

    Args:
        what: run folder, model file, or a folder of motions named by the ids of the split.
        data: data folder; its train split gives the statistics of the kinematic distance.
        evaluator: run folder or file; None: the packaged one, which knows scripted motions only.
        options: protocol, numbers and seeds; None: the defaults.
        out: None: `evaluation.json` in the run folder, or beside the model file or motions.
        show_progress: show a bar.

    Returns:
        The report, and the path that it was written to.
    """
    options = options or EvaluateOptions()
    if out is not None:
        make_folder_of(out)
    candidates, space, scale = options.candidates, options.space, options.guidance_scale
    network = load_evaluator(packaged("evaluator") if evaluator is None else find_model(evaluator))
    dataset = open_dataset(data, options.split)
    entries, reference = entries_of(dataset, _held_out(data)), reference_of(open_dataset(data, "train"))
    judge = oracles() if any(entry.program is not None for entry in entries) else None
    common = {
        "repeats": options.replications,
        "judge": judge,
        "reference": reference,
        "seed": options.seed,
        "show_progress": show_progress,
    }
    if what.is_dir() and not any((what / name).is_file() for name in (MODEL_FILE, RUN_CONFIG)):
        if candidates > 1 or space is not None:
            raise InputError(f"--best-of makes motions with a generator, but {what} is a folder of motions")
        if options.protocol == "published":
            raise InputError(
                f"--protocol published generates anew in every replication, but {what} is a folder of motions: leave "
                "--protocol out"
            )
        path = out or what / "evaluation.json"
        return evaluate_folder(what, entries, network, path=path, **common), path
    file = find_model(what)
    path = out or (what if what.is_dir() else _beside(file)) / "evaluation.json"
    generator = open_generator(file).generator
    network.to(device())
    encoder = CachedTextEncoder(generator.text_encoder)
    encoder.prepare(dataset.captions(), progress=show_progress)
    object.__setattr__(generator, "text_encoder", encoder)

    chosen = best_of(generator, candidates, space=space, model=file)

    def generate(text, lengths, seeds):
        return chosen.sample(text, lengths, seeds=seeds, guidance_scale=scale)

    report = evaluate(
        generate, entries, network, name=what.stem, model=_digest(file, scale, candidates, space),
        samples=options.limit, multimodality=Multimodality() if options.multimodality else None, tail=options.behind,
        published=published_protocol(generator.config.name) if options.protocol == "published" else None,
        path=path, **common,
    )  # fmt: skip
    return report, path


def oracles() -> Judge:
    """Return the judge of scripted motions: what the joints show, against what the caption says, and, as `program`,
    against all that the motion was made to do, said or not, and, as `part`, whether each of several actions is done in
    its part of the motion."""
    # Not at the top: the oracles need scipy.signal, which takes longer to import than all the rest.
    from atm.motion.program import Program
    from atm.scripted.oracles import Verdict, in_their_parts, judge, oracle_scores
    from atm.scripted.said import as_said

    def verdicts_on(joints: np.ndarray, program: Any, caption: str) -> tuple[Verdict, Verdict, list[bool]]:
        asked = Program.from_json(program)
        whole = judge(joints, asked)
        timed = len(program) > 1 and all({"begin", "end"} <= action.keys() for action in program)
        placed = in_their_parts(whole, [(action["begin"], action["end"]) for action in program]) if timed else []
        return as_said(whole, asked, caption), whole, placed

    def scores(verdicts: list[tuple[Verdict, Verdict, list[bool]]]) -> dict[str, float]:
        said = {name: share["right"] for name, share in oracle_scores(one for one, _, _ in verdicts).items()}
        placed = [right for _, _, parts in verdicts for right in parts]
        found = said | {PROGRAM: float(np.mean([whole.right for _, whole, _ in verdicts]))}
        return found | ({PART: float(np.mean(placed))} if placed else {})

    return Judge(verdicts_on, scores, source_digest(*JUDGED_BY))


def _held_out(data: Path) -> set[str]:
    """Return ids of the clips that a scripted data set keeps from training."""
    file = data / "test_held_out.txt"
    return set(file.read_text().split()) if file.is_file() else set()


def kind_of(what: Path) -> str | None:
    """Return what a run or model file holds; None: the path is neither."""
    found = what.is_file() or (what / MODEL_FILE).is_file()
    return read_model(find_model(what)).kind if found else None


def evaluate_space(
    what: Path, *, data: Path, split: str = "test", seed: int = 0, out: Path | None = None, show_progress: bool = True
) -> tuple[str, Path]:
    """Return how well a space retrieves: every protocol, on motions and on 2 s clips; how alike the captions are; and
    what the space hears of numbers, sides, directions, ... (`atm.evaluation.probing`).

    Args:
        what: run folder or model file of a space.
        data, split: what is retrieved from, with the first caption of each motion.
        seed: of the choice among false captions.
        out: None: `retrieval.json` in the run folder or beside the file; of a packaged space in the current folder.
        show_progress: a bar.

    Returns:
        The tables as text, and the path that the figures were written to.
    """
    file = find_model(what)
    path = out or _beside(file) / "retrieval.json"
    check_output(path)
    dataset = open_dataset(data, split)
    config = validate(SpaceConfig, read_model(file).config, source=str(file))
    encoders = {
        name: CachedTextEncoder(load_text_encoder(name)) for name in {config.text_encoder, config.sentence_encoder}
    }
    for encoder in encoders.values():
        encoder.prepare(dataset.captions(), progress=show_progress)
    text, sentence = encoders[config.text_encoder], encoders[config.sentence_encoder]
    space = load_space(file, text).eval()
    report = retrieval_report(space, _first_captions(dataset, sentence))
    likeness = similarity_distribution(sentence([item.captions[0].text for item in dataset.items]).sentence)
    heard = probe_space(
        space, sentence, open_dataset(data, "train"), dataset, seed=seed, show_progress=show_progress
    )  # fmt: skip
    with output(path) as part:
        part.write_text(json.dumps(report | {"hearing": heard}, indent=1))
    return f"{retrieval_table(report)}\n\n{similarity_table(likeness)}\n\n{probing_table(heard)}", path


def evaluate_evaluator(
    what: Path, *, data: Path, split: str = "test", seed: int = 0, out: Path | None = None, show_progress: bool = True
) -> tuple[str, Path]:
    """Return what an evaluator hears of numbers, sides, directions, ...; arguments and result as for `evaluate_space`,
    but the file is `hearing.json`."""
    file = find_model(what)
    path = out or _beside(file) / "hearing.json"
    check_output(path)
    judge = load_evaluator(file)
    heard = probe_evaluator(
        judge, open_dataset(data, "train"), open_dataset(data, split), seed=seed, show_progress=show_progress
    )
    with output(path) as part:
        part.write_text(json.dumps(heard, indent=1))
    return probing_table(heard), path


def _beside(file: Path) -> Path:
    """Return where results of a model file go. What comes with the package is left as it is."""
    return Path() if file.parent == packaged("space").parent else file.parent


def _first_captions(dataset: MotionDataset, sentence: TextEncoder) -> Iterator[Batch]:
    """Give every motion once, whole, with its first caption."""
    for start in range(0, len(dataset), RETRIEVED_AT_ONCE):
        items = dataset.items[start : start + RETRIEVED_AT_ONCE]
        captions = [item.captions[0].text for item in items]
        motion = padded([dataset.features(item) for item in items])
        yield Batch(motion, captions, sentence(captions).sentence, [item.id for item in items])


def _digest(file: Path, guidance_scale: float | None, candidates: int, space: Path | None) -> str:
    """Return what tells one generator from another: its weights, and how they are sampled."""
    guidance = "its own" if guidance_scale is None else f"{guidance_scale:g}"
    chosen = "" if candidates == 1 else f", best of {candidates} by {_hash(find_model(space or CHOOSER))}"
    return f"{_hash(file)}, guidance {guidance}{chosen}"


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
