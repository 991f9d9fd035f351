"""Published MotionDiffuse checkpoints: a folder with `opt.txt`, `meta/mean.npy`, `meta/std.npy`, `model/latest.tar`.

Our keys are the published ones. The file also holds the frozen CLIP, under `clip.`, which is left out: the text
encoder `clip_b32_77_padded` gives its states. The statistics lie beside it in `meta/`, not in it.
"""

from pathlib import Path

from torch import Tensor

from atm.config import validate
from atm.errors import InputError
from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.parts.published import read_statistics, read_weights, without
from atm.interface import TextEncoder
from atm.layers import Normaliser
from atm.storage import load_state

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
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None
) -> MotionDiffuse:
    """A MotionDiffuse with published weights, in evaluation mode.

    Args:
        path: the checkpoint's folder, or its `model/latest.tar`.
        normaliser: None takes the checkpoint's own, in `meta/`. It was NOT trained on Mean.npy and Std.npy of the data
            set: deviations of root and contacts are divided by a number that only `meta/std.npy` tells.
        text_encoder: None loads CLIP with all its 77 places.

    Raises:
        InputError: a missing or damaged file, or keys that are missing, unknown or of another shape.
    """
    folder = path if path.is_dir() else path.parent.parent
    if normaliser is None:
        normaliser = read_statistics(folder / "meta" / "mean.npy", folder / "meta" / "std.npy")
    config, state = read_published(path)
    if text_encoder is None:
        from atm.text import load_text_encoder

        text_encoder = load_text_encoder(config.text_encoder)
    model = MotionDiffuse(config, text_encoder, normaliser)
    own = {f"normaliser.{name}": value for name, value in normaliser.state_dict().items()}
    load_state(model, state | own, source=str(path))
    return model.eval()


def read_published(path: Path) -> tuple[MotionDiffuseConfig, dict[str, Tensor]]:
    """Config and weights of a published checkpoint, without its CLIP."""
    folder = path if path.is_dir() else path.parent.parent
    options = read_options(folder / "opt.txt")
    chosen = {ours: options[theirs] for theirs, ours in OPTIONS.items() if theirs in options}
    if options.get("no_eff") == "True":
        chosen["attention"] = "softmax"
    if options.get("no_clip") == "True":
        raise InputError(f"{folder / 'opt.txt'} describes a MotionDiffuse without CLIP, which is not published")
    config = validate(MotionDiffuseConfig, chosen, source=str(folder / "opt.txt"))
    file = path if path.is_file() else folder / "model" / "latest.tar"
    return config, without(read_weights(file, "encoder"), "clip.")


def read_options(file: Path) -> dict[str, str]:
    """The `key: value` lines of an `opt.txt`; lines of another form are decoration."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}, which lies beside published MotionDiffuse weights: {error}") from None
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
