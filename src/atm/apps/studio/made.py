"""A motion as the page needs it: the figure, verdicts, the plan, and how near each clip lies to its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from atm.apps.api import similarity
from atm.apps.take import Take
from atm.base.errors import InputError
from atm.motion import HUMANML3D
from atm.motion.program import Timeline
from atm.pages import MotionView, Pane, view_data
from atm.space import Space

CLIP_SECONDS = 2.0
"""Length of a clip that is compared with its sentence: that of the paper's clips."""
STEP_SECONDS = 0.25
"""From one clip's beginning to the next one's."""


class Told(NamedTuple):
    """One sentence of a motion, and what came of it."""

    text: str
    begin: float
    """Seconds."""
    end: float
    """Seconds."""
    verdict: str | None
    """Judgement of the oracles; None: they know nothing of it."""


class Curve(NamedTuple):
    """How near clips of a motion lie to the sentence that is told in their middle."""

    seconds: list[float]
    """Middles of the clips."""
    cosines: list[float]


@dataclass(frozen=True, eq=False)
class Made:
    """A generated motion and what is said of it."""

    take: Take
    parts: tuple[Told, ...]
    plan: Timeline | None
    """Actions that the model set out to do; None: it writes no plan, or another candidate's was kept."""
    score: float | None
    """Cosine of the whole motion with its sentence; None: it has several, or the space does not know its skeleton."""
    curve: Curve | None

    def to_json(self, name: str) -> dict[str, Any]:
        """Return plain values for the page, with the data of the viewer; `name` is what the motion is asked for by."""
        take = self.take
        view = view_data(MotionView("", [Pane("", take.joints, skeleton=take.skeleton, contacts=take.contacts)]))
        return {
            "id": name,
            "text": take.text,
            "seconds": take.seconds,
            "frames": len(take),
            "fps": take.fps,
            "parts": [told._asdict() for told in self.parts],
            "plan": None if self.plan is None else [done.to_json() for done in self.plan],
            "score": self.score,
            "curve": None if self.curve is None else self.curve._asdict() | {"clip": min(CLIP_SECONDS, take.seconds)},
            "provenance": take.provenance,
            "bodies": view["bodies"],
            "pane": view["panes"][0],
        }


class Judge:
    """Says of motions what came of their sentences: by the oracles, and by a text-motion space."""

    def __init__(self, space: Space):
        """Take the space that measures cosines; it knows HumanML3D's skeleton."""
        self.space = space

    def judged(self, take: Take, parts: Sequence[tuple[str, float]], plan: Timeline | None) -> Made:
        """Return the motion with verdicts and cosines.

        Args:
            take: the motion.
            parts: its sentences, with the seconds of each.
            plan: what the model set out to do.
        """
        told, begin = [], 0.0
        for text, seconds in parts:
            end = min(begin + seconds, take.seconds)
            verdict = replace(take[begin:end], text=text).verdict
            told.append(Told(text, begin, end, verdict))
            begin = end
        try:
            curve = self._curve(take, told)
            score = self._cosines([take.text], [take])[0, 0] if len(told) == 1 and curve else None
        except InputError:  # the features that the space reads are undefined for these joints
            curve = score = None
        return Made(take, tuple(told), plan or None, None if score is None else round(float(score), 4), curve)

    def _curve(self, take: Take, told: Sequence[Told]) -> Curve | None:
        if take.skeleton != HUMANML3D:
            return None
        last = max(0.0, take.seconds - CLIP_SECONDS)
        begins = np.unique(np.append(np.arange(0.0, last, STEP_SECONDS), last)).tolist()
        clips = [take[begin : begin + CLIP_SECONDS] for begin in begins]
        middles = [begin + clip.seconds / 2 for begin, clip in zip(begins, clips, strict=True)]
        rows = [next((k for k, one in enumerate(told) if middle < one.end), len(told) - 1) for middle in middles]
        cosines = self._cosines([one.text for one in told], clips)
        return Curve(middles, [round(float(cosines[row, clip]), 4) for clip, row in enumerate(rows)])

    def _cosines(self, text: list[str], takes: list[Take]) -> np.ndarray:
        return similarity(text, takes, space=self.space)
