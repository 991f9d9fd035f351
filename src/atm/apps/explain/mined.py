"""Which examples the losses mined for one motion of a batch, and the number behind each choice.

The paper's figure 8: for a generated motion its hard negative and the real pair behind it; its least aligned clip,
the clips that became its proxies, and their real counterparts. What was chosen is read off the objective itself;
beside it stand the candidates that came next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.alignment import Alignment, AlignmentConfig, AlignmentOutput
from atm.alignment.clips import Clips
from atm.alignment.distances import pair_distances, row_distance
from atm.alignment.inter import admissible_pairs, similarity
from atm.alignment.intra import MinedClips
from atm.alignment.negatives import Mined, mine_hard_negatives, mine_proxies
from atm.base.config import changed
from atm.base.errors import InputError
from atm.interface import Batch, StepOutput
from atm.motion import Motion, Skeleton

SHOWN_CANDIDATES = 5
"""Candidates of each choice that are listed, best first."""
SHOWN_BARRED = 3
"""Texts too alike to be negatives that are listed with them."""
NOISE = 0.5
"""Most noise on a motion that is explained. Of much more noise a model's estimate is hardly a motion."""
DRAWS = 200
"""Training steps in search of noise levels that are low enough."""


@runtime_checkable
class Stepping(Protocol):
    """A generator, or the stage of one: what is explained of it is a training step."""

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput: ...


@dataclass(frozen=True)
class Shown:
    """A generated motion, or a clip of one, with the real one at its place."""

    id: str
    text: str
    generated: Float[np.ndarray, "T J 3"]
    """In metres; the whole motion."""
    real: Float[np.ndarray, "T J 3"]
    skeleton: Skeleton
    span: tuple[int, int] | None = None
    """First frame of the clip and the frame after its last; None: the whole motion is meant."""

    @property
    def place(self) -> str:
        """Return where the clip lies, in seconds; empty where the whole motion is meant."""
        if self.span is None:
            return ""
        return " to ".join(f"{frame / self.skeleton.fps:.1f}" for frame in self.span) + " s"


@dataclass(frozen=True)
class Candidate:
    """What could have been chosen, and the numbers by which it was or was not."""

    text: str
    place: str
    """Seconds of the clip; empty for a whole motion."""
    generated_distance: float
    """D(generated, generated candidate)."""
    real_distance: float
    """D(real, real candidate)."""
    ratio: float
    """Of the two, with the floor of the config under the real one."""
    chosen: bool
    similarity: float | None = None
    """Cosine of the two texts; None for clips, which are not barred by their texts."""
    barred: bool = False
    """Its text may say the same: no negative."""


@dataclass(frozen=True)
class InterExample:
    """What the inter-motion loss saw."""

    own: Shown
    negative: Shown
    generated_distance: float
    """D(generated own, generated negative)."""
    real_distance: float
    ratio: float
    to_own: float
    """D(text, generated own)."""
    to_negative: float
    """D(text, generated negative)."""
    margin: float
    """Phi of eq. 3: from the real motions, or the fixed one of the config."""
    loss: float
    """Of the motion: with several negatives, the mean over them."""
    candidates: Sequence[Candidate]


@dataclass(frozen=True)
class IntraExample:
    """What the intra-motion loss saw."""

    anchor: Shown
    positive: Shown
    negative: Shown
    away: Sequence[tuple[str, float]]
    """Every clip of the motion: its place, and D(generated clip, real clip). The anchor's is the largest."""
    positive_distances: tuple[float, float]
    """D(clip, proxy): generated, real."""
    negative_distances: tuple[float, float]
    margin: float
    """Phi' of eq. 7: from the real clips, or the fixed one of the config."""
    loss: float
    """Of the motion. Where the motion lies above gamma: what it would be."""
    alike: float
    """cos(generated, real) of the whole motions."""
    acts: bool
    """The motion lies under gamma, so that the loss counts."""
    positives: Sequence[Candidate]
    negatives: Sequence[Candidate]


@dataclass(frozen=True)
class Explanation:
    """One row of a batch, explained."""

    inter: InterExample
    intra: IntraExample | None
    """None: the motion is too short for a clip, or no clip could be its proxy."""
    config: AlignmentConfig
    batch_size: int
    noise_level: float | None = None
    """How far the motion was noised before the model estimated it, 0 to 1; None: not noised, or sampled in full."""
    stand_in: str | None = None
    """Where the sentence is nobody's caption: the caption whose real motion stands in for the missing one."""


def explain_batch(
    generator: Stepping,
    alignment: Alignment,
    batch: Batch,
    *,
    seed: int = 0,
    row: int | None = None,
    noise: float = NOISE,
) -> Explanation:
    """Run a training step on a batch, without training, and open it up.

    Args:
        generator: its estimate of the clean motion is what is explained, as in training.
        alignment: see `explain_motions`.
        batch: real motions and texts.
        seed: of noise levels and noise.
        row: see `explain_motions`.
        noise: of a diffusion model: the highest noise level of any row, 0 to 1. Levels are drawn as in training, and
            again where they are higher. Above the config's `max_noise`, where the losses do not act, none is taken.

    Raises:
        InputError: the model gives no motion, does not draw levels so low, or no row of the batch has a hard negative.
    """
    rng = torch.Generator().manual_seed(seed)
    motion, levels = _estimates(generator, batch, rng, min(noise, alignment.config.max_noise))
    return explain_motions(motion, alignment, batch, row=row, noise_level=levels)


@torch.no_grad()
def _estimates(
    generator: Stepping, batch: Batch, rng: torch.Generator, most: float
) -> tuple[Motion, Float[Tensor, "B"] | None]:
    """Return the model's estimates of all motions, and their noise levels."""
    step = generator.training_step(batch, rng)
    if step.motion is None:
        raise InputError("this model's training step gives no motion: there is nothing to explain")
    if step.noise_level is None:
        return step.motion, None
    features, levels = step.motion.features.clone(), step.noise_level.clone()
    for _ in range(DRAWS):
        high = (levels > most).nonzero()[:, 0]
        if not len(high):
            return Motion(features, step.motion.lengths), levels
        again = generator.training_step(_rows(batch, high.tolist()), rng)
        features[high], levels[high] = again.motion.features, again.noise_level
    raise InputError(
        f"in {DRAWS} training steps this model did not noise every motion to {100 * most:g} % of its schedule or less: "
        "allow for more noise"
    )


def _rows(batch: Batch, rows: list[int]) -> Batch:
    """Return what a training step reads of these rows."""
    return Batch(
        batch.motion[rows], [batch.text[row] for row in rows], batch.sentence[rows], [batch.ids[row] for row in rows]
    )


@torch.no_grad()
def explain_motions(
    generated: Motion,
    alignment: Alignment,
    batch: Batch,
    *,
    row: int | None = None,
    noise_level: Float[Tensor, "B"] | None = None,
    stand_in: str | None = None,
) -> Explanation:
    """Return what the losses mine for one of these motions.

    Args:
        generated: row for row as in the batch.
        alignment: its rules, margins, epsilon and gamma are taken as they are. Both losses are on here, whatever
            their weights, and the negatives are mined, whatever `inter_loss` is.
        batch: real motions and texts.
        row: which motion; None: the one with the largest sum of both losses, among those where both act, where there
            is one.
        noise_level: of each row; only told.
        stand_in: see `Explanation`.

    Raises:
        InputError: no text of the batch (or none for this row) differs enough from another to be a negative.
    """
    # Gamma only weighs what was mined: with 1 the example of a motion above it can be shown, too.
    shown = {"inter.weight": 1.0, "intra.weight": 1.0, "inter.loss": "hard_negative", "intra.gamma": 1.0}
    generated, config = generated.detach(), alignment.config
    output = Alignment(changed(config, {**shown, "max_noise": 1.0}), alignment.space)(generated, batch)
    valid = output.inter_result.counts[:, 0]
    if not (valid.any() if row is None else valid[row]):
        raise InputError(
            f"no text of the batch differs enough from {'another' if row is None else repr(batch.text[row])} to be a "
            f"negative: all cosines are above epsilon={config.epsilon:g}; lower epsilon or take a larger batch"
        )
    facts = _Facts(alignment, generated, batch, output)
    chosen = facts.most_telling() if row is None else row
    return Explanation(
        facts.inter(chosen),
        facts.intra(chosen),
        config,
        len(batch),
        None if noise_level is None else float(noise_level[chosen]),
        stand_in,
    )


class _Facts:
    """Everything that the losses measured in a batch."""

    def __init__(self, alignment: Alignment, generated: Motion, batch: Batch, output: AlignmentOutput):
        self.config = alignment.config
        self.generated, self.batch = generated, batch
        self.of_motions, self.of_clips = output.inter_result, output.intra_result
        seen = output.embedded
        self.z_text, self.z_generated, self.z_real = seen.text, seen.generated, seen.real
        self.similarity = similarity(self.config, seen)
        self.admissible = admissible_pairs(self.config, seen)
        self.alike = 1 - row_distance(self.z_generated, self.z_real, "cosine")

    def most_telling(self) -> int:
        """Return the row that `explain_motions` takes by itself."""
        inter, intra = self.of_motions.loss, self.of_clips.loss * (self.alike < self.config.intra.gamma)
        valid = self.of_motions.counts[:, 0]
        both = valid & (inter > 0) & (intra > 0)
        return int((inter + intra).masked_fill(~(both if both.any() else valid), -torch.inf).argmax())

    def inter(self, row: int) -> InterExample:
        distance, margin = self.config.distance, self.config.inter.margin
        other = int(self.of_motions.mined.index[row, 0])
        text = self.z_text[row]
        to_own, to_negative = (row_distance(text, self.z_generated[k], distance).item() for k in (row, other))
        real_own, real_negative = (row_distance(text, self.z_real[k], distance).item() for k in (row, other))
        candidates = self._negatives(row)
        first = next(candidate for candidate in candidates if candidate.chosen)
        return InterExample(
            self._shown(row),
            self._shown(other),
            first.generated_distance,
            first.real_distance,
            first.ratio,
            to_own,
            to_negative,
            margin=real_negative - real_own if margin == "adaptive" else margin,
            loss=self.of_motions.loss[row].item(),
            candidates=candidates,
        )

    def _negatives(self, row: int) -> list[Candidate]:
        """Return the best candidates by the rule, and the best of those that epsilon bars."""
        chosen = self.of_motions.mined.index[row][self.of_motions.counts[row]].tolist()
        result = []
        for barred, count in ((False, SHOWN_CANDIDATES), (True, SHOWN_BARRED)):
            mined = mine_hard_negatives(
                self.z_generated, self.z_real, ~self.admissible if barred else self.admissible,
                rule=self.config.inter.rule, floor=self.config.floor, distance=self.config.distance, count=count,
            )  # fmt: skip
            indices = _listed([] if barred else chosen, mined, row)
            measured = self._measured(self.z_generated, self.z_real, row, indices)
            result += [
                Candidate(
                    self.batch.text[k], "", *numbers, chosen=k in chosen,
                    similarity=self.similarity[row, k].item(), barred=barred,
                )
                for k, numbers in zip(indices, measured, strict=True)
            ]  # fmt: skip
        return result

    def intra(self, row: int) -> IntraExample | None:
        mined, margin = self.of_clips.mined, self.config.intra.margin
        if mined is None or row not in mined.row.tolist():
            return None
        place = mined.row.tolist().index(row)
        if not (mined.positive.valid[place, 0] and mined.negative.valid[place, 0]):
            return None
        clips, anchor = mined.clips, int(mined.anchor[place])
        away = row_distance(mined.z_generated, mined.z_real, self.config.distance)
        own = (clips.owner == row).nonzero()[:, 0].tolist()
        positives, negatives = self._proxies(mined, anchor, place)
        positive, negative = (next(c for c in found if c.chosen) for found in (positives, negatives))
        adaptive = negative.real_distance - positive.real_distance
        return IntraExample(
            *(self._clip(clips, int(number)) for number in (
                anchor, mined.positive.index[place, 0], mined.negative.index[place, 0]
            )),
            away=[(self._clip(clips, k).place, away[k].item()) for k in own],
            positive_distances=(positive.generated_distance, positive.real_distance),
            negative_distances=(negative.generated_distance, negative.real_distance),
            margin=adaptive if margin == "adaptive" else margin,
            loss=self.of_clips.loss[row].item(),
            alike=self.alike[row].item(),
            acts=bool(self.alike[row] < self.config.intra.gamma),
            positives=positives,
            negatives=negatives,
        )  # fmt: skip

    def _proxies(self, mined: MinedClips, anchor: int, place: int) -> list[list[Candidate]]:
        """Return the best candidates for both proxies."""
        intra, clips = self.config.intra, mined.clips
        candidate = torch.ones(1, len(clips.owner), dtype=torch.bool, device=mined.z_real.device)
        if intra.proxies_from == "motion":
            candidate = (clips.owner == clips.owner[anchor])[None]
        listed = mine_proxies(
            mined.z_generated, mined.z_real, torch.tensor([anchor], device=mined.z_real.device), candidate,
            positive_rule=intra.positive_rule, negative_rule=intra.negative_rule,
            count=SHOWN_CANDIDATES, floor=self.config.floor, distance=self.config.distance,
        )  # fmt: skip
        result = []
        for found, mine in zip(listed, (mined.positive, mined.negative), strict=True):
            chosen = mine.index[place][mine.valid[place]].tolist()
            indices = _listed(chosen, found, 0)
            measured = self._measured(mined.z_generated, mined.z_real, anchor, indices)
            result.append(
                [
                    Candidate(self.batch.text[clips.owner[k]], self._clip(clips, k).place, *numbers, chosen=k in chosen)
                    for k, numbers in zip(indices, measured, strict=True)
                ]
            )
        return result

    def _measured(
        self, z_generated: Float[Tensor, "N E"], z_real: Float[Tensor, "N E"], anchor: int, others: list[int]
    ) -> list[tuple[float, float, float]]:
        """Return generated distance, real distance and ratio of the anchor to each of the others."""
        generated, real = (
            pair_distances(z[anchor : anchor + 1], z[others], self.config.distance)[0] for z in (z_generated, z_real)
        )
        ratio = generated / real.clamp_min(self.config.floor)
        return list(zip(generated.tolist(), real.tolist(), ratio.tolist(), strict=True))

    def _clip(self, clips: Clips, number: int) -> Shown:
        start, length = int(clips.start[number]), int(clips.length[number])
        return self._shown(int(clips.owner[number]), (start, start + length))

    def _shown(self, row: int, span: tuple[int, int] | None = None) -> Shown:
        frames = int(self.batch.motion.lengths[row])
        generated, real = (
            motion[row : row + 1].joints[0, :frames].cpu().numpy() for motion in (self.generated, self.batch.motion)
        )
        return Shown(self.batch.ids[row], self.batch.text[row], generated, real, self.generated.skeleton, span)


def _listed(chosen: list[int], mined: Mined, row: int) -> list[int]:
    """Return what was chosen, and what came next."""
    return list(dict.fromkeys(chosen + mined.index[row][mined.valid[row]].tolist()))
