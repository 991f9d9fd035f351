"""Presets of BAMM's own training, its transformer. Tokeniser and residual transformer are MoMask's: `momask_rvq_...`,
on which the losses act, and `momask_residual_...`.

The batch for HumanML3D is that of the published script, which trains a later variant with another codebook; the
settings of the released checkpoint are not known.
"""

from atm.generators.bamm.config import TransformerConfig
from atm.generators.bamm.presets import (
    bamm_transformer_humanml3d,
    bamm_transformer_kit,
    bamm_transformer_small,
)
from atm.training.config import TrainConfig
from atm.training.presets.momask import BETAS, transformer_scripted
from atm.training.presets.row import HUMANML3D, KIT, Preset, epochs


def transformer(model: TransformerConfig, motions: int, batch: int) -> TrainConfig:
    """As in the published scripts."""
    return TrainConfig(
        model=model, steps=epochs(2000, motions=motions, batch=batch), batch_size=batch, learning_rate=2e-4,
        warmup_steps=2000, betas=BETAS, milestones=(50_000, 80_000), weight_decay=1e-5, checkpoint_every=10_000,
        log_every=100, gradient_log_every=0,
    )  # fmt: skip


PRESETS = {
    "bamm_transformer_small": Preset(
        lambda: transformer_scripted(bamm_transformer_small()), "the small BAMM's transformer", "40 min on 1 core"
    ),
    "bamm_transformer_humanml3d": Preset(
        lambda: transformer(bamm_transformer_humanml3d(), HUMANML3D, 512), "BAMM's transformer", "days on a GPU"
    ),
    "bamm_transformer_kit": Preset(
        lambda: transformer(bamm_transformer_kit(), KIT, 64), "BAMM's transformer for KIT-ML", "a day on a GPU"
    ),
}
