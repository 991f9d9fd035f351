"""Commands that make data folders out of motion capture files."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.limits import MOST
from atm.cli.app import Quiet, Seed, data_app, examples

prepare_app = typer.Typer(help="Make a data folder out of motion capture files.", no_args_is_help=True)
data_app.add_typer(prepare_app, name="prepare")

Jobs = Annotated[int | None, typer.Option(min=1, max=MOST, help="Processes; default: one per core.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Data folder to write; one that was begun is completed.")]


@prepare_app.command(
    "bvh",
    epilog=examples(
        "atm data prepare bvh recordings motions --captions captions.csv",
        "atm data prepare bvh recordings motions --captions captions.jsonl --mapping joints.yaml --mirror",
    ),
)
def prepare_bvh_files(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the .bvh (or .amc and .asf) files lie.")],
    out: Out,
    captions: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV or JSON lines: file, caption [, start, end, split, take, fps].")
    ],
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML, `left_knee: NAME`, for joints of unusual names.")
    ] = None,
    window: Annotated[float, typer.Option(help="Longest clip in seconds; longer motions are cut.")] = 10.0,
    mirror: Annotated[bool, typer.Option("--mirror", help="Mirrored copies, too, with sides swapped.")] = False,
    up: Annotated[str | None, typer.Option(help="Upward axis of the files: y, z, -y ...; default: found out.")] = None,
    fps: Annotated[float, typer.Option(help="Frames per second to write; readers of the layout expect 20.")] = 20.0,
    seed: Seed = 0,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Write BVH (or ASF/AMC) files of any skeleton in the HumanML3D layout, on HumanML3D's body."""
    from atm.curation.prepare import prepare_bvh

    summary = prepare_bvh(
        folder, out, captions=captions, mapping=mapping, fps=fps, window=window, mirror=mirror, up=up, seed=seed,
        jobs=jobs, progress=not quiet,
    )  # fmt: skip
    print(*summary.lines(), out, sep="\n")


@prepare_app.command(
    "amass",
    epilog=examples(
        "atm data prepare amass amass_data HumanML3D-made --index index.csv --texts texts --body-models body_models"
    ),
)
def prepare_amass_files(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The unpacked AMASS archives (SMPL+H G).")],
    out: Out,
    index: Annotated[Path, typer.Option(metavar="FILE", help="HumanML3D's index.csv.")],
    texts: Annotated[Path, typer.Option(metavar="DIR", help="HumanML3D's unpacked texts.")],
    body_models: Annotated[Path, typer.Option(metavar="DIR", help="SMPL+H models: smplh/male/model.npz and female.")],
    splits: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of train.txt ...; default: beside texts or index.")
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Write mirrored copies, as published.")] = True,
    seed: Seed = 0,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Write HumanML3D from AMASS archives, as the published pipeline makes it."""
    from atm.curation.prepare import prepare_amass

    summary = prepare_amass(
        folder, out, index=index, texts=texts, body_models=body_models, splits=splits, mirror=mirror, seed=seed,
        jobs=jobs, progress=not quiet,
    )  # fmt: skip
    print(*summary.lines(), out, sep="\n")
