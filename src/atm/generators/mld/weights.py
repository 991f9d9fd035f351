"""Weights from elsewhere: published MLD checkpoints, and the first stage for the second.

A published checkpoint is one PyTorch Lightning file, `1222_mld_humanml3d_FID041.ckpt` for instance. In its
`state_dict` our keys are the published ones:

| published | ours |
| --- | --- |
| `vae.*`, `denoiser.*` | the same |
| `t2m_textencoder.*`, `t2m_moveencoder.*`, `t2m_motionencoder.*` | left out: the evaluator's networks |
| `text_encoder.*` | left out where there is any: the frozen CLIP |
| none: the data set's Mean.npy and Std.npy | `normaliser.mean`, `normaliser.std` |

The file of a first stage has `vae.*` alone, that of the variant without VAE has none of it. The configuration is in no
file, so what the shapes do not tell (heads, dropout, guidance) is as published.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.storage import find_model, load_state, read_model
from atm.generators.mld.config import MLDConfig, MLDVAEConfig
from atm.generators.mld.model import MLD
from atm.generators.mld.presets import mld_humanml3d, mld_humanml3d_frames, mld_kit
from atm.generators.mld.stage import VAEStage
from atm.generators.parts.published import with_weights
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import (
    DATA_SET_FILES,
    Release,
    check_statistics,
    data_set_statistics,
    features_of,
    read_weights,
    statistics_of,
    without,
)

OTHERS = ("t2m_textencoder.", "t2m_moveencoder.", "t2m_motionencoder.", "text_encoder.")
"""Beginnings of the keys of networks that are no part of MLD."""


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> MLD:
    """Return an MLD with published weights, in evaluation mode.

    Args:
        path: the checkpoint, or a folder that holds no other.
        normaliser: Mean.npy and Std.npy of the data set: the file holds none.
        text_encoder: None loads CLIP's large text tower, when it is first needed.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, a first stage, or keys that are missing, unknown or of another shape.
    """
    config, state = read_published(path, trust=trust)
    features = _features(state)
    return with_weights(
        MLD, config, state, normaliser, text_encoder, path=path, features=features, files=DATA_SET_FILES
    )


def vae_from_published(path: Path, normaliser: Normaliser | None = None, *, trust: bool = False) -> VAEStage:
    """Return the VAE of a published checkpoint, of either stage; arguments and errors as for `from_published`."""
    state = _read(path, trust=trust)
    normaliser = check_statistics(normaliser, _features(state), path, files=DATA_SET_FILES)
    vae = {key: value for key, value in state.items() if not key.startswith("denoiser.")}
    stage = VAEStage(_vae_config(vae, path), normaliser)
    load_state(stage, vae | statistics_of(normaliser), source=str(path))
    return stage.eval()


def read_published(path: Path, *, trust: bool = False) -> tuple[MLDConfig, dict[str, Tensor]]:
    """Return config and weights of a published checkpoint, under its own keys."""
    state = _read(path, trust=trust)
    if not any(key.startswith("denoiser.") for key in state):
        if any(key.startswith("vae.") for key in state):
            raise InputError(
                f"{path} holds a VAE alone: it is a first stage, which generates nothing without a denoiser"
            )
        raise InputError(f"the weights in {path} are not MLD's: none of their keys starts with denoiser. or vae.")
    width = _rows(state, "denoiser.time_embedding.linear_1.weight", path)
    if any(key.startswith("vae.") for key in state):
        config = {
            "autoencoder": _vae_config(state, path),
            "layers": _layers(state, "denoiser.encoder"),
            "feed_forward": _rows(state, "denoiser.encoder.middle_block.linear1.weight", path),
        }
    else:
        config = {
            "autoencoder": None,
            "layers": _count(state, "denoiser.decoder.layers."),
            "feed_forward": _rows(state, "denoiser.decoder.layers.0.linear1.weight", path),
        }
    config["width"] = width
    return validate(MLDConfig, config, source=str(path)), state


def begin(config: MLDConfig, text_encoder: TextEncoder, normaliser: Normaliser) -> MLD:
    """Return a new MLD to be trained, on the first stage that `config.vae` names (without VAE: on none).

    Args:
        config, text_encoder, normaliser: as for `MLD`. The first stage's statistics take the place of the
            normaliser's, since its latents were made with them.

    Raises:
        InputError: no first stage is named, or there is none of this architecture.
    """
    if config.autoencoder is None:
        return MLD(config, text_encoder, normaliser)
    if config.vae is None:
        raise InputError(
            "mld diffuses the latents of a trained VAE: train the preset mld_vae_... first, then give model.vae=RUN"
        )
    model = MLD(config, text_encoder, normaliser)
    file = find_model(config.vae)
    stored = read_model(file)
    if stored.config.get("name") != "mld_vae":
        raise InputError(
            f"model.vae must be a trained mld_vae, but {file} holds {stored.config.get('name', stored.kind)!r}"
        )
    given = validate(MLDVAEConfig, stored.config, source=str(file))
    differing = [name for name in _ARCHITECTURE if getattr(given, name) != getattr(config.autoencoder, name)]
    if differing:
        wanted = " ".join(f"model.autoencoder.{name}={getattr(given, name)}" for name in differing)
        raise InputError(f"the VAE in {file} is built otherwise than this mld expects: give {wanted}")
    denoiser = {key: value for key, value in model.state_dict().items() if key.startswith("denoiser.")}
    load_state(model, denoiser | stored.state, source=str(file))
    return model


_ARCHITECTURE = (
    "latent_tokens",
    "width",
    "heads",
    "feed_forward",
    "layers",
    "frames_per_token",
    "frame_width",
)


def weight_files(path: Path) -> list[Path]:
    """Return the file that is read: the only one in a folder, or the one given."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.ckpt"))
    if len(files) != 1:
        raise InputError(f"{path} holds {len(files)} .ckpt files: give the one that is meant")
    return files


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=data_set_statistics,
    files="one .ckpt file, as 1222_mld_humanml3d_FID041.ckpt (give --stats DIR of the data set)",
    supports="HumanML3D and KIT-ML, 1 to 7 latents, and the variant without VAE",
    licence="MIT",
    signs=("denoiser.time_embedding.linear_1.weight",),
    presets=(mld_humanml3d, mld_humanml3d_frames, mld_kit),
)


def _read(path: Path, *, trust: bool) -> dict[str, Tensor]:
    return without(read_weights(weight_files(path)[0], "state_dict", trust=trust), *OTHERS)


def _features(state: dict[str, Tensor]) -> int | None:
    """Return the VAE's first layer tells, or that of the denoiser that works on frames."""
    return features_of(state, "vae.skel_embedding.weight", 1) or features_of(state, "denoiser.pose_embd.weight", 1)


def _vae_config(state: dict[str, Tensor], path: Path) -> MLDVAEConfig:
    ours: dict[str, Any] = {
        "latent_tokens": _rows(state, "vae.global_motion_token", path) // 2,
        "width": _rows(state, "vae.skel_embedding.weight", path),
        "feed_forward": _rows(state, "vae.encoder.middle_block.linear1.weight", path),
        "layers": _layers(state, "vae.encoder"),
    }
    return validate(MLDVAEConfig, ours, source=str(path))


def _rows(state: dict[str, Tensor], key: str, path: Path) -> int:
    if key not in state:
        raise InputError(f"the weights in {path} are not MLD's: they lack {key}")
    return len(state[key])


def _layers(state: dict[str, Tensor], trunk: str) -> int:
    """Return the middle one, and two for each that leads to it."""
    return 1 + 2 * _count(state, f"{trunk}.input_blocks.")


def _count(state: dict[str, Tensor], prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})
