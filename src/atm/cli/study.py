"""Commands that run the paper's tables and figures."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from atm.base.errors import InputError
from atm.base.limits import MOST
from atm.cli.app import Quiet, app, examples, positive


@app.command(
    epilog=examples(
        "atm study",
        "atm study losses --data scripted --from runs/mdm_small-0 steps=2000 --seeds 0,1,2",
        "atm study rules --data HumanML3D --base mdm_humanml3d_atm alignment.space=runs/s --evaluator runs/e",
        "atm study margins --print > mine.yaml; atm study mine.yaml --data scripted",
        "atm study losses --seeds 0,1,2 --launcher slurm --submit timeout_min=600 --submit gpus_per_node=1",
        "atm study rules --quick",
    )
)
def study(
    name: Annotated[
        str | None, typer.Argument(help="A study of the paper, or a .yaml file; without one: the list.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Argument(help="key=value ... for every row, as of atm train.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default: scripted motions, written here.")] = None,
    base: Annotated[str | None, typer.Option(help="Preset to vary; of generators: small, humanml3d or kit.")] = None,
    from_model: Annotated[Path | None, typer.Option("--from", help="Run or model file that rows start from.")] = None,
    evaluator: Annotated[Path | None, typer.Option(help="Evaluator run or file; default: the packaged one.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, as 0,1,2: every row is run with each.")] = "0",
    minutes: Annotated[float | None, typer.Option("--minutes-per-row", help="Training time; else all steps.")] = None,
    rows: Annotated[str | None, typer.Option(help="Some rows only, as none,both.")] = None,
    protocol: Annotated[str, typer.Option(help="ours, or published: each as its authors did.")] = "ours",
    repeats: Annotated[int | None, typer.Option(min=1, max=MOST, help="Replications; default: 3; usual: 20.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Motions per replication; default: all.")] = None,
    multimodality: Annotated[
        bool | None, typer.Option(help="Also MultiModality, which takes long; default: in the published protocol.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study; default: studies/NAME.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=MOST, help="Rows side by side, one for each GPU in turn.")] = 1,
    launcher: Annotated[str, typer.Option(help="Where rows run: local, or slurm.")] = "local",
    submit: Annotated[list[str] | None, typer.Option(help="key=value for cluster jobs, as submitit has it.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Everything tiny: shows that it runs, nothing else.")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="Print it as YAML, to change and give back.")] = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Run a table or figure of the paper: a row for each config, the paper's figures beside ours.

    A second call goes on where the first one stopped: finished rows are never run again. Call it on as many machines
    as there are, with one --out on a shared file system: no row is run twice.
    """
    from atm.apps.studies import Engine, Plan, as_yaml, find_study, is_file_name, print_study, read_study, run_study
    from atm.evaluation.published import check_rules
    from atm.evaluation.report import REPEATS

    if name is None:
        _print_studies()
        return
    settings = settings or []
    chosen = read_study(Path(name)) if is_file_name(name) else find_study(name)
    if base is not None:
        chosen = chosen.on(base)
    if rows is not None:
        chosen = chosen.only(_listed("rows", rows))
    if print_only:
        print(as_yaml(chosen.model_copy(update={"settings": (*chosen.settings, *settings)})), end="")
        return
    positive("minutes-per-row", minutes)
    published = protocol == "published"
    check_rules(protocol, repeats=repeats, limit=limit, tail=None, chosen=False)
    if published and quick:
        raise InputError(
            "--protocol published takes 20 whole replications and --quick as little as it can: leave one out"
        )
    plan = Plan(
        data=str(data or ""), seeds=tuple(_seed(one) for one in _listed("seeds", seeds)), minutes=minutes,
        from_model=_path(from_model), evaluator=_path(evaluator), protocol=protocol,
        repeats=repeats or (REPEATS if published else 3), limit=limit,
        multimodality=published if multimodality is None else multimodality, quick=quick,
    )  # fmt: skip
    if launcher not in ("local", "slurm"):
        raise InputError(f"launcher must be local or slurm, got {launcher!r}")
    submitted = _pairs(submit or [])
    if submitted and launcher != "slurm":
        raise InputError("--submit is about cluster jobs: give it with --launcher slurm")
    if jobs > 1 and launcher == "slurm":
        raise InputError(
            "--jobs is about this machine's processes: the cluster decides how many of its jobs run at once"
        )
    outcome, path = run_study(
        chosen, plan, out or Path("studies") / (chosen.name + ("-quick" if quick else "")), settings=tuple(settings),
        engine=Engine(launcher, jobs, submitted), command=shlex.join(["atm", *sys.argv[1:]]),
        show_progress=not quiet,
    )  # fmt: skip
    print_study(outcome)
    print(path)
    if outcome.failures:
        sys.exit(1)


def _print_studies() -> None:
    from rich.console import Console
    from rich.table import Table

    from atm.apps.studies import STUDIES

    table = Table("study", "what", "rows")
    for name, make in STUDIES.items():
        one = make()
        table.add_row(name, one.title, ", ".join(row.name for row in one.rows if row.measured))
    Console().print(table)


def _listed(what: str, text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names or len(set(names)) != len(names):
        raise InputError(f"--{what} takes names parted by commas, each once, got {text!r}")
    return names


def _seed(text: str) -> int:
    from atm.base.reading import DIGITS, whole_number

    seed = whole_number(text)
    if seed is None:
        raise InputError(f"--seeds takes whole numbers from 0 to {10**DIGITS - 1}, parted by commas, got {text!r}")
    return seed


def _path(path: Path | None) -> str | None:
    """Return the full path: rows may run in another folder."""
    from atm.base.packaged import named

    return None if path is None else str(named(path).resolve())


def _pairs(assignments: list[str]) -> dict[str, object]:
    import yaml

    pairs = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise InputError(f"--submit takes key=value, got {assignment!r}")
        pairs[key] = yaml.safe_load(value)
    return pairs
