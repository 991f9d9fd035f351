"""Generators whose networks are trained one by one, put together from their runs."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.storage import StoredModel, find_model, load_state, read_model
from atm.generators.tokens.stages import LEARNED_FROM, fingerprint
from atm.interface import Generator, ModelSpec, TextEncoder
from atm.models import all_generators, find_spec, save_generator
from atm.motion.layers import Normaliser
from atm.training.record import RunFolder

STATISTICS = "normaliser."
"""Beginning of the keys that travel with a tokeniser."""


class Part(NamedTuple):
    """One network with its weights."""

    source: Path
    """The file."""
    config: dict[str, Any]
    state: dict[str, Tensor]
    learned_from: int | None
    """The tokeniser whose tokens it learned, by its fingerprint; None: it learned no tokens."""


def assemble_run(system: str, stages: list[Path], out: Path) -> Path:
    """Put a generator together; the folder is then one that every command takes.

    Args:
        system: a generator that is trained in stages.
        stages: run folders or model files, in any order.
        out: the run folder; must not hold a run.

    Raises:
        InputError: see `assemble`; or a folder that is in use.
    """
    run = RunFolder(out)
    if run.holds_something():
        raise InputError(f"{out} holds a run already: give another folder")
    generator = assemble(system, stages)
    run.create()
    save_generator(run.model, generator)
    run.write_record(assembled=system, stages=[str(stage) for stage in stages])
    return out


def assemble(system: str, runs: list[Path], *, text_encoder: TextEncoder | None = None) -> Generator:
    """Return one generator from the runs of its stages, in evaluation mode.

    Args:
        system: a generator that is trained in stages, such as `momask`.
        runs: run folders or model files, in any order; each says itself which stage it is. Of a whole generator,
            those networks are taken that no other run brings (an imported MoMask brings BAMM its tokeniser).
        text_encoder: None loads, when it is first needed, the one that the token models were trained with.

    Raises:
        InputError: a system that is not put together, a run of something else, a stage that is missing or there twice,
            or stages that do not fit one another.
    """
    entry = find_spec(system)
    if not entry.stages:
        staged = [name for name, row in all_generators() if row.stages]
        raise InputError(f"{system} is not put together from runs; what is: {', '.join(staged)}")
    parts = _parts(system, entry, [find_model(run) for run in runs])
    _check_tokens(parts)
    source = ", ".join(str(part.source) for part in parts.values())
    given = {field: part.config for field, part in parts.items()}
    config = validate(entry.config, dict.fromkeys(entry.stages) | given, source=source)
    state = {key: value for part in parts.values() for key, value in part.state.items()}
    if text_encoder is None:
        from atm.text import DeferredTextEncoder

        text_encoder = DeferredTextEncoder(config.text_encoder)
    model = entry.build(config, text_encoder, Normaliser.identity(len(state.get(f"{STATISTICS}mean", ()))))
    load_state(model, state, source=source)
    return model.eval()


def _parts(system: str, entry: ModelSpec, files: list[Path]) -> dict[str, Part]:
    stages, wholes = {}, {}
    for file in files:
        stored = read_model(file)
        name = stored.config.get("name", stored.kind)
        field = next((field for field, stage in entry.stages.items() if stage == name), None)
        found, into = ({field: _of_stage(file, stored)}, stages) if field else (_of_whole(file, stored, entry), wholes)
        if not found:
            raise InputError(f"{file} holds a {name}, but {_wanted(system, entry)}")
        for field, part in found.items():
            if field in into:
                raise InputError(
                    f"{into[field].source} and {file} both bring a {entry.stages[field]}: give one of them"
                )
            into[field] = part
    parts = wholes | stages
    missing = [stage for field, stage in entry.stages.items() if field not in parts and field not in entry.optional]
    if missing:
        raise InputError(f"{_wanted(system, entry)}: there is none of {' and none of '.join(missing)}")
    return {field: parts[field] for field in entry.stages if field in parts}


def _of_stage(file: Path, stored: StoredModel) -> Part:
    state = dict(stored.state)
    learned_from = state.pop(LEARNED_FROM, None)
    return Part(file, _placeless(stored.config), state, None if learned_from is None else int(learned_from))


def _of_whole(file: Path, stored: StoredModel, entry: ModelSpec) -> dict[str, Part]:
    """Return networks of another generator, or of this one."""
    found = {}
    for field, stage in entry.stages.items():
        config = stored.config.get(field)
        if not isinstance(config, dict) or config.get("name") != stage:
            continue
        beginnings = (f"{field}.", STATISTICS) if field == "rvq" else f"{field}."
        state = {key: value for key, value in stored.state.items() if key.startswith(beginnings)}
        learned_from = int(fingerprint(stored.state)) if "tokeniser" in config else None
        found[field] = Part(file, _placeless(config), state, learned_from)
    return found


def _placeless(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config without the path of the tokeniser, which now is a part of the same model."""
    return config | ({"tokeniser": None} if "tokeniser" in config else {})


def _check_tokens(parts: dict[str, Part]) -> None:
    own = int(fingerprint(parts["rvq"].state))
    for part in parts.values():
        if part.learned_from not in (None, own):
            raise InputError(
                f"{part.source} learned the tokens of another tokeniser than {parts['rvq'].source}, to which they mean "
                "something else: give the tokeniser that its run was started with (model.tokeniser)"
            )


def _wanted(system: str, entry: ModelSpec) -> str:
    needed = [stage for field, stage in entry.stages.items() if field not in entry.optional]
    more = [stage for field, stage in entry.stages.items() if field in entry.optional]
    named = f"{', '.join(needed[:-1])} and {needed[-1]}" + (f", and perhaps {', '.join(more)}" if more else "")
    return f"a {system} is put together from runs of {named}"
