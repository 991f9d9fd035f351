"""Interfaces between the packages, on one page.

A generator turns text into motion and hands out its differentiable estimate of the clean motion; a space embeds
texts and motions; the alignment losses know these two promises and nothing behind them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.base.config import Config
from atm.motion import Motion
from atm.motion.program import Timeline


class TextEmbedding(NamedTuple):
    """Output of a text encoder for B captions."""

    tokens: Float[Tensor, "B L W"]
    """Token states; rows behind a caption's end are zero (or, of encoders that say `padded`, states of padding)."""
    mask: Bool[Tensor, "B L"]
    """True where there is a token."""
    sentence: Float[Tensor, "B S"]
    """One vector per caption (not normalised unless its model does so)."""

    def to(self, device: torch.device | str) -> "TextEmbedding":
        """Return the embedding on a device."""
        return TextEmbedding(*(part.to(device) for part in self))


@runtime_checkable
class TextEncoder(Protocol):
    """A frozen language model. Not part of anybody's weights: whoever uses one stores its name."""

    name: str
    token_width: int
    sentence_width: int

    def __call__(self, text: list[str]) -> TextEmbedding: ...


class FineMeaning(NamedTuple):
    """Details of B captions that a sentence embedding barely shows: numbers, sides, directions, order."""

    contradicts: Bool[Tensor, "B B"]
    """True where no one motion is truly described by both captions ("four steps", "five steps"); False on the
    diagonal. What one says and the other leaves open is no contradiction."""
    same: Bool[Tensor, "B B"]
    """True where two captions say the same in other words, and on the diagonal."""
    counterfactual: list[str | None]
    """Each caption with one thing said otherwise, so that it is false of the row's motion; None: it has no such."""
    exact_attributes: tuple[dict[str, str], ...] = ()
    """Attributes that each caption states once and exactly: number, side, direction (`atm.meaning.VALUES`)."""


@dataclass(eq=False)  # not frozen: the training engine takes it apart and puts it together again
class Batch:
    """Input of one training step."""

    motion: Motion
    text: list[str]
    sentence: Float[Tensor, "B S"]
    """Sentence embeddings of `text`: with these, alignment needs no text package."""
    ids: list[str]
    words: list[list[str]] | None = None
    """`word/CLASS` tokens of each caption as the data set's text files carry them; the evaluator reads them."""
    language: Mapping[str, TextEmbedding] = field(default_factory=dict)
    """Embeddings of `text` by language models, by their names; one that is not here is asked when it is needed."""
    first: list[int] | None = None
    """First frame of each row's crop in its entry; with `ids` and lengths it names the crop. None: not known."""
    timelines: list[Timeline | None] | None = None
    """Actions of each row and their times in seconds from its first frame, where the data say so; None: they do not."""
    meaning: FineMeaning | None = None
    """Details of the captions, for the objectives that need them; None: they were not read. On the CPU."""

    def __len__(self) -> int:
        return len(self.text)

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch with everything that a step computes with on a device."""
        language = {name: said.to(device) for name, said in self.language.items()}
        return replace(self, motion=self.motion.to(device), sentence=self.sentence.to(device), language=language)

    @torch.no_grad()
    def said_by(self, encoder: TextEncoder) -> TextEmbedding:
        """Return what a language model says of the captions: what the batch carries, else it is asked now."""
        carried = self.language.get(encoder.name)
        return encoder(self.text) if carried is None else carried


class _MadeWhenAsked:
    """A field that may be given as a function without arguments, which is called the first time that it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return None  # the field's default
        value = instance.__dict__[self.name]
        if isinstance(value, Callable):
            value = instance.__dict__[self.name] = value()
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value


@dataclass(eq=False)
class StepOutput:
    """Output of one training step."""

    loss: Float[Tensor, "B"]
    """The model's own objective, per row."""
    motion: Motion | Callable[[], Motion] | None = _MadeWhenAsked()
    """Generator's differentiable estimate of the clean motion, in published units; None: the method has none. A
    function that makes it, where that costs time: a training without the losses never calls it. Reading gives the
    motion."""
    noise_level: Float[Tensor, "B"] | None = None
    """Diffusion models: how far each row was noised, 0 (clean) to 1 (pure noise)."""
    parts: dict[str, Tensor | float] = field(default_factory=dict)
    """Named scalars for the log; tensors are read from the device only when a line is written."""


@runtime_checkable
class TextMotionSpace(Protocol):
    """Texts and motions as vectors that can be compared. Means, never samples."""

    def encode_motion(self, motion: Motion) -> Float[Tensor, "B E"]: ...

    def encode_text(self, text: list[str]) -> Float[Tensor, "B E"]: ...


@dataclass(frozen=True)
class Capabilities:
    """Abilities of a generator; a check that does not apply is reported as not applicable, not bent."""

    guidance: bool = True
    """Has classifier-free guidance."""
    ignores_padding: bool = True
    """Frames behind a motion's length do not change the motion (MDM of 2022 attends to padding)."""
    inbetweening: bool = False
    """`sample` takes `known` and `keep`."""
    keeps_features: bool = False
    """`keep` may be per frame and feature, so that a path of the root can be kept and the body made."""
    goes_on: bool = False
    """`sample` takes `prefix`, a motion to go on from."""
    plans: int = 0
    """Most actions of a plan: the generator has `plan`, and `sample` takes `timelines`; 0: it has none."""
    steps: int = 0
    """Most sampling steps that can be asked for: `sample` takes `steps`, from 1 on; 0: it does not."""
    predicts_length: bool = False
    """`sample` works without lengths."""
    differentiable_motion: bool = True
    """`training_step` returns a motion whose gradient reaches the weights."""


@runtime_checkable
class Generator(Protocol):
    """Text in, motion out."""

    capabilities: Capabilities

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput: ...

    def sample(
        self,
        text: list[str],
        lengths: Int[Tensor, "B"],
        *,
        seeds: list[int],
        guidance_scale: float | None = None,
        progress: bool = False,
    ) -> Motion:
        """Return one motion per text; what stands behind a length means nothing.

        Documented here for all generators; each says of itself what differs.

        Args:
            text: prompts.
            lengths: frames of each motion; None: the model finds them, where its capabilities say that it can.
            seeds: one per row; row i's noise depends on `seeds[i]` alone, so that a batch of one equals its row in a
                batch of many.
            guidance_scale: of classifier-free guidance, 1 is none and 0 ignores the text; None: the model's own.
            progress: show a bar.

        Raises:
            InputError: a length below 1 or beyond what the model can make, or what it lacks for this call.
        """
        ...


Kind = Literal["generator", "stage", "space", "evaluator"]
"""Kinds of model that a file can hold; a stage is one training of a generator that is trained in several."""


def _as_it_is(config: Config, _dataset: Any) -> Config:
    return config


@dataclass(frozen=True)
class ModelSpec:
    """One row of the table of models (`atm.models`): what can be trained, saved and loaded, by `config.name`."""

    kind: Kind
    config: type[Config]
    """Class of its config; the default of the field `name` is its name in the table."""
    build: Callable[..., nn.Module]
    """(config, text encoder, normaliser) to a model whose weights come from a file or a checkpoint; until then they
    are drawn from torch's global generator."""
    begin: Callable[..., nn.Module] | None = None
    """The same for a new run, where that is more: it may read an earlier stage. None: `build`."""
    fit: Callable[[Any, Any], Config] = _as_it_is
    """(config, training split) to the config of a new run, with what its data decides."""
    observe: Callable[[Any, Any], None] | None = None
    """Lets (a new model, the training split) meet before the first step: buffers hold what is found; None: nothing."""
    release: Any = None
    """Release that `atm import` reads (`atm.published.Release`); None: no checkpoint of it is published."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """Fields of its config that `atm assemble` fills, and which stage each is trained by."""
    optional: tuple[str, ...] = ()
    """Those of `stages` that may be None."""
    hint: str = ""
    """Advice on how to make a generator of a stage, shown to whoever mistakes the stage for one."""

    @property
    def name(self) -> str:
        """Name in the table, in configs and in files."""
        return self.config.model_fields["name"].default if "name" in self.config.model_fields else ""

    def new(self, config: Config, text_encoder: TextEncoder, normaliser: nn.Module) -> nn.Module:
        """Build the model that a new training run starts with; `observe` comes after it."""
        return (self.begin or self.build)(config, text_encoder, normaliser)


@dataclass(frozen=True)
class Preset:
    """How a model is trained, by name: a row of `PRESETS` in its folder."""

    model: Callable[[], Config]
    training: Mapping[str, Any]
    """Fields of `atm.training.config.TrainConfig`, where they differ from the defaults."""
    what: str
    time: str
    """Expected time, and the class of machine for it."""
    small: bool = False
    """Ours, for scripted motions and two CPU cores; the losses then weigh what small models need."""
    losses: Mapping[str, Any] | None = None
    """Keys of `AlignmentConfig` ("max_noise", "intra.gamma") in which NAME_atm, the variant with both losses, differs;
    None: there is none."""
    losses_time: str = ""
