"""Commands that measure."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atm.base.limits import MOST
from atm.cli.app import Force, Quiet, app, examples

if TYPE_CHECKING:
    from atm.apps.bench.measure import Comparison

bench_app = typer.Typer(
    help="Measure how fast things are on this machine, as ratios of two sides that are run in turn.",
    epilog=examples("atm bench", "atm bench losses --json now.json", "atm bench losses --compare before.json"),
)
app.add_typer(bench_app, name="bench")

Quick = Annotated[bool, typer.Option("--quick", help="Tiny sizes, few rounds: shows that all runs, not how fast.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write everything measured.")]
Compare = Annotated[
    Path | None,
    typer.Option("--compare", metavar="OLD.json", help="End with 2 where a ratio is worse than there by the margin."),
]
Margin = Annotated[float, typer.Option(min=0, help="Share by which a ratio may be worse.")]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="HumanML3D folder; none: scripted motions, made anew.")
]
ALL = ("train", "losses", "sample", "evaluate", "data", "start", "scale")
CLIPS, QUICK_CLIPS = 300, 60


@bench_app.callback(invoke_without_command=True)
def bench_all(
    context: typer.Context,
    data: Data = None,
    quick: Quick = False,
    json: Json = None,
    compare: Compare = None,
    margin: Margin = 0.15,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Measure everything but serve, or what the next word names: half an hour on two cores, a minute with --quick."""
    if context.invoked_subcommand is None:
        _bench(ALL, data, quick, json, compare, margin, quiet)


def _one(name: str, about: str) -> None:
    """Add the command that measures one thing."""

    def command(
        data: Data = None,
        quick: Quick = False,
        json: Json = None,
        compare: Compare = None,
        margin: Margin = 0.15,
        force: Force = False,
        quiet: Quiet = False,
    ) -> None:
        _bench((name,), data, quick, json, compare, margin, quiet)

    bench_app.command(name, help=about, epilog=examples(f"atm bench {name}", f"atm bench {name} --quick"))(command)


_one("train", "Measure a training step of MDM at the published size beside the published form in plain PyTorch.")
_one("losses", "Measure training steps with both losses beside the baseline's: the small MDM, and the published size.")
_one("sample", "Measure a guided denoising step beside the published form's two passes, and a motion of 6 s.")
_one("evaluate", "Measure R-Precision and FID of a test split beside the usual NumPy forms.")
_one("scale", "Measure steps of the small MDM over batch sizes and lengths: cost, memory, and what mining is of it.")
_one("start", "Measure a first motion from the shell, and the help, beside a process that imports torch.")


@bench_app.command("serve", epilog=examples("atm bench serve --json serve.json", "atm bench serve --clients 4"))
def bench_served(
    model: Annotated[Path | None, typer.Option(help="Run folder or model file; default: the packaged model.")] = None,
    clients: Annotated[
        int, typer.Option(min=1, max=MOST, help="Clients at once, at most; they are 1 2 4 8 16 24.")
    ] = 24,
    quick: Quick = False,
    json: Json = None,
    compare: Compare = None,
    margin: Margin = 0.15,
    quiet: Quiet = False,
) -> None:
    """Measure requests per second and seconds until the answer of the HTTP API, in batches and one by one."""
    from atm.base.errors import InputError

    try:
        from atm.apps.bench.serve import bench_serve
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("fastapi", "starlette", "uvicorn")):
            raise
        raise InputError(f"atm bench serve needs {error.name}: pip install 'atm-motion[studio]'") from None
    _check(json, compare, margin)
    _print_machine()
    _report(bench_serve(quick=quick, show=not quiet, model=model, clients=clients), quick, json, compare, margin)


@bench_app.command("data", epilog=examples("atm bench data scripted", "atm bench data HumanML3D --build"))
def bench_data_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="HumanML3D or KIT-ML folder.")],
    split: Annotated[str, typer.Option(help="Split that is drawn from.")] = "train",
    batch_size: Annotated[int, typer.Option(min=1, max=MOST, help="Motions of a batch.")] = 64,
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


def _bench(
    names: tuple[str, ...],
    data: Path | None,
    quick: bool,
    json: Path | None,
    compare: Path | None,
    margin: float,
    quiet: bool,
) -> None:
    import tempfile

    _check(json, compare, margin)
    _print_machine()
    with tempfile.TemporaryDirectory() as temporary:
        if data is None and {"train", "losses", "sample", "data", "scale"} & set(names):
            from atm.scripted.write import write_scripted

            data = Path(temporary) / "scripted"
            write_scripted(data, clips=QUICK_CLIPS if quick else CLIPS, seed=0, jobs=1, progress=not quiet)
        sides = _sides(data, quick=quick, show=not quiet)
        found = [comparison for name in names for comparison in sides[name]()]
    _report(found, quick, json, compare, margin)


def _print_machine() -> None:
    from atm.apps.bench.measure import machine_line

    print(machine_line())


def _check(json: Path | None, compare: Path | None, margin: float) -> None:
    """Refuse what could not be written, or compared with, when all is measured."""
    import math

    from atm.apps.bench.measure import read_ratios
    from atm.base.errors import InputError
    from atm.base.outputs import check_output

    if not math.isfinite(margin):
        raise InputError(f"--margin is a share such as 0.15, got {margin}")
    if json is not None:
        check_output(json)
    if compare is not None:
        read_ratios(compare)


def _report(found: "list[Comparison]", quick: bool, json: Path | None, compare: Path | None, margin: float) -> None:
    """Print what was measured, write it, and compare it with an earlier report."""
    from rich.console import Console

    from atm.apps.bench.measure import BenchReport
    from atm.apps.bench.measure import compare as worse_than
    from atm.base.errors import InputError

    report = BenchReport(found, quick)
    for table in report.tables():
        Console().print(table)
    if json is not None:
        report.write(json)
        print(json)
    if compare is not None:
        worse = worse_than(report, compare, margin=margin)
        if worse:
            raise InputError(f"worse than in {compare} by more than {100 * margin:g} %: {'; '.join(worse)}")
        print(f"no ratio is worse than in {compare} by more than {100 * margin:g} %")


def _sides(data: Path | None, *, quick: bool, show: bool) -> "dict[str, Callable[[], list[Comparison]]]":
    """Return what measures each thing."""
    from functools import partial

    from atm.apps.bench.data import bench_reading
    from atm.apps.bench.evaluate import bench_evaluate
    from atm.apps.bench.scale import bench_scale
    from atm.apps.bench.start import bench_start
    from atm.apps.bench.steps import bench_losses, bench_sample, bench_train

    of_data = {
        "train": bench_train, "losses": bench_losses, "sample": bench_sample, "data": bench_reading,
        "scale": bench_scale,
    }  # fmt: skip
    alone = {"evaluate": bench_evaluate, "start": bench_start}
    return {name: partial(work, data, quick=quick, show=show) for name, work in of_data.items()} | {
        name: partial(work, quick=quick, show=show) for name, work in alone.items()
    }
