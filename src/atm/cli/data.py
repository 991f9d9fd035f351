"""Commands about data sets."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.limits import MOST
from atm.cli.app import Force, Quiet, Seed, data_app, examples


@data_app.command("scripted", epilog=examples("atm data scripted scripted --clips 5000 --seed 0"))
def data_scripted(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips: Annotated[int, typer.Option(min=1, max=MOST, help="Number of motions.")] = 5000,
    seed: Seed = 0,
    hold_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON list of combinations for the test split alone.")
    ] = None,
    actions: Annotated[int, typer.Option(min=1, max=4, help="Actions of a motion, at most.")] = 4,
    jobs: Annotated[int | None, typer.Option(min=1, max=MOST, help="Processes; default: one per core.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a data set of scripted motions: made by formula, with known meaning, in the HumanML3D layout.

    Some combinations of an action and a number or side are in the test split alone; its split test_held_out has them.
    """
    from atm.scripted.sampling import HELD_OUT, read_combinations
    from atm.scripted.write import write_scripted

    combinations = HELD_OUT if hold_out is None else read_combinations(hold_out)
    write_scripted(out, clips=clips, seed=seed, hold_out=combinations, actions=actions, jobs=jobs, progress=not quiet)
    print(out)


@data_app.command("check", epilog=examples("atm data check HumanML3D", "atm data check KIT-ML --fix KIT-ML-repaired"))
def data_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="HumanML3D or KIT-ML folder; left as it is.")],
    fix: Annotated[Path | None, typer.Option(metavar="OUT", help="Write a repaired copy to this new folder.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report, with all places.")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Say what is there of a data folder, what is wrong with it and what that means. Ends with 1 if it has errors."""
    from rich.console import Console

    from atm.curation.check import check_folder, repair_folder

    if fix is None:
        report, after = check_folder(folder, show_progress=not quiet), None
    else:
        report, after = repair_folder(folder, fix, show_progress=not quiet)
    for table in [*report.tables(), *(after.tables() if after is not None else [])]:
        Console().print(table)
    if json is not None:
        report.write(json)
        print(json)
    if fix is not None:
        print(fix)
    raise typer.Exit(int(not (after or report).sound))


@data_app.command("join", epilog=examples("atm data join scripted captured:3 together"))
def data_join(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR[:TIMES]...", help="Data folders; :3 lists one's clips thrice in train.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    quiet: Quiet = False,
) -> None:
    """Write several data folders as one, with statistics of their joined training list."""
    from atm.curation.join import Part, join_folders

    print(join_folders([Part.read(word) for word in folders], out, show_progress=not quiet))
