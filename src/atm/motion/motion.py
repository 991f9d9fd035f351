"""A batch of motions: features in the data set's published units, with lengths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.motion.features import joints_from_features
from atm.motion.skeletons import Skeleton, skeleton_of_width


@dataclass(eq=False)
class Motion:
    """Motions of different lengths, padded at the end.

    A motion that crosses a package border is never normalised. What stands behind `lengths` is padding: its
    content means nothing (zeros from the loader, anything from a generator).
    """

    features: Float[Tensor, "B T D"]
    """HumanML3D (D = 263) or KIT (D = 251) features, in published units."""
    lengths: Int[Tensor, "B"]
    """Valid frames of each motion, 1 <= length <= T."""

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton that features of this width belong to."""
        return skeleton_of_width(self.features.shape[-1])

    @property
    def mask(self) -> Bool[Tensor, "B T"]:
        """True inside a motion, False in its padding."""
        frames = torch.arange(self.features.shape[1], device=self.features.device)
        return frames[None, :] < self.lengths[:, None]

    @property
    def joints(self) -> Float[Tensor, "B T J 3"]:
        """Joint positions in metres, y up; differentiable."""
        return joints_from_features(self.features, self.skeleton) * self.skeleton.metres_per_unit

    @property
    def seconds(self) -> Float[Tensor, "B"]:
        """Duration of each motion."""
        return self.lengths / self.skeleton.fps

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows) -> "Motion":
        """Return the motions of these rows (slice, list, or index tensor), still a batch."""
        return Motion(self.features[rows], self.lengths[rows])

    def to(self, device: torch.device | str) -> "Motion":
        return Motion(self.features.to(device), self.lengths.to(device))

    def detach(self) -> "Motion":
        return replace(self, features=self.features.detach())

    def zero_padding(self) -> "Motion":
        """Return the same motions with zeros behind each end, also where the padding holds no numbers."""
        return replace(self, features=self.features.masked_fill(~self.mask[..., None], 0.0))


def padded(motions: Sequence[Float[np.ndarray, "_ D"]]) -> Motion:
    """Return motions of different lengths as one batch, zeros behind each end."""
    lengths = [len(motion) for motion in motions]
    features = np.zeros((len(motions), max(lengths), motions[0].shape[1]), np.float32)
    for row, motion in enumerate(motions):
        features[row, : len(motion)] = motion
    return Motion(torch.from_numpy(features), torch.tensor(lengths))
