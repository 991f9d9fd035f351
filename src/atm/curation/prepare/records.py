"""Records of each source's results, kept beside the clips, so that a second call goes on where the first stopped."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from atm.base.reading import parse_json, read_arrays
from atm.base.storage import atomic
from atm.data.statistics import Moments

RECORDS = ".prepare"
"""The folder of the records."""
MIRRORED = "M"
"""Before the id of a mirrored copy, as in HumanML3D."""


@dataclass(frozen=True)
class Fault:
    """Something that was left out, and the reason."""

    where: str
    why: str


@dataclass(frozen=True)
class RecordEntry:
    """A clip that was written."""

    id: str
    source: str
    start: float
    end: float
    frames: int
    group: str
    split: str | None
    doubt: str = ""
    """Reason why it may be no motion of a person, to stand behind its name."""


@dataclass(frozen=True)
class SourceRecord:
    """Result of one source."""

    key: str
    """Fingerprint of source, captions and options."""
    entries: tuple[RecordEntry, ...]
    faults: tuple[Fault, ...]
    assumed: str
    moments: Moments
    fresh: bool = True
    """Made in this call, not an earlier one."""


def record_file(out: Path, name: str) -> Path:
    return out / RECORDS / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"


def save_record(out: Path, name: str, outcome: SourceRecord) -> None:
    content = asdict(outcome)
    about = json.dumps({key: content[key] for key in ("key", "entries", "faults", "assumed")})
    moments = outcome.moments
    with atomic(record_file(out, name)) as part:
        np.savez(part, about=np.array(about), frames=moments.frames, total=moments.total, squares=moments.squares)


def load_record(out: Path, name: str) -> SourceRecord | None:
    path = record_file(out, name)
    return _read(path) if path.is_file() else None  # also None where it is damaged: the source is read again


def _read(path: Path) -> SourceRecord | None:
    """Return a record; None: it is damaged, or another version's."""
    try:
        content = read_arrays(path)
        about = parse_json(str(content["about"]))
        moments = Moments(int(content["frames"]), content["total"], content["squares"])
        entries = tuple(RecordEntry(**entry) for entry in about["entries"])
        faults = tuple(Fault(**fault) for fault in about["faults"])
        return SourceRecord(about["key"], entries, faults, about["assumed"], moments)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def forget_others(out: Path, names: Sequence[str]) -> None:
    """Remove clips of an earlier call whose source is no longer asked for."""
    current = {record_file(out, name) for name in names}
    for path in (out / RECORDS).glob("*.npz"):
        if path not in current:
            remove_clips(out, _read(path))
            path.unlink()


def remove_clips(out: Path, outcome: SourceRecord | None) -> None:
    for entry in outcome.entries if outcome else ():
        for name in (entry.id, MIRRORED + entry.id):
            for file in (f"new_joint_vecs/{name}.npy", f"new_joints/{name}.npy", f"texts/{name}.txt"):
                (out / file).unlink(missing_ok=True)
