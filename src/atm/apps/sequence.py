"""One motion of several sentences, of any length."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from atm.apps.generate import frames_of, in_steps, row_seed
from atm.apps.reading import as_read
from atm.interface import Generator
from atm.motion import Motion, skeleton_of_width
from atm.motion.program import TimedAction, Timeline


class _Stretch(NamedTuple):
    """Sentences that are made at once."""

    text: str
    frames: int
    timeline: Timeline
    """Empty: a single sentence of which there is no plan."""


def sequence_of(
    generator: Generator,
    parts: Sequence[tuple[str, float]],
    *,
    seed: int,
    guidance_scale: float | None,
    steps: int | None = None,
) -> Motion:
    """Return a batch of one: what the sentences ask for, one after the other.

    Where the model plans, neighbouring sentences become one plan, so that one action goes over into the next as within
    a motion; what is longer than the model makes at once goes on from the end of what is there.

    Args:
        generator: takes `prefix`, a motion to go on from.
        parts: sentences, with the seconds of each.
        seed: of all that is drawn.
        guidance_scale: None: the model's own.
        steps: of sampling, for models that have them; None: the model's own.

    Raises:
        InputError: a part of a length that the model cannot make.
    """
    whole: Motion | None = None
    for number, stretch in enumerate(_stretches(generator, parts, seed)):
        planned = {"timelines": [stretch.timeline]} if stretch.timeline else {}
        made = generator.sample(
            [stretch.text],
            torch.tensor([stretch.frames]),
            seeds=[row_seed(seed, number)],
            guidance_scale=guidance_scale,
            prefix=whole,
            **planned,
            **in_steps(steps),
        ).to("cpu")
        # Features are relative to the frame before, so one behind the other they are one motion.
        features = made.features[:, : stretch.frames]
        features = features if whole is None else torch.cat([whole.features, features], dim=1)
        whole = Motion(features, torch.tensor([features.shape[1]]))
    return whole


def plan_of_sequence(generator: Generator, parts: Sequence[tuple[str, float]], *, seed: int) -> Timeline:
    """Return what `sequence_of` sets out to do, and when; empty where the model writes no plans."""
    fps = skeleton_of_width(len(generator.normaliser.mean)).fps
    whole: list[TimedAction] = []
    begin = 0
    for stretch in _stretches(generator, parts, seed):
        whole += [later(timed, begin / fps) for timed in stretch.timeline]
        begin += stretch.frames
    return tuple(whole)


def _stretches(generator: Generator, parts: Sequence[tuple[str, float]], seed: int) -> list[_Stretch]:
    frames = [frames_of(generator, seconds) for _, seconds in parts]
    plans: list[Timeline] = [()] * len(parts)
    most = generator.capabilities.plans
    if most:
        seeds = [row_seed(seed, number) for number in range(len(parts))]
        plans = as_read(generator).plan([text for text, _ in parts], torch.tensor(frames), seeds=seeds)
    fps = skeleton_of_width(len(generator.normaliser.mean)).fps
    stretches: list[_Stretch] = []
    for (text, _), many, plan in zip(parts, frames, plans, strict=True):
        last = stretches[-1] if stretches else None
        joins = (
            last is not None
            and bool(last.timeline and plan)
            and last.frames + many <= generator.config.max_frames
            and len(last.timeline) + len(plan) <= most
        )
        if joins:
            moved = tuple(later(timed, last.frames / fps) for timed in plan)
            stretches[-1] = _Stretch(f"{last.text}, then {text}", last.frames + many, last.timeline + moved)
        else:
            stretches.append(_Stretch(text, many, plan))
    return stretches


def later(timed: TimedAction, seconds: float) -> TimedAction:
    """Return an action so much later."""
    marks = tuple(mark + seconds for mark in timed.marks)
    return replace(timed, begin=timed.begin + seconds, marks=marks, end=timed.end + seconds)
