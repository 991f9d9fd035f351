"""Published MoMask checkpoints: a folder of folders, one per network, each with `opt.txt` and a pickled table.

Their keys become ours by a prefix per network (`rvq.`, `mask.`, `residual.`, `length.`), and in the two token models
by `trunk.` before what both of them have. Three kinds of keys have no counterpart: `clip_model.*` (the frozen text
encoder, which some files hold), `position_enc.pe` (the fixed position table), and, on our side, the codebooks' moving
averages, which no published file holds.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from atm.config import validate
from atm.errors import InputError
from atm.generators.momask.config import MoMaskConfig
from atm.generators.momask.model import MoMask
from atm.interface import TextEncoder
from atm.layers import Normaliser
from atm.storage import load_state

FOLDERS = {"rvq": "rvq_", "mask": "t2m_", "residual": "tres_", "length": "length_estimator"}
"""How the published folder of each network begins."""
FILES = {
    "rvq": ("net_best_fid.tar",),
    "mask": ("latest.tar", "net_best_fid.tar"),
    "residual": ("net_best_fid.tar",),
    "length": ("finest.tar",),
}
"""Files that the published program takes, in the order of preference."""
TABLES = {
    "rvq": ("vq_model", "net"),
    "mask": ("t2m_transformer", "trans"),
    "residual": ("res_transformer",),
    "length": ("estimator",),
}
"""What a network's table is called in its file, today and in older ones."""
OWN_OF_TOKEN_MODELS = (
    "token_emb.", "quant_emb.", "embed_proj_shared_weight", "token_embed_weight", "output_proj_weight",
    "output_proj_bias",
)  # fmt: skip
"""Beginnings of the keys in a token model that do not belong to its trunk."""
WITHOUT_COUNTERPART = ("clip_model.", "position_enc.")
"""Beginnings of published keys that we have no place for."""
KIT_GUIDANCE = 2.0
"""Guidance of the masked transformer in the published evaluation on KIT; no file says so."""

Options = dict[str, Any]


def from_published(path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None) -> MoMask:
    """A MoMask with published weights, in evaluation mode.

    Args:
        path: the folder that holds the networks' folders (`checkpoints/t2m` or `checkpoints/kit`); one without a
            length estimator gives a model that must be told every length.
        normaliser: only for a tokeniser without `meta/`. Where there is one it counts and not the data set's own
            Mean.npy and Std.npy: the published training divides some deviations by 25, not by the 5 of those files.
        text_encoder: None loads the one that the checkpoints were trained with.

    Raises:
        InputError: a missing or damaged file, options that this program has no model for, or keys that are missing,
            unknown or of another shape.
    """
    config, state = read_published(path)
    if "normaliser.mean" not in state:
        if normaliser is None:
            raise InputError(f"{path} has no meta/mean.npy and meta/std.npy beside its tokeniser's weights")
        state |= {f"normaliser.{name}": value for name, value in normaliser.state_dict().items()}
    if text_encoder is None:
        from atm.text import load_text_encoder

        text_encoder = load_text_encoder(config.text_encoder)
    model = MoMask(config, text_encoder, Normaliser.identity(len(state["normaliser.mean"])))
    load_state(model, state, source=str(path))
    return model.eval()


def read_published(path: Path) -> tuple[MoMaskConfig, dict[str, Tensor]]:
    """Config and weights of a published folder, under our keys; the statistics are there if the tokeniser has them."""
    folders = {network: _folder(path, beginning) for network, beginning in FOLDERS.items()}
    for network in ("rvq", "mask", "residual"):
        if folders[network] is None:
            raise InputError(f"{path} holds no folder {FOLDERS[network]}...: expected one for each network of a MoMask")
    options = {network: _read_options(folders[network] / "opt.txt") for network in ("rvq", "mask", "residual")}
    _check_tokeniser_name(options, folders["rvq"])
    state = _statistics(folders["rvq"] / "meta")
    for network, folder in folders.items():
        if folder is not None:
            state |= our_state(network, _read_table(folder / "model", network))
    config = _config(options, has_length=folders["length"] is not None, state=state, source=path)
    return config, state


def our_state(network: str, published: dict[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under our keys.

    Args:
        network: "rvq", "mask", "residual" or "length".
        published: one network's table.
    """
    kept = {key: value for key, value in published.items() if not key.startswith(WITHOUT_COUNTERPART)}
    state = {our_key(network, key): value for key, value in kept.items()}
    for key, codebook in list(state.items()):
        # Averages as after the first step of a training that started with these codes. Counts of zero would let the
        # next training step overwrite the published codes with data.
        if key.endswith(".codebook"):
            state[key.replace("codebook", "code_sum")] = codebook.clone()
            state[key.replace("codebook", "code_count")] = torch.ones(len(codebook))
    return state


def our_key(network: str, key: str) -> str:
    """Where a published key stands with us."""
    in_trunk = network in ("mask", "residual") and not key.startswith(OWN_OF_TOKEN_MODELS)
    return f"{network}.trunk.{key}" if in_trunk else f"{network}.{key}"


def _config(options: dict[str, Options], *, has_length: bool, state: dict[str, Tensor], source: Path) -> MoMaskConfig:
    """Options absent from the files take the published defaults."""
    vq, mask, residual = options["rvq"], options["mask"], options["residual"]
    unsupported = {
        f"the activation {vq.get('vq_act')!r}": vq.get("vq_act", "relu") != "relu",
        f"the normalisation {vq.get('vq_norm')!r}": vq.get("vq_norm", "None") not in ("None", None),
        f"stride {vq.get('stride_t')}": vq.get("stride_t", 2) != 2,
        "a codebook shared by all levels": vq.get("shared_codebook", False) is True,
    }
    found = [what for what, is_there in unsupported.items() if is_there]
    if found:
        raise InputError(f"{source} holds a tokeniser with {found[0]}, which this program has no model for")
    is_kit = vq.get("dataset_name", "t2m") == "kit"
    codes = {"codes": vq.get("nb_code", 512), "code_width": vq.get("code_dim", 512)}
    levels = vq.get("num_quantizers", 6)
    ours = {
        "rvq": codes
        | {
            "width": vq.get("width", 512),
            "depth": vq.get("depth", 3),
            "dilation_growth": vq.get("dilation_growth_rate", 3),
            "halvings": vq.get("down_t", 2),
            "levels": levels,
            "decay": vq.get("mu", 0.99),
            "level_dropout": vq.get("quantize_dropout_prob", 0.2),
        },
        "mask": codes
        | {"trunk": _trunk(mask), "condition_dropout": mask.get("cond_drop_prob", 0.1)}
        | ({"guidance_scale": KIT_GUIDANCE} if is_kit else {}),
        "residual": codes
        | {
            "levels": levels,
            "trunk": _trunk(residual),
            "condition_dropout": residual.get("cond_drop_prob", 0.2),
            "share_weights": residual.get("share_weight", True),
        },
        # Nothing is said of it; what can differ is read off its weights.
        "length": {"classes": len(state["length.output.11.bias"])} if "length.output.11.bias" in state else {},
    }
    if not has_length:
        ours["length"] = None
    return validate(MoMaskConfig, ours, source=str(source))


def _trunk(options: Options) -> Options:
    published = {"width": "latent_dim", "layers": "n_layers", "heads": "n_heads", "feed_forward": "ff_size"}
    published |= {"dropout": "dropout"}
    return {ours: options[name] for ours, name in published.items() if name in options}


def _check_tokeniser_name(options: dict[str, Options], tokeniser: Path) -> None:
    """Tokens of one tokeniser mean nothing to another."""
    for network in ("mask", "residual"):
        name = options[network].get("vq_name", tokeniser.name)
        if name != tokeniser.name:
            raise InputError(
                f"the {network} transformer was trained on the tokeniser {name}, but the folder holds {tokeniser.name}"
            )


def _folder(path: Path, beginning: str) -> Path | None:
    found = sorted(folder for folder in path.glob(f"{beginning}*") if folder.is_dir())
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise InputError(f"{path} holds {len(found)} folders {beginning}... ({names}): leave one of them")
    return found[0] if found else None


def _read_options(file: Path) -> Options:
    """`key: value` lines between two lines of dashes."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}, which a published MoMask has beside its weights: {error}") from None
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip(): _value(value.strip()) for key, _, value in pairs}


def _value(text: str) -> bool | int | float | str:
    """Truth values and numbers; all else stays a word, None too."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read_table(folder: Path, network: str) -> dict[str, Tensor]:
    file = next((folder / name for name in FILES[network] if (folder / name).is_file()), None)
    if file is None:
        raise InputError(f"{folder} holds no weights: expected {' or '.join(FILES[network])}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever zip, pickle or torch stumbles over first
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot read {file} as a file of PyTorch weights: {reason}") from None
    content = content if isinstance(content, dict) else {}
    table = next((content[name] for name in TABLES[network] if name in content), None)
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise InputError(f"{file} holds no {' or '.join(TABLES[network])}: it is no published file of this network")
    return table


def _statistics(folder: Path) -> dict[str, Tensor]:
    if not folder.is_dir():
        return {}
    try:
        mean, std = (torch.from_numpy(np.load(folder / name)).float() for name in ("mean.npy", "std.npy"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read mean.npy and std.npy in {folder}: {error}") from None
    return {f"normaliser.{key}": value for key, value in Normaliser(mean, std).state_dict().items()}
