"""The commands. Each imports what it needs when it runs, so that `--help` is quick."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from atm.errors import InputError

app = typer.Typer(
    help="Text-to-motion whose motion says what the sentence says.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make and look at data sets in the HumanML3D layout.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def main() -> None:
    """Run a command; bad input becomes one sentence on standard error and exit code 2."""
    warnings.showwarning = _show_warning
    try:
        app()
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"the system refused: {error}")
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Our own warnings are for the user and need no line of code; those of libraries are for developers."""
    if "atm" in Path(filename).parts or category is UserWarning:
        print(f"warning: {message}", file=sys.stderr)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Train space, evaluator and baseline from nothing, too.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="Training time of each of the two arms.")] = 2.5,
    clips: Annotated[int, typer.Option(help="Scripted motions to write.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of data, training and sampling.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train a small model without and with the alignment losses, evaluate both, and leave one page to look at."""
    from atm.demo import run_demo

    print(run_demo(out, full=full, minutes=minutes, clips=clips, seed=seed, show_progress=not quiet))


@data_app.command("scripted")
def data_scripted(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips: Annotated[int, typer.Option(help="Number of motions.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed writes the same files.")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a data set of scripted motions: made by formula, with known meaning, in the HumanML3D layout."""
    from atm.data.scripted.write import write_scripted

    write_scripted(out, clips=clips, seed=seed, jobs=jobs, progress=not quiet)
    print(out)


@app.command()
def presets() -> None:
    """What can be trained: name, parameters, steps, expected time."""
    from rich.console import Console
    from rich.table import Table

    from atm.training.presets import PRESETS

    table = Table("preset", "what", "steps", "expected time")
    for name, row in PRESETS.items():
        table.add_row(name, row.what, f"{row.config().steps:,}", row.time)
    Console().print(table)


@app.command()
def train(
    preset: Annotated[str | None, typer.Argument(help="A name that `atm presets` lists.")] = None,
    settings: Annotated[list[str] | None, typer.Argument(help="key=value ..., such as data=DIR seed=7.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/PRESET-SEED.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; the run can be resumed.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    from_model: Annotated[Path | None, typer.Option("--from", help="Run or model file to start from.")] = None,
    quiet: Quiet = False,
) -> None:
    """Train a space, an evaluator or a generator, without or with the alignment losses."""
    from atm.config import override
    from atm.training import start
    from atm.training.presets import preset as find_preset

    _positive("minutes", minutes)
    if resume is not None:
        if preset is not None:
            raise InputError("--resume goes on by the config of the run: give it no preset and no key=value")
        outcome = start.resume(resume, minutes=minutes, show_progress=not quiet)
        out = resume
    elif preset is None:
        raise InputError("what to train? give a name that `atm presets` lists, or --resume RUN")
    else:
        config = override(find_preset(preset), settings or [])
        out = out or Path("runs") / f"{preset}-{config.seed}"
        outcome = start.start(config, out, minutes=minutes, from_model=from_model, show_progress=not quiet)
    if not outcome.finished:
        print(f"at step {outcome.step} of {outcome.steps}; go on with: atm train --resume {out}", file=sys.stderr)
    print(out)
    if outcome.interrupted:
        sys.exit(130)


@app.command()
def evaluate(
    what: Annotated[Path, typer.Argument(help="A run folder, a model file, or a folder of motions named by id.")],
    data: Annotated[Path, typer.Option(help="Data folder that is evaluated on.")],
    evaluator: Annotated[Path | None, typer.Option(help="Evaluator run or file; default: the packaged one.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data folder.")] = "test",
    repeats: Annotated[int, typer.Option(help="Replications; the field takes 20.")] = 20,
    limit: Annotated[int | None, typer.Option(help="Motions per replication (a short protocol); default: all.")] = None,
    multimodality: Annotated[bool, typer.Option(help="Also MultiModality (30 motions for each of 100 texts).")] = True,
    tail: Annotated[str, typer.Option(help="Frames behind a motion's end: zero or published.")] = "zero",
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Of sampling.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where the JSON goes; default: in the run folder.")] = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """R-Precision, FID, MM-Dist, Diversity, MultiModality, kinematic measures, and oracle scores on scripted data."""
    from rich.console import Console

    from atm.evaluation.commands import evaluate_path
    from atm.evaluation.report import table

    report, path = evaluate_path(
        what, data=data, evaluator=evaluator, split=split, repeats=repeats, limit=limit, multimodality=multimodality,
        tail=tail, guidance_scale=guidance, seed=seed, out=out, show_progress=not quiet,
    )  # fmt: skip
    Console().print(table([report]))
    print(path)


@app.command()
def generate(
    text: Annotated[list[str], typer.Argument(help="One sentence, or several.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file; default: the packaged model.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of the motion.")] = 6.0,
    samples: Annotated[int, typer.Option(help="Motions per sentence.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 0,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    out: Annotated[Path, typer.Option(help="File (.npz .bvh .mp4 .gif .html .png), or a folder.")] = Path("motion.npz"),
    suffix: Annotated[str, typer.Option("--format", help="Format of the files when --out is a folder.")] = "npz",
    quiet: Quiet = False,
) -> None:
    """Make motions from sentences."""
    from atm.generate import generate_files

    for path in generate_files(
        text, model=model, seconds=seconds, samples=samples, seed=seed, guidance_scale=guidance, out=out,
        suffix=suffix, show_progress=not quiet,
    ):  # fmt: skip
        print(path)


@app.command()
def export(
    source: Annotated[Path, typer.Argument(help="Motion: .npz or .npy, joints or features.")],
    out: Annotated[Path, typer.Argument(help="File to write; its suffix says the format.")],
    text: Annotated[str, typer.Option(help="Caption, for formats that show one.")] = "",
) -> None:
    """Turn a motion file into BVH, video, a page, or a film strip."""
    from atm.export import export_file

    export_file(source, out, text=text)
    print(out)


@app.command("check-generator")
def check_generator(
    name: Annotated[str, typer.Argument(help="A generator's name, run folder or model file.")],
) -> None:
    """Run the list of checks that every generator must pass."""
    from atm.generate import check_named

    if not check_named(name):
        sys.exit(1)


def _positive(name: str, value: float | None) -> None:
    if value is not None and value <= 0:
        raise InputError(f"{name} must be > 0, got {value}")
