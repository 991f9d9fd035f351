"""The captions file beside a folder of motions: what is said of which file, or of which part of it."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from atm.base.errors import InputError, unknown
from atm.base.reading import mistaken
from atm.text import tag_words

COLUMNS = ("file", "caption", "start", "end", "split", "take", "fps")
SPLITS = ("train", "val", "test")
_DELIMITERS = (",", ";", "\t")
"""Between the fields of a line; spreadsheets write semicolons where the decimal mark is a comma."""


@dataclass(frozen=True)
class Part:
    """A file, or the seconds of it that have captions of their own."""

    start: float
    end: float | None
    """None: to the end of the file."""
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """Contents of the captions file for one motion file."""

    file: str
    """As written there at first, with `/` between folders."""
    parts: tuple[Part, ...]
    split: str | None
    take: str | None
    """Files of one take share a split."""
    fps: float | None = None
    """Frames per second of the file, where the file is wrong about them."""


def read_captions_file(path: Path) -> list[Described]:
    """Return a CSV file with a header, or JSON lines, with the columns or keys `file` and `caption`, and where wanted
    `start` and `end` (seconds of the file), `split` (train, val or test), `take` and `fps` (frames per second of the
    file, where its own Frame Time is wrong).

    Several lines about the same file, with or without `.bvh` or `.amc`, and the same seconds are several captions of
    one clip.

    Raises:
        InputError: not such a file, or a line that cannot be; says which line and what was expected.
    """
    found: dict[str, dict[tuple[float, float | None], list[str]]] = {}
    said: dict[str, tuple[str | None, str | None, float | None]] = {}
    split_of: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for where, row in _rows(path):
        file, caption, span = _text(row, "file", where), _text(row, "caption", where), _span(row, where)
        if not file or not caption:
            raise InputError(f"{where}: {'caption' if file else 'file'} is empty")
        if "#" in caption:
            raise InputError(f"{where}: a caption cannot contain '#', which separates the fields of the text files")
        if not tag_words(caption):
            raise InputError(
                f"{where}: {caption!r} has no word that text encoders read: expected a sentence in English"
            )
        file = PurePosixPath(file.replace("\\", "/")).as_posix()
        file = spelled.setdefault(without_suffix(file), file)
        split, take = _text(row, "split", where) or None, _text(row, "take", where) or None
        if split is not None and split not in SPLITS:
            raise unknown(f"split in {where}:", split, SPLITS)
        about = (split, take, _rate(row, where))
        if said.setdefault(file, about) != about:
            raise InputError(f"{where}: {file} had another split, take or fps further up; all its lines need the same")
        if take is not None and split is not None and split_of.setdefault(take, split) != split:
            raise InputError(
                f"{where}: take {take!r} is in {split_of[take]} further up; a take cannot be in two splits"
            )
        captions = found.setdefault(file, {}).setdefault(span, [])
        if caption not in captions:
            captions.append(caption)
    if not found:
        raise InputError(f"{path} holds no captions: expected lines below the header {','.join(COLUMNS[:2])}")
    return [
        Described(file, tuple(Part(*span, tuple(captions)) for span, captions in parts.items()), *said[file])
        for file, parts in found.items()
    ]


def without_suffix(file: str) -> str:
    """Return a file's name without the suffix of a recording."""
    return re.sub(r"\.(?:bvh|amc)$", "", file, flags=re.IGNORECASE)


def _check_is_file(path: Path) -> None:
    """Refuse a pipe or a device, which gives no end."""
    if path.exists() and not path.is_file():
        raise InputError(f"cannot read the captions {path}: it is a folder, a pipe or a device")


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    _check_is_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the captions {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"cannot read the captions {path}: expected UTF-8; save it so (spreadsheets: CSV UTF-8)"
        ) from None
    if said := mistaken(path):
        raise InputError(f"the captions file {path} {said}")
    read = _json_rows if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else _csv_rows
    for number, row in read(text, path):
        where = f"{path.name}, line {number}"
        for name in row:
            if name not in COLUMNS:
                raise unknown(f"column in {where}:", str(name), COLUMNS)
        yield where, row


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not {"file", "caption"} <= set(names):
            raise InputError(
                f"{path.name}: expected a first line such as file,caption,start,end,split (or with semicolons), got "
                f"{first[:80]!r}"
            )
        if len(set(names)) < len(names):
            raise InputError(f"{path.name}: two columns have the same name: {', '.join(names)}")
        for cells in reader:
            if len(cells) > len(names):
                raise InputError(
                    f"{path.name}, line {reader.line_num}: more fields than the header has; a caption with "
                    f'{delimiter!r} needs quotes, "..."'
                )
            # Spreadsheets end files with lines of empty fields.
            if any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: {error}") from None


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = f"{path.name}, line {number}"
            raise InputError(f"{where}: no JSON ({error}); expected one object in each line") from None
        if not isinstance(row, dict):
            raise InputError(f'{path.name}, line {number}: expected {{"file": ..., "caption": ...}}, got {line[:60]!r}')
        yield number, row


def _text(row: dict, name: str, where: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, (str, int)):
        raise InputError(f"{where}: {name} is {value!r}, expected text")
    return " ".join(str(value).split()) if value is not None else ""


def _span(row: dict, where: str) -> tuple[float, float | None]:
    start, end = (_seconds(row, name, where) for name in ("start", "end"))
    start = 0.0 if start is None else start
    if end is not None and end <= start:
        raise InputError(f"{where}: end = {end:g} s is not after start = {start:g} s")
    return start, end


def _rate(row: dict, where: str) -> float | None:
    value = row.get("fps")
    if value is None or value == "":
        return None
    try:
        fps = float(value)
    except (TypeError, ValueError):
        fps = math.nan
    if not 1 <= fps <= 1000:
        raise InputError(f"{where}: fps is {value!r}, expected the file's frames per second, 1 to 1000, such as 60")
    return fps


def _seconds(row: dict, name: str, where: str) -> float | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where}: {name} is {value!r}, expected seconds >= 0, such as 2.5")
    return seconds
