"""The command that turns motion files into others."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.cli.app import Force, Names, Quiet, Rate, Unit, Up, app, examples


@app.command(
    epilog=examples(
        "atm export motion.npz motion.bvh",
        "atm export motion.npz motion.bvh --names unreal --unit cm --fps 60 --up z",
        "atm export motion.npz files --format bvh,glb,amass",
        "atm export motions files --format usd --format fbx",
        "atm export motion.npz mine.glb --rig character.glb",
        "atm export motion.npz motion.bvh --template --fix-feet",
        "atm export 000021.npy 000021.html",
        "atm export results.npy motion.bvh",
    )
)
def export(
    source: Annotated[Path, typer.Argument(help="Motion (npz npy bvh glb vrma; AMASS, Kimodo), or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="File, whose suffix says the format; with --format a folder.")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="npz npy csv bvh glb vrma usd usda usdc fbx amass kimodo constraints mp4 gif png html, by commas.",
        ),
    ] = None,
    text: Annotated[str, typer.Option(help="Caption, for formats that show one; default: the motion's own.")] = "",
    rig: Annotated[Path | None, typer.Option(help="BVH or GLB file on whose skeleton the motion comes out.")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML, `left_knee: NAME`, for joints of the rig (else of the source).")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="BVH on one fixed body, as MoMask writes it.")] = False,
    fix_feet: Annotated[bool, typer.Option("--fix-feet", help="Hold feet that nearly stand; for --template.")] = False,
    names: Names = "humanml3d",
    unit: Unit = "m",
    fps: Rate = None,
    up: Up = "y",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Turn motion files into others: skeletons, archives, video, pages, film strips."""
    from atm.apps.convert import ExportOptions, export_files
    from atm.curation.prepare.naming import read_mapping
    from atm.export.names import FileStyle

    style = FileStyle(names, unit, fps, up)
    if fix_feet and not template:
        raise InputError("--fix-feet goes with --template: other files hold the motion as it is")
    if template:
        if style != FileStyle() or formats or rig:
            raise InputError(
                "--template has names, unit, rate and axis of its own: leave --names, --unit, --fps, --up, --format "
                "and --rig out"
            )
        _export_template(source, out, fix_feet)
        return
    options = ExportOptions(tuple(formats or ()), style, text, rig, read_mapping(mapping))
    for path in export_files(source, out, options, show_progress=not quiet):
        print(path)


def _export_template(source: Path, out: Path, fix_feet: bool) -> None:
    from atm.export.recordings import read_motion
    from atm.export.template import save_template_bvh

    motion = read_motion(source)
    print(save_template_bvh(out, motion.joints, motion.skeleton, fix_feet=fix_feet))
