"""Commands about data sets."""

from pathlib import Path
from typing import Annotated

import typer

from atm.cli.app import Quiet, Seed, data_app, examples


@data_app.command("scripted", epilog=examples("atm data scripted scripted --clips 5000 --seed 0"))
def data_scripted(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips: Annotated[int, typer.Option(min=1, help="Number of motions.")] = 5000,
    seed: Seed = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a data set of scripted motions: made by formula, with known meaning, in the HumanML3D layout."""
    from atm.data.scripted.write import write_scripted

    write_scripted(out, clips=clips, seed=seed, jobs=jobs, progress=not quiet)
    print(out)
