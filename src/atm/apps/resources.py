"""Where a command's models come from, and where they are put: found, read once, on the device of this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from atm.base.packaged import packaged
from atm.base.storage import find_model
from atm.interface import Generator, TextEncoder
from atm.models import load_generator
from atm.space import Space, find_space
from atm.text import DeferredTextEncoder


class Opened(NamedTuple):
    """A generator and where it came from."""

    file: Path
    generator: Generator


def device() -> torch.device:
    """Return the device that every command computes on: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def open_generator(path: Path | None, text_encoder: TextEncoder | None = None) -> Opened:
    """Load a generator, in evaluation mode, on the device.

    Args:
        path: run folder, model file or packaged name; None: the packaged generator.
        text_encoder: None loads the one that its config names, when it is first asked.

    Raises:
        InputError: no such file, or no generator.
    """
    file = packaged("generator") if path is None else find_model(path)
    return Opened(file, load_generator(file, text_encoder).to(device()))


def open_space(
    path: Path | str | None, *, width: int, encoder_of: Callable[[str], TextEncoder] = DeferredTextEncoder
) -> Space:
    """Load a space to measure in, frozen, on the device; arguments and errors as for `find_space`."""
    return find_space(path, width=width, encoder_of=encoder_of).to(device())
