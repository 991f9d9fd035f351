"""MLD's first stage: the VAE as something to train. It takes no text and generates nothing by itself."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.errors import InputError
from atm.generators.mld.config import MLDVAEConfig
from atm.generators.mld.vae import MotionVAE, Posterior, kl_to_standard
from atm.generators.parts.rows import check_frames
from atm.interface import Batch, StepOutput
from atm.layers import Normaliser, length_mask
from atm.motion import Motion


class VAELoss(NamedTuple):
    """The terms of the objective, unweighted, one value per row."""

    features: Float[Tensor, "B"]
    joints: Float[Tensor, "B"]
    kl: Float[Tensor, "B"]


class VAEStage(nn.Module):
    """Trains the VAE; its keys are those of the same parts in `atm.generators.mld.model.MLD`."""

    def __init__(self, config: MLDVAEConfig, normaliser: Normaliser):
        super().__init__()
        self.config = config
        self.normaliser = normaliser
        self.vae = MotionVAE(config, len(normaliser.mean))

    def training_step(self, batch: Batch, rng: torch.Generator) -> StepOutput:
        """One reconstruction per row from a latent drawn by `rng`; the motion is that reconstruction."""
        check_frames(batch.motion.lengths, self.vae.longest, "this VAE")
        x0, mask = normalised(batch.motion, self.normaliser, frames=int(batch.motion.lengths.max()))
        posterior = self.vae.encode(x0, mask)
        eps = torch.randn(posterior.mean.shape, generator=rng, device=rng.device).to(x0.device)
        x0_hat = self.vae.decode(posterior.at(eps), mask)
        terms = self.losses(x0_hat, x0, posterior)
        loss = terms.features + self.config.joint_weight * terms.joints + self.config.kl_weight * terms.kl
        return StepOutput(
            loss=loss,
            motion=published(x0_hat, batch.motion, self.normaliser),
            parts={f"vae/{name}": value.mean().item() for name, value in terms._asdict().items()},
        )

    def losses(self, x0_hat: Float[Tensor, "B T D"], x0: Float[Tensor, "B T D"], posterior: Posterior) -> VAELoss:
        """What the VAE is trained with.

        Source: the published code. The means go over padding, too: it is equal in both motions as features, but not
        as joint positions, which add up the root's steps. So an error in where a motion ends weighs the more, the
        longer the rest of its batch is.

        Ours differs for KIT: joints are in metres there as well, not in millimetres, with which its users report
        that training does not converge.

        Args:
            x0_hat, x0: normalised, zero in the padding.
            posterior: of `x0`.
        """
        lengths = torch.full((len(x0),), x0.shape[1], device=x0.device)
        joints_hat, joints = (Motion(self.normaliser.inverse(x), lengths).joints for x in (x0_hat, x0))
        return VAELoss(_smooth_l1(x0_hat, x0), _smooth_l1(joints_hat, joints), kl_to_standard(posterior))


def normalised(
    motion: Motion, normaliser: Normaliser, *, frames: int
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
    """The first `frames` frames as the networks see them, zeros behind each end, after normalisation."""
    own, given = len(normaliser.mean), motion.features.shape[-1]
    if own != given:
        raise InputError(
            f"this MLD was made for {own} features per frame, but the motion has {given}; HumanML3D has 263 and "
            "KIT-ML 251: take a model of the same data set, or convert the motion first"
        )
    mask = length_mask(motion.lengths, frames)
    features = F.pad(motion.features, (0, 0, 0, max(frames - motion.features.shape[1], 0)))[:, :frames]
    # where, not a product: padding means nothing, so it may hold anything, and 0 x NaN is NaN.
    return torch.where(mask[..., None], normaliser(features), 0.0), mask


def published(x0_hat: Float[Tensor, "B T D"], like: Motion, normaliser: Normaliser) -> Motion:
    """The motions in published units, with as many frames as the batch that they belong to."""
    frames = like.features.shape[1]
    features = normaliser.inverse(x0_hat)[:, :frames]
    return Motion(F.pad(features, (0, 0, 0, frames - features.shape[1])), like.lengths)


def _smooth_l1(ours: Float[Tensor, "B *any"], theirs: Float[Tensor, "B *any"]) -> Float[Tensor, "B"]:
    return F.smooth_l1_loss(ours, theirs, reduction="none").flatten(1).mean(dim=1)
