"""Spaces on disk: our own files, and TMR's published ones."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atm.config import validate
from atm.embedding.config import SpaceConfig
from atm.embedding.model import Space
from atm.errors import InputError
from atm.interface import TextEncoder
from atm.layers import Normaliser
from atm.storage import load_state, read_model, save_model
from atm.text import load_text_encoder

PUBLISHED_PARTS = ("motion_encoder", "text_encoder", "motion_decoder")


def save_space(space: Space, path: Path, *, half: bool = False) -> None:
    """Write weights, statistics and config to one safetensors file; `half` stores the weights in 16 bits."""
    save_model(path, space, space.config, "space", half=half)


def load_space(path: Path, text_encoder: TextEncoder | None = None) -> Space:
    """A space that `save_space` wrote. In training mode and not frozen: that is up to the caller.

    Args:
        path: the file, or a run folder with a `model.safetensors`.
        text_encoder: None loads the one that the config names.

    Raises:
        InputError: no such file, another kind of model, or weights that do not fit the config.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    stored = read_model(file)
    if stored.kind != "space":
        raise InputError(f"expected a text-motion space, but {file} holds a model of kind {stored.kind!r}")
    config = validate(SpaceConfig, stored.config, source=str(file))
    if "normaliser.mean" not in stored.state:
        raise InputError(f"{file} has no statistics (`normaliser.mean`): it was not written by save_space")
    width = len(stored.state["normaliser.mean"])
    space = Space(config, text_encoder or load_text_encoder(config.text_encoder), Normaliser.identity(width))
    load_state(space, stored.state, source=str(file))
    return space


def from_published(
    state: dict[str, Tensor], normaliser: Normaliser, config: SpaceConfig, text_encoder: TextEncoder | None = None
) -> Space:
    """A space with the weights of a published TMR.

    Args:
        state: `read_published` of the folder, or the `state_dict` of its Lightning checkpoint.
        normaliser: the statistics that the publication keeps beside its weights, from `read_published_statistics`.
        config: `space_humanml3d()` for both published models (also KIT's: it was turned into 263 features).
        text_encoder: None loads the one that the config names.

    Raises:
        InputError: names the keys that are missing, unknown or of another shape.
    """
    space = Space(config, text_encoder or load_text_encoder(config.text_encoder), normaliser)
    own = {f"normaliser.{name}": value for name, value in normaliser.state_dict().items()}
    load_state(space, state | own, source="the published checkpoint")
    return space


def read_published(folder: Path) -> dict[str, Tensor]:
    """Weights of a published TMR folder (`last_weights/motion_encoder.pt`, ...), keyed as in its checkpoint."""
    state = {}
    for part in PUBLISHED_PARTS:
        values = _read_tensors(folder / "last_weights" / f"{part}.pt")
        state |= {f"{part}.{name}": value for name, value in values.items()}
    return state


def read_published_statistics(folder: Path) -> Normaliser:
    """From `mean.pt` and `std.pt` in the published `stats/<data set>/guoh3dfeats`."""
    # TMR divides by std + 1e-12, so that a column that never changes does not divide by zero.
    return Normaliser(_read_tensors(folder / "mean.pt"), _read_tensors(folder / "std.pt") + 1e-12)


def _read_tensors(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        raise InputError(f"cannot read {file} as a file of PyTorch tensors: {error}") from None
