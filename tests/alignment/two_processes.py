"""What one of two processes does for `test_gather.py`: its half of a case, and what came out, as a file."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from atm.alignment import Alignment, AlignmentConfig
from atm.interface import Batch
from atm.motion import Motion

ROWS, FRAMES, WIDTH = 6, 90, 263
LENGTHS = [90, 60, 90, 10, 15, 12]
"""Of the second half of the rows none has a clip: under one second there is none."""
CASES = {
    "both": {},
    "several": {"negatives": 2, "proxy_pairs": 2},
    "inter": {"intra_weight": 0.0},
    "intra": {"inter_weight": 0.0},
    "contrastive": {"inter_loss": "contrastive"},
    "active": {"average": "active"},
    "own clips": {"proxies_from": "motion"},
    "gamma": {"gamma": 0.2},
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


def losses(case: str, rows: slice, *, gather: bool) -> tuple[Tensor, Tensor]:
    """Total, and its gradient on all generated features (of these rows; the others are zero)."""
    rng = torch.Generator().manual_seed(3)
    space = LinearSpace(torch.randn(ROWS, 4, generator=rng))
    sentence = torch.randn(ROWS, 8, generator=rng)
    real, generated = (torch.randn(ROWS, FRAMES, WIDTH, generator=rng) for _ in range(2))
    generated.requires_grad_()
    lengths = torch.tensor(LENGTHS)[rows]
    text = [str(i) for i in range(ROWS)][rows]
    config = AlignmentConfig(
        **{"inter_weight": 0.5, "intra_weight": 0.25, "gamma": 1.0, "gather": gather} | CASES[case]
    )
    batch = Batch(Motion(real[rows], lengths), text, sentence[rows], text)
    total = Alignment(config, space)(Motion(generated[rows], lengths), batch).total
    total.backward()
    return total.detach(), generated.grad


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    half = slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    found = {case: losses(case, half, gather=True) for case in CASES}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
