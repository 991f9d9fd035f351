"""Sentences to compare models on: the packaged ones, or a file of your own."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from atm.base.errors import InputError, unknown
from atm.base.reading import read_json, read_plain_text
from atm.motion.program import Program
from atm.scripted.asked import Asked, asked_of
from atm.text import check_sentence

SECONDS = 6.0
"""Length of a motion whose prompt names none."""
_KEYS = ("text", "seconds", "program")


@dataclass(frozen=True)
class Prompt:
    """A sentence, how long its motion shall be, and what it asks for."""

    text: str
    seconds: float
    asked: Asked


def packaged_prompts() -> list[Prompt]:
    """Return sentences that ask for counts, sides and directions, with the two that the paper's figure 9 shows failing.

    They are worded by hand; none is a caption of the scripted data.
    """
    return read_prompts(Path(str(files("atm.apps.compare") / "prompts.json")))


def read_prompts(file: Path, *, seconds: float = SECONDS) -> list[Prompt]:
    """Return the prompts of a file.

    A `.json` file holds a list of sentences, or of objects with `text` and, where wanted, `seconds` and `program` (the
    actions as in a scripted data set's programs.json, for a sentence that is not understood). Any other file holds one
    sentence a line; empty lines and lines that start with # are skipped.

    Args:
        file: to read.
        seconds: for prompts that name none.

    Raises:
        InputError: no such file, no sentence in it, or a row of another form.
    """
    try:
        rows = read_json(file) if file.suffix.lower() == ".json" else _lines(read_plain_text(file))
    except InputError as error:
        raise InputError(f"cannot read the prompts: {file} {error}") from None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{file} holds no prompts: expected one sentence a line, or a JSON list of them")
    return [_prompt(row, number, file, seconds) for number, row in enumerate(rows, start=1)]


def _lines(content: str) -> list[str]:
    lines = (line.strip() for line in content.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _prompt(row, number: int, file: Path, seconds: float) -> Prompt:
    row = {"text": row} if isinstance(row, str) else row
    where = f"prompt {number} of {file}"
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"].strip():
        raise InputError(f'{where} has no sentence: expected {{"text": "a person walks forward"}}, got {row!r}')
    try:
        check_sentence(row["text"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    for key in row:
        if key not in _KEYS:
            raise unknown(f"key in {where}", key, _KEYS)
    length = row.get("seconds", seconds)
    if isinstance(length, bool) or not isinstance(length, int | float) or not 0 < length < 1e6:
        raise InputError(f"{where}: seconds must be a number > 0, got {length!r}")
    return Prompt(row["text"].strip(), float(length), _asked(row, where))


def _asked(row: dict, where: str) -> Asked:
    if "program" not in row:
        return asked_of(row["text"])
    try:
        return Asked(Program.from_json(row["program"]))
    except InputError as error:
        raise InputError(f"{where}: the program is {error}") from None
