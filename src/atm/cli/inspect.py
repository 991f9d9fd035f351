"""Commands that show what models do and why, as pages to look at."""

from pathlib import Path
from typing import Annotated

import typer

from atm.base.limits import MOST
from atm.cli.aliases import SamplingCommand
from atm.cli.app import Force, Quiet, Seed, app, examples, positive


@app.command(
    cls=SamplingCommand,
    epilog=examples(
        "atm compare runs/mdm_small-0 runs/mdm_small_atm-0",
        "atm compare runs/mdm_small-0 runs/mdm_small_atm-0 --prompts mine.txt --samples 3 --out mine.html",
    ),
)
def compare(
    models: Annotated[list[Path] | None, typer.Argument(help="Run folders or files; default: the packaged.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="Sentences, one a line, or JSON; default: ours.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a motion whose prompt names none.")] = 6.0,
    samples: Annotated[int, typer.Option("--samples", "--seeds", min=1, max=MOST, help="Motions per prompt.")] = 1,
    seed: Seed = 0,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; default: each model's own.")] = None,
    out: Annotated[Path, typer.Option(help="Page to write; its data is written beside it.")] = Path("compare.html"),
    force: Force = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Let models answer the same sentences with the same noise, side by side, and judge counts, sides, directions."""
    from rich.console import Console
    from rich.table import Table

    from atm.apps.compare.command import compare_models
    from atm.apps.compare.sections import ATTRIBUTES, score_rows

    positive("seconds", seconds)
    answers = compare_models(
        models or [], prompts=prompts, seconds=seconds, samples=samples, seed=seed, guidance_scale=guidance, out=out,
        show_progress=not quiet,
    )  # fmt: skip
    table = Table("model", *ATTRIBUTES.values())
    for name, cells in score_rows(answers):
        table.add_row(name, *(cell or "–" for cell in cells))
    Console().print(table)
    print(out)


@app.command(
    epilog=examples(
        "atm explain runs/mdm_small_atm-0",
        "atm explain runs/mdm_small_atm-0 --index 12 --sampled",
        'atm explain --data scripted --text "a person kicks twice and sits down" --out kick.html',
    )
)
def explain(
    model: Annotated[Path | None, typer.Argument(help="Run folder or model file; default: the packaged model.")] = None,
    index: Annotated[int | None, typer.Option(min=0, help="Motion of the split; default: most telling.")] = None,
    text: Annotated[str | None, typer.Option(help="A sentence of your own, in place of an index.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder to mine in; default: the run's.")] = None,
    noise: Annotated[float, typer.Option(help="Most noise on the motions of the training step, 0 to 1.")] = 0.5,
    sampled: Annotated[bool, typer.Option("--sampled", help="Sample in full, not one training step.")] = False,
    space: Annotated[Path | None, typer.Option(help="Space; default: the run's, else the packaged one.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data folder.")] = "train",
    batches: Annotated[int, typer.Option(min=0, max=MOST, help="Batches that are mined for the survey; 0: none.")] = 4,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Page to write; film strips are written beside it.")] = Path("explain.html"),
    force: Force = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Show what the losses mine for one motion, the number behind each choice, and what they did over the run."""
    from atm.apps.explain.command import explain_model

    for path in explain_model(
        model, data=data, index=index, text=text, noise=noise, sampled=sampled, space=space, split=split,
        batches=batches, seed=seed, out=out, show_progress=not quiet,
    ):  # fmt: skip
        print(path)


@app.command(
    epilog=examples(
        'atm retrieve "a person kicks twice" --data scripted',
        "atm retrieve walk.npz --data HumanML3D --space runs/space_humanml3d-0 --split train --top 20",
    )
)
def retrieve(
    query: Annotated[str, typer.Argument(help="A sentence, or a motion file (.npz, .npy).")],
    data: Annotated[Path, typer.Option(help="Data folder to search.")],
    space: Annotated[Path | None, typer.Option(help="Space run or file; default: the packaged one.")] = None,
    top: Annotated[int, typer.Option(help="Results.")] = 10,
    split: Annotated[str, typer.Option(help="Split of the data folder.")] = "test",
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("retrieve.html"),
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Find the motions nearest to a sentence, or the captions nearest to a motion, by a text-motion space."""
    from rich.console import Console
    from rich.table import Table

    from atm.apps.retrieve.command import retrieve as search

    found = search(query, data=data, space=space, split=split, top=top, out=out, show_progress=not quiet)
    table = Table("", "cosine", "motion", "caption")
    for rank, hit in enumerate(found.hits, start=1):
        table.add_row(str(rank), f"{hit.cosine:.3f}", hit.item.id, hit.text)
    Console().print(table)
    print(out)
