"""Run folders: what a run leaves behind, so that a number can be traced to the code, data and machine it came from.

config.yaml   record.json   code.diff   metrics.jsonl   checkpoints/last.pt   model.safetensors   tensorboard/

A run is written in an order in which whatever stands there when it dies is something to go on from. At its start:
code.diff, record.json, config.yaml, which makes the folder a run. At a checkpoint: metrics.jsonl, checkpoints/last.pt,
model.safetensors, record.json. Without a checkpoint it begins anew; with one it goes on from there, whatever the others
say.
"""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from atm.base.config import load
from atm.base.errors import InputError
from atm.base.storage import MODEL_FILE, RUN_CONFIG, atomic
from atm.training.config import TrainConfig


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / RUN_CONFIG
        self.record = path / "record.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoints" / "last.pt"
        self.model = path / MODEL_FILE

    def create(self) -> None:
        """Make the folders; an InputError if they cannot be made."""
        try:
            str(self.path).encode()  # TensorBoard writes no other names
        except UnicodeEncodeError:
            raise InputError(f"the name of the run folder {str(self.path)!r} is no UTF-8: take another") from None
        try:
            self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the run folder {self.path}: {error.strerror}") from None

    def holds_something(self) -> bool:
        """Return whether a new run would overwrite what was trained, or a file that no run wrote."""
        foreign = self.config.exists() and not self.record.exists() and not self._was_begun()
        return foreign or self.checkpoint.exists() or self.model.exists()

    def _was_begun(self) -> bool:
        """Return whether the config is one of a run: earlier versions wrote it before the record."""
        try:
            load(TrainConfig, self.config)
        except InputError:
            return False
        return True

    def forget(self) -> None:
        """Remove what a run left that stopped before its first checkpoint; what makes it a run goes first."""
        for file in (self.config, self.metrics, self.record):
            file.unlink(missing_ok=True)

    def write_record(self, **facts: Any) -> None:
        """Update record.json with these facts; the first call adds code, versions and machine."""
        known = self.read_record() if self.record.is_file() else provenance(self.path / "code.diff")
        with atomic(self.record) as part:
            part.write_text(json.dumps({**known, **facts}, indent=1) + "\n", encoding="utf-8")

    def read_record(self) -> dict[str, Any]:
        """Return the facts of record.json.

        Raises:
            InputError: there is none, or it is damaged.
        """
        try:
            facts = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"cannot read the record of the run, {self.record}: {error}") from None
        if not isinstance(facts, dict):
            raise InputError(f"{self.record} is no record of a run: expected facts by name, got {type(facts).__name__}")
        return facts

    def found(self, typed: str) -> Path:
        """Return where a folder that the run's config names lies, wherever this is called: seen from where the run was
        started, else from a folder that holds the run (both were moved together), else from here."""
        record = self.read_record() if self.record.is_file() else {}
        started = [Path(record["started_in"])] if "started_in" in record else []
        from_there = (folder / typed for folder in (*started, *Path(os.path.realpath(self.path)).parents))
        return next((path for path in from_there if path.exists()), Path(typed))

    def data(self, typed: str) -> Path:
        """Return the data folder that the run's config names, see `found`.

        Raises:
            InputError: it is not there any more; says which it was.
        """
        path = self.found(typed)
        if not path.exists():
            raise InputError(f"{self.path} was trained on {typed}, which is not there: give its folder with --data DIR")
        return path

    def append_metrics(self, line: dict[str, Any]) -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return every line, oldest first; what a crash left of a line, or in its place, is left out."""
        if not self.metrics.is_file():
            return []
        lines = []
        for text in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(line)
        return lines

    def drop_metrics_after(self, step: int) -> None:
        """Forget what a killed run logged after its last checkpoint; it will be logged again."""
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        with atomic(self.metrics) as part:
            part.write_text("".join(json.dumps(line) + "\n" for line in kept))


def provenance(diff_file: Path | None = None) -> dict[str, Any]:
    """Return commit, whether the tree differed from it, versions of what computes, and the class of machine."""
    here = Path(__file__).parent
    commit = _git(here, "rev-parse", "HEAD")
    diff = _git(here, "diff", "HEAD", "--", ".")
    if diff and diff_file is not None:
        with atomic(diff_file) as part:
            part.write_text(diff + "\n", encoding="utf-8")
    versions = {"python": platform.python_version(), "atm": _version("atm-motion")}
    packages = ("torch", "numpy", "diffusers", "lightning", "transformers")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "changed_since_commit": bool(diff),
        "versions": versions | {name: _version(name) for name in packages},
        "machine": machine_class(),
    }


def machine_class() -> str:
    """Return processor, cores and GPU, without names of hosts or people."""
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ", no GPU"
    return f"{platform.machine()}, {os.cpu_count()} cores{gpu}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
