"""Published MDM checkpoints: a folder with `args.json` and `model000475000.pt`."""

from pathlib import Path
from typing import Any

from torch import Tensor

from atm.base.arrays import read_json
from atm.base.config import validate
from atm.base.errors import InputError
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM
from atm.generators.mdm.presets import (
    mdm_humanml3d,
    mdm_humanml3d_50,
    mdm_humanml3d_dip,
    mdm_humanml3d_distilbert,
    mdm_kit,
)
from atm.generators.parts.published import with_weights
from atm.interface import TextEncoder
from atm.motion.layers import Normaliser
from atm.published import (
    DATA_SET_FILES,
    Release,
    data_set_statistics,
    features_of,
    is_table,
    read_pickle,
)

TEXT_ENCODERS = {"clip": ("clip_b32_22", "sentence"), "bert": ("distilbert", "tokens")}
"""`text_encoder_type` to our encoder's name and the part of its output that MDM reads."""


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> MDM:
    """Return an MDM with published weights, in evaluation mode.

    Args:
        path: the checkpoint's folder (its last step is taken), or one `.pt` file in it.
        normaliser: Mean.npy and Std.npy of the data set: the folder holds none.
        text_encoder: None loads, when it is first needed, the one that the checkpoint was trained with.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, options that this program has no model for, or keys that are missing,
            unknown or of another shape.
    """
    config, state = read_published(path, trust=trust)
    features = features_of(state, "output_process.poseFinal.bias")
    return with_weights(
        MDM, config, state, normaliser, text_encoder, path=path, features=features, files=DATA_SET_FILES
    )


def read_published(path: Path, *, trust: bool = False) -> tuple[MDMConfig, dict[str, Tensor]]:
    """Return config and weights of a published checkpoint, under its own keys."""
    folder = path if path.is_dir() else path.parent
    options = _read_options(folder / "args.json")
    state = _read_weights(weight_files(path)[0], averaged=bool(options.get("use_ema", False)), trust=trust)
    # The frozen text encoder is stored apart, and position tables of old files have other lengths than today's.
    state = {name: v for name, v in state.items() if not name.startswith("clip_model.") and not name.endswith(".pe")}
    return _config(options, source=folder / "args.json"), state


def weight_files(path: Path) -> list[Path]:
    """Return the file that is read: the last step in a folder, or the one given."""
    if path.is_file():
        return [path]
    files = sorted(path.glob("model*.pt"))
    if not files:
        raise InputError(f"{path} holds no MDM weights: expected a file like model000475000.pt")
    return files[-1:]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=data_set_statistics,
    files="save/humanml_trans_enc_512: args.json and model000475000.pt (give --stats DIR of the data set)",
    supports="text-to-motion on HumanML3D and KIT-ML: encoder and decoder, CLIP and DistilBERT, 50 steps, DiP; no GRU",
    licence="MIT",
    signs=("embed_timestep.time_embed.0.weight",),
    presets=(mdm_humanml3d, mdm_humanml3d_50, mdm_humanml3d_distilbert, mdm_humanml3d_dip, mdm_kit),
)


def _config(options: dict[str, Any], *, source: Path) -> MDMConfig:
    """Return options absent from old files take the published defaults."""
    unsupported = {
        "a GRU": options.get("arch") == "gru",
        "no text condition": options.get("unconstrained", False) or options.get("cond_mode", "text") != "text",
        "target locations": bool(options.get("multi_target_cond", False)),
        f"the text encoder {options.get('text_encoder_type')!r}": options.get("text_encoder_type", "clip")
        not in TEXT_ENCODERS,
    }
    found = [what for what, is_there in unsupported.items() if is_there]
    if found:
        raise InputError(f"{source} describes an MDM with {found[0]}, which this program has no model for")
    context = options.get("context_len", 0)
    text_encoder, condition = TEXT_ENCODERS[options.get("text_encoder_type", "clip")]
    ours = {
        "architecture": options.get("arch", "trans_enc"),
        "width": options.get("latent_dim", 512),
        "layers": options.get("layers", 8),
        "time_token": options.get("emb_trans_dec", False) and options.get("arch") == "trans_dec",
        "mask_frames": options.get("mask_frames", False),
        "text_encoder": text_encoder,
        "condition": condition,
        "condition_dropout": options.get("cond_mask_prob", 0.1),
        "diffusion_steps": options.get("diffusion_steps", 1000),
        "schedule": options.get("noise_schedule", "cosine"),
        "context_frames": context,
    }
    if context:
        # The published autoregressive model; its guidance is an option of its sampling command, 7.5 by default.
        ours |= {"max_frames": options.get("pred_len", 40), "guidance_scale": 7.5}
    return validate(MDMConfig, ours, source=str(source))


def _read_options(file: Path) -> dict[str, Any]:
    try:
        options = read_json(file)
    except InputError as error:
        raise InputError(f"{file}, which a published MDM has beside its weights, {error}") from None
    if not isinstance(options, dict):
        raise InputError(f"{file} is no table of options but {type(options).__name__}")
    return options


def _read_weights(file: Path, *, averaged: bool, trust: bool) -> dict[str, Tensor]:
    content = read_pickle(file, trust=trust)
    if isinstance(content, dict) and "model" in content:
        part = "model_avg" if averaged else "model"
        if part not in content:
            raise InputError(f"{file} was trained with a moving average of its weights, but holds no {part!r}")
        content = content[part]
    if not is_table(content):
        raise InputError(f"{file} is no table of weights: it is another system's file")
    return content
