"""Commands that measure."""

from pathlib import Path
from typing import Annotated

import typer

from atm.cli.app import Quiet, app, examples

bench_app = typer.Typer(help="Measure how fast things are on this machine.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


@bench_app.command("data", epilog=examples("atm bench data scripted", "atm bench data HumanML3D --build"))
def bench_data_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="HumanML3D or KIT-ML folder.")],
    split: Annotated[str, typer.Option(help="Split that is drawn from.")] = "train",
    batch_size: Annotated[int, typer.Option(min=1, help="Motions of a batch.")] = 64,
    text_encoder: Annotated[str, typer.Option(help="Language model whose embeddings batches carry.")] = "minilm",
    build: Annotated[
        bool, typer.Option("--build", help="Also build the store anew, and read all clips into memory.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure crops and batches per second from the store and from single files, the start of a run, and memory."""
    from rich.console import Console

    from atm.apps.bench.data import bench_data
    from atm.data.humanml3d import open_dataset
    from atm.text import CachedTextEncoder, load_text_encoder

    encoder = CachedTextEncoder(load_text_encoder(text_encoder))
    encoder.prepare(open_dataset(folder, split).captions(), progress=not quiet)
    report = bench_data(folder, encoder, split=split, batch_size=batch_size, build=build, show_progress=not quiet)
    for table in report.tables():
        Console().print(table)
    print(f"crops per second: {report.ratio:.1f} times those of one .npy per clip")
