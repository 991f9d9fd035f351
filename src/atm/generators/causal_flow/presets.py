"""The sizes of CausalFlow (all ours): a small one for a CPU core, and those of HumanML3D and KIT-ML."""

from atm.generators.causal_flow.config import CausalFlowConfig
from atm.generators.parts.recipes import HUMANML3D, KIT, epochs
from atm.interface import Preset


def causal_flow_small() -> CausalFlowConfig:
    """Return our config for scripted motions and one CPU core."""
    return CausalFlowConfig()


def causal_flow_tiny() -> CausalFlowConfig:
    """Return a quarter of the small one, which learns in minutes: for the demo."""
    return CausalFlowConfig(
        width=128,
        feed_forward=352,
        layers=4,
        front_layers=1,
        head_width=192,
        head_layers=2,
        latent_width=64,
        planner_width=128,
        planner_front_layers=2,
        flow_times=2,
    )


def causal_flow_humanml3d() -> CausalFlowConfig:
    """Return wider and deeper, with CLIP's token states as the field's models have them."""
    return CausalFlowConfig(
        text_encoder="clip_b32_77", width=512, heads=8, feed_forward=1376, layers=10, head_width=768, latent_width=128
    )


def causal_flow_kit() -> CausalFlowConfig:
    """Return a fifth of the motions, so narrower."""
    return causal_flow_humanml3d().model_copy(update={"width": 384, "heads": 6, "feed_forward": 1024, "layers": 8})


def _sized(motions: int) -> dict[str, object]:
    """Return the recipe for one GPU."""
    return {
        "steps": epochs(1000, motions=motions, batch=128),
        "batch_size": 128,
        "learning_rate": 4e-4,
        "warmup_steps": 2000,
        "cosine_to": 0.02,
        "betas": (0.9, 0.97),
        "weight_decay": 0.01,
        "ema": 0.9999,
        "gradient_clip": 1.0,
        "sort_over": 8,
        "checkpoint_every": 5000,
        "log_every": 100,
    }


_SMALL = {
    "steps": 5000,
    "batch_size": 32,
    "learning_rate": 1.5e-3,
    "cosine_to": 0.02,
    "warmup_steps": 200,
    "betas": (0.9, 0.97),
    "weight_decay": 0.01,
    "ema": 0.998,
    "gradient_clip": 1.0,
    "sort_over": 8,
    "checkpoint_every": 250,
}
# It estimates the clean motion at every time of the flow: the losses act on that estimate.
PRESETS = {
    "causal_flow_tiny": Preset(
        causal_flow_tiny,
        _SMALL | {"steps": 2000, "learning_rate": 2e-3},
        "the tiny causal flow (ours), of the demo, baseline",
        "10 min on 1 core",
        small=True,
        losses={},
        losses_time="20 min on 1 core",
    ),
    "causal_flow_small": Preset(
        causal_flow_small,
        _SMALL,
        "the small causal flow (ours), baseline",
        "95 min on 1 core",
        small=True,
        losses={},
        losses_time="2 h on 1 core",
    ),
    "causal_flow_humanml3d": Preset(
        causal_flow_humanml3d,
        _sized(HUMANML3D),
        "causal flow for HumanML3D (ours)",
        "8 to 12 h on a GPU",
        losses={},
        losses_time="12 to 18 h on a GPU",
    ),
    "causal_flow_kit": Preset(
        causal_flow_kit,
        _sized(KIT),
        "causal flow for KIT-ML (ours)",
        "1 to 2 h on a GPU",
        losses={},
        losses_time="2 to 3 h on a GPU",
    ),
}
