"""The published MDMs, and a small one for two CPU cores."""

from atm.generators.mdm.config import MDMConfig
from atm.generators.parts.recipes import SMALL
from atm.interface import Preset


def mdm_humanml3d() -> MDMConfig:
    """Return the paper's model: 1000 steps, CLIP, transformer encoder."""
    return MDMConfig()


def mdm_humanml3d_50() -> MDMConfig:
    """Return the authors' later and faster one: trained with 50 steps, padding masked. Its published weights are an
    EMA."""
    return mdm_humanml3d().model_copy(update={"diffusion_steps": 50, "mask_frames": True})


def mdm_humanml3d_distilbert() -> MDMConfig:
    """Return the 50-step model whose frames attend to the token states of DistilBERT."""
    return mdm_humanml3d_50().model_copy(
        update={"architecture": "trans_dec", "text_encoder": "distilbert", "condition": "tokens"}
    )


def mdm_humanml3d_dip() -> MDMConfig:
    """Return the authors' DiP: in 10 steps from a text and 20 frames to the next 40; guidance 7.5."""
    return mdm_humanml3d_distilbert().model_copy(
        update={"diffusion_steps": 10, "context_frames": 20, "max_frames": 40, "guidance_scale": 7.5}
    )


def mdm_kit() -> MDMConfig:
    """Return the paper's KIT model: the same, on 251 features at 12.5 fps."""
    return mdm_humanml3d()


def mdm_small() -> MDMConfig:
    """Return our config for two CPU cores: a smaller language model than DistilBERT, narrower, 4 frames per token.

    Differs from the published model in the patch stem and head (a token for every frame would cost four times the
    time), in the time token, in having no dropout (short runs under-fit), in the losses that keep feet from sliding
    and motion from trembling (each about half as strong a gradient as the model's own, and less), and in sampling with
    10 steps of DDIM, which score like 20, and 20 no worse than all 50, at a guidance of 2, at which feet slide less
    than at 2.5 (docs/results/2026-11-23_scripted.md).
    """
    return mdm_humanml3d_distilbert().model_copy(
        update={
            "text_encoder": "minilm",
            "width": 192,
            "feed_forward": 512,
            "layers": 6,
            "dropout": 0.0,
            "frames_per_token": 4,
            "frame_width": 96,
            "time_token": True,
            "foot_weight": 0.002,
            "velocity_weight": 1.0,
            "sampler": "ddim",
            "sampling_steps": 10,
            "guidance_scale": 2.0,
        }
    )


def mdm_tiny() -> MDMConfig:
    """Return a third of the small one, which learns in minutes what it is asked in sentences of one action: for the
    demo."""
    return mdm_small().model_copy(update={"width": 128, "feed_forward": 384, "layers": 4, "frame_width": 64})


PUBLISHED = {"steps": 400_000, "batch_size": 64, "pad_to": 196, "checkpoint_every": 10_000, "log_every": 100}
"""The published recipe. MDM estimates the clean motion: the losses act on that estimate, at every noise level."""
PRESETS = {
    "mdm_small": Preset(
        mdm_small,
        SMALL | {"steps": 7500, "cosine_to": 0.02, "gradient_clip": 1.0},
        "the small MDM, baseline",
        "2 h on 1 core",
        small=True,
        losses={},
        losses_time="3 h on 1 core",
    ),
    "mdm_tiny": Preset(
        mdm_tiny,
        {"steps": 400, "batch_size": 32, "learning_rate": 1e-3, "warmup_steps": 50, "cosine_to": 0.1, "ema": 0.99}
        | {"gradient_clip": 1.0, "sort_over": 8, "log_every": 10, "gradient_log_every": 50},
        "the tiny MDM, of the demo, baseline",
        "2 min on 1 core",
        small=True,
        # Chosen on other data than the demo's, with one seed: 0.1 gains less, and costs the motion less.
        losses={"inter.weight": 0.3, "intra.weight": 0.3},
        losses_time="5 min on 1 core",
    ),
    "mdm_humanml3d": Preset(
        mdm_humanml3d, PUBLISHED, "MDM as published, baseline", "days on a GPU", losses={}, losses_time="days on a GPU"
    ),
    "mdm_humanml3d_50": Preset(
        mdm_humanml3d_50, PUBLISHED | {"ema": 0.9999}, "MDM with 50 steps, masked, EMA", "days on a GPU"
    ),
    "mdm_kit": Preset(
        mdm_kit,
        PUBLISHED,
        "MDM for KIT-ML, baseline",
        "half a day on a GPU",
        losses={},
        losses_time="half a day on a GPU",
    ),
}
