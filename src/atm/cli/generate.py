"""Commands that make and convert motions."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.cli.aliases import SamplingCommand
from atm.cli.app import Names, Quiet, Rate, Seed, Unit, Up, app, examples


@app.command(epilog=examples("atm demo", "atm demo --full --out demo-full    (hours: everything is trained here)"))
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo makes.")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Train space, evaluator and baseline from nothing, too.")
    ] = False,
    steps: Annotated[int, typer.Option(help="Training steps of each of the two arms.")] = 200,
    clips: Annotated[int, typer.Option(min=1, help="Scripted motions to write.")] = 1500,
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
    samples: Annotated[int, typer.Option(min=1, help="Motions per sentence.")] = 1,
    seed: Seed = 0,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: the model's.")] = None,
    best_of: Annotated[int, typer.Option(min=1, help="Make so many, keep the nearest to its sentence.")] = 1,
    space: Annotated[Path | None, typer.Option(help="Space that chooses; default: the packaged one.")] = None,
    out: Annotated[Path, typer.Option(help="Folder or file: npz csv bvh glb mp4 gif html png.")] = Path("motion.npz"),
    suffix: Annotated[str, typer.Option("--format", help="Format of the files when --out is a folder.")] = "npz",
    names: Names = "humanml3d",
    unit: Unit = "m",
    fps: Rate = None,
    up: Up = "y",
    raw: Annotated[bool, typer.Option("--raw", help="As the network gave it: limbs stretch, feet slide.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make motions from sentences, on bones that keep their lengths, with planted feet held."""
    from atm.apps.generate import generate_files
    from atm.apps.options import SampleOptions
    from atm.export.names import FileStyle

    options = SampleOptions(seconds, samples, seed, guidance_scale=guidance, candidates=best_of, space=space)
    for path in generate_files(
        text, model=model, options=options, out=out, suffix=suffix, style=FileStyle(names, unit, fps, up), raw=raw,
        show_progress=not quiet,
    ):  # fmt: skip
        print(path)


@app.command(
    epilog=examples(
        "atm export motion.npz motion.bvh",
        "atm export motion.npz motion.bvh --names unreal --unit cm --fps 60 --up z",
        "atm export motion.npz motion.bvh --template --fix-feet",
        "atm export 000021.npy 000021.html",
    )
)
def export(
    source: Annotated[Path, typer.Argument(help="Motion: .npz or .npy, joints or features.")],
    out: Annotated[Path, typer.Argument(help="File to write; its suffix says the format.")],
    text: Annotated[str, typer.Option(help="Caption, for formats that show one; default: the motion's own.")] = "",
    template: Annotated[bool, typer.Option("--template", help="BVH on one fixed body, as MoMask writes it.")] = False,
    fix_feet: Annotated[bool, typer.Option("--fix-feet", help="Hold feet that nearly stand; for --template.")] = False,
    names: Names = "humanml3d",
    unit: Unit = "m",
    fps: Rate = None,
    up: Up = "y",
) -> None:
    """Turn a motion file into BVH, video, a page, or a film strip."""
    from atm.apps.export import save_motion
    from atm.export import load_motion
    from atm.export.names import FileStyle

    style = FileStyle(names, unit, fps, up)
    if fix_feet and not template:
        raise InputError("--fix-feet goes with --template: other files hold the motion as it is")
    if template and style != FileStyle():
        raise InputError("--template has names, unit, rate and axis of its own: leave --names, --unit, --fps, --up out")
    motion = load_motion(source)
    if template:
        from atm.export.template import save_template_bvh

        print(save_template_bvh(out, motion.joints, motion.skeleton, fix_feet=fix_feet))
        return
    print(
        save_motion(
            out, motion.joints, skeleton=motion.skeleton, features=motion.features, text=text or motion.text,
            provenance=motion.provenance, style=style,
        )
    )  # fmt: skip
