"""Two processes that gather compute what one computes on the rows of both."""

import os
import socket
import subprocess
import sys

import pytest
import torch
import two_processes
from two_processes import CASES, ROWS, losses

from atm.alignment import AlignmentConfig


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Each process's totals and gradients, by what gathers and by case."""
    folder = tmp_path_factory.mktemp("gather")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
    command = [sys.executable, two_processes.__file__, str(folder)]
    started = [
        subprocess.Popen(command, env={**os.environ, **meeting, "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"})
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("way", ["fabric", "torch"])
@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_both_losses_is_the_loss_of_one_process_with_all_rows(halves, case, way):
    """And so are the gradients, which a trainer averages over processes. The second process has no clip at all.

    What gathers is the training engine's function, or torch's own where none is given.
    """
    whole, gradient = losses(case, slice(0, ROWS), gather=False)
    assert whole > 0
    torch.testing.assert_close((halves[0][way, case][0] + halves[1][way, case][0]) / 2, whole)
    torch.testing.assert_close((halves[0][way, case][1] + halves[1][way, case][1]) / 2, gradient)


def test_each_process_alone_would_choose_among_its_own(halves):
    """Else the test above would say nothing: without gathering the losses are others."""
    parts = [losses("both", part, gather=False)[0] for part in (slice(0, ROWS // 2), slice(ROWS // 2, ROWS))]
    assert not torch.isclose(sum(parts) / 2, losses("both", slice(0, ROWS), gather=False)[0])


def test_on_one_device_gathering_changes_nothing():
    for mine, theirs in zip(
        losses("both", slice(0, ROWS), gather=True), losses("both", slice(0, ROWS), gather=False), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_meanings_cannot_be_gathered():
    with pytest.raises(ValueError, match="give one of them up"):
        AlignmentConfig(gather=True, similarity="meaning")
