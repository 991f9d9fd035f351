"""Published MotionDiffuse checkpoints: a folder with `opt.txt`, `meta/mean.npy`, `meta/std.npy`, `model/latest.tar`.

Our keys are the published ones. The file also holds the frozen CLIP, under `clip.`, which is left out: the text
encoder `clip_b32_77_padded` gives its states. The statistics lie beside it in `meta/`, not in it.
"""

from pathlib import Path

from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.motiondiffuse.presets import (
    motiondiffuse_humanml3d,
    motiondiffuse_humanml3d_softmax,
    motiondiffuse_kit,
)
from atm.generators.parts.published import with_weights
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import (
    OWN_FILES,
    Release,
    features_of,
    own_statistics,
    read_options,
    read_weights,
    without,
)

OPTIONS = {
    "latent_dim": "width",
    "ff_size": "feed_forward",
    "num_heads": "heads",
    "num_layers": "layers",
    "text_latent_dim": "text_width",
    "diffusion_steps": "diffusion_steps",
    "feat_bias": "root_weight",
}
"""Numbers of `opt.txt` and where they stand in our config; what a file leaves out is the published default."""


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> MotionDiffuse:
    """Return a MotionDiffuse with published weights, in evaluation mode.

    Args:
        path: the checkpoint's folder, or its `model/latest.tar`.
        normaliser: None takes the checkpoint's own, in `meta/`. It was NOT trained on Mean.npy and Std.npy of the data
            set: deviations of root and contacts are divided by a number that only `meta/std.npy` tells.
        text_encoder: None loads CLIP with all its 77 places, when it is first needed.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, or keys that are missing, unknown or of another shape.
    """
    folder = _folder(path)
    if normaliser is None and (folder / "meta").is_dir():
        normaliser = own_statistics(folder / "meta")
    config, state = read_published(path, trust=trust)
    features = features_of(state, "out.bias")
    return with_weights(
        MotionDiffuse, config, state, normaliser, text_encoder, path=path, features=features, files=OWN_FILES
    )


def read_published(path: Path, *, trust: bool = False) -> tuple[MotionDiffuseConfig, dict[str, Tensor]]:
    """Return config and weights of a published checkpoint, without its CLIP."""
    file = _folder(path) / "opt.txt"
    options = read_options(file)
    chosen = {ours: options[theirs] for theirs, ours in OPTIONS.items() if theirs in options}
    if options.get("no_eff") is True:
        chosen["attention"] = "softmax"
    if options.get("no_clip") is True:
        raise InputError(f"{file} describes a MotionDiffuse without CLIP, which is not published")
    config = validate(MotionDiffuseConfig, chosen, source=str(file))
    return config, without(read_weights(weight_files(path)[0], "encoder", trust=trust), "clip.")


def weight_files(path: Path) -> list[Path]:
    """Return the file that is read: of a checkpoint's folder, or the one given."""
    return [path if path.is_file() else path / "model" / "latest.tar"]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=own_statistics,
    files="checkpoints/t2m/t2m_motiondiffuse: opt.txt, meta/, model/latest.tar",
    supports="HumanML3D and KIT-ML, linear and ordinary attention",
    licence="S-Lab License 1.0: non-commercial use only",
    signs=("temporal_decoder_blocks.0.sa_block.query.weight",),
    presets=(motiondiffuse_humanml3d, motiondiffuse_humanml3d_softmax, motiondiffuse_kit),
)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent.parent
