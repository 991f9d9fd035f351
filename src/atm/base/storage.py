"""Model files, and how every file is written: beside its place, then moved there, whole or not at all."""

import hashlib
import itertools
import json
import os
import platform
import re
import secrets
import shutil
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from atm.base.config import Config
from atm.base.errors import InputError, OutputError
from atm.base.packaged import NAMES, check_packaged, named
from atm.base.pretrained import MANIFEST_FILE, check_manifest, downloaded, on_hub
from atm.base.reading import mistaken

MODEL_FILE = "model.safetensors"
"""A run folder's model."""
RUN_CONFIG = "config.yaml"
"""A run folder's config."""


class StoredModel(NamedTuple):
    """Contents of a model file."""

    kind: str
    """Which room reads it: "generator", "space", "evaluator"."""
    config: dict[str, Any]
    """The model's config as plain values; `atm.base.config.validate` makes it a config again."""
    state: dict[str, Tensor]
    """Weights and buffers; half precision on disk comes back as float32."""


def save_model(path: Path, module: nn.Module, config: Config, kind: str, *, half: bool = False) -> None:
    """Write weights and config to `path` (safetensors).

    Args:
        path: folder must exist; an old file is replaced only when the new one is complete.
        module: its state dict is stored; non-persistent buffers are not.
        config: what it takes to build the module again.
        kind: see `StoredModel`.
        half: store parameters as float16. Buffers (normalisation, running statistics) stay float32.

    Raises:
        InputError: the file cannot be written; what stood at `path` still does.
    """
    parameters = {name for name, _ in module.named_parameters()}
    state = {
        name: (value.half() if half and name in parameters else value).detach().cpu().contiguous()
        for name, value in module.state_dict().items()
    }
    payload = as_safetensors(state, {"atm": kind, "config": config.model_dump_json()})
    with atomic(path) as part:
        part.write_bytes(payload)


def as_safetensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file of these tensors, the same bytes each time: the library draws the order of metadata."""
    payload = to_bytes(dict(tensors), metadata=dict(metadata))
    (length,) = struct.unpack_from("<Q", payload)
    header = json.loads(payload[8 : 8 + length])
    ordered = {"__metadata__": dict(sorted(metadata.items())), **{name: header[name] for name in sorted(tensors)}}
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + payload[8 + length :]


def read_model(path: Path) -> StoredModel:
    """Return what `save_model` wrote.

    Raises:
        InputError: no such file, a truncated or foreign file, safetensors without our metadata, weights that are NaN,
            or a packaged weight that is damaged.
    """
    try:
        check_packaged(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        if said := mistaken(path):
            raise InputError(f"the model file {path} {said}") from None
        raise InputError(f"cannot read the model file {path}: {error}") from None
    if "atm" not in metadata or "config" not in metadata:
        raise InputError(f"{path} is a safetensors file, but not one that atm wrote: it carries no config")
    try:
        config = json.loads(metadata["config"])
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read the model file {path}: its config is no JSON ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"cannot read the model file {path}: its config is no JSON object")
    state = {name: value.float() if value.dtype == torch.float16 else value for name, value in state.items()}
    check_finite(state, source=str(path))
    return StoredModel(metadata["atm"], config, state)


def check_finite(state: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse weights that are NaN or infinite: everything that is made with them would be.

    Raises:
        InputError: names the first of them.
    """
    for name, value in state.items():
        # One number tells, and takes a fifth of the time; a sum beyond all numbers says nothing yet.
        if value.is_floating_point() and not value.sum().isfinite() and not (finite := value.isfinite()).all():
            count = int((~finite).sum())
            raise InputError(
                f"{source} holds weights that are NaN or infinite ({name}: {count:,} of {value.numel():,}): the "
                "training that made it broke; take an earlier file"
            )


def load_state(module: nn.Module, state: dict[str, Tensor], *, source: str) -> None:
    """Put `state` into `module`: every key must be there, none may be left over, every shape must fit.

    Raises:
        InputError: names the first keys that are missing, unknown or misshapen in `source`.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in state]
    extra = [name for name in state if name not in own]
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    found = {"missing": missing, "unknown": extra, "of another shape": misshapen}
    problems = [f"{len(names)} keys {what} ({_first(names)})" for what, names in found.items() if names]
    if problems:
        raise InputError(f"the weights in {source} do not fit this {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(state)


def find_model(path: str | Path) -> Path:
    """Return the model file of a run folder, the file itself, the packaged model of this name, or that of a folder of
    `save_pretrained`, here or on the hub (`hf://OWNER/NAME`), whose files are held against its manifest.

    Raises:
        InputError: there is nothing, a folder that is no finished run, or a file that is not what the manifest says.
    """
    path = downloaded(path) if (hub := on_hub(path)) else named(Path(path))
    if path.is_file():
        return path
    if hub or (path / MANIFEST_FILE).is_file():
        check_manifest(path, needed=MODEL_FILE)
    if (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    if (path / RUN_CONFIG).is_file():
        raise InputError(f"{path} is a run without a model yet: go on with `atm train --resume {path}`")
    if path.is_dir():
        raise InputError(f"{path} is not a run folder: expected model.safetensors in it")
    raise InputError(
        f"no model at {path}: expected a run folder, a .safetensors file, hf://OWNER/NAME or one of {', '.join(NAMES)}"
    )


@contextmanager
def atomic(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it becomes `path` when the block ends well, else it vanishes.

    Every file of the project is written by this function. Each writer has a name of its own, with the suffix of
    `path`; a link is followed, and its target is replaced. What a dead process left half-written beside it goes.

    Args:
        path: the file; its folder must exist.
        sync: wait until it is on the disk; False for one of thousands that can be made again.

    Raises:
        OutputError: the operating system refuses (a full disk, no such folder, no permission); what stands there is as
            it was.
        InputError: what stands there is read-only, or no plain file.
    """
    path = Path(path)
    try:
        target = path.resolve()
        _check_replaceable(target)
        clear_left_over(target.parent)
        part = _beside(target)
    except RuntimeError as error:  # what Python below 3.13 makes of links that go round
        raise OutputError(f"cannot write {path}: {error}") from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; an older file there is unchanged") from None
    try:
        yield part
        if sync:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
        if sync:
            _sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; an older file there is unchanged") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` to fill; it takes that name when the block ends well, else nothing of it stays.

    Each writer fills a folder of its own; of several the first takes the name, the others are refused at their end.

    Raises:
        InputError: the operating system refuses, or `folder` holds something by then.
    """
    folder = Path(folder)
    unfinished = _beside(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_left_over(folder.parent)
        unfinished.mkdir()
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror or error}") from None
    try:
        yield unfinished
        _sync_tree(unfinished)
        if folder.is_dir():
            folder.rmdir()  # an empty one; the system refuses any other
        unfinished.replace(folder)
        _sync_folder(folder.parent)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def clear_left_over(folder: Path) -> None:
    """Remove what `atomic` and `appearing` of dead processes left in a folder; a process looks once at each."""
    if folder in _cleared:
        return
    _cleared.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found is None or not _is_left_over(entry, found):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


_PART = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-(?P<life>[0-9a-f]{8})-\d+\.part(\..*)?", re.DOTALL)
"""Names of what is being written: machine, process, a word of the process's own (numbers of processes come again), and
a number of the file."""
_MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_LIFE = secrets.token_hex(4)
_numbers = itertools.count()
_cleared: set[Path] = set()
_OLD_SECONDS = 86_400.0
"""Age from which on a half-written file is left over, whosever it was."""


def _beside(path: Path) -> Path:
    """Return a hidden name beside `path` that no other writer has, with its suffix; short where that is long."""
    suffix = path.suffix if len(path.suffix) <= 16 else ""
    mark = f"{_MACHINE}-{os.getpid()}-{_LIFE}-{next(_numbers)}"
    return path.with_name(f".{path.stem[:32]}.{mark}.part{suffix}")


def _is_left_over(entry: os.DirEntry, found: re.Match) -> bool:
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD_SECONDS:
            return True
    if found["machine"] != _MACHINE or os.name == "nt":  # no portable look at a process of Windows
        return False
    process = int(found["process"])
    if process == os.getpid():
        return found["life"] != _LIFE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _check_replaceable(path: Path) -> None:
    """Refuse a file that its owner has marked as read-only, which a rename would not mind, and what is no file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no plain file"
        raise InputError(f"{path} cannot be written: it is {what}; name a file")
    if not (mode & 0o222 and os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)):
        raise InputError(
            f"{path} cannot be written: it is read-only, and unchanged; make it writable or name another file"
        )


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can open a folder."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _sync_tree(folder: Path) -> None:
    """Wait until all files of a folder are on the disk."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    if len(files) > _MANY and hasattr(os, "sync"):
        os.sync()
        return
    for file in files:
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync_folder(inner)


_MANY = 100
"""Files from which on one `sync` of the whole system takes less time than one of each."""


def _first(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
