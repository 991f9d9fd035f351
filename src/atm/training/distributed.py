"""The processes that train one model together: one for each device, on one machine or on several (DDP)."""

import logging
import os
import sys
import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch

from atm.base.errors import InputError


class Team:
    """What the processes of a training have to agree on.

    Args:
        precision: of the model, see `TrainConfig`.
        devices: GPUs of each machine; on a machine without one, processes on its CPU.
        machines: each of them runs the same command, under SLURM's `srun` or with NODE_RANK, MASTER_ADDR and
            MASTER_PORT set.

    Raises:
        InputError: there are not so many devices.
    """

    def __init__(self, precision: str = "32-true", *, devices: int = 1, machines: int = 1):
        from lightning.fabric import Fabric
        from lightning.fabric.utilities.exceptions import MisconfigurationException

        # It tells which arithmetic it uses, on each start; the config says that.
        logging.getLogger("lightning").setLevel(logging.WARNING)
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        try:
            self.fabric = Fabric(
                accelerator="auto",
                devices=devices,
                num_nodes=machines,
                strategy="auto" if devices * machines == 1 else "ddp",
                precision=precision,
            )
        except (MisconfigurationException, ValueError, RuntimeError) as error:
            raise InputError(f"cannot train on {devices} devices of {machines} machines: {error}") from None
        self.size = devices * machines

    @property
    def rank(self) -> int:
        return self.fabric.global_rank

    @property
    def first(self) -> bool:
        """The process that writes files and talks to the user."""
        return self.fabric.global_rank == 0

    def launch(self) -> None:
        """Start the others, by running this very command once more for each device, and meet them.

        What a command does before this call, every process does; what it prints after it, only the first one prints.
        """
        self.fabric.launch()
        if not self.first:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)
            warnings.simplefilter("ignore")

    def one_after_another(self) -> AbstractContextManager[None]:
        """A block that the first process of each machine runs before the others, which find its caches."""
        return self.fabric.rank_zero_first(local=True)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process; all have to ask."""
        if self.size == 1:
            return flag
        return bool(self.fabric.all_reduce(torch.tensor(float(flag)), reduce_op="sum") > 0)

    def together(self, items: list[Any]) -> list[Any]:
        """The items of all processes, in the order of their ranks; all have to ask."""
        if self.size == 1:
            return items
        parts: list[list[Any]] = [[] for _ in range(self.size)]
        torch.distributed.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def part_ways(self) -> None:
        """Wait for all; then every process but the first ends here: what follows is done once."""
        self.fabric.barrier()
        if not self.first:
            sys.exit(0)
