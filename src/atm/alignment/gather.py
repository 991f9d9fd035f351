"""Rows of all processes of a training as one batch, so that mining chooses among the motions of every device.

A process passes its rows in and gets those of all, in the order of their ranks. All processes must call the same
functions in the same order, also one that has no rows; the gradient of what comes out reaches the process whose rows
they were.
"""

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor


def processes() -> int:
    """How many there are; 1 where nothing was launched."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(rows: Shaped[Tensor, "N *d"]) -> tuple[Shaped[Tensor, "M *d"], slice]:
    """The rows of all processes, which may differ in number; and where one's own are among them.

    The gradient is that of all processes' losses added up. A trainer that averages gradients over processes (DDP)
    makes of it the gradient of their mean loss.
    """
    counts = _counts(len(rows), rows.device)
    rank = dist.get_rank()
    padded = torch.cat([rows, rows.new_zeros(max(counts) - len(rows), *rows.shape[1:])])
    parts = _AllGather.apply(padded)
    start = sum(counts[:rank])
    every = torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
    return every, slice(start, start + len(rows))


def gather_texts(text: list[str]) -> list[str]:
    """The texts of all processes."""
    parts: list[list[str]] = [[] for _ in range(processes())]
    dist.all_gather_object(parts, text)
    return [one for part in parts for one in part]


def mean_over_processes(value: Shaped[Tensor, ""]) -> Shaped[Tensor, ""]:
    """Without gradient."""
    total = value.detach().float().clone()
    dist.all_reduce(total)
    return total / processes()


class _AllGather(torch.autograd.Function):
    """The same rows from every process; backward, each process gets what all have to say of its own."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> tuple[Tensor, ...]:
        parts = [torch.empty_like(rows) for _ in range(processes())]
        dist.all_gather(parts, rows.contiguous())
        return tuple(parts)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> Tensor:
        every = torch.stack(gradients)
        dist.all_reduce(every)
        return every[dist.get_rank()]


def _counts(own: int, device: torch.device) -> list[int]:
    counts = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(processes())]
    dist.all_gather(counts, torch.tensor([own], device=device))
    return [int(count) for count in counts]
