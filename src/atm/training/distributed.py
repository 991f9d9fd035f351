"""The training engine (Lightning Fabric) set up: devices, arithmetic, and what its processes have to agree on.

Fabric does devices, precision and ranks; here stands only what a run chooses of it.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as dist

from atm.base.errors import InputError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others, of which the first may write or evaluate in the meantime. One that died
is noticed at once, by its connection."""
Precision = Literal["auto", "bf16-mixed", "32-true"]
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "arm_bf16")
"""Names under which a CPU's capabilities say that it multiplies bfloat16 in hardware."""


def has_bf16_units() -> bool:
    """Return whether the device that a run takes here computes in bfloat16 in hardware.

    Emulated it is no gain: on a CPU with AVX2 alone, autocast was measured 15.6 times slower than float32.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) is True for name in _BF16_UNITS)


def resolved_precision(precision: Precision) -> Literal["bf16-mixed", "32-true"]:
    """Return the arithmetic that `auto` means on this machine; what is named is taken as it is."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if has_bf16_units() else "32-true"


def make_fabric(precision: Precision = "32-true", *, devices: int = 1, machines: int = 1) -> "Fabric":
    """Set up the engine; it starts nothing yet, `fabric.launch()` does.

    Args:
        precision: of the model, see `TrainConfig`.
        devices: GPUs of each machine; on a machine without one, processes on its CPU.
        machines: each of them runs the same command, under SLURM's `srun` or with NODE_RANK, MASTER_ADDR and
            MASTER_PORT set.

    Raises:
        InputError: there are not so many devices.
    """
    from lightning.fabric import Fabric
    from lightning.fabric.strategies import DDPStrategy
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    # It tells which arithmetic it uses, on each start; the run's config says that.
    logging.getLogger("lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return Fabric(
            accelerator="auto",
            devices=devices,
            num_nodes=machines,
            # Some generators have parameters that a step does not use, by chance or by design.
            strategy="auto" if devices * machines == 1 else DDPStrategy(find_unused_parameters=True, timeout=PATIENCE),
            precision=resolved_precision(precision),
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise InputError(f"cannot train on {devices} devices of {machines} machines: {error}") from None


def true_anywhere(fabric: "Fabric", flag: bool) -> bool:
    """Return whether it is so in any process; all have to ask."""
    if fabric.world_size == 1:
        return flag
    return bool(fabric.all_reduce(torch.tensor(float(flag)), reduce_op="sum") > 0)


@contextmanager
def lost_in_words(fabric: "Fabric") -> Iterator[None]:
    """Say in one sentence that another process of the training is gone, where the backend raises what it stumbles over.

    Raises:
        InputError: in the place of the backend's error.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if fabric.world_size == 1 or not (isinstance(error, dist.DistError) or _OF_THE_BACKEND.search(said)):
            raise
        raise InputError(
            f"process {fabric.global_rank} of {fabric.world_size} lost another one, which died or cannot be reached "
            f"({_OF_A_PLACE.sub('', said).strip().partition(chr(10))[0][:120]}): what it said stands above; go on from "
            "the last checkpoint with --resume"
        ) from None


_OF_THE_BACKEND = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed out waiting", re.IGNORECASE)
_OF_A_PLACE = re.compile(r"^\[[^\]]*\]\s*")
"""The place in the backend's source that a message comes from."""


@contextmanager
def asked_in_parts() -> Iterator[None]:
    """Let gradients of single terms be asked for with `torch.autograd.grad`, before the step's own `fabric.backward`.

    With several processes Fabric refuses any other backward pass, since its own would be the one that averages over
    processes. Gradients that are only looked at, and accumulate nowhere, need no average.
    """
    from lightning.fabric import wrappers

    wrappers._in_fabric_backward = True
    try:
        yield
    finally:
        wrappers._in_fabric_backward = False


def gathered(fabric: "Fabric", items: list[Any]) -> list[Any]:
    """Return the items of all processes, in the order of their ranks; all have to ask."""
    if fabric.world_size == 1:
        return items
    parts: list[list[Any]] = [[] for _ in range(fabric.world_size)]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]
