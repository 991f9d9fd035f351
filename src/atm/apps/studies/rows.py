"""Work of one row of a study: train, then evaluate; each goes on where an earlier attempt stopped."""

import shutil
from pathlib import Path

from atm.apps import train as start
from atm.apps.assemble import assemble_run
from atm.apps.evaluate import evaluate_path
from atm.apps.options import EvaluateOptions
from atm.apps.retrieval_database import database_of_folder
from atm.apps.studies.cost import time_steps
from atm.apps.studies.jobs import Job, JobFolder, Result, run_config, run_folder
from atm.apps.studies.study import DATABASE
from atm.evaluation.report import REAL


def run_row(job: Job, folder: JobFolder, *, show_progress: bool = True) -> Result:
    """Do a job of either kind.

    Raises:
        InputError: what was asked cannot be done.
        KeyboardInterrupt: the training was interrupted; its checkpoint is written.
    """
    if job.kind == "cost":
        return time_steps(job, folder, show_progress=show_progress)
    (row,) = job.configs
    run = folder.run
    facts = _make(job, row, folder, show_progress)
    if not job.measured:
        return Result(facts=facts)
    plan = job.plan
    options = EvaluateOptions(
        protocol=plan.protocol, repeats=plan.repeats, limit=plan.limit, multimodality=plan.multimodality, seed=job.seed
    )
    report, _ = evaluate_path(
        run.path, data=Path(plan.data), evaluator=plan.evaluator and Path(plan.evaluator), options=options,
        out=folder.evaluation, show_progress=show_progress,
    )  # fmt: skip
    named = {row: report.name, REAL: REAL}
    values = {
        shown: {
            metric: [one[name][metric] for one in report.replications if one[name][metric] is not None]
            for metric in report.estimates(name)
        }
        for shown, name in named.items()
    }
    return Result(values=values, facts=facts)


def _make(job: Job, row: str, folder: JobFolder, show_progress: bool) -> dict[str, float | int | str]:
    """Train the row's run, or put it together; what is known of it then."""
    run, jobs = folder.run, folder.path.parent
    if job.database:
        config = job.configs[row]
        run.create()
        database_of_folder(
            Path(config.data), run.path / DATABASE, split="train", text_encoder=config.model.text_encoder,
            show_progress=show_progress, force=True,
        )  # fmt: skip
        return {}
    if job.assembles is None:
        start.start_or_resume(
            run_config(job, row, jobs), run.path, minutes=job.plan.minutes,
            from_model=job.from_model and Path(job.from_model), show_progress=show_progress,
        )  # fmt: skip
    elif not run.record.is_file():
        shutil.rmtree(run.path, ignore_errors=True)
        assemble_run(job.assembles, [run_folder(job, name, jobs) for name in job.of], run.path)
    record = run.read_record()
    return {key: record[key] for key in ("step", "minutes", "machine", "commit") if key in record}
