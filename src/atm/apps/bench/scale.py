"""Costs and peak memory of a training step over batch sizes and lengths, and what mining is of it."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from atm.alignment import Alignment
from atm.apps.bench.measure import Comparison, measure
from atm.apps.bench.steps import STILL
from atm.apps.train import prepare
from atm.base.config import changed, override
from atm.interface import Batch, TextEmbedding
from atm.motion import Motion
from atm.training.presets import preset
from atm.training.step import Trainer

BATCHES, LENGTHS = (16, 64, 256, 1024), (40, 120, 196)
"""Motions of a step, at the longest length; frames of each, in batches of `USUAL`."""
USUAL = 64
QUICK_BATCHES, QUICK_LENGTHS = (4, 8), (40,)
LARGE = 256
"""Batches from which on one round counts, not two: a step takes half a minute."""


class Coarse:
    """A space that costs nothing: what the losses then cost is mining, margins and their gradients."""

    def __init__(self, texts: Float[Tensor, "B E"]):
        self._texts = texts

    def encode_motion(self, motion: Motion) -> Float[Tensor, "B E"]:
        """Return the first frame's first numbers, which need not mean anything."""
        return motion.features[:, 0, : self._texts.shape[1]]

    def encode_text(self, text: list[str]) -> Float[Tensor, "B E"]:
        """Return one vector for each caption, by its number at its end."""
        return self._texts[[int(one.rsplit(" ", 1)[1]) for one in text]]


def bench_scale(data: Path, *, quick: bool, show: bool) -> list[Comparison]:
    """Compare steps of `mdm_small` without and with both losses, and mining alone, over batch sizes and lengths."""
    batches, lengths = (QUICK_BATCHES, QUICK_LENGTHS) if quick else (BATCHES, LENGTHS)
    sizes = [(rows, lengths[-1]) for rows in batches] + [(min(USUAL, batches[-1]), frames) for frames in lengths[:-1]]
    return [_at(data, rows, frames, show) for rows, frames in sizes]


def _at(data: Path, rows: int, frames: int, show: bool) -> Comparison:
    settings = [f"data={data}", *STILL]
    plain, aligned = (
        prepare(override(preset(name), settings), show_progress=False) for name in ("mdm_small", "mdm_small_atm")
    )
    batch = _batch(plain.sampler(0), rows, frames, plain.model.normaliser.std)
    baseline, with_losses = (
        Trainer(plain.config, plain.model),
        Trainer(aligned.config, aligned.model, aligned.alignment),
    )
    # All motions are under gamma: the most that mining can cost.
    with_losses.alignment.config = changed(aligned.alignment.config, {"intra.gamma": 1.0})
    texts = torch.randn(rows, 64, generator=torch.Generator().manual_seed(0))
    alone = Alignment(with_losses.alignment.config, Coarse(texts))

    def step(trainer: Trainer, number: int) -> None:
        trainer.backward(trainer.forward(batch, number).loss, number)

    def mine(_: int) -> None:
        made = Motion(batch.motion.features.clone().requires_grad_(), batch.motion.lengths)
        alone(made, batch).total.backward()

    sides = {
        "baseline": lambda number: step(baseline, number),
        "both losses, real motions known": lambda number: step(with_losses, number),
        "mining alone": mine,
    }
    what = f"a step of mdm_small, {rows} motions of {frames} frames"
    return measure(what, sides, rounds=1 if rows >= LARGE else 2, show=show, memory=True)


def _batch(like: Batch, rows: int, frames: int, std: Float[Tensor, "D"]) -> Batch:
    """Return motions of a batch again and again, each a little different, all of one length."""
    again = torch.arange(rows) % len(like)
    features = like.motion.features[again]
    place = torch.arange(frames) % like.motion.lengths[again].min()
    noise = torch.randn(rows, frames, len(std), generator=torch.Generator().manual_seed(1))
    motion = Motion(features[:, place] + 0.1 * std * noise, torch.full((rows,), frames))
    return Batch(
        motion,
        [f"{like.text[row]} {number}" for number, row in enumerate(again.tolist())],
        like.sentence[again],
        [f"motion {number}" for number in range(rows)],
        language={name: TextEmbedding(*(part[again] for part in said)) for name, said in like.language.items()},
        first=[0] * rows,
    )
