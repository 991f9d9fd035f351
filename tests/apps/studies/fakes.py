"""A study that runs in milliseconds: its runner makes figures by rule, and does what its row's name says."""

import os
import signal
from pathlib import Path

from atm.apps.studies.jobs import Job, JobFolder, Plan, Result
from atm.apps.studies.study import Row, Study
from atm.evaluation.report import REAL

VALUES = {"none": 0.4, "inter": 0.5, "both": 0.6}


def small_study(**changes) -> Study:
    rows = (
        Row(name="none", settings=("alignment=none",), published={"HumanML3D": {"r_precision_1": 0.425, "fid": 0.57}}),
        Row(name="inter", settings=("alignment.intra.weight=0",),
            published={"HumanML3D": {"r_precision_1": 0.502, "fid": 0.383}}),
        Row(name="both", published={"HumanML3D": {"r_precision_1": 0.519, "fid": 0.32}}),
    )  # fmt: skip
    values = {"name": "small", "title": "A small study", "rows": rows, "against": "none"}
    return Study(**(values | changes))


def plan(data: Path, **changes) -> Plan:
    return Plan(data=str(data), **changes)


def run_fake(job: Job, folder: JobFolder) -> Result:
    """Counts its calls in the folder; fails as often as `fail` there says, and dies where `die` is."""
    (row,) = job.configs
    calls = folder.path / "calls"
    with calls.open("a") as file:
        file.write(f"{os.getpid()}\n")
    count = len(calls.read_text().splitlines())
    if (folder.path / "fail").is_file() and count <= int((folder.path / "fail").read_text()):
        raise RuntimeError(f"call {count} fails")
    die = folder.path / "die"
    if die.is_file():
        die.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    value = VALUES[row] + 0.01 * job.seed
    made = {"r_precision_1": [value - 0.01, value + 0.01], "fid": [1 - value, 1 - value]}
    real = {"r_precision_1": [0.9, 0.9], "fid": [0.0, 0.0]}
    facts = {"step": 2, "minutes": 0.1, "machine": "fake", "commit": ""}
    return Result(values={row: made, REAL: real}, facts=facts)


def calls(out: Path, job: str) -> int:
    file = out / "rows" / job / "calls"
    return len(file.read_text().splitlines()) if file.is_file() else 0
