"""Published ReMoDiffuse checkpoints: `logs/remodiffuse/remodiffuse_{t2m,kit}/latest.pth` of a copy of its code.

Key map: theirs is ours with `model.` in front. The file also holds the frozen CLIP, under `model.clip.`, which is left
out (`clip_b32_77_padded` gives its states). Statistics and database lie elsewhere in that copy, under `data/`.
"""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from atm.base.errors import InputError
from atm.generators.parts.published import with_weights
from atm.generators.remodiffuse.config import ReMoDiffuseConfig
from atm.generators.remodiffuse.model import ReMoDiffuse
from atm.generators.remodiffuse.presets import remodiffuse_humanml3d, remodiffuse_kit
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import (
    OWN_FILES,
    Release,
    own_statistics,
    read_weights,
    without,
)

PREFIX = "model."


class Published(NamedTuple):
    """One of the two published models."""

    config: ReMoDiffuseConfig
    run: str
    """Its folder in `logs/remodiffuse/`."""
    statistics: str
    """Its folder in `data/datasets/`."""
    database: str
    """Its file in `data/database/`."""


PUBLISHED = {
    263: Published(remodiffuse_humanml3d(), "remodiffuse_t2m", "human_ml3d", "t2m_text_train.npz"),
    251: Published(remodiffuse_kit(), "remodiffuse_kit", "kit_ml", "kit_text_train.npz"),
}
"""By features per frame, which the weights tell."""


def from_published(
    path: Path,
    normaliser: Normaliser | None = None,
    text_encoder: TextEncoder | None = None,
    *,
    database: Path | None = None,
    trust: bool = False,
) -> ReMoDiffuse:
    """Return a ReMoDiffuse with published weights, in evaluation mode.

    Args:
        path: `latest.pth`, or the folder that it lies in.
        normaliser: None takes `data/datasets/*/mean.npy` and `std.npy` of the copy that the path lies in.
        text_encoder: None loads CLIP with all its 77 places, when it is first needed.
        database: None takes `data/database/*.npz` of the copy that the path lies in, where there is one; without any
            the model loads, but cannot sample until its `search_in` is called.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, or keys that are missing, unknown or of another shape.
    """
    file = weight_files(path)[0]
    state = read_published(file, trust=trust)
    published = _which(state, file)
    data = next((parent / "data" for parent in file.absolute().parents if _holds(parent, published)), None)
    if normaliser is None and data is not None:
        normaliser = own_statistics(data / "datasets" / published.statistics)
        # The published code divides by std + 1e-9.
        normaliser.std += 1e-9
    if database is None and data is not None and (data / "database" / published.database).is_file():
        database = data / "database" / published.database
    config = published.config.model_copy(update={"database": None if database is None else str(database.absolute())})
    return with_weights(
        ReMoDiffuse,
        config,
        state,
        normaliser,
        text_encoder,
        path=file,
        features=len(state["out.bias"]),
        files=OWN_FILES,
        said=f" (its keys without {PREFIX!r})",
    )


def read_published(file: Path, *, trust: bool = False) -> dict[str, Tensor]:
    """Return weights of a published checkpoint under our keys, without its CLIP."""
    weights = without(read_weights(file, "state_dict", trust=trust), f"{PREFIX}clip.")
    # A key without the prefix stays as it is, to be named as unknown.
    return {key.removeprefix(PREFIX): value for key, value in weights.items()}


def weight_files(path: Path) -> list[Path]:
    """Return the file that is read: of a checkpoint's folder, or the one given."""
    return [path / "latest.pth" if path.is_dir() else path]


def _notes(model: ReMoDiffuse, _path: Path) -> list[str]:
    if model.config.database is None:
        return [
            "it cannot sample without the motions that it retrieves from: make them a file with `atm retrieval build`, "
            "and import again with --database FILE"
        ]
    return [f"it retrieves from {model.config.database}, which must stay there"]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=own_statistics,
    files="logs/remodiffuse/remodiffuse_t2m: latest.pth (with data/datasets/ and data/database/ of its copy)",
    supports="HumanML3D and KIT-ML",
    licence="S-Lab License 1.0: non-commercial use only",
    signs=(f"{PREFIX}temporal_decoder_blocks.0.ca_block.key_motion.weight",),
    presets=(remodiffuse_humanml3d, remodiffuse_kit),
    options=("database",),
    notes=_notes,
)


def _holds(folder: Path, published: Published) -> bool:
    return (folder / "data" / "datasets" / published.statistics).is_dir()


def _which(state: dict[str, Tensor], file: Path) -> Published:
    width = state["out.bias"].shape[0] if "out.bias" in state else None
    if width not in PUBLISHED:
        raise InputError(
            f"{file} is no published ReMoDiffuse: its last layer ({PREFIX}out.bias) should give 263 or 251 features, "
            f"and gives {width}"
        )
    return PUBLISHED[width]
