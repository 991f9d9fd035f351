"""The published MotionDiffuse models, and a small one for two CPU cores."""

from atm.generators.motiondiffuse.config import MotionDiffuseConfig


def motiondiffuse_humanml3d() -> MotionDiffuseConfig:
    """The paper's model: 1000 steps, all of them taken in sampling."""
    return MotionDiffuseConfig()


def motiondiffuse_humanml3d_softmax() -> MotionDiffuseConfig:
    """The published variant with ordinary attention (`no_eff`)."""
    return motiondiffuse_humanml3d().model_copy(update={"attention": "softmax"})


def motiondiffuse_kit() -> MotionDiffuseConfig:
    """The paper's KIT model: the same, on 251 features."""
    return motiondiffuse_humanml3d()


def motiondiffuse_small() -> MotionDiffuseConfig:
    """Ours, for two CPU cores: narrower, 4 frames per token, a small language model that needs no network, 50
    deterministic steps.

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
