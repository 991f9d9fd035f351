"""Spaces on disk: our own files, and TMR's published ones."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.packaged import packaged
from atm.base.storage import find_model, load_state, read_model, save_model
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import (
    Release,
    check_statistics,
    features_of,
    is_table,
    read_pickle,
    read_weights,
    statistics_of,
)
from atm.space.config import SpaceConfig
from atm.space.model import Space
from atm.space.presets import space_humanml3d
from atm.text import DeferredTextEncoder

PUBLISHED_PARTS = ("motion_encoder", "text_encoder", "motion_decoder")


def save_space(space: Space, path: Path, *, half: bool = False) -> None:
    """Write weights, statistics and config to one safetensors file; `half` stores the weights in 16 bits."""
    save_model(path, space, space.config, "space", half=half)


def load_space(path: Path, text_encoder: TextEncoder | None = None) -> Space:
    """Return a space that `save_space` wrote. In training mode and not frozen: that is up to the caller.

    Args:
        path: the file, or a run folder with a `model.safetensors`.
        text_encoder: None loads the one that the config names, when it is first asked.

    Raises:
        InputError: no such file, another kind of model, or weights that do not fit the config.
    """
    return _built(
        path / "model.safetensors" if path.is_dir() else path, lambda name: text_encoder or DeferredTextEncoder(name)
    )


def _built(file: Path, encoder_of: Callable[[str], TextEncoder]) -> Space:
    stored = read_model(file)
    if stored.kind != "space":
        raise InputError(f"expected a text-motion space, but {file} holds a model of kind {stored.kind!r}")
    config = validate(SpaceConfig, stored.config, source=str(file))
    if "normaliser.mean" not in stored.state:
        raise InputError(f"{file} has no statistics (`normaliser.mean`): it was not written by save_space")
    width = len(stored.state["normaliser.mean"])
    space = Space(config, encoder_of(config.text_encoder), Normaliser.identity(width))
    load_state(space, stored.state, source=str(file))
    return space


def find_space(
    path: Path | str | None, *, width: int, encoder_of: Callable[[str], TextEncoder] = DeferredTextEncoder
) -> Space:
    """Return a space to measure in, frozen and in evaluation mode.

    Args:
        path: run folder or model file; None: the packaged one.
        width: features per frame of what is measured.
        encoder_of: gives the language model of a name.

    Raises:
        InputError: no such file, another kind of model, or a space of other features.
    """
    file = packaged("space") if path is None else find_model(path)
    space = _built(file, encoder_of)
    own = len(space.normaliser.mean)
    if own != width:
        raise InputError(
            f"the space {file} was trained on {own} features per frame, but the data set has {width}: give a space of "
            "this data set"
        )
    return space.eval().requires_grad_(False)


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> Space:
    """Return a space with the weights of a published TMR, in evaluation mode.

    Args:
        path: a published folder (`last_weights/motion_encoder.pt`, ...), one of those files, or a Lightning checkpoint.
        normaliser: None takes `stats/<data set>/guoh3dfeats/` of the copy of TMR's code that the path lies in. These
            are neither Mean.npy and Std.npy of HumanML3D nor grouped as they are.
        text_encoder: None loads, when it is first needed, the one that TMR reads texts with.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, or keys that are missing, unknown or of another shape.
    """
    state = read_published(path, trust=trust)
    if normaliser is None:
        name = "kitml" if is_kit(path) else "humanml3d"
        folders = (parent / "stats" / name / "guoh3dfeats" for parent in path.absolute().parents)
        folder = next((folder for folder in folders if folder.is_dir()), None)
        normaliser = None if folder is None else read_published_statistics(folder)
    features = features_of(state, "motion_encoder.projection.weight", 1)
    normaliser = check_statistics(normaliser, features, path, files="its mean.pt and std.pt")
    config = space_humanml3d().model_copy(update=_sizes(state))
    encoder = text_encoder or DeferredTextEncoder(config.text_encoder)
    return with_weights(state, normaliser, config, encoder, source=str(path)).eval()


def with_weights(
    state: dict[str, Tensor], normaliser: Normaliser, config: SpaceConfig, text_encoder: TextEncoder, *, source: str
) -> Space:
    """Return a space with these weights, keyed as in TMR's checkpoint, which holds no statistics.

    Raises:
        InputError: names the keys that are missing, unknown or of another shape.
    """
    space = Space(config, text_encoder, normaliser)
    load_state(space, state | statistics_of(normaliser), source=source)
    return space


def read_published(path: Path, *, trust: bool = False) -> dict[str, Tensor]:
    """Return weights of a published TMR, keyed as in its Lightning checkpoint."""
    files = weight_files(path)
    if len(files) == 1:
        return read_weights(files[0], "state_dict", trust=trust)
    state = {}
    for part, file in zip(PUBLISHED_PARTS, files, strict=True):
        table = read_pickle(file, trust=trust)
        if not is_table(table):
            raise InputError(f"{file} is no table of weights: it is another system's file")
        state |= {f"{part}.{name}": value for name, value in table.items()}
    return state


def weight_files(path: Path) -> list[Path]:
    """Return the files that are read: one per part of the network, or one Lightning checkpoint."""
    if path.suffix == ".ckpt":
        return [path]
    parts = [place / f"{part}.pt" for place in _places(path) for part in PUBLISHED_PARTS]
    whole = path / "logs" / "checkpoints" / "last.ckpt"
    return [whole] if whole.is_file() and not parts[0].is_file() else parts


def is_kit(path: Path) -> bool:
    """Return whether a published TMR was trained on KIT-ML. Its weights do not tell: KIT was turned into 263
    features."""
    for folder in (path, *path.absolute().parents[:3]):
        if "kitml" in folder.name:
            return True
        if (folder / "config.json").is_file():
            return "kitml" in (folder / "config.json").read_text(errors="replace")
    return False


def read_published_statistics(folder: Path) -> Normaliser:
    """From `mean.pt` and `std.pt` in the published `stats/<data set>/guoh3dfeats`."""
    mean, std = read_pickle(folder / "mean.pt"), read_pickle(folder / "std.pt")
    # TMR divides by std + 1e-12, so that a column that never changes does not divide by zero.
    return Normaliser(mean, std + 1e-12)


def _notes(_space: Space, path: Path) -> list[str]:
    if not is_kit(path):
        return []
    return [
        "it was trained on KIT-ML's motions turned into 263 features per frame: retrieval only, since the losses and "
        "the generators of KIT-ML take 251"
    ]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=read_published_statistics,
    files="models/tmr_humanml3d_guoh3dfeats: last_weights/*.pt; or last.ckpt (with stats/ of its copy)",
    supports="HumanML3D; KIT-ML for retrieval only, since it takes 263 features",
    licence="MIT",
    signs=("motion_encoder.tokens", "tokens"),
    presets=(space_humanml3d,),
    notes=_notes,
)


def _places(path: Path) -> list[Path]:
    if path.is_file() or path.suffix == ".pt":
        return [path.parent]
    return [path / "last_weights" if (path / "last_weights").is_dir() else path]


def _sizes(state: dict[str, Tensor]) -> dict[str, int]:
    """Return what the shapes tell of the config; keys that are not there are named when the weights are loaded."""

    def layers(trunk: str) -> int:
        return len({key.removeprefix(trunk).split(".")[0] for key in state if key.startswith(trunk)})

    told = {
        "width": features_of(state, "motion_encoder.projection.weight"),
        "feed_forward": features_of(state, "motion_encoder.seqTransEncoder.layers.0.linear1.weight"),
        "layers": layers("motion_encoder.seqTransEncoder.layers."),
        "decoder_layers": layers("motion_decoder.seqTransDecoder.layers."),
    }
    return {name: size for name, size in told.items() if size}
