"""Options of sampling and of evaluation: one place for the command line, Python and studies."""

from dataclasses import dataclass
from pathlib import Path

from atm.base.errors import InputError, unknown
from atm.evaluation.evaluator import Tail
from atm.evaluation.published import check_rules
from atm.evaluation.report import REPEATS

CHOICES = ("space", "verdict")
TAILS: tuple[Tail, ...] = ("zero", "published")


@dataclass(frozen=True)
class SampleOptions:
    """How motions are sampled.

    Raises:
        InputError: a number that none can be.
    """

    seconds: float | None = None
    """Length of every motion; None: as long as what the sentence asks takes, where the model finds that, else 6."""
    samples: int = 1
    """Motions per sentence; sample k of a sentence is the same whatever else is asked for."""
    seed: int = 0
    """Seed of the noise: the same seed gives the same files."""
    guidance_scale: float | None = None
    """None takes the model's own."""
    steps: int | None = None
    """Sampling steps, for models that have them (`Capabilities.steps`); None takes the model's own."""
    candidates: int = 1
    """So many motions are made for each one that is asked for, and the one nearest to its sentence is kept."""
    space: Path | None = None
    """Space that measures what is nearest, see `best_of`."""
    best_by: str = "space"
    """Way to choose among candidates: `space`, or `verdict`, where what the oracles find done comes first."""

    def __post_init__(self) -> None:
        if self.best_by not in CHOICES:
            raise unknown("way to choose", self.best_by, CHOICES)
        if self.samples < 1:
            raise InputError(f"samples must be at least 1, got {self.samples}")
        if self.guidance_scale is not None and not 0 <= self.guidance_scale < float("inf"):
            raise InputError(f"guidance must be a number >= 0, got {self.guidance_scale}")


@dataclass(frozen=True)
class EvaluateOptions:
    """How a generator, or a folder of motions, is evaluated.

    Raises:
        InputError: a number that none can be, an unknown word, or options that contradict the published protocol.
    """

    split: str = "test"
    """List of the data folder whose motions are compared with."""
    protocol: str = "ours"
    """`ours`, or `published`: as the authors of the generator measured it, see `published_protocol`."""
    repeats: int | None = None
    """Replications; None: 20, as the field takes."""
    limit: int | None = None
    """Motions of a replication; None: one for each entry of the split."""
    multimodality: bool = True
    """False leaves MultiModality out, which takes longest."""
    tail: str | None = None
    """Frames behind a motion's end, `zero` or `published`; None: zero, or as published in the published protocol."""
    guidance_scale: float | None = None
    """None takes the model's own."""
    candidates: int = 1
    """So many motions are made for each text, and the one nearest to it is evaluated."""
    space: Path | None = None
    """Space that measures what is nearest, see `best_of`."""
    seed: int = 0
    """Seed of draws and of generation."""

    def __post_init__(self) -> None:
        for name, value in (("repeats", self.repeats), ("limit", self.limit)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        chosen = self.candidates > 1 or self.space is not None
        check_rules(self.protocol, repeats=self.repeats, limit=self.limit, tail=self.tail, chosen=chosen)
        if self.tail not in (None, *TAILS):
            raise InputError(f"tail must be {' or '.join(TAILS)}, got {self.tail!r}")

    @property
    def replications(self) -> int:
        """Number of replications that this means."""
        return self.repeats or REPEATS

    @property
    def behind(self) -> Tail:
        """Treatment of the frames behind a motion's end that this means."""
        return self.tail or "zero"
