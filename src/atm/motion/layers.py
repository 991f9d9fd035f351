"""Layers that the space, the evaluator and the generators share."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.motion import skeleton_of_width


class Normaliser(nn.Module):
    """Features to zero mean and unit deviation and back, by statistics that travel in the checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Float[Tensor, "D"], std: Float[Tensor, "D"]):
        super().__init__()
        if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise InputError("mean and std must be finite and std > 0; check Mean.npy and Std.npy of the data set")
        self.register_buffer("mean", mean.clone().float())
        self.register_buffer("std", std.clone().float())

    @staticmethod
    def identity(width: int) -> "Normaliser":
        """Return changes nothing: a place for the statistics that a checkpoint brings."""
        return Normaliser(torch.zeros(width), torch.ones(width))

    def forward(self, features: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        return (features - self.mean) / self.std

    def inverse(self, normalised: Float[Tensor, "*any D"]) -> Float[Tensor, "*any D"]:
        return normalised * self.std + self.mean


def root_weighted(normaliser: Normaliser, weight: float) -> Normaliser:
    """Return the statistics with the deviations of root columns and foot contacts divided by `weight`: those count
    more.

    Published as `feat_bias`. The statistics of published checkpoints have it in them already.
    """
    columns = skeleton_of_width(len(normaliser.std)).columns
    std = normaliser.std.clone()
    for group in ("yaw_step", "root_step", "root_height", "contacts"):
        std[columns[group]] /= weight
    return Normaliser(normaliser.mean, std)


def sinusoid(length: int, width: int) -> Float[Tensor, "length width"]:
    """Return fixed positions: sine in even columns, cosine in odd ones, base 10000 (Vaswani et al. 2017, section
    3.5)."""
    position = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table


def length_mask(lengths: Int[Tensor, "B"], size: int) -> Bool[Tensor, "B size"]:
    """Return true at positions before each length."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]
