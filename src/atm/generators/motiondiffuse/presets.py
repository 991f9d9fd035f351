"""The published MotionDiffuse models, and a small one for two CPU cores."""

from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.parts.recipes import HUMANML3D, KIT, SMALL, epochs
from atm.interface import Preset


def motiondiffuse_humanml3d() -> MotionDiffuseConfig:
    """Return the paper's model: 1000 steps, all of them taken in sampling."""
    return MotionDiffuseConfig()


def motiondiffuse_humanml3d_softmax() -> MotionDiffuseConfig:
    """Return the published variant with ordinary attention (`no_eff`)."""
    return motiondiffuse_humanml3d().model_copy(update={"attention": "softmax"})


def motiondiffuse_kit() -> MotionDiffuseConfig:
    """Return the paper's KIT model: the same, on 251 features."""
    return motiondiffuse_humanml3d()


def motiondiffuse_small() -> MotionDiffuseConfig:
    """Return our config for two CPU cores: narrower, 4 frames per token, a small language model
    that needs no network, 50 deterministic steps.

    Root and contacts weigh less than published: at 25 most of a short training goes to them.
    """
    return motiondiffuse_humanml3d().model_copy(
        update={
            "width": 160,
            "heads": 4,
            "feed_forward": 384,
            "layers": 4,
            "frames_per_token": 4,
            "frame_width": 96,
            "text_encoder": "minilm",
            "text_window": 24,
            "text_width": 128,
            "text_feed_forward": 256,
            "text_layers": 1,
            "root_weight": 5.0,
            "sampling_steps": 50,
            "sampler": "ddim",
        }
    )


USABLE = 0.67
"""Largest noise level, of 1, at which the losses look at the estimate of the clean motion (ours). Up to it an error of
the predicted noise comes out at most ten times as large in the estimate, beyond it up to 157 times: rows with no motion
in them would drown the others. `MotionDiffuse.estimate` bounds that by fading to the mean pose, in which there is
nothing to align either. A lower limit leaves L_intra nothing to do: the small model's estimates are as near to the real
motions as gamma asks for up to 0.6 after 500 steps, and worse than the mean pose from 0.77 on."""


def _published(motions: int) -> dict[str, float]:
    """Return the recipe for one GPU: 50 epochs over the data repeated 25 times. (With 8 GPUs: as many of 1024.)"""
    return {
        "steps": epochs(50 * 25, motions=motions, batch=128),
        "batch_size": 128,
        "learning_rate": 2e-4,
        "gradient_clip": 0.5,
        "checkpoint_every": 10_000,
        "log_every": 100,
    }


PRESETS = {
    "motiondiffuse_small": Preset(
        motiondiffuse_small,
        SMALL | {"steps": 10_000, "gradient_clip": 0.5},
        "the small MotionDiffuse, baseline",
        "2 h on 1 core",
        small=True,
        losses={"max_noise": USABLE},
        losses_time="3 h on 1 core",
    ),
    "motiondiffuse_humanml3d": Preset(
        motiondiffuse_humanml3d,
        _published(HUMANML3D),
        "MotionDiffuse as published",
        "days on a GPU",
        losses={"max_noise": USABLE},
        losses_time="days on a GPU",
    ),
    "motiondiffuse_kit": Preset(
        motiondiffuse_kit,
        _published(KIT),
        "MotionDiffuse for KIT-ML",
        "a day on a GPU",
        losses={"max_noise": USABLE},
        losses_time="a day on a GPU",
    ),
}
