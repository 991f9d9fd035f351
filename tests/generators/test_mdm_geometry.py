"""MDM's geometric losses, by hand."""

import pytest
import torch

from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.geometry import foot_loss
from atm.generators.mdm.model import MDM, masked_mse
from atm.interface import Batch
from atm.motion import HUMANML3D, Motion
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

COLUMNS = HUMANML3D.columns


def standing(frames: int, *, contacts: float = 1.0) -> torch.Tensor:
    """A body whose joints all rest at the root, its feet in contact."""
    features = torch.zeros(1, frames, HUMANML3D.feature_width)
    features[..., COLUMNS["contacts"]] = contacts
    return features


def gliding(frames: int, metres_per_frame: float) -> torch.Tensor:
    features = standing(frames)
    features[..., COLUMNS["root_step"].start] = metres_per_frame
    return features


def test_feet_that_glide_three_centimetres_a_frame_cost_nine():
    real = Motion(standing(6), torch.tensor([6]))
    torch.testing.assert_close(foot_loss(Motion(gliding(6, 0.03), real.lengths), real), torch.tensor([9.0]))


def test_feet_that_stand_cost_nothing():
    real = Motion(standing(6), torch.tensor([6]))
    assert foot_loss(real, real).item() == 0


def test_feet_in_the_air_may_move():
    real = Motion(standing(6, contacts=0.0), torch.tensor([6]))
    assert foot_loss(Motion(gliding(6, 0.03), real.lengths), real).item() == 0


def test_only_the_foot_that_stands_counts():
    """The real left ankle and toe stand in all five steps; the generated left toe alone moves: half of the mean."""
    real = standing(6)
    real[..., COLUMNS["contacts"]] = torch.tensor([1.0, 1.0, 0.0, 0.0])
    moved = real.clone()
    toe = COLUMNS["positions"].start + 3 * (HUMANML3D.left_foot[1] - 1)
    right = COLUMNS["positions"].start + 3 * (HUMANML3D.right_foot[1] - 1)
    moved[0, :, toe] = 0.02 * torch.arange(6)
    moved[0, :, right] = 0.5 * torch.arange(6)
    lengths = torch.tensor([6])
    torch.testing.assert_close(foot_loss(Motion(moved, lengths), Motion(real, lengths)), torch.tensor([2.0]))


def test_frames_behind_the_end_do_not_count_even_nan():
    real, made = standing(6), gliding(6, 0.03)
    made[:, 4:, COLUMNS["positions"]] = 7.0
    real[:, 4:] = torch.nan
    lengths = torch.tensor([4])
    torch.testing.assert_close(foot_loss(Motion(made, lengths), Motion(real, lengths)), torch.tensor([9.0]))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({}, lambda own, velocity, foot: own),
        ({"foot_weight": 0.5}, lambda own, velocity, foot: own + 0.5 * foot),
        ({"velocity_weight": 3.0}, lambda own, velocity, foot: own + 3 * velocity),
        ({"foot_weight": 0.5, "velocity_weight": 3.0}, lambda own, velocity, foot: own + 3 * velocity + 0.5 * foot),
    ],
)
def test_a_step_adds_the_losses_by_their_weights(weights, expected):
    features, rng = HUMANML3D.feature_width, torch.Generator().manual_seed(0)
    config = MDMConfig(
        width=16, heads=2, feed_forward=32, layers=1, max_frames=24, mask_frames=True, diffusion_steps=4,
        text_encoder="fake", dropout=0.0, **weights,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MDM(config, FakeTextEncoder(8), Normaliser.identity(features)).eval()
    real = Motion(torch.randn(2, 12, features, generator=rng), torch.tensor([12, 7]))
    step = model.training_step(Batch(real, ["walk", "sit"], torch.zeros(2, 4), ["a", "b"]), rng)
    made, mask = step.motion, real.mask
    own = masked_mse(made.features, real.features, mask)
    velocity = masked_mse(made.features.diff(dim=1), real.features.diff(dim=1), mask[:, 1:])
    torch.testing.assert_close(step.loss, expected(own, velocity, foot_loss(made, real)))
