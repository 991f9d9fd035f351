"""The tools themselves: what each takes, does and answers. All files lie in one folder, and none is written over."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ConfigDict, Field

from atm.apps.api import load_motion
from atm.apps.export import SUFFIXES
from atm.apps.studio.models import StudioModel
from atm.apps.studio.requests import (
    LARGEST_SEED,
    LONGEST_SEQUENCE,
    MOST_CANDIDATES,
    MOST_GUIDANCE,
    MOST_SAMPLES,
    MOST_STEPS,
    Sentence,
)
from atm.apps.take import Take
from atm.base.config import Config
from atm.base.errors import InputError, unknown
from atm.meaning import Event, parse_meaning
from atm.motion import HUMANML3D
from atm.scripted.asked import asked_of
from atm.scripted.examine import examine

MOST_FILES = 1000
"""Files that the folder may hold before no more are written into it."""
READABLE = (".npz", ".npy")
LONGEST_NAME = 120
_FORMATS = tuple(suffix.lstrip(".") for suffix in SUFFIXES)


class _Arguments(Config):
    # Strict: true is no seed, and "3" is no number of samples.
    model_config = ConfigDict(strict=True)


class GenerateArguments(_Arguments):
    """Arguments of `generate_motion`."""

    text: Sentence
    """English sentence, such as "a person walks forward four steps and waves with the left hand"."""
    seconds: float | None = Field(None, gt=0, le=LONGEST_SEQUENCE)
    """Length of the motion; null: as long as what the sentence asks takes."""
    samples: int = Field(1, ge=1, le=MOST_SAMPLES)
    """Different motions of the sentence."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """The same seed gives the same motions."""
    best_of: int = Field(1, ge=1, le=MOST_CANDIDATES)
    """So many are made for each motion, and the one nearest to the sentence is kept."""
    guidance: float | None = Field(None, ge=0, le=MOST_GUIDANCE)
    """Scale of classifier-free guidance; null: the model's own."""
    steps: int | None = Field(None, ge=1, le=MOST_STEPS)
    """Sampling steps, of models that have them; null: the model's own."""


class ExportArguments(_Arguments):
    """Arguments of `export_motion`."""

    motion: str = Field(max_length=LONGEST_NAME)
    """Name of a motion file in the folder, as `generate_motion` told it."""
    format: str = Field(max_length=8, json_schema_extra={"enum": list(_FORMATS)})
    """Format of the new file."""
    names: str = Field("humanml3d", max_length=16)
    """Joint names of bvh and glb: humanml3d, mixamo, smpl, unreal or vrm."""
    unit: Literal["m", "cm", "mm"] = "m"
    """Unit of length of bvh."""
    fps: float | None = Field(None, gt=0, le=240)
    """Frames per second of bvh and glb; null: the motion's own."""
    up: Literal["y", "z"] = "y"
    """Upward axis of bvh."""


class ExplainArguments(_Arguments):
    """Arguments of `explain`: a sentence, a motion, or both."""

    text: Sentence | None = None
    """Sentence whose understanding is asked for; with a motion: what the motion is judged by."""
    motion: str | None = Field(None, max_length=LONGEST_NAME)
    """Name of a motion file in the folder; judged by its own sentence where none is given."""


class Tool(NamedTuple):
    """One tool as it is offered."""

    takes: type[_Arguments]
    about: str
    call: Callable[[Any], dict[str, Any]]
    writes: bool


class Tools:
    """The three tools on one model and one folder."""

    def __init__(self, model: StudioModel, folder: Path, *, most_files: int = MOST_FILES):
        """Take the folder that all files are read from and written to; it is made where it is missing.

        Raises:
            InputError: the folder cannot be made.
        """
        self.model, self.folder, self.most_files = model, folder, most_files
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be the folder of the motions: {error.strerror or error}") from None

    @property
    def table(self) -> dict[str, Tool]:
        """The tools by their names."""
        facts = self.model.facts
        return {
            "generate_motion": Tool(
                GenerateArguments,
                f"Make human motions from an English sentence, {facts['shortest']:g} to {facts['longest']:g} seconds "
                f"long, and write them as .npz into {self.folder.resolve()}. Answers with the files, with what was "
                "understood of the sentence, and with a verdict on each motion: whether it does what was asked.",
                self.generate_motion,
                writes=True,
            ),
            "export_motion": Tool(
                ExportArguments,
                f"Write a motion of the folder in another format beside it: {', '.join(_FORMATS)}.",
                self.export_motion,
                writes=True,
            ),
            "explain": Tool(
                ExplainArguments,
                "Tell what is understood of a sentence (actions, numbers, sides, directions) and what is not, or what "
                "a motion of the folder does of what its sentence asks.",
                self.explain,
                writes=False,
            ),
        }

    def generate_motion(self, asked: GenerateArguments) -> dict[str, Any]:
        """Make motions, write them, and tell their files.

        Raises:
            InputError: a length that the model cannot make, a sentence without a word, a full folder.
        """
        understood = self.understood(asked.text)
        self._check_room(asked.samples)
        takes = self.model.model.generate(
            [asked.text], seconds=asked.seconds, seed=asked.seed, samples=asked.samples, guidance=asked.guidance,
            steps=asked.steps, best_of=asked.best_of, space=self.model.space,
        )  # fmt: skip
        told = []
        for take in takes:
            file = take.save(self._free(_slug(asked.text), ".npz"))
            told.append(self._facts(file, take) | {"seed": asked.seed, "sample": take.provenance["sample"]})
        return {"folder": str(self.folder.resolve()), "motions": told, "understood": understood}

    def export_motion(self, asked: ExportArguments) -> dict[str, Any]:
        """Write a motion in another format, and tell the file.

        Raises:
            InputError: no such motion, an unknown format or name, a style that the format has not, a full folder.
        """
        if asked.format not in _FORMATS:
            raise unknown("format", asked.format, _FORMATS)
        source = self._file(asked.motion)
        self._check_room(1)
        file = load_motion(source).save(
            self._free(source.stem, f".{asked.format}"), names=asked.names, unit=asked.unit, fps=asked.fps, up=asked.up
        )
        return {"file": file.name, "folder": str(self.folder.resolve()), "bytes": file.stat().st_size}

    def explain(self, asked: ExplainArguments) -> dict[str, Any]:
        """Tell what is understood of a sentence, and what a motion does of what is asked.

        Raises:
            InputError: neither is given, or no such motion.
        """
        if asked.text is None and asked.motion is None:
            raise InputError("explain needs a text, a motion or both, got neither")
        told = {} if asked.text is None else {"sentence": self.understood(asked.text)}
        if asked.motion is not None:
            file = self._file(asked.motion)
            take = load_motion(file)
            told["motion"] = self._facts(file, take) | _judged(take, take.text if asked.text is None else asked.text)
        return told

    def understood(self, text: str) -> dict[str, Any]:
        """Return what is read in a sentence, word for word where nothing is, and what the model was not taught.

        Raises:
            InputError: a sentence without a word.
        """
        read, meaning = self.model.read(text), parse_meaning(text)
        return {
            "text": text,
            "actions": [
                {"action": event.action.replace("_", " "), "taught": told["taught"]} | _details(event)
                for event, told in zip(meaning.events, read["actions"], strict=True)
            ],
            "words_without_meaning": sorted(meaning.rest),
            "warning": read["warning"],
            "seconds": read["seconds"],
        }

    def _facts(self, file: Path, take: Take) -> dict[str, Any]:
        return {
            "file": file.name, "text": take.text, "seconds": round(take.seconds, 3), "frames": len(take),
            "fps": take.fps, "verdict": take.verdict,
        }  # fmt: skip

    def _file(self, name: str) -> Path:
        """Return a motion file by its name alone: no path leads out of the folder, and no link does."""
        file = self.folder / name
        inside = Path(name).name == name and "\\" not in name and "\0" not in name
        if not inside or file.suffix.lower() not in READABLE:
            raise InputError(f"a motion is the name of a .npz or .npy file in the folder, got {name!r}")
        if not file.is_file() or file.resolve().parent != self.folder.resolve():
            known = [path.name for path in self.folder.iterdir() if path.suffix.lower() in READABLE]
            raise unknown("motion", name, known) if known else InputError(f"there is no motion in {self.folder} yet")
        return file

    def _free(self, stem: str, suffix: str) -> Path:
        """Return a path that nothing has: the name, or the name with a number behind it."""
        names = (f"{stem}{suffix}", *(f"{stem}-{number}{suffix}" for number in range(2, self.most_files + 2)))
        return next(path for name in names if not (path := self.folder / name).exists())

    def _check_room(self, files: int) -> None:
        there = sum(1 for _ in self.folder.iterdir())
        if there + files > self.most_files:
            raise InputError(
                f"{self.folder} holds {there} of {self.most_files} files that it may hold, and {files} more are asked "
                "for: take some out of it, or start the server with more --files"
            )


def _details(event: Event) -> dict[str, Any]:
    """Return what is said of an action; what the sentence leaves open is left out."""
    said = {
        "count": event.count and str(event.count), "counted_in": event.count and f"{event.count.unit}s",
        "side": event.side, "direction": sorted(event.direction), "turning": event.turning, "path": event.path,
        "degrees": event.degrees, "speed": event.speed, "body_part": event.part, "link": event.link,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def _judged(take: Take, text: str) -> dict[str, Any]:
    """Return the oracles' judgement, one by one; `judged` is empty where they know nothing of what is asked."""
    asked = asked_of(text)
    examined = examine(take.joints, asked) if take.skeleton == HUMANML3D else None
    return {
        "judged_by": text,
        "verdict": None if examined is None else str(examined),
        "judged": [] if examined is None else [{"asked": one.text, "right": one.right} for one in examined.findings],
        "not_judged": list(asked.unread),
        "seen_beside": [] if examined is None else list(examined.seen),
    }


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:48] or "motion"
