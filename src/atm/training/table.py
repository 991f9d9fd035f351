"""What the one loop can train, by the name in its config: generators, their stages, the space, the evaluator."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from atm.config import Config
from atm.errors import unknown
from atm.generators import KIND, STAGE_KIND, STAGES, find_generator, find_stage, generator_names

if TYPE_CHECKING:
    from torch import nn

    from atm.data.humanml3d import MotionDataset
    from atm.interface import TextEncoder
    from atm.layers import Normaliser


def _as_it_is(config: Config, _dataset: "MotionDataset") -> Config:
    return config


class Trainable(NamedTuple):
    """One kind of model that can be trained: it has `training_step(batch, rng) -> StepOutput`."""

    config: type[Config]
    """Its config; `config.name` is the name in the table."""
    kind: str
    """What `atm.storage` calls its file."""
    build: "Callable[[Config, TextEncoder, Normaliser], nn.Module]"
    """One whose weights come from a file or a checkpoint; until then they are drawn from torch's global generator."""
    begin: "Callable[[Config, TextEncoder, Normaliser], nn.Module]"
    """The one that a new run starts with; reads what an earlier stage left, where there is one."""
    fit: "Callable[[Config, MotionDataset], Config]" = _as_it_is
    """The config of a new run with what its data decides."""


def _space() -> Trainable:
    from atm.embedding import Space, SpaceConfig

    return Trainable(SpaceConfig, "space", Space, Space)


def _evaluator() -> Trainable:
    from atm.evaluation.evaluator import EvaluatorConfig
    from atm.evaluation.presets import fitted, from_data_statistics

    return Trainable(EvaluatorConfig, "evaluator", from_data_statistics, from_data_statistics, fitted)


_OTHERS: dict[str, Callable[[], Trainable]] = {"space": _space, "evaluator": _evaluator}


def find_trainable(name: str) -> Trainable:
    """The row of this name; an unknown name is answered with the nearest."""
    if name in _OTHERS:
        return _OTHERS[name]()
    if name in STAGES:
        stage = find_stage(name)
        return Trainable(stage.config, STAGE_KIND, stage.build, stage.begin or stage.build)
    if name not in generator_names():
        raise unknown("model", name, [*_OTHERS, *STAGES, *generator_names()])
    entry = find_generator(name)
    return Trainable(entry.config, KIND, entry.build, entry.begin or entry.build)


def config_class(name: str) -> type[Config]:
    """The class of a model's config."""
    return find_trainable(name).config
