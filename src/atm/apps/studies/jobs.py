"""Jobs of a study: one for every row and seed, each with a folder of its own."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from atm.apps.studies.study import Study, needs, referring
from atm.base.config import Config, load, override
from atm.base.errors import InputError
from atm.base.lease import DEAD_AFTER_SECONDS, is_free, lease
from atm.base.packaged import packaged
from atm.base.storage import atomic
from atm.training.config import TrainConfig
from atm.training.presets import preset
from atm.training.record import RunFolder

QUICK = {
    "evaluation": (
        "steps=2",
        "warmup_steps=0",
        "log_every=1",
        "gradient_log_every=2",
        "batch_size=8",
        "validate_every=0",
        "keep=last",
    ),
    "cost": ("batch_size=8",),
}
"""Changes to every row of a quick study, by its kind."""
QUICK_REPEATS, QUICK_LIMIT = 1, 32

EVALUATION = {"plan.protocol", "plan.repeats", "plan.limit", "plan.multimodality", "plan.evaluator"}
"""Settings that may change without training again."""


class Plan(Config):
    """How a study is run: what is the same for all its rows."""

    data: str
    """Data folder."""
    seeds: tuple[int, ...] = (0,)
    minutes: float | None = None
    """Training time of each row; none: all its steps."""
    from_model: str | None = None
    """Run or model file that every row starts from; none: random weights."""
    evaluator: str | None = None
    """Run or model file; none: the packaged one."""
    protocol: Literal["ours", "published"] = "ours"
    """Every row measured in the same way, or each as its system's authors did."""
    repeats: int = 3
    """Replications of an evaluation; the field takes 20."""
    limit: int | None = None
    """Motions of a replication; none: all of the test split."""
    multimodality: bool = False
    scripted: bool = False
    """The data are scripted motions, written for this study."""
    quick: bool = False
    """Everything as small as it can be: the figures mean nothing."""

    @property
    def short(self) -> bool:
        """Fewer replications or motions than the field takes."""
        return self.repeats < 20 or self.limit is not None


class Job(Config):
    """A row with a seed, and all that decides its figures. What a cost study times together is one job."""

    name: str
    kind: str
    seed: int
    configs: dict[str, TrainConfig | None]
    """By row; one row, but for a cost study. None: the row is put together."""
    assembles: str | None = None
    """The generator that is put together from the runs of `of`."""
    of: tuple[str, ...] = ()
    database: bool = False
    """See `Row`."""
    measured: bool = True
    from_model: str | None = None
    """Name of the model that the row starts from; None: random weights."""
    plan: Plan

    @property
    def needs(self) -> set[str]:
        """Names of the jobs whose run folders this one builds on."""
        rows = set(self.of).union(*(needs(config) for config in self.configs.values() if config is not None))
        return {job_name(row, self.seed) for row in rows}


class JobFolder:
    """Folder of a job, and the files in it: job.json, run/, evaluation.json, result.json or error.txt, log.txt."""

    def __init__(self, path: Path):
        self.path = path
        self.definition = path / "job.json"
        self.run = RunFolder(path / "run")
        self.evaluation = path / "evaluation.json"
        self.result = path / "result.json"
        self.error = path / "error.txt"
        self.log = path / "log.txt"
        self._lease = lease(path)

    @property
    def finished(self) -> bool:
        return self.result.is_file()

    @property
    def failed(self) -> bool:
        return self.error.is_file() and not self.finished

    @property
    def claimed(self) -> bool:
        """Return whether somebody runs it now; one who died elsewhere is seen as such after a minute of looks."""
        return not is_free(self._lease)

    def prepare(self, job: Job) -> None:
        """Write down what is to be done, and forget an earlier failure.

        Where only the evaluation is another than before, the training that is there stays, and is measured again.

        Raises:
            InputError: the folder holds a job of this name with other settings, or of another evaluation that is
                running now.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        other = _differences(_decisive(self.job()), _decisive(job)) if self.definition.is_file() else {}
        again = bool(other) and other.keys() <= EVALUATION
        # A holder that lives shows it within this time; one that died elsewhere does not.
        claimed = not is_free(self._lease, wait=DEAD_AFTER_SECONDS + 1 if again else 0.0)
        if other and (claimed or not again):
            named = "; ".join(f"{key} {known}, now {asked}" for key, (known, asked) in list(other.items())[:3])
            raise InputError(f"{self.path} was made with other settings ({named}): give another --out")
        if again:
            self.result.unlink(missing_ok=True)
        if not claimed:
            self.error.unlink(missing_ok=True)
            with atomic(self.definition) as part:
                part.write_text(job.model_dump_json(indent=1))

    def job(self) -> Job:
        """Return what `prepare` wrote."""
        return load(Job, self.definition)

    def succeed(self, result: "Result") -> None:
        with atomic(self.result) as part:
            part.write_text(result.model_dump_json(indent=1))

    def fail(self, reason: str) -> None:
        with atomic(self.error) as part:
            part.write_text(reason.strip() + "\n", encoding="utf-8")

    def outcome(self) -> "Result":
        """Return what a finished job found."""
        return load(Result, self.result)


class Result(Config):
    """Result of a job."""

    values: dict[str, dict[str, list[float]]] = Field(default_factory=dict)
    """Row -> metric -> one value of each replication (of each round of a cost study). Real motions are a row, too."""
    facts: dict[str, float | int | str] = Field(default_factory=dict)
    """Steps, minutes, machine."""


def job_name(row: str, seed: int) -> str:
    return f"{row}-{seed}"


def plan_jobs(study: Study, plan: Plan, *settings: str) -> list[Job]:
    """Return the jobs of a study, in the order in which they are begun: every row with the first seed, then the next.

    Args:
        study: its rows.
        plan: how they are run.
        settings: the user's `key=value` changes to every row; a row's own changes win.
    """
    jobs = []
    more = [*(QUICK[study.kind] if plan.quick else ()), *settings]
    start = None if plan.from_model is None else Path(plan.from_model)
    for seed in plan.seeds:
        fixed = [f"data={plan.data}", f"seed={seed}"]
        configs = {row.name: study.config(row, *more, from_model=start) for row in study.rows}
        configs = {name: config and override(config, fixed) for name, config in configs.items()}
        if study.kind == "cost":
            jobs.append(Job(name=job_name("cost", seed), kind=study.kind, seed=seed, configs=configs, plan=plan))
            continue
        jobs += [
            Job(
                name=job_name(row.name, seed), kind=study.kind, seed=seed, configs={row.name: configs[row.name]},
                assembles=row.assembles, of=row.of, database=row.database, measured=row.measured,
                from_model=_start(plan, configs[row.name]), plan=plan,
            )
            for row in study.rows
        ]  # fmt: skip
    return jobs


def _start(plan: Plan, config: TrainConfig | None) -> str | None:
    """Return the user's model; of a quick study on scripted motions, what the package brings, where that is the
    row's."""
    if config is None:
        return None
    if plan.quick and plan.from_model is None and plan.scripted and config.model == preset("causal_flow_tiny").model:
        return str(packaged("early"))
    return plan.from_model


def run_folder(job: Job, row: str, jobs: Path) -> Path:
    """Return the run folder of another row of the job's seed.

    Args:
        job: whose row names the other one.
        row: the other one.
        jobs: the folder of all jobs.
    """
    return (jobs / job_name(row, job.seed) / "run").resolve()


def run_config(job: Job, row: str, jobs: Path) -> TrainConfig:
    """Return the config that a row is trained by: earlier rows that it names have become their run folders."""
    config = job.configs[row]
    return referring(config, {name: run_folder(job, name, jobs) for name in needs(config)})


def _decisive(job: Job) -> dict[str, Any]:
    """Return what decides a job's figures: other seeds of the same study do not."""
    data = job.model_dump(mode="json")
    del data["plan"]["seeds"]
    return data


def _differences(known: Any, asked: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """Return what was and what is asked of every leaf that differs, by its dotted key."""
    if isinstance(known, dict) and isinstance(asked, dict):
        keys = dict.fromkeys([*known, *asked])
        found = [_differences(known.get(name), asked.get(name), f"{key}.{name}" if key else name) for name in keys]
        return {name: pair for one in found for name, pair in one.items()}
    return {} if known == asked else {key: (known, asked)}
