"""A study from its name to its report: data, jobs, and the files that are written as they fill."""

import itertools
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from atm.apps.studies.agreement import comparisons, in_words
from atm.apps.studies.figure import draw
from atm.apps.studies.jobs import QUICK_LIMIT, QUICK_REPEATS, Job, JobFolder, Plan, plan_jobs
from atm.apps.studies.launch import Cluster, Here, Launcher, Processes, run_jobs
from atm.apps.studies.page import report
from atm.apps.studies.results import StudyResults, gather
from atm.apps.studies.rows import run_row
from atm.apps.studies.study import Study
from atm.apps.studies.subset import write_subset
from atm.apps.studies.tables import QUICK_NOTE, comma_separated, markdown, row_line, terminal_table
from atm.apps.studies.work import Runner
from atm.base.errors import InputError
from atm.base.lease import held
from atm.base.packaged import packaged
from atm.base.storage import atomic, find_model, read_model
from atm.data.humanml3d import open_dataset
from atm.evaluation.metrics import RANKED_WITHIN
from atm.pages.charts import figure_svg
from atm.scripted.write import write_scripted

CLIPS, QUICK_CLIPS = 6000, 240
"""Scripted motions that are written where no data is given."""


@dataclass(frozen=True)
class Engine:
    """Place where the rows run."""

    launcher: str = "local"
    """`local`, or `slurm`."""
    jobs: int = 1
    """Rows side by side, of `local`."""
    submit: dict[str, object] = field(default_factory=dict)
    """Parameters of submitit, for `slurm`."""

    def start(self, runner: Runner, out: Path) -> Launcher:
        """Return the launcher."""
        if self.launcher == "slurm":
            return Cluster(runner, (out / "slurm").resolve(), self.submit)
        return Here(runner) if self.jobs == 1 else Processes(runner, self.jobs)


def run_study(
    study: Study,
    plan: Plan,
    out: Path,
    *,
    settings: tuple[str, ...] = (),
    engine: Engine | None = None,
    command: str = "",
    runner: Runner | None = None,
    show_progress: bool = True,
) -> tuple[StudyResults, Path]:
    """Run what is not there yet, print a line for every row that ends, and leave the tables, the figure and the page.

    Args:
        study: what is compared.
        plan: how. An empty `data` means scripted motions, written into the folder.
        out: folder of everything; a second call goes on where the first one stopped.
        settings: `key=value` changes to all rows.
        engine: where rows run; None: one after the other, here.
        command: what was typed, for the page.
        runner: does a job; None: trains and evaluates, or times.
        show_progress: bars and lines on standard error.

    Returns:
        What was found, and the path of the page.

    Raises:
        InputError: the settings do not fit the study, or the folder holds rows with other ones.
    """
    study.check(*settings, from_model=None if plan.from_model is None else Path(plan.from_model))
    engine = engine or Engine()
    if plan.quick:
        plan = plan.model_copy(update={"repeats": QUICK_REPEATS, "limit": QUICK_LIMIT, "multimodality": False})
    jobs_folder = (out / "rows").resolve()
    try:
        jobs_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from None
    with held(out / "rows", "the study", wait=True):  # the data are written by one; rows have claims of their own
        data = _data(plan, out, show_progress)
    where = {"data": str(data.resolve()), "scripted": not plan.data}
    plan = plan.model_copy(update=where)
    if study.kind == "evaluation" and runner is None:
        _check_evaluation(plan)
    jobs = {JobFolder(jobs_folder / job.name): job for job in plan_jobs(study, plan, *settings)}
    for folder, job in jobs.items():
        folder.prepare(job)

    def say(line: str) -> None:
        if show_progress:
            print(line, file=sys.stderr)

    done = itertools.count(1)

    def ended(folder: JobFolder) -> None:
        outcome = gather(study, plan, list(jobs))
        _write_tables(outcome, out)
        number = next(done)
        for line in _lines(outcome, jobs[folder]):
            say(f"{line}  ({number} of {len(jobs)})")

    if runner is None:
        runner = partial(run_row, show_progress=show_progress and engine.launcher == "local" and engine.jobs == 1)
    if plan.quick:
        say(QUICK_NOTE)
    by_name = {job.name: folder for folder, job in jobs.items()}
    try:
        run_jobs(
            list(jobs), engine.start(runner, out), ended=ended,
            needs=lambda folder: [by_name[name] for name in sorted(jobs[folder].needs)],
        )  # fmt: skip
    finally:
        outcome = gather(study, plan, list(jobs))
        page = write_files(outcome, out, command)
    return outcome, page


def write_files(outcome: StudyResults, out: Path, command: str) -> Path:
    """Return the tables, the figure and the page of a study as it stands now; gives the path of the page."""
    _write_tables(outcome, out)
    drawn = draw(outcome)
    if drawn is not None:
        _write(out / "figure.svg", figure_svg(drawn, page=False))
        with atomic(out / "figure.png") as part:
            drawn.savefig(part, format="png", dpi=200, facecolor="white")
    _write(out / "report.html", report(outcome, command))
    return out / "report.html"


def _write_tables(outcome: StudyResults, out: Path) -> None:
    _write(out / "table.md", markdown(outcome))
    _write(out / "table.csv", comma_separated(outcome))


def _write(path: Path, text: str) -> None:
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def print_study(outcome: StudyResults) -> None:
    """Print the table in the terminal, and the rows that agree with the paper."""
    console = Console()
    if outcome.finished:
        console.print(terminal_table(outcome, width=console.width))
    for line in in_words(comparisons(outcome)):
        console.print(line, highlight=False)
    for name, reason in outcome.failures.items():
        console.print(f"failed: {name}: {reason.splitlines()[0]}", highlight=False)


def _lines(outcome: StudyResults, job: Job) -> list[str]:
    return [row_line(outcome, job.name, job.seed, row) for row in job.configs]


def _data(plan: Plan, out: Path, show_progress: bool) -> Path:
    """Return the data folder: the user's, a few of its clips for a quick study, or scripted motions written here."""
    if not plan.data:
        clips = QUICK_CLIPS if plan.quick else CLIPS
        return write_scripted(out / "data", clips=clips, seed=0, progress=show_progress)
    return write_subset(Path(plan.data), out / "data") if plan.quick else Path(plan.data)


def _check_evaluation(plan: Plan) -> None:
    """Find out before rows are trained, not after, that they cannot be evaluated."""
    split = open_dataset(plan.data, "test")
    file = packaged("evaluator") if plan.evaluator is None else find_model(plan.evaluator)
    features = read_model(file).config.get("features")
    if features != split.skeleton.feature_width:
        raise InputError(
            f"{file.name} does not judge these data: it is no evaluator of {split.skeleton.feature_width} features a "
            "frame; train one on them and give --evaluator RUN"
        )
    if len(split) < RANKED_WITHIN:
        raise InputError(f"an evaluation needs at least {RANKED_WITHIN} motions, the test split has {len(split)}")
