"""Measures of movement that no training can fool: they are computed from the motion, not by a network.

A generator that is trained against an embedding space can fool it, and with it the evaluator, while its motion gets
worse; these measures then rise. Source: our definitions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from atm.base.errors import InputError
from atm.evaluation.metrics import Gaussian, frechet, gaussian
from atm.motion import Motion, acceleration, bone_stretch, foot_skate, jerk

COMPONENTS = 32
"""Principal components of the small kinematic distance, at most."""
MOTIONS_PER_COMPONENT = 8
"""Fewer components are taken where there are fewer real motions than this for each."""
FLOOR = 0.01
"""A kinematic feature that hardly varies among real motions is scaled as if it varied by this share of its column."""


def kinematic_features(motion: Motion) -> Float[Tensor, "B F"]:
    """Return the mean, standard deviation and mean absolute change per frame of each feature column: (B, 3 D).

    Raises:
        InputError: a motion of less than 2 frames.
    """
    if int(motion.lengths.min()) < 2:
        raise InputError("kinematic features need motions of at least 2 frames")
    features, mask = motion.features, motion.mask[..., None]
    frames = motion.lengths[:, None]
    mean = (features * mask).sum(1) / frames
    std = (((features - mean[:, None]) * mask) ** 2).sum(1).div(frames).sqrt()
    change = (features.diff(dim=1).abs() * mask[:, 1:]).sum(1) / (frames - 1)
    return torch.cat([mean, std, change], dim=-1)


@dataclass(frozen=True)
class KinematicReference:
    """Statistics of real motions, and the scale that they give to all others."""

    mean: Float[np.ndarray, "F"]
    scale: Float[np.ndarray, "F"]
    """Scale of the kinematic features."""
    components: Float[np.ndarray, "K F"]
    """Principal directions of the standardised features, orthonormal."""
    spread: Float[np.ndarray, "C"]
    """Deviation of real motions along each direction, and of what is left over."""
    full: Gaussian
    """Real motions: all standardised features."""
    small: Gaussian
    """Real motions: main directions."""

    @staticmethod
    def fit(motions: Iterable[Motion]) -> "KinematicReference":
        """Compute the reference from batches of real motions, of the training split if there is one.

        Raises:
            InputError: fewer than 16 motions.
        """
        found, groups = [], ()
        for motion in motions:
            found.append(kinematic_features(motion).cpu().double().numpy())
            groups = motion.skeleton.columns.values()
        return KinematicReference.of_features(np.concatenate(found or [np.empty((0, 0))]), groups)

    @staticmethod
    def of_features(raw: Float[np.ndarray, "N F"], groups: Iterable[slice]) -> "KinematicReference":
        """Compute the reference from the kinematic features of real motions.

        Args:
            raw: from `kinematic_features`.
            groups: columns of the motion's features that are scaled alike.

        Raises:
            InputError: fewer than 16 motions.
        """
        if len(raw) < 2 * MOTIONS_PER_COMPONENT:
            raise InputError(f"a kinematic reference needs at least {2 * MOTIONS_PER_COMPONENT} motions: {len(raw)}")
        means, stds, _ = np.split(raw, 3, axis=1)
        columns = np.sqrt((stds**2).mean(0) + means.var(0))
        for group in groups:
            columns[group] = columns[group].mean()
        scale = np.maximum(raw.std(0), FLOOR * np.tile(columns, 3))
        scale[scale == 0] = 1
        standard = (raw - raw.mean(0)) / scale
        kept = min(COMPONENTS, len(raw) // MOTIONS_PER_COMPONENT)
        components = np.linalg.eigh(np.cov(standard, rowvar=False))[1].T[::-1][:kept]
        coordinates = _coordinates(standard, components)
        spread = coordinates.std(0)
        full, small = gaussian(standard, "real"), gaussian(coordinates / spread, "real")
        return KinematicReference(raw.mean(0), scale, components, spread, full, small)

    def distance(self, features: Float[np.ndarray, "N F"]) -> float:
        """Return Fréchet distance of all kinematic features.

        With fewer motions than features its size depends on their number; captured test motions (352) are at 137 from
        captured training motions.
        """
        return frechet(self.full, gaussian(self._standard(features), "generated"))

    def small_distance(self, features: Float[np.ndarray, "N F"]) -> float:
        """Return Fréchet distance in the main directions of real motions, and in how far a motion lies off them.

        For small sets: at most 33 coordinates, each with variance 1 among the real motions. The length of what the
        directions leave over is one of them, because trembling is found just there: real motions do not vary in it.
        """
        coordinates = _coordinates(self._standard(features), self.components)
        return frechet(self.small, gaussian(coordinates / self.spread, "generated"))

    def _standard(self, features: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N F"]:
        return (features - self.mean) / self.scale


def movement_measures(motion: Motion) -> dict[str, Float[np.ndarray, "B"]]:
    """Return how smoothly and firmly each motion moves.

    `acceleration`: mean length of the joints' second difference, cm/frame²; `jerk`: of the third, m/s³;
    `foot_skate`: see `atm.motion.foot_skate`, cm/s, NaN where no foot is planted. Neither small nor large values are
    good: those of real motions are. `bone_stretch`: see `atm.motion.bone_stretch`, cm; a body's is 0.
    """
    skeleton, joints = motion.skeleton, motion.joints
    per_frame = 100 / skeleton.fps**2
    rows = [row[:length] for row, length in zip(joints, motion.lengths.tolist(), strict=True)]
    return {
        "acceleration": per_frame * _mean_length(acceleration(joints, skeleton.fps), motion.lengths - 2),
        "jerk": _mean_length(jerk(joints, skeleton.fps), motion.lengths - 3),
        "foot_skate": np.array([foot_skate(row, skeleton) for row in rows]),
        "bone_stretch": np.array([bone_stretch(row, skeleton) for row in rows]),
    }


def _mean_length(vectors: Float[Tensor, "B S J 3"], frames: Tensor) -> Float[np.ndarray, "B"]:
    lengths = torch.linalg.vector_norm(vectors, dim=-1).mean(-1)
    inside = torch.arange(lengths.shape[1], device=lengths.device)[None] < frames[:, None]
    return ((lengths * inside).sum(1) / inside.sum(1).clamp(min=1)).double().cpu().numpy()


def _coordinates(standard: Float[np.ndarray, "N F"], components: Float[np.ndarray, "K F"]) -> Float[np.ndarray, "N C"]:
    inside = standard @ components.T
    outside = np.linalg.norm(standard - inside @ components, axis=1, keepdims=True)
    return np.concatenate([inside, outside], axis=1)
