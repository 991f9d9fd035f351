"""The field's protocol: generate for the drawn captions and lengths of a split, measure, repeat, average.

Source: evaluation code of Guo et al. 2022 and of MDM (lengths of the drawn real crops; R-Precision within 32). Ours
adds the kinematic measures and oracle scores, draws text-motion batches from one stream of random numbers per
replication, so that a replication can be repeated alone, and by default clears what a generator left behind the end.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from atm.base.errors import InputError
from atm.base.progress import progress_bar
from atm.data.humanml3d import MotionDataset, by_length
from atm.evaluation.evaluator import FRAMES_PER_STEP, MAX_FRAMES, Evaluator, Tail
from atm.evaluation.folder import FolderMotion, read_folder
from atm.evaluation.kept import kept, source_digest
from atm.evaluation.kinematics import KinematicReference, kinematic_features
from atm.evaluation.metrics import DIVERSITY_PAIRS, RANKED_WITHIN, diversity_pairs, fid_caution
from atm.evaluation.published import PUBLISHED_TAIL, PublishedProtocol
from atm.evaluation.replication import (
    REAL_BATCH,
    Draw,
    Entry,
    Judge,
    Rows,
    Task,
    batches,
    padded,
    real_motion,
    real_oracles,
    replicate,
)
from atm.evaluation.report import REAL, REPEATS, Multimodality, Protocol, Report
from atm.evaluation.sampling import Crop
from atm.motion import Motion, skeleton_of_width

Generate = Callable[[list[str], Int[Tensor, "B"], list[int]], Motion]
"""Text, lengths in frames and one seed per row; gives one motion per text."""


def entries_of(dataset: MotionDataset, held_out: Collection[str] = ()) -> list[Entry]:
    """Return the entries of a split; `held_out` are ids of clips whose combinations training never shows."""
    return [
        Entry(item.id, dataset.features(item), item.captions, item.program, item.id in held_out)
        for item in dataset.items
    ]


def reference_of(dataset: MotionDataset) -> KinematicReference:
    """Return the kinematic reference of a split: the training split of the data that is evaluated on."""
    return _reference(entries_of(dataset))


def evaluate(
    generate: Generate,
    entries: Sequence[Entry],
    evaluator: Evaluator,
    *,
    name: str = "generated",
    model: str = "",
    repeats: int = REPEATS,
    samples: int | None = None,
    batch: int = 32,
    multimodality: Multimodality | None = None,
    tail: Tail = "zero",
    published: PublishedProtocol | None = None,
    reference: KinematicReference | None = None,
    judge: Judge | None = None,
    seed: int = 0,
    path: Path | None = None,
    show_progress: bool = True,
) -> Report:
    """Evaluate a generator. Every replication generates anew.

    Args:
        generate: a generator's `sample`, or anything with its arguments.
        entries: of the test split, see `entries_of`.
        evaluator: trained on the same features; never the space that the losses used.
        name: of the model, in tables.
        model: what tells its weights from others (a digest, a run and step); an interrupted evaluation goes on only
            where this is the same.
        repeats: replications.
        samples: motions of a replication, rounded up to whole batches of 32 (published for MDM: 1000, hence 1024);
            None: one for each entry.
        batch: motions generated at once. R-Precision ranks within 32 in any case.
        multimodality: None leaves it out.
        tail: of generated motions, see `Evaluator.encode_motion`.
        published: whose published protocol is followed, see `published_protocol`: `samples` and `tail` are then its
            own, and so is `multimodality` where it is measured.
        reference: kinematic features of real training motions; None takes those of `entries`.
        judge: scores entries that have a program; None leaves those scores out.
        seed: of draws and generation.
        path: the report is written here after each replication, and an interrupted one goes on from here. A finished
            one with other settings is kept as `<name>.old.json`.
        show_progress: a bar on standard error.

    Raises:
        InputError: fewer than 32 entries, features of another width than the evaluator's, or a generated motion that
            is not finite, too short, or of another width.
    """

    def produce(draws: Sequence[Draw], rng: np.random.Generator) -> Iterator[Rows]:
        seeds = rng.integers(2**31, size=len(draws)).tolist()
        for rows in batches(list(zip(draws, seeds, strict=True)), batch):
            text = [row.caption.text for row, _ in rows]
            lengths = torch.tensor([row.crop.frames for row, _ in rows])
            motion = _checked(generate(text, lengths, [one for _, one in rows]), text, evaluator, tail)
            yield Rows(motion, [row for row, _ in rows])

    rules, notes = "ours", ()
    if published is not None:
        rules, samples, tail = "published", published.samples, PUBLISHED_TAIL
        multimodality = None if multimodality is None else published.multimodality
        notes = (f"published protocol, as of {published.authors}: {published.note}",)
        entries = by_length(entries)
    task = Task(list(entries), evaluator, produce, tail, reference, seed, samples, multimodality, notes, judge, rules)
    return _run(task, name, model, repeats, path, show_progress)


def evaluate_folder(
    folder: Path,
    entries: Sequence[Entry],
    evaluator: Evaluator,
    *,
    name: str | None = None,
    repeats: int = REPEATS,
    reference: KinematicReference | None = None,
    judge: Judge | None = None,
    seed: int = 0,
    path: Path | None = None,
    show_progress: bool = True,
) -> Report:
    """Evaluate motions that another program made: files named by the ids of the split, see `read_folder`.

    There is one motion of each id, so replications differ in real captions and crops and in what is ranked together,
    not in the generated motions. A file that does not say its text counts as generated from its entry's first caption.

    Raises:
        InputError: as `read_folder` and `evaluate`; a text that is no caption of its entry.
    """
    skeleton = skeleton_of_width(evaluator.config.features)
    found, missing = read_folder(folder, [entry.id for entry in entries], skeleton)
    present = [entry for entry in entries if entry.id in found]

    def produce(draws: Sequence[Draw], rng: np.random.Generator) -> Iterator[Rows]:
        for rows in batches(draws, REAL_BATCH):
            made = [_as_made(row.entry, found[row.entry.id]) for row in rows]
            motion = padded([found[row.entry.id].features[: row.crop.frames] for row in made])
            yield Rows(motion.to(evaluator.normaliser.mean.device), made)

    notes = ["one generated motion of each id: intervals do not hold the spread of generation"]
    if missing:
        notes.append(f"{len(missing)} of {len(entries)} ids have no motion in {folder}: {_listed(missing)}")
    task = Task(present, evaluator, produce, "zero", reference, seed, None, None, tuple(notes), judge)
    digest = hashlib.sha256()
    for key, motion in found.items():
        digest.update(key.encode() + motion.features.tobytes())
    return _run(task, name or folder.name, digest.hexdigest()[:16], repeats, path, show_progress)


@torch.no_grad()
def _run(task: Task, name: str, model: str, repeats: int, path: Path | None, show_progress: bool) -> Report:
    if repeats < 1:
        raise InputError(f"an evaluation has at least 1 replication, got {repeats}")
    if name == REAL:
        raise InputError(f"{REAL!r} is the name of the real row; give the model another one")
    if task.real == 0:
        raise InputError(f"an evaluation needs at least {RANKED_WITHIN} motions, got {len(task.entries)}")
    task.evaluator.eval()
    report = _begun(_new_report(task, name, model), path)
    begun = len(report.replications)
    if begun >= repeats:
        return report
    reference = task.reference or _reference(task.entries)
    oracles = _real_oracles(task, report.protocol.data)
    with progress_bar(show=show_progress) as bar:
        total = repeats * task.motions
        shown = bar.add_task(f"evaluating {name}", total=total, completed=begun * task.motions, note="")
        for number in range(begun, repeats):
            bar.update(shown, note=f"replication {number + 1} of {repeats}")
            real, made = replicate(task, reference, number, lambda rows: bar.advance(shown, rows))
            done = (*report.replications, {REAL: real | oracles, name: made})
            report = report.model_copy(update={"replications": done})
            if path is not None:
                report.write(path)
    return report


def _new_report(task: Task, name: str, model: str) -> Report:
    protocol = Protocol(
        samples=task.generated,
        real=task.real,
        tail=task.tail,
        seed=task.seed,
        multimodality=task.multimodality,
        evaluator=_digest(task.evaluator),
        data=_data_digest(task.entries),
        model=model,
        rules=task.rules,
    )
    tails = "zeroed" if task.tail == "zero" else "left as they came, as in published numbers"
    notes = [f"frames behind the end of generated motions: {tails}; of real motions: zeroed", *task.notes]
    pairs = diversity_pairs(task.generated)
    if pairs != DIVERSITY_PAIRS:
        notes.append(f"Diversity of {pairs} pairs, not of {DIVERSITY_PAIRS}: there are {task.generated} motions")
    if task.reference is None:
        notes.append("kinematic FID against the evaluated split itself: no training motions were given")
    caution = fid_caution(task.generated, task.evaluator.config.embedding)
    return Report(name=name, protocol=protocol, notes=(*notes, *([caution] if caution else [])))


def _begun(report: Report, path: Path | None) -> Report:
    """Return the report to go on from: the file's where it is of the same evaluation, else a new one."""
    if path is None or not path.is_file():
        return report
    begun = Report.read(path)
    if (begun.name, begun.protocol) == (report.name, report.protocol):
        return report.model_copy(update={"replications": begun.replications})
    path.replace(_free_name(path))
    return report


def _free_name(path: Path) -> Path:
    """Return where an older evaluation goes: `.old.json`, or with a number where there is one already."""
    names = (path.with_suffix(f".old{number}.json") for number in ("", *range(2, 10_000)))
    return next(name for name in names if not name.exists())


def _digest(evaluator: Evaluator) -> str:
    digest = hashlib.sha256()
    for name, value in evaluator.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _data_digest(entries: Sequence[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        texts = "\n".join(caption.text for caption in entry.captions)
        digest.update(f"{entry.id}\n{texts}\n".encode() + entry.features.tobytes())
    return digest.hexdigest()[:16]


def _reference(entries: Sequence[Entry]) -> KinematicReference:
    whole = [Draw(entry, Crop(0, 0, len(entry.features))) for entry in entries]

    def read() -> np.ndarray:
        parts = [kinematic_features(real_motion(part)).cpu().numpy() for part in batches(whole, REAL_BATCH)]
        return np.concatenate(parts or [np.empty((0, 0), dtype=np.float32)])

    digest = hashlib.sha256()
    for entry in entries:
        digest.update(len(entry.features).to_bytes(4, "big") + entry.features.tobytes())
    raw = kept("kinematic", [digest.hexdigest(), source_digest("atm.evaluation.kinematics")], read)
    groups = skeleton_of_width(entries[0].features.shape[1]).columns.values() if entries else ()
    return KinematicReference.of_features(raw.astype(np.float64), groups)


def _real_oracles(task: Task, data: str) -> dict[str, float | None]:
    """Return `real_oracles` of a task, kept for the next evaluation on the same data."""
    if task.judge is None:
        return {}

    def read() -> np.ndarray:
        return np.array(json.dumps(real_oracles(task.entries, task.judge)))

    programs = hashlib.sha256(json.dumps([[one.program, one.held_out] for one in task.entries]).encode()).hexdigest()
    return json.loads(str(kept("oracles", [data, programs, task.judge.version], read)))


def _checked(motion: Motion, text: Sequence[str], evaluator: Evaluator, tail: Tail) -> Motion:
    """Return a generator's motions, on the evaluator's device; what cannot be measured is refused by its text."""
    width = evaluator.config.features
    if len(motion) != len(text) or motion.features.shape[-1] != width:
        raise InputError(
            f"expected {len(text)} motions of {width} features per frame, got {len(motion)} of "
            f"{motion.features.shape[-1]}: generator and evaluator must belong to the same data set"
        )
    if tail == "zero":
        motion = Motion(motion.features.masked_fill(~motion.mask[..., None], 0.0), motion.lengths)
    for row, length in enumerate(motion.lengths.tolist()):
        if length < FRAMES_PER_STEP or not torch.isfinite(motion.features[row]).all():
            fault = f"has {length} frames" if length < FRAMES_PER_STEP else "holds NaN or infinite values"
            raise InputError(f"the motion generated for {text[row]!r} {fault}; has the model been trained?")
    return motion.to(evaluator.normaliser.mean.device)


def _as_made(entry: Entry, motion: FolderMotion) -> Draw:
    """Return a folder's motion with the caption that it was made from."""
    frames = min(len(motion.features), MAX_FRAMES) // FRAMES_PER_STEP * FRAMES_PER_STEP
    texts = [caption.text for caption in entry.captions]
    if motion.text is not None and motion.text not in texts:
        raise InputError(f"{entry.id}: its text {motion.text!r} is no caption of this entry; expected one of {texts}")
    return Draw(entry, Crop(0 if motion.text is None else texts.index(motion.text), 0, frames))


def _listed(names: Sequence[str], count: int = 10) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
