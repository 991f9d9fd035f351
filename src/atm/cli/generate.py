"""Commands that make motions."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.limits import MOST
from atm.cli.aliases import SamplingCommand
from atm.cli.app import Force, Names, Quiet, Rate, Seed, Unit, Up, app, examples


@app.command(epilog=examples("atm demo", "atm demo --full --out demo-full    (hours: everything is trained here)"))
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path("demo"),
    full: Annotated[bool, typer.Option("--full", help="Train space and evaluator here, too.")] = False,
    steps: Annotated[int, typer.Option(max=MOST, help="Training steps of each of the two arms.")] = 400,
    clips: Annotated[int, typer.Option(min=1, max=MOST, help="Scripted motions to write.")] = 2000,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Train a small model without and with the alignment losses, evaluate both, and leave one page to look at."""
    from atm.apps.demo import run_demo

    print(run_demo(out, full=full, steps=steps, clips=clips, seed=seed, show_progress=not quiet))


@app.command(
    cls=SamplingCommand,
    epilog=examples(
        'atm generate "a person walks forward and sits down" --seconds 6 --out walk.html',
        'atm generate "a person jumps twice" "someone waves" --samples 3 --out motions --format bvh',
        'atm generate "a person bows" --model runs/mdm_small_atm-7 --seed 3 --out bow.mp4',
        'atm generate "a person kicks" --out kick.bvh --names mixamo --unit cm --fps 30 --up z',
    ),
)
def generate(
    text: Annotated[list[str], typer.Argument(help="One sentence, or several.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file; default: the packaged model.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the motion; default: as long as it takes, or 6.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=MOST, help="Motions per sentence.")] = 1,
    seed: Seed = 0,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    steps: Annotated[
        int | None, typer.Option(max=MOST, help="Sampling steps, of models that have them; default: the model's.")
    ] = None,
    best_of: Annotated[int, typer.Option(min=1, max=MOST, help="Make so many, keep the best.")] = 1,
    by: Annotated[str, typer.Option(help="The best is the nearest in a space, or as asked: space verdict.")] = "space",
    space: Annotated[Path | None, typer.Option(help="Space that chooses; default: the packaged one.")] = None,
    out: Annotated[Path, typer.Option(help="Folder or file; its suffix is one of those of `atm export`.")] = Path(
        "motion.npz"
    ),
    suffix: Annotated[
        str | None, typer.Option("--format", help="Format of the files when --out is a folder; default: npz.")
    ] = None,
    names: Names = "humanml3d",
    unit: Unit = "m",
    fps: Rate = None,
    up: Up = "y",
    raw: Annotated[bool, typer.Option("--raw", help="As the network gave it: limbs stretch, feet slide.")] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Make motions from sentences, on bones that keep their lengths, with planted feet held."""
    from atm.apps.generate import generate_files
    from atm.apps.options import SampleOptions
    from atm.export.names import FileStyle

    options = SampleOptions(
        seconds, samples, seed, guidance_scale=guidance, steps=steps, candidates=best_of, space=space, best_by=by
    )
    for path in generate_files(
        text, model=model, options=options, out=out, suffix=suffix, style=FileStyle(names, unit, fps, up), raw=raw,
        show_progress=not quiet,
    ):  # fmt: skip
        print(path)
