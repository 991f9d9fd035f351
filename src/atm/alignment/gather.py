"""Rows of all processes of a training as one batch, so that mining chooses among the motions of every device.

A process passes its rows in and gets those of all, in the order of their ranks. All processes must call the same
functions in the same order, also one that has no rows; the gradient of what comes out reaches the process whose rows
they were.
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

AllGather = Callable[[Tensor], Tensor]
"""(N, ...) of this process to (W, N, ...) of all W, in the order of their ranks, with gradients: each process gets the
sum of what all have to say of its rows. `lambda rows: fabric.all_gather(rows, sync_grads=True)` is one."""


def all_gather_with_gradient(rows: Shaped[Tensor, "N *d"]) -> Shaped[Tensor, "W N *d"]:
    """Gather equally many rows of every process, by torch's own means."""
    from torch.distributed.nn.functional import all_gather

    return torch.stack(all_gather(rows.contiguous()))


def processes() -> int:
    """Count the processes; 1 where nothing was launched."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class Gathered:
    """The rows of all processes, which may differ in number.

    The gradient is that of all processes' losses added up. A trainer that averages gradients over processes (DDP)
    makes of it the gradient of their mean loss.

    Args:
        all_gather: of equally many rows.
        rows: how many this process has. All tell one another, which waits for the device: once, here.
        device: where rows will lie.
    """

    def __init__(self, all_gather: AllGather, rows: int, device: torch.device):
        self._all_gather = all_gather
        self.counts: list[int] = all_gather(torch.tensor([rows]).to(device, non_blocking=True)).flatten().tolist()
        start = sum(self.counts[: dist.get_rank()])
        self.own = slice(start, start + rows)
        """Places of this process's rows among all."""

    def __call__(self, rows: Shaped[Tensor, "N *d"]) -> Shaped[Tensor, "M *d"]:
        """Return the rows of all processes."""
        padded = torch.cat([rows, rows.new_zeros(max(self.counts) - len(rows), *rows.shape[1:])])
        parts = self._all_gather(padded)
        return torch.cat([part[:count] for part, count in zip(parts, self.counts, strict=True)])


def mean_over_processes(all_gather: AllGather, value: Shaped[Tensor, ""]) -> Shaped[Tensor, ""]:
    """Average one number over the processes, without gradient."""
    with torch.no_grad():
        return all_gather(value.detach().float()[None]).mean()
