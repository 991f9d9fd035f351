"""Motions for prompts: every model gets the same sentences and the same noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from atm.apps.compare.prompts import Prompt
from atm.apps.generate import row_seed, sample_all
from atm.interface import Generator
from atm.motion import HUMANML3D, Skeleton
from atm.scripted.examine import Examined, examine
from atm.scripted.oracles.body import FPS


@dataclass(frozen=True)
class Answer:
    """One motion that a model made of a prompt."""

    prompt: Prompt
    model: str
    sample: int
    """Number of the noise, from 0: the same in every model."""
    joints: Float[np.ndarray, "T J 3"]
    """In metres, y up."""
    skeleton: Skeleton
    examined: Examined | None
    """None: the prompt asks for nothing that the oracles know, or they do not know the skeleton."""


def answer_prompts(
    models: Mapping[str, Generator],
    prompts: Sequence[Prompt],
    *,
    samples: int = 1,
    seed: int = 0,
    guidance_scale: float | None = None,
    show_progress: bool = True,
) -> list[Answer]:
    """Return every model's motions for every prompt, prompt by prompt, then noise by noise, then model by model.

    Args:
        models: by the name that they are shown by.
        prompts: may ask for different lengths.
        samples: motions per prompt and model.
        seed: of the noise; sample k is what `atm generate --seed` makes as its k-th.
        guidance_scale: None takes each model's own.
        show_progress: bars.

    Raises:
        InputError: a length that one of the models cannot make.
    """
    made = {}
    for name, generator in models.items():
        for seconds in sorted({prompt.seconds for prompt in prompts}):
            rows = [(place, k) for place, p in enumerate(prompts) if p.seconds == seconds for k in range(samples)]
            motions = sample_all(
                generator,
                [prompts[place].text for place, _ in rows],
                seconds=seconds,
                seeds=[row_seed(seed, k) for _, k in rows],
                guidance_scale=guidance_scale,
                show_progress=show_progress,
            )
            for row, (place, k) in enumerate(rows):
                joints = motions[row : row + 1].joints[0, : int(motions.lengths[row])].numpy()
                made[place, k, name] = _answer(prompts[place], name, k, joints, motions.skeleton)
    return [made[place, k, name] for place in range(len(prompts)) for k in range(samples) for name in models]


def _answer(prompt: Prompt, model: str, sample: int, joints: np.ndarray, skeleton: Skeleton) -> Answer:
    known = skeleton == HUMANML3D and skeleton.fps == FPS
    return Answer(prompt, model, sample, joints, skeleton, examine(joints, prompt.asked) if known else None)
