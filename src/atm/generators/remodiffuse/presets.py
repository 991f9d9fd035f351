"""The published ReMoDiffuse models, and a small one for two CPU cores."""

from atm.generators.parts.recipes import HUMANML3D, KIT, SMALL, epochs
from atm.generators.remodiffuse.config import Mixture, ReMoDiffuseConfig
from atm.interface import Preset


def remodiffuse_humanml3d() -> ReMoDiffuseConfig:
    """Return the paper's model: trained with 1000 noise levels, sampled in 50."""
    return ReMoDiffuseConfig()


def remodiffuse_kit() -> ReMoDiffuseConfig:
    """Return the paper's KIT model: the same, on 251 features, with a mixture of its own."""
    mixture = Mixture(coarse=4.0, both=0.78123, text=0.39284, retrieval=-0.12475)
    return remodiffuse_humanml3d().model_copy(update={"mixture": mixture})


def remodiffuse_small() -> ReMoDiffuseConfig:
    """Return our config for two CPU cores: narrower, 4 frames per token, one retrieved motion, a small language
    model that needs no network, 20 steps.

    The published fine weights were searched for the published network; ours are plain guidance of 2.5 between both
    and none, and a gentler coarse weight.
    """
    return remodiffuse_humanml3d().model_copy(
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
            "retrieved": 1,
            "retrieval_layers": 1,
            "sampling_sections": (6, 5, 4, 3, 2),
            "mixture": Mixture(coarse=2.0, both=2.5, text=0.0, retrieval=0.0),
        }
    )


def _published(passes: int, motions: int) -> dict[str, float]:
    """Return the recipe for one GPU; `passes` are epochs times repetitions of the data, a quarter of those for 8."""
    return {
        "steps": epochs(passes, motions=motions, batch=128),
        "batch_size": 128,
        "learning_rate": 2e-4,
        "cosine_to": 2e-5,
        "checkpoint_every": 10_000,
        "log_every": 100,
    }


# `atm retrieval build` first, then `model.database=FILE`. The losses act on the estimate of the clean motion.
# The paper's runs: 40 epochs over HumanML3D repeated 200 times, 20 over KIT-ML repeated 100 times, on 8 GPUs.
PRESETS = {
    "remodiffuse_small": Preset(
        remodiffuse_small,
        SMALL | {"steps": 10_000, "gradient_clip": 1.0},
        "the small ReMoDiffuse, baseline",
        "3 h on 1 core",
        small=True,
        losses={},
        losses_time="6 h on 1 core",
    ),
    "remodiffuse_humanml3d": Preset(
        remodiffuse_humanml3d,
        _published(40 * 200 // 4, HUMANML3D),
        "ReMoDiffuse as published",
        "days on a GPU",
        losses={},
        losses_time="days on a GPU",
    ),
    "remodiffuse_kit": Preset(
        remodiffuse_kit,
        _published(20 * 100 // 4, KIT),
        "ReMoDiffuse for KIT-ML",
        "hours on a GPU",
        losses={},
        losses_time="hours on a GPU",
    ),
}
