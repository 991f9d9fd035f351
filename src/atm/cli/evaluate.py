"""Commands that measure models."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.base.limits import MOST
from atm.cli.app import Force, Quiet, Seed, app, examples


@app.command(
    epilog=examples(
        "atm evaluate runs/mdm_small-0 --data scripted",
        "atm evaluate runs/mdm_humanml3d-0 --data HumanML3D --evaluator runs/evaluator_humanml3d-1000 "
        "--protocol published",
        "atm evaluate space --data scripted",
        "atm evaluate motions-of-another-program --data HumanML3D --evaluator runs/evaluator_humanml3d-1000",
    )
)
def evaluate(
    what: Annotated[Path, typer.Argument(help="Run, model file, packaged name, or folder of motions named by id.")],
    data: Annotated[Path, typer.Option(help="Data folder that is evaluated on.")],
    evaluator: Annotated[Path | None, typer.Option(help="Evaluator run or file; default: the packaged one.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data folder.")] = "test",
    protocol: Annotated[str, typer.Option(help="ours, or published: as the system's authors measured it.")] = "ours",
    repeats: Annotated[int | None, typer.Option(min=1, max=MOST, help="Replications; default: 20, as usual.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Motions per replication; default: all.")] = None,
    multimodality: Annotated[bool, typer.Option(help="Also MultiModality: 30 motions for each of 100 texts.")] = True,
    tail: Annotated[
        str | None, typer.Option(help="Frames behind a motion's end: zero or published; default: zero.")
    ] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    best_of: Annotated[int, typer.Option(min=1, max=MOST, help="Make so many, keep the nearest to its text.")] = 1,
    space: Annotated[Path | None, typer.Option(help="Space that chooses; default: the packaged one.")] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Where the JSON goes; default: in the run folder.")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Evaluate a model or motions: R-Precision, FID, MM-Dist, Diversity, MultiModality, kinematics, oracle scores.

    With --protocol published: 20 replications, frames behind a motion's end as the generator left them, and as many
    motions and MultiModality texts as the system's authors took (MDM: 1,024 and 128; MoMask: all and 96; others: all
    and 100). --no-multimodality may leave out the longest part.

    Of a space: retrieval in both directions by every protocol, on motions and on 2 s clips. Of a space or an evaluator:
    how often a caption is nearer to its motion than the same caption with a number, a side, a direction, ... exchanged.
    """
    from rich.console import Console

    from atm.apps.evaluate import evaluate_evaluator, evaluate_path, evaluate_space, kind_of
    from atm.apps.options import EvaluateOptions
    from atm.base.packaged import named
    from atm.evaluation.report import table

    what = named(what)
    of_kind = {"space": evaluate_space, "evaluator": evaluate_evaluator}.get(kind_of(what))
    if of_kind is not None:
        if best_of > 1 or space is not None:
            raise InputError(f"--best-of makes motions with a generator, but {what} is none")
        if protocol != "ours":
            raise InputError(f"--protocol says how generated motions are measured, but {what} is no generator")
        lines, path = of_kind(what, data=data, split=split, seed=seed, out=out, show_progress=not quiet)
        print(lines, path, sep="\n")
        return
    options = EvaluateOptions(
        split, protocol, repeats, limit, multimodality, tail, guidance_scale=guidance, candidates=best_of, space=space,
        seed=seed,
    )  # fmt: skip
    report, path = evaluate_path(
        what, data=data, evaluator=evaluator, options=options, out=out, show_progress=not quiet
    )
    Console().print(table([report]))
    print(path)
