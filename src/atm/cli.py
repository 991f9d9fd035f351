"""The commands. Each imports what it needs when it runs, so that `--help` is quick."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from atm.errors import InputError, unknown

app = typer.Typer(
    help="Text-to-motion whose motion says what the sentence says.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Make and look at data sets in the HumanML3D layout.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def _examples(*lines: str) -> str:
    """An epilog: one command per line, and square brackets that are no markup."""
    return "\n\n".join(["Examples:", *(line.replace("[", r"\[") for line in lines)])


def main() -> None:
    """Run a command; bad input becomes one sentence on standard error and exit code 2."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(app(prog_name="atm", standalone_mode=False))
    except TyperException as error:
        _fail(_misuse(error))
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"the system refused: {error}")


def _fail(message: str) -> None:
    if message:  # none where a group was named without a command: it has shown its help
        print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _misuse(error: TyperException) -> str:
    """What typer says of a wrong command line, in one sentence; an unknown option is answered as any unknown name."""
    context = getattr(error, "ctx", None)
    if context is not None and hasattr(error, "possibilities"):
        names = [name for option in context.command.get_params(context) for name in option.opts]
        return str(unknown("option", error.option_name, [name for name in names if name.startswith("-")]))
    return error.format_message()


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Our own warnings are for the user and need no line of code; those of libraries are for developers."""
    if "atm" in Path(filename).parts or category is UserWarning:
        print(f"warning: {message}", file=sys.stderr)


def _print_version(asked: bool) -> bool:
    if asked:
        from importlib import metadata

        print(metadata.version("atm"))
        raise typer.Exit
    return asked


@app.callback()
def atm(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog=_examples("atm demo", "atm demo --full --out demo-full    (hours: everything is trained here)"))
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Train space, evaluator and baseline from nothing, too.")
    ] = False,
    minutes: Annotated[float, typer.Option(help="Training time of each of the two arms.")] = 2.5,
    clips: Annotated[int, typer.Option(min=1, help="Scripted motions to write.")] = 1500,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train a small model without and with the alignment losses, evaluate both, and leave one page to look at."""
    from atm.demo import run_demo

    _positive("minutes", minutes)
    print(run_demo(out, full=full, minutes=minutes, clips=clips, seed=seed, show_progress=not quiet))


@data_app.command("scripted", epilog=_examples("atm data scripted scripted --clips 5000 --seed 0"))
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


@app.command()
def presets() -> None:
    """What can be trained: names for `atm train`, with steps and expected time."""
    from rich.console import Console
    from rich.table import Table

    from atm.training.presets import PRESETS

    table = Table("preset", "what", "steps", "expected time")
    for name, row in PRESETS.items():
        table.add_row(name, row.what, f"{row.config().steps:,}", row.time)
    Console().print(table)


@app.command(
    epilog=_examples(
        "atm train mdm_small data=scripted",
        "atm train mdm_small_atm data=scripted alignment.space=runs/space_scripted-0 seed=7 --minutes 30",
        "atm train mdm_small_atm data=scripted --from runs/mdm_small-0 --out runs/continued",
        "atm train --resume runs/mdm_small-0",
    )
)
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
        if preset is not None or from_model is not None or out is not None:
            raise InputError("--resume goes on by what the run holds: give it no preset, key=value, --from or --out")
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


@app.command(
    epilog=_examples(
        "atm evaluate runs/mdm_small-0 --data scripted",
        "atm evaluate runs/mdm_humanml3d-0 --data HumanML3D --evaluator runs/evaluator_humanml3d-1000 --tail published",
        "atm evaluate motions-of-another-program --data HumanML3D --evaluator runs/evaluator_humanml3d-1000",
    )
)
def evaluate(
    what: Annotated[Path, typer.Argument(help="A run folder, a model file, or a folder of motions named by id.")],
    data: Annotated[Path, typer.Option(help="Data folder that is evaluated on.")],
    evaluator: Annotated[Path | None, typer.Option(help="Evaluator run or file; default: the packaged one.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data folder.")] = "test",
    repeats: Annotated[int, typer.Option(min=1, help="Replications; the field takes 20.")] = 20,
    limit: Annotated[int | None, typer.Option(min=1, help="Motions per replication; default: all.")] = None,
    multimodality: Annotated[bool, typer.Option(help="Also MultiModality (30 motions for each of 100 texts).")] = True,
    tail: Annotated[str, typer.Option(help="Frames behind a motion's end: zero or published.")] = "zero",
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Where the JSON goes; default: in the run folder.")] = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """R-Precision, FID, MM-Dist, Diversity, MultiModality, kinematic measures, and oracle scores on scripted data.

    Of a space: retrieval in both directions by every protocol, on motions and on 2 s clips.
    """
    from rich.console import Console

    from atm.evaluation.commands import evaluate_path, evaluate_space, is_space
    from atm.evaluation.report import table

    if is_space(what):
        lines, path = evaluate_space(what, data=data, split=split, out=out, show_progress=not quiet)
        print(lines, path, sep="\n")
        return
    report, path = evaluate_path(
        what, data=data, evaluator=evaluator, split=split, repeats=repeats, limit=limit, multimodality=multimodality,
        tail=tail, guidance_scale=guidance, seed=seed, out=out, show_progress=not quiet,
    )  # fmt: skip
    Console().print(table([report]))
    print(path)


@app.command(
    epilog=_examples(
        'atm generate "a person walks forward and sits down" --seconds 6 --out walk.html',
        'atm generate "a person jumps twice" "someone waves" --samples 3 --out motions --format bvh',
        'atm generate "a person bows" --model runs/mdm_small_atm-7 --seed 3 --out bow.mp4',
    )
)
def generate(
    text: Annotated[list[str], typer.Argument(help="One sentence, or several.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file; default: the packaged model.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of the motion.")] = 6.0,
    samples: Annotated[int, typer.Option(min=1, help="Motions per sentence.")] = 1,
    seed: Seed = 0,
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


@app.command(epilog=_examples("atm export motion.npz motion.bvh", "atm export 000021.npy 000021.html"))
def export(
    source: Annotated[Path, typer.Argument(help="Motion: .npz or .npy, joints or features.")],
    out: Annotated[Path, typer.Argument(help="File to write; its suffix says the format.")],
    text: Annotated[str, typer.Option(help="Caption, for formats that show one; default: the motion's own.")] = "",
) -> None:
    """Turn a motion file into BVH, video, a page, or a film strip."""
    from atm.export import load_motion, save_motion

    motion = load_motion(source)
    print(
        save_motion(
            out, motion.joints, skeleton=motion.skeleton, features=motion.features, text=text or motion.text,
            provenance=motion.provenance,
        )
    )  # fmt: skip


@app.command(epilog=_examples("atm pack runs/mdm_small-0 walker.safetensors"))
def pack(
    run: Annotated[Path, typer.Argument(help="Run folder or model file.")],
    out: Annotated[Path, typer.Argument(help="File to write (.safetensors).")],
) -> None:
    """Turn a run into one small model file, in half precision, to give away."""
    from atm.pack import pack as write_packed

    print(write_packed(run, out))


@app.command("check-generator", epilog=_examples("atm check-generator runs/mdm_small-0"))
def check_generator(
    model: Annotated[Path, typer.Argument(help="Run folder or model file.")],
) -> None:
    """Run the list of checks that every generator must pass; exit code 1 where one fails."""
    from atm.generate import check_model

    results = check_model(model)
    for result in results:
        print(f"{result.status:14}  {result.name}" + (f" ({result.detail})" if result.detail else ""))
    if any(result.status == "fail" for result in results):
        sys.exit(1)


def _positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise InputError(f"{name} must be > 0, got {value}")
