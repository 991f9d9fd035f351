"""What a user can choose of sampling and of evaluation: one place for the command line, Python and studies."""

from dataclasses import dataclass
from pathlib import Path

from atm.base.errors import InputError


@dataclass(frozen=True)
class SampleOptions:
    """How motions are sampled.

    Raises:
        InputError: a number that none can be.
    """

    seconds: float = 6.0
    """Length of every motion."""
    samples: int = 1
    """Motions per sentence; sample k of a sentence is the same whatever else is asked for."""
    seed: int = 0
    """Of the noise: the same seed gives the same files."""
    guidance_scale: float | None = None
    """None takes the model's own."""
    candidates: int = 1
    """So many motions are made for each one that is asked for, and the one nearest to its sentence is kept."""
    space: Path | None = None
    """Space that measures what is nearest, see `best_of`."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError(f"samples must be at least 1, got {self.samples}")
        if self.guidance_scale is not None and not 0 <= self.guidance_scale < float("inf"):
            raise InputError(f"guidance must be a number >= 0, got {self.guidance_scale}")
