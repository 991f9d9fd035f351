"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.base.storage import atomic


class MovingAverage:
    """Exponential moving average of a module's parameters (no warm-up, starts as a copy: as published for MDM)."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self._live = dict(module.named_parameters())
        self.average = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update after an optimiser step. The decay starts low, (1 + step) / (10 + step), so that a short run is no
        average over its random start (ours; it is above 0.999 from step 9,000 on)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), [v.detach() for v in self._live.values()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the live weights for as long as the block lasts."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in self._live.items():
            kept = value.detach().clone()
            value.copy_(self.average[name])
            self.average[name].copy_(kept)

    def load(self, state: dict[str, Tensor]) -> None:
        for name, value in self.average.items():
            value.copy_(state[name])


PARTS = {"step", "seconds", "best", "model", "optimizer", "average", "pending", "skipped", "bad_in_a_row"}
"""Contents of a checkpoint."""
_ADDED = {"bad_in_a_row": 0}
"""Parts that earlier versions did not write, and what stands for them."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` whole or not at all; a full disk leaves the last good checkpoint as it was."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic(path) as part:
        part.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, on the CPU.

    Raises:
        InputError: no file, or not a whole checkpoint.
    """
    if not path.is_file():
        raise InputError(f"nothing to resume: {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no whole checkpoint: {reason}; start the run again in another --out") from None
    if isinstance(state, dict):
        state = _ADDED | state
    if not isinstance(state, dict) or set(state) != PARTS:
        raise InputError(f"{path} is no checkpoint of a run: expected {', '.join(sorted(PARTS))} in it")
    return state
