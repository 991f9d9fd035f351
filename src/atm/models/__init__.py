"""One table of everything that can be trained and loaded: generators, their stages, the space, the evaluator.

A model's folder says all about it: `spec.py` its rows here, `presets.py` how it is trained. Another package adds rows
by entry points (docs/add-a-generator.md).
"""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from atm.base.config import Config, validate
from atm.base.errors import InputError, unknown
from atm.base.plugins import is_plugin, load_plugin, plugin_names
from atm.base.storage import load_state, read_model, save_model
from atm.interface import Generator, ModelSpec, TextEncoder
from atm.motion.layers import Normaliser

GROUP = "atm.generators"
"""Entry points by which another package adds generators: a name, and a function that gives its `ModelSpec`."""

Rows = tuple[ModelSpec, ...]


# Each folder is imported on demand, so that a command that only names models starts at once.
def _bamm() -> Rows:
    from atm.generators.bamm.spec import SPECS

    return SPECS


def _causal_flow() -> Rows:
    from atm.generators.causal_flow.spec import SPECS

    return SPECS


def _evaluator() -> Rows:
    from atm.evaluation.spec import SPECS

    return SPECS


def _mdm() -> Rows:
    from atm.generators.mdm.spec import SPECS

    return SPECS


def _mld() -> Rows:
    from atm.generators.mld.spec import SPECS

    return SPECS


def _momask() -> Rows:
    from atm.generators.momask.spec import SPECS

    return SPECS


def _motiondiffuse() -> Rows:
    from atm.generators.motiondiffuse.spec import SPECS

    return SPECS


def _remodiffuse() -> Rows:
    from atm.generators.remodiffuse.spec import SPECS

    return SPECS


def _space() -> Rows:
    from atm.space.spec import SPECS

    return SPECS


GENERATORS: dict[str, Callable[[], Rows]] = {
    "bamm": _bamm,
    "causal_flow": _causal_flow,
    "mdm": _mdm,
    "mld": _mld,
    "momask": _momask,
    "motiondiffuse": _motiondiffuse,
    "remodiffuse": _remodiffuse,
}
STAGES: dict[str, Callable[[], Rows]] = {
    "bamm_transformer": _bamm,
    "mld_vae": _mld,
    "momask_rvq": _momask,
    "momask_mask": _momask,
    "momask_residual": _momask,
    "momask_length": _momask,
}
_FOLDERS: dict[str, Callable[[], Rows]] = GENERATORS | STAGES | {"space": _space, "evaluator": _evaluator}


def generator_names() -> list[str]:
    """Return every generator's name: the project's own, and those that other packages register."""
    return [*GENERATORS, *plugin_names(GROUP, _FOLDERS)]


def find_spec(name: str) -> ModelSpec:
    """Return the row of this name.

    Raises:
        InputError: no such name (the nearest is named), or another package registers it and gives no row.
    """
    if name in _FOLDERS:
        return next(row for row in _FOLDERS[name]() if row.name == name)
    if not is_plugin(GROUP, name):
        known = [*_FOLDERS, *plugin_names(GROUP, _FOLDERS)]
        raise InputError(f"{unknown('model', name, known)}; is the package installed that brings it?")
    return _checked(name, load_plugin(GROUP, name))


def config_class(name: str) -> type[Config]:
    """Return the class of a model's config."""
    return find_spec(name).config


def all_generators() -> Iterator[tuple[str, ModelSpec]]:
    """Give every generator with its name. One of another package that cannot be read costs a warning, no more."""
    for name in generator_names():
        try:
            yield name, find_spec(name)
        except InputError as error:
            warnings.warn(str(error), stacklevel=2)


def _checked(name: str, row: Callable[[], ModelSpec]) -> ModelSpec:
    """Return what a package registers, if it is a function that gives the row of this name."""
    try:
        spec = row()
    except Exception as error:  # code of another package, which may do anything
        raise InputError(f"the generator {name!r} of {GROUP} gives no row: {type(error).__name__}: {error}") from error
    if not isinstance(spec, ModelSpec):
        raise InputError(
            f"the entry point {name!r} in {GROUP} must be a function that gives an atm.interface.ModelSpec, but gives "
            f"{type(spec).__name__}"
        )
    if spec.name != name:
        raise InputError(
            f"the generator {name!r} of {GROUP} has a config {spec.config.__name__} whose `name` is "
            f"{spec.name!r}: it must be {name!r}, by which its files are read"
        )
    return spec


def build_generator(config: Config, text_encoder: TextEncoder, normaliser: Normaliser) -> Generator:
    """Build a new generator, by `config.name`."""
    return find_spec(config.name).build(config, text_encoder, normaliser)


def save_trained(path: Path, model: nn.Module, config: Config, *, half: bool = False) -> None:
    """Write any model of the table to one safetensors file; `half` stores its weights in 16 bits.

    The frozen text encoder is not in the file, its name is.
    """
    save_model(path, model, config, find_spec(config.name).kind, half=half)


def save_generator(path: Path, generator: Generator, *, half: bool = False) -> None:
    """Write a generator; see `save_trained`."""
    save_model(path, generator, generator.config, "generator", half=half)


def load_generator(path: Path, text_encoder: TextEncoder | None = None) -> Generator:
    """Load a generator that `save_generator` wrote, in evaluation mode.

    Args:
        path: the file, or a run folder with a `model.safetensors`.
        text_encoder: None loads the one that the config names, when it is first asked.

    Raises:
        InputError: no such file, a damaged one, another kind of model, or weights that do not fit the config.
    """
    from atm.text import DeferredTextEncoder

    file = path / "model.safetensors" if path.is_dir() else path
    stored = read_model(file)
    name = stored.config.get("name", "")
    if stored.kind == "stage":
        raise InputError(f"{file} holds a {name}, a stage that generates nothing by itself: {find_spec(name).hint}")
    if stored.kind != "generator":
        raise InputError(f"expected a generator, but {file} holds a model of kind {stored.kind!r}")
    spec = find_spec(name)
    config = validate(spec.config, stored.config, source=str(file))
    if "normaliser.mean" not in stored.state:
        raise InputError(f"{file} has no statistics (`normaliser.mean`): it was not written by save_generator")
    encoder = text_encoder or DeferredTextEncoder(config.text_encoder)
    generator = spec.build(config, encoder, Normaliser.identity(len(stored.state["normaliser.mean"])))
    load_state(generator, stored.state, source=str(file))
    return generator.eval()
