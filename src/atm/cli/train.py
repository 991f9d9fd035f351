"""Commands that make models, and look after them."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.cli.app import Force, Quiet, app, examples, positive


@app.command()
def presets() -> None:
    """List everything that can be trained: names for `atm train`, with steps and expected time."""
    from rich.console import Console
    from rich.table import Column, Table

    from atm.training.presets import all_presets

    # Names stand whole in a narrow window, too: they are what one types.
    longest = max(map(len, all_presets()))
    table = Table(Column("preset", no_wrap=True, min_width=longest), "what", "steps", "expected time")
    for name, row in all_presets().items():
        table.add_row(name, row.what, f"{row.config.steps:,}", row.time)
    Console().print(table)


@app.command(
    epilog=examples(
        "atm train mdm_small data=scripted",
        "atm train mdm_small_atm data=scripted alignment.space=runs/space_scripted-0 seed=7 --minutes 30",
        "atm train mdm_small_atm data=scripted --from runs/mdm_small-0 --out runs/continued",
        "atm train --resume runs/mdm_small-0",
        "atm train --resume runs/mdm_small-0 data=where/it/is/now",
        "atm train mdm_humanml3d_atm data=HumanML3D batch_size=16 alignment.gather=true --devices 4",
    )
)
def train(
    preset: Annotated[str | None, typer.Argument(help="A name that `atm presets` lists.")] = None,
    settings: Annotated[list[str] | None, typer.Argument(help="key=value ..., such as data=DIR seed=7.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/PRESET-SEED.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; the run can be resumed.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    from_model: Annotated[Path | None, typer.Option("--from", help="Run or model file to start from.")] = None,
    devices: Annotated[int, typer.Option(min=1, max=1024, help="GPUs of each machine; without any, processes.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, max=1024, help="Machines, each of which runs this command.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train a space, an evaluator or a generator, without or with the alignment losses."""
    from atm.apps import train as start
    from atm.base.config import override
    from atm.training.presets import preset as find_preset

    positive("minutes", minutes)
    if resume is not None:
        words = [preset, *(settings or [])] if preset is not None else []
        data = words[0].removeprefix("data=") if len(words) == 1 and words[0].startswith("data=") else None
        if (words and not data) or from_model is not None or out is not None:
            raise InputError(
                "--resume goes on by what the run holds: give it no preset, --from or --out, and of key=value data=DIR "
                "alone, where the data is now"
            )
        outcome = start.resume(
            resume, data=None if data is None else Path(data), minutes=minutes, devices=devices, machines=nodes,
            show_progress=not quiet,
        )  # fmt: skip
        out = resume
    elif preset is None:
        raise InputError("what to train? give a name that `atm presets` lists, or --resume RUN")
    else:
        base = find_preset(preset)
        config = override(base if from_model is None else start.with_model_of(base, from_model), settings or [])
        out = out or Path("runs") / f"{preset}-{config.seed}"
        outcome = start.start(
            config, out, minutes=minutes, from_model=from_model, devices=devices, machines=nodes,
            show_progress=not quiet,
        )  # fmt: skip
    if outcome.rank > 0:
        return  # the first process speaks for all
    if not outcome.finished:
        print(f"at step {outcome.step} of {outcome.steps}; go on with: atm train --resume {out}", file=sys.stderr)
    print(out)
    if outcome.interrupted:
        sys.exit(128 + (outcome.signal or signal.SIGINT))


@app.command(
    "import",
    epilog=examples(
        "atm import --list",
        "atm import mdm save/humanml_trans_enc_512 runs/mdm --stats HumanML3D",
        "atm import momask checkpoints/t2m runs/momask",
        "atm import evaluator checkpoints/kit runs/evaluator_kit --glove glove",
    ),
)
def import_checkpoint(
    system: Annotated[str | None, typer.Argument(help="A name that `atm import --list` shows.")] = None,
    source: Annotated[Path | None, typer.Argument(help="The published checkpoint's folder or file.")] = None,
    out: Annotated[Path | None, typer.Argument(help="Run folder to write.")] = None,
    names: Annotated[bool, typer.Option("--list", help="What can be imported, and under which licences.")] = False,
    stats: Annotated[Path | None, typer.Option(help="Folder of the statistics that it was trained with.")] = None,
    database: Annotated[Path | None, typer.Option(help="What ReMoDiffuse retrieves from.")] = None,
    glove: Annotated[Path | None, typer.Option(help="Folder of the evaluator's word vectors.")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Let the file run what it asks for.")] = False,
    quiet: Quiet = False,
) -> None:
    """Turn a published checkpoint into a run folder that every command takes."""
    from atm.apps.importing import import_published, list_systems

    if names:
        print(list_systems())
        return
    if system is None or source is None or out is None:
        raise InputError("import what? give a system that `atm import --list` names, its checkpoint, and a run folder")
    imported = import_published(
        system, source, out, stats=stats, trust=trust, database=database, glove=glove, show_progress=not quiet
    )
    print(f"recognised {imported.recognised}", file=sys.stderr)
    for note in imported.notes:
        print(f"note: {note}", file=sys.stderr)
    print(imported.path)


@app.command(
    epilog=examples(
        "atm assemble momask runs/momask_rvq_small-0 runs/momask_mask_small-0 runs/momask_residual_small-0",
        "atm assemble bamm runs/momask_rvq_small-0 runs/bamm_transformer_small-0 runs/momask_residual_small-0",
    )
)
def assemble(
    system: Annotated[str, typer.Argument(help="Generator whose networks are trained one by one.")],
    stages: Annotated[list[Path], typer.Argument(help="Run folders or model files of its stages, in any order.")],
    out: Annotated[Path | None, typer.Option(help="Run folder to write; default: runs/SYSTEM.")] = None,
) -> None:
    """Put the trained stages of a generator together, into a run folder that every command takes."""
    from atm.apps.assemble import assemble_run

    print(assemble_run(system, stages, out or Path("runs") / system))


@app.command(epilog=examples("atm pack runs/mdm_small-0 walker.safetensors"))
def pack(
    run: Annotated[Path, typer.Argument(help="Run folder or model file.")],
    out: Annotated[Path, typer.Argument(help="File to write (.safetensors).")],
    force: Force = False,
) -> None:
    """Turn a run into one small model file, in half precision, to give away."""
    from atm.apps.pack import pack as write_packed

    print(write_packed(run, out))


@app.command("check-generator", epilog=examples("atm check-generator runs/mdm_small-0"))
def check_generator(
    model: Annotated[Path, typer.Argument(help="Run folder or model file.")],
) -> None:
    """Run the list of checks that every generator must pass; exit code 1 where one fails."""
    from atm.apps.generate import check_model

    results = check_model(model)
    for result in results:
        print(f"{result.status:14}  {result.name}" + (f" ({result.detail})" if result.detail else ""))
    if any(result.status == "fail" for result in results):
        sys.exit(1)
