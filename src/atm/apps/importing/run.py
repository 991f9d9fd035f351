"""One published checkpoint to one run folder."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from atm.apps.importing.recognise import looks_like, recognised
from atm.apps.importing.systems import System, find_system, systems
from atm.base.errors import InputError
from atm.base.progress import progress_bar
from atm.training.record import RunFolder


class Imported(NamedTuple):
    """Result of an import."""

    path: Path
    """The run folder."""
    recognised: str
    """Which of the published models it is, in one line."""
    notes: list[str]
    """Notes that a user should read before using the model."""


def import_published(
    system: str,
    source: Path,
    out: Path,
    *,
    stats: Path | None = None,
    trust: bool = False,
    show_progress: bool = True,
    **files: Path | None,
) -> Imported:
    """Turn a published checkpoint into a run folder.

    Args:
        system: the name of one of `systems`.
        source: the checkpoint's folder, or its file.
        out: the run folder; must not hold a run.
        stats: folder with the statistics that the model was trained with, where the checkpoint has none beside it.
        trust: let a file run what it asks for (see `atm.published.read_pickle`).
        show_progress: a bar.
        files: what else the system takes (`release.options`): the evaluator's `glove`, ReMoDiffuse's `database`.

    Raises:
        InputError: an unknown system, a missing, damaged or foreign file, keys that do not fit, statistics that are
            missing or of another width, or a folder that is in use.
    """
    row = find_system(system)
    given = {name: path for name, path in files.items() if path is not None}
    for name in given:
        if name not in row.release.options:
            raise InputError(f"{system} takes no --{name}: leave it out")
    run = RunFolder(out)
    if run.holds_something():
        raise InputError(f"{out} holds a run already: give another folder")
    if not source.exists():
        raise InputError(f"there is no {source}: expected a published checkpoint, {row.release.files}")
    with progress_bar(show=show_progress) as bar:
        task = bar.add_task(f"importing {system}", total=3, note="reading")
        model = _read(row, source, stats, given, trust=trust)
        described = recognised(model.config, len(model.normaliser.mean), row.release.presets)
        bar.update(task, advance=1, note="checksums")
        digests = {str(file): _sha256(file) for file in row.release.weight_files(source)}
        bar.update(task, advance=1, note="writing")
        run.create()
        row.save(run.model, model)
        run.write_record(imported=system, recognised=described, source=digests)
        bar.update(task, advance=1, note="")
    return Imported(out, described, row.release.notes(model, source))


def _read(row: System, source: Path, stats: Path | None, given: dict[str, Path], *, trust: bool) -> nn.Module:
    normaliser = None if stats is None else row.release.statistics(stats)
    try:
        model = row.release.read(source, normaliser, trust=trust, **given)
    except InputError as error:
        others = _others(row, source)
        if others:
            commands = " or ".join(f"`atm import {name}`" for name in others)
            raise InputError(f"{source} is no checkpoint of {row.name}: it has keys that {commands} reads") from None
        raise error
    _check_finite(model, source)
    if normaliser is not None and not torch.equal(model.normaliser.std, normaliser.std):
        raise InputError(f"{source} has statistics beside it, which differ from those in {stats}: leave out --stats")
    return model


def _check_finite(model: nn.Module, source: Path) -> None:
    """Refuse weights that are NaN, and parameters that are infinite: no motion can come of them."""
    bad = [name for name, value in model.state_dict().items() if value.is_floating_point() and value.isnan().any()]
    bad += [name for name, value in model.named_parameters() if value.isinf().any()]
    if bad:
        raise InputError(
            f"the weights in {source} hold NaN or infinite values ({len(bad)} tables, the first is {bad[0]}): the "
            "training of this checkpoint went wrong; take an earlier one"
        )


def _others(row: System, source: Path) -> list[str]:
    """Return systems that a file which is no `row.name`'s may belong to."""
    try:
        files = row.release.weight_files(source)
    except InputError:
        files = [source] if source.is_file() else []
    found = looks_like(files, {system.name: system.release for system in systems()})
    return [] if row.name in found else found


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
