"""The best of several motions: of each sentence's candidates, the one that lies nearest to it in a text-motion space.

Ours. Costs as many motions as there are candidates, and no training. The space that chooses must not be what the result
is reported by: the evaluator is another network (`atm evaluate`).
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from atm.apps.reading import AsRead
from atm.apps.resources import open_space
from atm.base.errors import InputError
from atm.base.packaged import packaged
from atm.interface import Generator, TextMotionSpace
from atm.motion import Motion

CHOOSER = "space"
"""The packaged space that chooses where none is given."""


class BestOf:
    """Samples as the generator does, `count` times, and keeps the candidate of the highest cosine with its text."""

    def __init__(self, generator: Generator | AsRead, space: TextMotionSpace, count: int):
        """Wrap a generator; with `count` 1 it is the generator itself."""
        self.generator, self.space, self.count = generator, space, count

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text, see `Generator.sample`. The first candidate of a row is what the generator makes
        of its seed, so that more candidates only ever replace it by what the space likes better."""
        asked = F.normalize(self.space.encode_text(text), dim=-1)
        best: list[tuple[float, Tensor]] = []
        for candidate in range(self.count):
            motion = self.generator.sample(
                text, lengths, seeds=[candidate_seed(seed, candidate) for seed in seeds],
                guidance_scale=guidance_scale, progress=progress,
            )  # fmt: skip
            made = F.normalize(self.space.encode_motion(motion), dim=-1)
            cosines = (made * asked.to(made.device)).sum(dim=-1).tolist()
            rows = [(cosine, motion.features[row, : int(motion.lengths[row])]) for row, cosine in enumerate(cosines)]
            best = [max(pair, key=lambda one: one[0]) for pair in zip(best, rows, strict=True)] if best else rows
        features = [kept for _, kept in best]
        return Motion(
            torch.nn.utils.rnn.pad_sequence(features, batch_first=True),
            torch.tensor([len(kept) for kept in features], device=features[0].device),
        )


def candidate_seed(seed: int, candidate: int) -> int:
    """Return seed of a row's candidate; the first has the row's own."""
    return seed if candidate == 0 else int(np.random.SeedSequence([seed, candidate]).generate_state(1)[0])


def best_of(
    generator: Generator | AsRead, count: int, *, space: Path | None, model: Path
) -> Generator | AsRead | BestOf:
    """Return the generator, or for `count` > 1 the best of so many.

    Args:
        generator: loaded from `model`.
        count: candidates of each motion.
        space: run folder, model file or packaged name of the space that chooses; None: `CHOOSER`, for the
            packaged generators alone.
        model: the file of the generator.

    Raises:
        InputError: a space without candidates to choose from, or none for a generator that the packaged ones do not
            know.
    """
    if count < 1:
        raise InputError(f"the best of how many motions? expected 1 or more, got {count}")
    if count == 1:
        if space is not None:
            raise InputError("--space chooses among several motions: give --best-of, as --best-of 4")
        return generator
    if space is None:
        if model.parent != packaged(CHOOSER).parent:
            raise InputError(
                f"--best-of chooses by a space of the data that {model.name} was trained on: give --space RUN, or "
                "--space space for scripted motions"
            )
        space = packaged(CHOOSER)
    return BestOf(generator, open_space(space, width=len(generator.normaliser.mean)), count)
