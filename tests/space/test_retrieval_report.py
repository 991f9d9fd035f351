"""The report on a whole data set, with a space that reads the answer off the motion."""

import pytest
import torch

from atm.base.errors import InputError
from atm.interface import Batch
from atm.motion import Motion
from atm.space.report import retrieval_report
from atm.space.retrieval import retrieval_table

COUNT = 40


class PerfectSpace:
    """Motion number i holds i in every frame, caption i is its number: both embed as row i of the identity."""

    def encode_motion(self, motion):
        return torch.eye(COUNT)[motion.features[:, 0, 0].long()]

    def encode_text(self, text):
        return torch.eye(COUNT)[[int(caption) for caption in text]]


def batch_of(numbers: list[int], frames: int = 59) -> Batch:
    """59 frames hold one clip of 40; the 19 left over are too few for another."""
    features = torch.tensor(numbers)[:, None, None].expand(-1, frames, 263).float()
    return Batch(
        Motion(features, torch.full((len(numbers),), frames)),
        text=[str(number) for number in numbers],
        sentence=torch.eye(COUNT)[numbers],
        ids=[f"{number:03d}" for number in numbers],
    )


def test_a_perfect_space_is_perfect_in_every_protocol_and_order():
    numbers = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)).tolist()
    report = retrieval_report(PerfectSpace(), [batch_of(numbers[:13]), batch_of(numbers[13:])])
    assert list(report) == ["all", "threshold", "nsim", "batches", "clips", "clips threshold"]
    assert {value for metrics in report.values() for value in metrics.values()} == {100.0, 1.0}
    assert len(retrieval_table(report).splitlines()) == 1 + 2 * len(report)


def test_motions_shorter_than_a_clip_are_reported_without_clips():
    """19 frames at 20 fps are under the 1 s that a clip must last."""
    assert list(retrieval_report(PerfectSpace(), [batch_of([0, 1, 2], frames=19)])) == ["all", "threshold", "nsim"]


def test_an_empty_split_is_refused():
    with pytest.raises(InputError, match="nothing to retrieve"):
        retrieval_report(PerfectSpace(), [])
