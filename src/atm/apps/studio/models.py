"""The models of a studio: what each can do, what it is refused, and what it makes of several requests at once."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from atm.apps.api import TextToMotion
from atm.apps.best_of import CHOOSER, BestOf, best_of
from atm.apps.edit import kept_of
from atm.apps.generate import (
    DEFAULT_SECONDS,
    MIN_SECONDS,
    check_text,
    finished,
    in_steps,
    lengths_of,
    row_seed,
    sample_rows,
)
from atm.apps.reading import AsRead, as_read
from atm.apps.sequence import plan_of_sequence
from atm.apps.studio.made import Judge, Made
from atm.apps.studio.requests import LONGEST_SEQUENCE, AnyRequest, EditRequest, GenerateRequest, SequenceRequest
from atm.apps.take import Take
from atm.apps.untaught import taught_by, untaught
from atm.base.errors import InputError
from atm.base.storage import MODEL_FILE
from atm.generators.parts.inputs import check_steps
from atm.interface import Generator
from atm.meaning import parse_meaning
from atm.meaning.structure import Event
from atm.motion import skeleton_of_width
from atm.motion.program import Timeline


class StudioModel:
    """One generator that answers requests."""

    def __init__(self, model: TextToMotion, given: str, space: Path | None = None):
        """Wrap a loaded generator.

        Args:
            model: the generator.
            given: its path or name, as whoever started the studio wrote it.
            space: what chooses among candidates; None: the packaged one, for packaged generators alone.
        """
        self.model, self.given, self.space = model, given, space
        file = model.file
        self.name = file.parent.name if file.name == MODEL_FILE else file.stem
        self.reading = threading.Lock()
        self._choosers: dict[int, Generator | AsRead | BestOf] = {}

    @property
    def generator(self) -> Generator:
        """The network."""
        return self.model.generator

    @property
    def facts(self) -> dict[str, Any]:
        """Abilities and limits, as `/api/models` tells them."""
        generator, skeleton = self.generator, skeleton_of_width(len(self.generator.normaliser.mean))
        able = generator.capabilities
        return {
            "name": self.name,
            "given": self.given,
            "kind": self.model.name,
            "skeleton": skeleton.name,
            "fps": skeleton.fps,
            "shortest": MIN_SECONDS,
            "longest": generator.config.max_frames / skeleton.fps,
            "default_seconds": None if able.predicts_length else DEFAULT_SECONDS,
            "sequences": able.goes_on,
            "longest_sequence": LONGEST_SEQUENCE,
            "keeps": "any" if able.inbetweening else "beginning" if able.goes_on else None,
            "paths": able.inbetweening and able.keeps_features,
            "guidance": able.guidance,
            "steps": able.steps or None,
            "plans": able.plans > 0,
        }

    def check(self, request: AnyRequest, source: Take | None = None) -> None:
        """Refuse what this model cannot make, before it waits in the queue.

        Args:
            request: of a client.
            source: the motion that is edited; None: none is.

        Raises:
            InputError: an empty sentence, a length or steps that cannot be made, a sequence of a model that makes none,
                a choice without a space to choose by, a part or a path that cannot be kept.
        """
        check_steps(request.steps, self.generator.capabilities.steps)
        if isinstance(request, EditRequest):
            check_text([request.text])
            kept_of(self.generator, source.features, keep=request.keep, path=request.path, seconds=request.seconds)
            return
        if isinstance(request, GenerateRequest):
            check_text([request.text])
            lengths_of(self.generator, request.seconds, 1)
            self._chooser(request.best_of)
            return
        self.model.check_sequence([(part.text, part.seconds) for part in request.parts])
        total = sum(part.seconds for part in request.parts)
        if total > LONGEST_SEQUENCE:
            raise InputError(
                f"a sequence may last {LONGEST_SEQUENCE:g} s, but its parts are {total:g} s: leave some out"
            )

    def read(self, text: str) -> dict[str, Any]:
        """Return the actions that are read in a sentence, each with whether the model was taught it; a line on what it
        was not taught, or None; and the seconds that it would take, or None where it does not say.

        Raises:
            InputError: a sentence without a word.
        """
        check_text([text])
        file, taught = self.model.file, taught_by(self.model.file)
        with self.reading:
            warning = untaught(text, file, self.generator.text_encoder)
            plan = self._plans([text], None, [0])[0] if self.generator.capabilities.predicts_length else None
        events = parse_meaning(text).events
        actions = [{"words": _in_words(event), "taught": warning is None or event.action in taught} for event in events]
        return {"actions": actions, "warning": warning, "seconds": round(plan[-1].end, 1) if plan else None}

    def together(self, request: AnyRequest) -> tuple[Any, ...] | None:
        """Return what requests must have in common to be made as one batch; None: this one is made alone.

        Where a model attends to padding, a motion depends on the length of its neighbours, so that must be equal too.
        """
        if not isinstance(request, GenerateRequest):
            return None
        able = self.generator.capabilities
        told = request.seconds is not None or not able.predicts_length
        frames = None if able.ignores_padding else request.seconds
        return (self.name, request.guidance, request.steps, request.best_of, told, frames)

    def generate(self, requests: Sequence[GenerateRequest], judge: Judge) -> list[list[Made]]:
        """Make the motions of requests that have `together` in common, as one batch.

        Args:
            requests: one or several.
            judge: what is said of them.

        Returns:
            The samples of each request.
        """
        first = requests[0]
        rows = [(request, k) for request in requests for k in range(request.samples)]
        text = [request.text for request, _ in rows]
        seeds = [row_seed(request.seed, k) for request, k in rows]
        found = [lengths_of(self.generator, request.seconds, 1) for request, _ in rows]
        lengths = None if found[0] is None else torch.cat(found)
        motions = sample_rows(
            self._chooser(first.best_of), text, lengths, seeds=seeds, guidance_scale=first.guidance,
            steps=first.steps, show_progress=False,
        )  # fmt: skip
        plans = [None] * len(rows) if first.best_of > 1 else self._plans(text, lengths, seeds)
        chosen = {} if first.best_of == 1 else {"best_of": first.best_of, "space": str(self.space or CHOOSER)}
        chosen |= in_steps(first.steps)
        made: dict[int, list[Made]] = {id(request): [] for request in requests}
        for row, (request, k) in enumerate(rows):
            source = {"model": self.model.file.name, "seed": request.seed, "sample": k, "raw": request.raw} | chosen
            take = Take.of(finished(motions[row : row + 1], request.text, source, raw=request.raw))
            made[id(request)].append(judge.judged(take, [(request.text, take.seconds)], plans[row]))
        return [made[id(request)] for request in requests]

    def sequence(self, request: SequenceRequest, judge: Judge) -> list[Made]:
        """Make the samples of a sequence, one after the other."""
        parts = [(part.text, part.seconds) for part in request.parts]
        made = []
        for k in range(request.samples):
            seed = request.seed + k
            take = self.model.sequence(
                parts, seed=seed, guidance=request.guidance, steps=request.steps, raw=request.raw
            )
            made.append(judge.judged(take, parts, plan_of_sequence(self.generator, parts, seed=seed)))
        return made

    def edit(self, request: EditRequest, source: Take, judge: Judge) -> list[Made]:
        """Make the samples of an edit, one after the other."""
        made = []
        for k in range(request.samples):
            take = self.model.edit(
                source, request.text, keep=request.keep, path=request.path, seconds=request.seconds,
                seed=request.seed + k, guidance=request.guidance, steps=request.steps, raw=request.raw,
            )  # fmt: skip
            made.append(judge.judged(take, [(request.text, take.seconds)], None))
        return made

    def _chooser(self, candidates: int) -> Generator | AsRead | BestOf:
        if candidates not in self._choosers:
            space = None if candidates == 1 else self.space
            self._choosers[candidates] = best_of(
                as_read(self.generator), candidates, space=space, model=self.model.file
            )
        return self._choosers[candidates]

    def _plans(self, text: list[str], lengths: Int[Tensor, "B"] | None, seeds: list[int]) -> Sequence[Timeline | None]:
        if not self.generator.capabilities.plans:
            return [None] * len(text)
        return as_read(self.generator).plan(text, lengths, seeds=seeds)


def _in_words(event: Event) -> str:
    """Return an event of a caption in a few words, such as "kick · 2 times · left"."""
    count = event.count and f"{event.count} {event.count.unit}{'' if str(event.count) == '1' else 's'}"
    way = " ".join(sorted(event.direction))
    degrees = event.degrees and f"{event.degrees:g}°"
    said = (event.action.replace("_", " "), count, event.side, way, event.turning, event.path, degrees, event.speed)
    return " · ".join(dict.fromkeys(word for word in said if word))
