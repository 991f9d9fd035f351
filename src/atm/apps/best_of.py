"""The best of several motions: of each sentence's candidates, the one that lies nearest to it in a text-motion space,
or, by verdict, the one of which the oracles find most to be as asked, and of these the nearest.

Ours. Costs as many motions as there are candidates, and no training. What chooses must not be what the result is
reported by: the evaluator is another network (`atm evaluate`), and oracles choose for people alone.
"""

from pathlib import Path
from typing import Any

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
from atm.motion import HUMANML3D, Motion, skeleton_of_width
from atm.scripted.asked import asked_of

CHOOSER = "space"
"""The packaged space that chooses where none is given."""


class BestOf:
    """Samples as the generator does, `count` times, and keeps the best candidate."""

    def __init__(self, generator: Generator | AsRead, space: TextMotionSpace, count: int, *, by_verdict: bool = False):
        """Wrap a generator.

        Args:
            generator: makes the candidates.
            space: the candidate of the highest cosine with its text is the best.
            count: of candidates; with 1 it is the generator itself.
            by_verdict: first counts the share of what is asked that the oracles find done; sentences that they cannot
                judge are left to the space.
        """
        self.generator, self.space, self.count, self.by_verdict = generator, space, count, by_verdict

    @torch.no_grad()
    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Motion:
        """Return one motion per text, see `Generator.sample`; options beside are the generator's own. The first
        candidate of a row is what the generator makes of its seed, so that more candidates only ever replace it by what
        the space likes better."""
        asked = F.normalize(self.space.encode_text(text), dim=-1)
        best: list[tuple[tuple[float, float], Tensor]] = []
        for candidate in range(self.count):
            motion = self.generator.sample(
                text, lengths, seeds=[candidate_seed(seed, candidate) for seed in seeds],
                guidance_scale=guidance_scale, progress=progress, **options,
            )  # fmt: skip
            made = F.normalize(self.space.encode_motion(motion), dim=-1)
            cosines = (made * asked.to(made.device)).sum(dim=-1).tolist()
            done = [share_done(motion[row : row + 1], one) if self.by_verdict else 0.0 for row, one in enumerate(text)]
            features = (motion.features[row, : int(motion.lengths[row])] for row in range(len(text)))
            rows = list(zip(zip(done, cosines, strict=True), features, strict=True))
            best = [max(pair, key=lambda one: one[0]) for pair in zip(best, rows, strict=True)] if best else rows
        features = [kept for _, kept in best]
        return Motion(
            torch.nn.utils.rnn.pad_sequence(features, batch_first=True),
            torch.tensor([len(kept) for kept in features], device=features[0].device),
        )


def share_done(motion: Motion, sentence: str) -> float:
    """Return the share of what a sentence asks that a batch of one does, as the oracles see it; 0 where they cannot
    judge the sentence."""
    from atm.scripted.examine import examine  # the oracles: only choosing by verdict waits for them

    frames = int(motion.lengths[0])
    examined = examine(motion.joints[0, :frames].cpu().numpy(), asked_of(sentence))
    checks = examined.verdict.checks if examined else ()
    return sum(check.right for check in checks) / max(len(checks), 1)


def candidate_seed(seed: int, candidate: int) -> int:
    """Return seed of a row's candidate; the first has the row's own."""
    return seed if candidate == 0 else int(np.random.SeedSequence([seed, candidate]).generate_state(1)[0])


def best_of(
    generator: Generator | AsRead, count: int, *, space: Path | None, model: Path, by_verdict: bool = False
) -> Generator | AsRead | BestOf:
    """Return the generator, or for `count` > 1 the best of so many.

    Args:
        generator: loaded from `model`.
        count: candidates of each motion.
        space: run folder, model file or packaged name of the space that chooses; None: `CHOOSER`, for the
            packaged generators alone.
        model: the file of the generator.
        by_verdict: see `BestOf`.

    Raises:
        InputError: a space or a verdict without candidates to choose from, oracles for another skeleton than
            HumanML3D's, or no space for a generator that the packaged ones do not know.
    """
    if count < 1:
        raise InputError(f"the best of how many motions? expected 1 or more, got {count}")
    if count == 1:
        if space is not None:
            raise InputError("--space chooses among several motions: give --best-of, as --best-of 4")
        if by_verdict:
            raise InputError("--by verdict chooses among several motions: give --best-of, as --best-of 4")
        return generator
    if by_verdict and skeleton_of_width(len(generator.normaliser.mean)) != HUMANML3D:
        raise InputError(
            "the oracles judge motions on HumanML3D's joints, which this model does not make: leave --by out"
        )
    if space is None:
        if model.parent != packaged(CHOOSER).parent:
            raise InputError(
                f"--best-of chooses by a space of the data that {model.name} was trained on: give --space RUN, or "
                "--space space for scripted motions"
            )
        space = packaged(CHOOSER)
    return BestOf(generator, open_space(space, width=len(generator.normaliser.mean)), count, by_verdict=by_verdict)
