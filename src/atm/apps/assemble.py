"""A run folder that holds a whole generator, made of the runs of its stages."""

from pathlib import Path

from atm.apps.assembly import assemble
from atm.base.errors import InputError
from atm.models import save_generator
from atm.training.record import RunFolder


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
