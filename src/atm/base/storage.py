"""Model files: weights and config in one safetensors file, written whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.packaged import NAMES, named
from atm.base.pretrained import MANIFEST_FILE, check_manifest, downloaded, on_hub

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
    payload = to_bytes(state, metadata={"atm": kind, "config": config.model_dump_json()})
    with atomic(path) as part:
        part.write_bytes(payload)


def read_model(path: Path) -> StoredModel:
    """Return what `save_model` wrote.

    Raises:
        InputError: no such file, a truncated or foreign file, or safetensors without our metadata.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read the model file {path}: {error}") from None
    if "atm" not in metadata or "config" not in metadata:
        raise InputError(f"{path} is a safetensors file, but not one that atm wrote: it carries no config")
    state = {name: value.float() if value.dtype == torch.float16 else value for name, value in state.items()}
    return StoredModel(metadata["atm"], json.loads(metadata["config"]), state)


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
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it becomes `path` when the block ends well, else it vanishes.

    Raises:
        InputError: the operating system refuses (a full disk, no such folder, no permission).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; an older file there is unchanged") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` to fill; it takes that name when the block ends well, else nothing of it stays.

    Raises:
        InputError: the operating system refuses.
    """
    unfinished = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error}") from None
    try:
        yield unfinished
        unfinished.replace(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _first(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
