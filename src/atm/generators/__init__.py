"""Text-to-motion generators: one published model per folder, one row per model in the table of this page.

Another package adds a row by an entry point (docs/add-a-generator.md).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from atm.config import Config, validate
from atm.errors import InputError, unknown
from atm.plugins import is_plugin, load_plugin, plugin_names

if TYPE_CHECKING:
    from torch import nn

    from atm.interface import Generator, TextEncoder
    from atm.layers import Normaliser
    from atm.published import Release

KIND = "generator"
"""What `atm.storage` calls a generator's file."""
STAGE_KIND = "stage"
"""What it calls the file of a stage."""
GROUP = "atm.generators"
"""Entry points by which another package adds rows: a name, and a function that gives its `Entry`."""


class Entry(NamedTuple):
    """One generator of the field."""

    config: type[Config]
    """Its config; `config.name` is the name in the table."""
    build: "Callable[[Config, TextEncoder, Normaliser], Generator]"
    """A new one, with weights drawn from torch's global generator."""
    release: "Release | None" = None
    """What `atm import` reads; None: no checkpoint of it is published."""
    begin: "Callable[[Config, TextEncoder, Normaliser], Generator] | None" = None
    """The one that a new training run starts with, where that is more than a new one: it may read an earlier stage."""
    stages: Mapping[str, str] = MappingProxyType({})
    """Of one that `atm assemble` puts together: the fields of its config, and which stage each is trained by."""
    dispensable: tuple[str, ...] = ()
    """Those of these fields that may be None."""


class Stage(NamedTuple):
    """One training of a generator that is trained in several. A trained stage generates nothing by itself."""

    config: type[Config]
    """Its config; `config.name` is the name in the table."""
    build: "Callable[[Config, TextEncoder, Normaliser], nn.Module]"
    """A new one, with weights drawn from torch's global generator."""
    what_next: str
    """What makes a generator of it, said to whoever takes it for one."""
    begin: "Callable[[Config, TextEncoder, Normaliser], nn.Module] | None" = None
    """As for `Entry`."""


def _bamm() -> Entry:
    from atm.generators.bamm.config import BAMMConfig
    from atm.generators.bamm.model import BAMM
    from atm.generators.bamm.weights import RELEASE

    stages = {"rvq": "momask_rvq", "transformer": "bamm_transformer", "residual": "momask_residual"}
    return Entry(BAMMConfig, BAMM, RELEASE, stages=stages)


def _mdm() -> Entry:
    from atm.generators.mdm.config import MDMConfig
    from atm.generators.mdm.model import MDM
    from atm.generators.mdm.weights import RELEASE

    return Entry(MDMConfig, MDM, RELEASE)


def _mld() -> Entry:
    from atm.generators.mld.config import MLDConfig
    from atm.generators.mld.model import MLD
    from atm.generators.mld.weights import RELEASE, begin

    return Entry(MLDConfig, MLD, RELEASE, begin)


def _momask() -> Entry:
    from atm.generators.momask.config import MoMaskConfig
    from atm.generators.momask.model import MoMask
    from atm.generators.momask.weights import RELEASE

    stages = {field: f"momask_{field}" for field in ("rvq", "mask", "residual", "length")}
    return Entry(MoMaskConfig, MoMask, RELEASE, stages=stages, dispensable=("length",))


def _motiondiffuse() -> Entry:
    from atm.generators.motiondiffuse.config import MotionDiffuseConfig
    from atm.generators.motiondiffuse.model import MotionDiffuse
    from atm.generators.motiondiffuse.weights import RELEASE

    return Entry(MotionDiffuseConfig, MotionDiffuse, RELEASE)


def _remodiffuse() -> Entry:
    from atm.generators.remodiffuse.config import ReMoDiffuseConfig
    from atm.generators.remodiffuse.model import ReMoDiffuse, begin
    from atm.generators.remodiffuse.weights import RELEASE

    return Entry(ReMoDiffuseConfig, ReMoDiffuse, RELEASE, begin)


# Each row imports on demand, so that a command that only names generators starts at once.
GENERATORS: dict[str, Callable[[], Entry]] = {
    "bamm": _bamm,
    "mdm": _mdm,
    "mld": _mld,
    "momask": _momask,
    "motiondiffuse": _motiondiffuse,
    "remodiffuse": _remodiffuse,
}


def _bamm_transformer() -> Stage:
    from atm.generators.bamm.config import TransformerConfig
    from atm.generators.bamm.stage import build_stage

    what_next = "train MoMask's tokeniser and residual transformer as well, then `atm assemble bamm RUN ...`"
    return Stage(TransformerConfig, build_stage, what_next)


def _mld_vae() -> Stage:
    from atm.generators.mld.config import MLDVAEConfig
    from atm.generators.mld.stage import VAEStage

    def build(config, _text_encoder, normaliser):
        return VAEStage(config, normaliser)

    return Stage(MLDVAEConfig, build, "train an mld with model.vae=RUN")


def _momask_stage(name: str) -> Stage:
    from atm.generators.momask.stages import STAGE_CONFIGS, begin_stage, build_stage

    what_next = "train the other stages of MoMask as well, then `atm assemble momask RUN ...`"
    return Stage(STAGE_CONFIGS[name], build_stage, what_next, begin_stage)


STAGES: dict[str, Callable[[], Stage]] = {"bamm_transformer": _bamm_transformer, "mld_vae": _mld_vae} | {
    name: partial(_momask_stage, name) for name in ("momask_rvq", "momask_mask", "momask_residual", "momask_length")
}


def generator_names() -> list[str]:
    """Every name that `find_generator` knows: the house's, and those that other packages register."""
    return [*GENERATORS, *plugin_names(GROUP, GENERATORS)]


def find_generator(name: str) -> Entry:
    """The row of this name; an unknown name is answered with the nearest.

    Raises:
        InputError: no such name, or another package registers it and what it registers is no row.
    """
    if name in GENERATORS:
        return GENERATORS[name]()
    if not is_plugin(GROUP, name):
        raise InputError(f"{unknown('generator', name, generator_names())}; is the package installed that brings it?")
    return _checked(name, load_plugin(GROUP, name))


def all_generators() -> Iterator[tuple[str, Entry]]:
    """Every row with its name. One of another package that cannot be read costs a warning, not the others."""
    for name in generator_names():
        try:
            yield name, find_generator(name)
        except InputError as error:
            warnings.warn(str(error), stacklevel=2)


def _checked(name: str, row: Callable[[], Entry]) -> Entry:
    """What a package registers, if it is a function that gives the row of this name."""
    try:
        entry = row()
    except Exception as error:  # code of another package, which may do anything
        raise InputError(f"the generator {name!r} of {GROUP} gives no row: {type(error).__name__}: {error}") from error
    if not isinstance(entry, Entry):
        raise InputError(
            f"the entry point {name!r} in {GROUP} must be a function that gives an atm.generators.Entry, but gives "
            f"{type(entry).__name__}"
        )
    field = entry.config.model_fields.get("name")
    if field is None or field.default != name:
        raise InputError(
            f"the generator {name!r} of {GROUP} has a config {entry.config.__name__} whose `name` is "
            f"{None if field is None else field.default!r}: it must be {name!r}, by which its files are read"
        )
    return entry


def find_stage(name: str) -> Stage:
    """The stage of this name; an unknown name is answered with the nearest."""
    if name not in STAGES:
        raise unknown("stage", name, STAGES)
    return STAGES[name]()


def build_generator(config: Config, text_encoder: "TextEncoder", normaliser: "Normaliser") -> "Generator":
    """A new generator, by `config.name`."""
    return find_generator(config.name).build(config, text_encoder, normaliser)


def save_generator(path: Path, generator: "Generator", *, half: bool = False) -> None:
    """Write a generator to one safetensors file; `half` stores its weights in 16 bits.

    The frozen text encoder is not in the file, its name is.
    """
    from atm.storage import save_model

    save_model(path, generator, generator.config, KIND, half=half)


def load_generator(path: Path, text_encoder: "TextEncoder | None" = None) -> "Generator":
    """A generator that `save_generator` wrote, in evaluation mode.

    Args:
        path: the file, or a run folder with a `model.safetensors`.
        text_encoder: None loads the one that the config names, when it is first asked.

    Raises:
        InputError: no such file, a damaged one, another kind of model, or weights that do not fit the config.
    """
    from atm.layers import Normaliser
    from atm.storage import load_state, read_model
    from atm.text import DeferredTextEncoder

    file = path / "model.safetensors" if path.is_dir() else path
    stored = read_model(file)
    if stored.kind == STAGE_KIND:
        name = stored.config.get("name", "")
        raise InputError(
            f"{file} holds a {name}, a stage that generates nothing by itself: {find_stage(name).what_next}"
        )
    if stored.kind != KIND:
        raise InputError(f"expected a generator, but {file} holds a model of kind {stored.kind!r}")
    entry = find_generator(stored.config.get("name", ""))
    config = validate(entry.config, stored.config, source=str(file))
    if "normaliser.mean" not in stored.state:
        raise InputError(f"{file} has no statistics (`normaliser.mean`): it was not written by save_generator")
    encoder = text_encoder or DeferredTextEncoder(config.text_encoder)
    generator = entry.build(config, encoder, Normaliser.identity(len(stored.state["normaliser.mean"])))
    load_state(generator, stored.state, source=str(file))
    return generator.eval()
