"""One replication of the protocol: draw real motions, have as many generated, measure both."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.data.humanml3d import Caption
from atm.evaluation import metrics
from atm.evaluation.evaluator import Evaluator, Tail
from atm.evaluation.kinematics import KinematicReference, kinematic_features, movement_measures
from atm.evaluation.report import HELD_OUT, ORACLE, Multimodality
from atm.evaluation.sampling import Crop, draw
from atm.motion import Motion, padded

T = TypeVar("T")

REAL_BATCH = 128
"""Real motions that are measured at once; changes the speed only."""


@dataclass(frozen=True)
class Entry:
    """A real motion of the split that is evaluated on."""

    id: str
    features: Float[np.ndarray, "T D"]
    """In published units."""
    captions: tuple[Caption, ...]
    program: Any = None
    """Script of the motion, for the judge that is given to the evaluation; None: unknown."""
    held_out: bool = False
    """The clip has a combination of action and number or side that training never shows."""

    @property
    def frames(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Draw:
    """A caption and a crop of an entry."""

    entry: Entry
    crop: Crop

    @property
    def caption(self) -> Caption:
        return self.entry.captions[self.crop.caption]


class Judge(NamedTuple):
    """Says whether a motion does what its entry's program asks (oracles, on scripted data)."""

    judge: Callable[[Float[np.ndarray, "T J 3"], Any, str], Any]
    """(joints in metres, program, caption) to a verdict."""
    scores: Callable[[list[Any]], dict[str, float]]
    """Verdicts to the share of right attributes, by attribute."""
    version: str
    """Name that no other judge has: readings of real motions are kept by it."""


@dataclass(frozen=True)
class Rows:
    """Motions and what they were drawn or generated for."""

    motion: Motion
    draws: list[Draw]


@dataclass(frozen=True)
class Task:
    """All that a replication needs."""

    entries: list[Entry]
    evaluator: Evaluator
    produce: Callable[[Sequence[Draw], np.random.Generator], Iterator[Rows]]
    tail: Tail
    reference: KinematicReference | None
    seed: int
    samples: int | None
    multimodality: Multimodality | None
    notes: tuple[str, ...] = ()
    judge: "Judge | None" = None
    rules: str = "ours"

    @property
    def real(self) -> int:
        """Real motions of a replication: whole batches of 32, as the published loader drops the last."""
        return len(self.entries) // metrics.RANKED_WITHIN * metrics.RANKED_WITHIN

    @property
    def generated(self) -> int:
        """Generated motions of a replication."""
        whole = -(-(self.samples or self.real) // metrics.RANKED_WITHIN)
        return min(whole * metrics.RANKED_WITHIN, self.real)

    @property
    def motions(self) -> int:
        """All motions that a replication generates."""
        repeated = self.multimodality
        return self.generated + (min(repeated.texts, self.real) * repeated.repeats if repeated else 0)


@dataclass
class Measured:
    """Measurements of some motions, gathered batch by batch."""

    z_text: list[np.ndarray] = field(default_factory=list)
    z_motion: list[np.ndarray] = field(default_factory=list)
    kinematic: list[np.ndarray] = field(default_factory=list)
    movement: list[dict[str, np.ndarray]] = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    """Verdicts of the oracles, on scripted data."""
    held_out: list[bool] = field(default_factory=list)
    """One flag for each verdict: True if its clip's combination was held out of training."""
    judged_by: Judge | None = None

    def add(self, rows: Rows, evaluator: Evaluator, tail: Tail) -> None:
        self.z_text.append(_numbers(evaluator.encode_text([list(draw.caption.words) for draw in rows.draws])))
        self.z_motion.append(_numbers(evaluator.encode_motion(rows.motion, tail)))
        self.kinematic.append(_numbers(kinematic_features(rows.motion)))
        self.movement.append(movement_measures(rows.motion))

    def judge(self, rows: Rows) -> None:
        if self.judged_by is None or all(row.entry.program is None for row in rows.draws):
            return
        joints = rows.motion.joints.cpu().numpy()
        for body, length, row in zip(joints, rows.motion.lengths.tolist(), rows.draws, strict=True):
            if row.entry.program is not None:
                self.verdicts.append(self.judged_by.judge(body[:length], row.entry.program, row.caption.text))
                self.held_out.append(row.entry.held_out)

    def scores(
        self, z_real: Float[np.ndarray, "N E"], reference: KinematicReference, rng: np.random.Generator
    ) -> dict[str, float | None]:
        """Return all metrics but MultiModality. `z_real`: another pass over the real motions, for FID."""
        z_text, z_motion = np.concatenate(self.z_text), np.concatenate(self.z_motion)
        kinematic = np.concatenate(self.kinematic)
        top = metrics.r_precision(z_text, z_motion)
        scores: dict[str, float | None] = {f"r_precision_{k + 1}": float(top[k]) for k in range(3)}
        scores["fid"] = metrics.fid(z_real, z_motion)
        scores["mm_dist"] = metrics.mm_dist(z_text, z_motion)
        scores["diversity"] = metrics.diversity(z_motion, rng)
        scores["kinematic_fid"] = reference.distance(kinematic)
        scores["kinematic_fid_small"] = reference.small_distance(kinematic)
        for name in self.movement[0]:
            values = np.concatenate([measures[name] for measures in self.movement])
            known = values[np.isfinite(values)]
            scores[name] = float(known.mean()) if len(known) else None
        scores |= self.oracles()
        return scores

    def oracles(self) -> dict[str, float | None]:
        """Return share of right attributes, also of the clips that were held out; empty without scripted motions."""
        if not self.verdicts:
            return {}
        apart = [verdict for verdict, held_out in zip(self.verdicts, self.held_out, strict=True) if held_out]
        groups = {"": self.verdicts, HELD_OUT: apart}
        return {
            ORACLE + attribute + suffix: share
            for suffix, verdicts in groups.items()
            if verdicts
            for attribute, share in self.judged_by.scores(verdicts).items()
        }


def replicate(
    task: Task, reference: KinematicReference, number: int, advance: Callable[[int], None]
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return scores of real motions and of generated ones. Every random number comes from (seed, number)."""
    state = np.random.SeedSequence([task.seed, number]).generate_state(3)
    rng, draw_rng, np_rng = np.random.default_rng(state), random.Random(int(state[1])), np.random.RandomState(state[2])
    evaluator = task.evaluator

    draws = _pass(task.entries, task.real, draw_rng, np_rng)
    real = Measured()
    for part in batches(draws, REAL_BATCH):
        real.add(Rows(real_motion(part).to(_device(evaluator)), list(part)), evaluator, "zero")
    # FID compares with a second pass: against the very same crops even real motions would have FID 0.
    again = _pass(task.entries, task.real, draw_rng, np_rng)
    z_real = np.concatenate(
        [
            _numbers(evaluator.encode_motion(real_motion(part).to(_device(evaluator))))
            for part in batches(again, REAL_BATCH)
        ]
    )

    made = Measured(judged_by=task.judge)
    for rows in task.produce(draws[: task.generated], rng):
        made.add(rows, evaluator, task.tail)
        made.judge(rows)
        advance(len(rows.motion))
    scores = made.scores(z_real, reference, rng)
    if task.multimodality is not None:
        scores["multimodality"] = _multimodality(task, task.multimodality, draws, rng, advance)
    return real.scores(z_real, reference, rng), scores


def _multimodality(
    task: Task, how: Multimodality, draws: list[Draw], rng: np.random.Generator, advance: Callable[[int], None]
) -> float:
    repeated = [row for row in draws[: how.texts] for _ in range(how.repeats)]
    embeddings = []
    for rows in task.produce(repeated, rng):
        embeddings.append(_numbers(task.evaluator.encode_motion(rows.motion, task.tail)))
        advance(len(rows.motion))
    z_motion = np.concatenate(embeddings)
    return metrics.multimodality(z_motion.reshape(-1, how.repeats, z_motion.shape[1]), rng, pairs=how.pairs)


def _pass(entries: Sequence[Entry], size: int, rng: random.Random, np_rng: np.random.RandomState) -> list[Draw]:
    """Return the first `size` of a shuffled pass over the entries, each with a caption and a crop."""
    chosen = np_rng.permutation(len(entries))[:size]
    return [
        Draw(entries[i], draw(len(entries[i].features), len(entries[i].captions), rng=rng, np_rng=np_rng))
        for i in chosen
    ]


def real_oracles(entries: Sequence[Entry], judge: Judge | None) -> dict[str, float | None]:
    """Return oracle scores of whole real motions: a crop may lose the last step that its caption counts."""
    measured = Measured(judged_by=judge)
    scripted = [Draw(entry, Crop(0, 0, len(entry.features))) for entry in entries if entry.program is not None]
    for part in batches(scripted, REAL_BATCH):
        measured.judge(Rows(real_motion(part), list(part)))
    return measured.oracles()


def real_motion(draws: Sequence[Draw]) -> Motion:
    """Return the real crops that were drawn."""
    return padded([row.entry.features[row.crop.start : row.crop.start + row.crop.frames] for row in draws])


def batches(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    """Run of `size` rows; the last may be shorter."""
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


def _device(evaluator: Evaluator) -> torch.device:
    return evaluator.normaliser.mean.device


def _numbers(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
