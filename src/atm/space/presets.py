"""The spaces that have a name."""

from atm.alignment.config import MINILM_EPSILON
from atm.interface import Preset
from atm.space.config import SpaceConfig


def space_humanml3d() -> SpaceConfig:
    """Return TMR as published, with the paper's epsilon, and crops."""
    return SpaceConfig()


def space_kit() -> SpaceConfig:
    """Return the same for KIT-ML. Ours reads KIT's own 251 features; the published TMR turned KIT into 263 at 20
    fps."""
    return space_humanml3d()


def space_small() -> SpaceConfig:
    """Return our config for two CPU cores, with the language model that comes with the package.

    Ours, not TMR's: four frames (0.2 s) make a token, and the decoder, which costs most of a training step because
    it decodes texts and motions, has half as many layers as the encoders. It trains on the latents' means: drawn
    ones made the contrastive term of a short run start late (1.8 instead of 0.3 nats at step 150 of a synthetic
    run). `epsilon` is `MINILM_EPSILON`, not the paper's.
    """
    return space_humanml3d().model_copy(
        update={
            "width": 128,
            "feed_forward": 384,
            "layers": 4,
            "decoder_layers": 2,
            "frames_per_token": 4,
            "text_encoder": "minilm",
            "sentence_encoder": "minilm",
            "epsilon": MINILM_EPSILON,
            "sample_latents": False,
        }
    )


PUBLISHED = {
    "batch_size": 32,
    "weight_decay": 0.01,
    "checkpoint_every": 5000,
    "validate_every": 5000,
    "log_every": 100,
    "gradient_log_every": 0,
}
"""The published recipe of TMR: 500 epochs in batches of 32."""
PRESETS = {
    "space_scripted": Preset(
        space_small,
        {
            "steps": 4000,
            "batch_size": 64,
            "learning_rate": 3e-4,
            "warmup_steps": 100,
            "weight_decay": 0.01,
            "ema": 0.999,
            "validate_every": 500,
            "gradient_log_every": 0,
            "sort_over": 8,
        },
        "the small space",
        "70 min on 1 core",
        small=True,
    ),
    "space_humanml3d": Preset(space_humanml3d, PUBLISHED | {"steps": 370_000}, "TMR for HumanML3D", "hours on a GPU"),
    "space_kit": Preset(space_kit, PUBLISHED | {"steps": 76_000}, "TMR for KIT-ML", "hours on a GPU"),
}
