"""MLD's first stage: the VAE as something to train. It takes no text and generates nothing by itself."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from atm.generators.mld.config import MLDVAEConfig
from atm.generators.mld.vae import MotionVAE, Posterior, kl_to_standard
from atm.generators.parts.padding import check_frames, like_batch, normalised_frames
from atm.interface import Batch, StepOutput
from atm.motion import Motion
from atm.motion.layers import Normaliser


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
        """Return one reconstruction per row from a latent drawn by `rng`; the motion is that reconstruction."""
        check_frames(batch.motion.lengths, self.vae.longest, "this VAE")
        x0, mask = normalised_frames(batch.motion, self.normaliser, "MLD", int(batch.motion.lengths.max()))
        posterior = self.vae.encode(x0, mask)
        eps = torch.randn(posterior.mean.shape, generator=rng, device=rng.device).to(x0.device)
        x0_hat = self.vae.decode(posterior.at(eps), mask)
        terms = self.losses(x0_hat, x0, posterior)
        loss = terms.features + self.config.joint_weight * terms.joints + self.config.kl_weight * terms.kl
        return StepOutput(
            loss=loss,
            motion=like_batch(self.normaliser.inverse(x0_hat), batch.motion),
            parts={f"vae/{name}": value.mean().item() for name, value in terms._asdict().items()},
        )

    def losses(self, x0_hat: Float[Tensor, "B T D"], x0: Float[Tensor, "B T D"], posterior: Posterior) -> VAELoss:
        """Return what the VAE is trained with.

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


def _smooth_l1(ours: Float[Tensor, "B *any"], theirs: Float[Tensor, "B *any"]) -> Float[Tensor, "B"]:
    return F.smooth_l1_loss(ours, theirs, reduction="none").flatten(1).mean(dim=1)
