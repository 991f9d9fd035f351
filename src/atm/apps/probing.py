"""Measures of what a space, its language model and an evaluator understand of captions, on a data set."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.alignment.distances import Distance
from atm.base.progress import progress
from atm.data.humanml3d import MotionDataset
from atm.evaluation.evaluator import Evaluator
from atm.evaluation.probing import FalsePair, Read, draw_pairs, forced_choice, probe_all
from atm.evaluation.replication import batches
from atm.interface import TextEncoder
from atm.motion import Motion, padded
from atm.space import Space
from atm.text import tag_words

AT_ONCE = 64
PROBE_MOTIONS = 3000
"""Training motions that probes learn on, evenly over the split."""

Texts = Callable[[list[str]], dict[str, Float[Tensor, "B W"]]]


class _Judge(NamedTuple):
    """One model whose understanding of captions is measured."""

    stages: Texts
    """Captions become embeddings, by the name of the stage that they stand at."""
    text: Callable[[list[str]], Float[Tensor, "B E"]]
    """Captions become what motions are compared with."""
    motion: Callable[[Motion], Float[Tensor, "B E"]]
    distance: Distance


def probe_space(
    space: Space, sentence: TextEncoder, train: MotionDataset, test: MotionDataset, *, seed: int, show_progress: bool
) -> dict[str, Any]:
    """Return forced choice by the space, and probes of every stage that a caption passes: sentence, tokens, space.

    Args:
        space: in evaluation mode.
        sentence: the language model of the sentence embeddings, by which epsilon is told.
        train, test: probes learn on the one and are tried on the other, as is forced choice.
        seed: of the choice among false captions.
        show_progress: a bar.

    Returns:
        `forced_choice` (attribute -> share), `probes` (attribute -> stage -> probe), as plain data.
    """

    def stages(texts: list[str]) -> dict[str, Tensor]:
        said = space.language_model(texts)
        inside = said.mask[..., None].float()
        return {
            "sentence embedding": sentence(texts).sentence,
            "mean of the token states": (said.tokens * inside).sum(1) / inside.sum(1).clamp_min(1),
            "space, text": space.encode_text(texts),
        }

    def motion(motion: Motion) -> Tensor:
        return space.encode_motion(motion.to(space.normaliser.mean.device))

    return _hear(_Judge(stages, space.encode_text, motion, "cosine"), train, test, seed, show_progress)


def probe_evaluator(
    evaluator: Evaluator, train: MotionDataset, test: MotionDataset, *, seed: int, show_progress: bool
) -> dict[str, Any]:
    """Return the same of an evaluator, by its own distance; arguments as for `probe_space`."""

    def text(texts: list[str]) -> Tensor:
        return evaluator.encode_text([tag_words(text) for text in texts])

    def stages(texts: list[str]) -> dict[str, Tensor]:
        return {"evaluator, text": text(texts)}

    def motion(motion: Motion) -> Tensor:
        return evaluator.encode_motion(motion.to(evaluator.normaliser.mean.device))

    return _hear(_Judge(stages, text, motion, "euclidean"), train, test, seed, show_progress)


@torch.no_grad()
def _hear(judge: _Judge, train: MotionDataset, test: MotionDataset, seed: int, show: bool) -> dict[str, Any]:
    captions, captions_train = (
        [[caption.text for caption in item.captions] for item in dataset.items] for dataset in (test, train)
    )
    step = max(1, len(train) // PROBE_MOTIONS)
    learn = range(0, len(train), step)
    z_train = _motions(judge, train, learn, show)
    z_test = _motions(judge, test, range(len(test)), show)

    def reader(z_motion: Float[Tensor, "N E"]) -> Read:
        return lambda said, rows: _texts(judge.stages, said, show) | {"motion": z_motion[rows]}

    probes = probe_all(reader(z_train), [captions_train[row] for row in learn], reader(z_test), captions)
    pairs = draw_pairs(captions, np.random.default_rng(seed))
    return {
        "forced_choice": _choose(judge, pairs, z_test, show),
        "probes": {name: {stage: probe._asdict() for stage, probe in by.items()} for name, by in probes.items()},
    }


def _motions(judge: _Judge, dataset: MotionDataset, rows: Sequence[int], show: bool) -> Float[Tensor, "N E"]:
    parts = progress(list(batches(list(rows), AT_ONCE)), "embedding motions", show=show)
    return torch.cat(
        [judge.motion(padded([dataset.features(dataset.items[row]) for row in some])).cpu() for some in parts]
    )


def _texts(texts: Texts, said: list[str], show: bool) -> dict[str, Float[Tensor, "N W"]]:
    parts = [texts(some) for some in progress(list(batches(said, AT_ONCE)), "embedding captions", show=show)]
    return {stage: torch.cat([part[stage].cpu() for part in parts]) for stage in parts[0]}


def _choose(judge: _Judge, pairs: list[FalsePair], z_motion: Float[Tensor, "N E"], show: bool) -> dict[str, Any]:
    """Return forced choice where captions and motions meet."""
    if not pairs:
        return {}
    true, false = [pair.text for pair in pairs], [pair.false for pair in pairs]
    z_text, z_false = (_texts(lambda said: {"": judge.text(said)}, said, show)[""] for said in (true, false))
    own = z_motion[[pair.motion for pair in pairs]]
    return forced_choice(z_text, z_false, own, [pair.attribute for pair in pairs], distance=judge.distance)


def probing_table(heard: dict[str, Any]) -> str:
    """Return both measures as lines of text."""
    lines = ["a motion's caption against the same with one thing said otherwise (chance: 50 %)"]
    for name, share in heard["forced_choice"].items():
        lines.append(
            f"  {name:<10}{100 * share['right']:6.1f} % right ({100 * share['low']:.1f} to {100 * share['high']:.1f}), "
            f"{share['n']} motions"
        )
    for name, stages in heard["probes"].items():
        first = next(iter(stages.values()))
        lines.append(f"{name}: read by a linear probe, {first['values']} values, {first['n']} captions")
        lines.append(f"  {'most frequent value':<28}{100 * first['chance']:6.1f} %")
        lines += [f"  {stage:<28}{100 * probe['right']:6.1f} %" for stage, probe in stages.items()]
    return "\n".join(lines)
