"""Requests of clients. Values are checked here; what depends on the model is checked in `models.py`."""

from typing import Annotated

from pydantic import ConfigDict, Field, Strict, StringConstraints

from atm.base.config import Config
from atm.base.limits import LARGEST_SEED
from atm.motion.paths import FARTHEST, MOST_POINTS

LONGEST_SENTENCE = 500
"""Characters of a sentence, at most."""
MOST_SAMPLES = 8
MOST_CANDIDATES = 8
MOST_PARTS = 24
MOST_SPANS = 64
"""Parts of a motion that may be kept."""
LONGEST_SEQUENCE = 120.0
"""Seconds of all parts together, at most."""
MOST_GUIDANCE = 50.0
MOST_STEPS = 1000

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SENTENCE)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SEQUENCE)]
Second = Annotated[float, Field(ge=0, le=LONGEST_SEQUENCE)]
Metre = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]


class _Request(Config):
    # Strict: true is no seed, and "3" is no number of samples.
    model_config = ConfigDict(strict=True)

    model: str | None = None
    """Name of a model of `/api/models`; none: the first."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """The same seed gives the same motion."""
    guidance: float | None = Field(None, ge=0, le=MOST_GUIDANCE)
    """Scale of classifier-free guidance; none: the model's own."""
    steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Sampling steps, of models that have them (`steps` of `/api/models`); none: the model's own."""
    raw: bool = False
    """As the network gave it: limbs stretch, feet slide."""


class GenerateRequest(_Request):
    """A sentence, and how many motions of it."""

    text: Sentence
    seconds: Seconds | None = None
    """Length; none: as long as the model finds that it takes, or 6."""
    samples: int = Field(1, ge=1, le=MOST_SAMPLES)
    best_of: int = Field(1, ge=1, le=MOST_CANDIDATES)
    """So many are made for each sample, and the one nearest to the sentence is kept."""


class Part(Config):
    """One sentence of a sequence."""

    model_config = ConfigDict(strict=True)

    text: Sentence
    seconds: Seconds


class SequenceRequest(_Request):
    """Sentences that follow one another in one motion."""

    parts: list[Part] = Field(min_length=1, max_length=MOST_PARTS)
    samples: int = Field(1, ge=1, le=MOST_SAMPLES)
    """Motions; sample k has seed + k."""


class EditRequest(_Request):
    """A motion that is there, to be made anew but for parts that are kept, or along a path; see `TextToMotion.edit`."""

    motion: str = Field(min_length=1, max_length=40)
    """Id of the motion."""
    text: Sentence
    keep: list[Annotated[tuple[Second, Second], Strict(False)]] = Field(default_factory=list, max_length=MOST_SPANS)
    """Parts that stand, as [begin, end] in seconds."""
    path: list[Annotated[tuple[Metre, Metre], Strict(False)]] | None = Field(None, min_length=1, max_length=MOST_POINTS)
    """Points on the floor that the root goes through, as [x, z] in metres from where the motion begins."""
    seconds: Seconds | None = None
    """Length of the result; none: that of the motion."""
    samples: int = Field(1, ge=1, le=MOST_SAMPLES)
    """Motions; sample k has seed + k."""


class ReadRequest(Config):
    """A sentence whose understanding is asked for."""

    model_config = ConfigDict(strict=True)

    text: Sentence
    model: str | None = None


AnyRequest = GenerateRequest | SequenceRequest | EditRequest
"""Requests that make motions."""
