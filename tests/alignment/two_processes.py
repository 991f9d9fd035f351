"""What one of two processes does for `test_gather.py`: its half of each case, and what came out, as a file."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from atm.alignment import Alignment, AlignmentConfig, intra
from atm.alignment.gather import AllGather
from atm.base.config import changed
from atm.interface import Batch
from atm.motion import Motion

ROWS, FRAMES, WIDTH = 6, 90, 263
LENGTHS = [90, 60, 90, 10, 15, 12]
"""The second half of the rows has no clip: under one second there is none. In one case it has."""
CASES = {
    "both": {},
    "several": {"inter.negatives": 2, "intra.proxy_pairs": 2},
    "inter": {"intra.weight": 0.0},
    "intra": {"inter.weight": 0.0},
    "contrastive": {"inter.loss": "contrastive"},
    "active": {"average": "active"},
    "own clips": {"intra.proxies_from": "motion"},
    "gamma": {"intra.gamma": 0.2},
    "one caption": {"epsilon": 1.0},
    "own clips of both": {"intra.proxies_from": "motion"},
}


class LinearSpace(nn.Module):
    """A motion is the mean of its frames' first four features; a text is looked up."""

    def __init__(self, texts: Tensor):
        super().__init__()
        self.texts = texts

    def encode_motion(self, motion: Motion) -> Tensor:
        inside = motion.features[..., :4] * motion.mask[..., None]
        return inside.sum(1) / motion.lengths[:, None]

    def encode_text(self, text: list[str]) -> Tensor:
        return torch.stack([self.texts[int(one)] for one in text])


def losses(case: str, rows: slice, *, gather: bool, all_gather: AllGather | None = None) -> tuple[Tensor, Tensor]:
    """Total, and its gradient on all generated features (of these rows; the others are zero)."""
    rng = torch.Generator().manual_seed(3)
    space = LinearSpace(torch.randn(ROWS, 4, generator=rng))
    sentence = torch.randn(ROWS, 8, generator=rng)
    real, generated = (torch.randn(ROWS, FRAMES, WIDTH, generator=rng) for _ in range(2))
    generated.requires_grad_()
    lengths = torch.tensor([90, 60, 90] * 2 if case == "own clips of both" else LENGTHS)[rows]
    # Rows 0 and 5, of two processes, can have one caption: then neither is a negative of the other.
    text = [str(i % 5 if case == "one caption" else i) for i in range(ROWS)][rows]
    values = {"inter.weight": 0.5, "intra.weight": 0.25, "intra.gamma": 1.0, "gather": gather}
    config = changed(AlignmentConfig(), values | CASES[case])
    batch = Batch(Motion(real[rows], lengths), text, sentence[rows], text, first=[0] * len(text))
    total = Alignment(config, space, all_gather=all_gather)(Motion(generated[rows], lengths), batch).total
    total.backward()
    return total.detach(), generated.grad


def main(folder: Path) -> None:
    """Meet the other process as a training does, by the environment that a launcher sets."""
    from lightning.fabric import Fabric

    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    intra.FEW = torch.inf  # clips that another process chooses are embedded again, too
    half = slice(fabric.global_rank * ROWS // 2, (fabric.global_rank + 1) * ROWS // 2)
    ways = {"fabric": lambda rows: fabric.all_gather(rows, sync_grads=True), "torch": None}
    found = {
        (way, case): losses(case, half, gather=True, all_gather=all_gather)
        for way, all_gather in ways.items()
        for case in CASES
    }
    torch.save(found, folder / f"{fabric.global_rank}.pt")
    fabric.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
