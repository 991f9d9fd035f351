"""Published MoMask checkpoints: a folder of folders, one per network, each with `opt.txt` and a pickled table.

Their keys become ours by a prefix per network (`rvq.`, `mask.`, `residual.`, `length.`), and in the two token models
by `trunk.` before what both of them have. Three kinds of keys have no counterpart: `clip_model.*` (the frozen text
encoder, which some files hold), `position_enc.pe` (the fixed position table), and, on our side, the codebooks' moving
averages, which no published file holds.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.generators.momask.config import MoMaskConfig
from atm.generators.momask.model import MoMask
from atm.generators.momask.presets import momask_humanml3d, momask_kit
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
    statistics_of,
)

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
"""Names of each network's table in its file, today and in older ones."""
OWN_OF_TOKEN_MODELS = (
    "token_emb.",
    "quant_emb.",
    "embed_proj_shared_weight",
    "token_embed_weight",
    "output_proj_weight",
    "output_proj_bias",
)
"""Beginnings of the keys in a token model that do not belong to its trunk."""
WITHOUT_COUNTERPART = ("clip_model.", "position_enc.")
"""Beginnings of published keys that we have no place for."""
KIT_GUIDANCE = 2.0
"""Guidance of the masked transformer in the published evaluation on KIT; no file says so."""

FIRST_WEIGHT = "rvq.encoder.model.0.weight"
"""Its width tells how many features a frame has."""

Options = dict[str, Any]


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> MoMask:
    """Return a MoMask with published weights, in evaluation mode.

    Args:
        path: the folder that holds the networks' folders (`checkpoints/t2m` or `checkpoints/kit`), or anything in one
            of them; without a length estimator it gives a model that must be told every length.
        normaliser: only for a tokeniser without `meta/`. Where there is one it counts and not the data set's own
            Mean.npy and Std.npy: the published training divides some deviations by 25, not by the 5 of those files.
        text_encoder: None loads, when it is first needed, the one that the checkpoints were trained with.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, options that this program has no model for, or keys that are missing,
            unknown or of another shape.
    """
    config, state = read_published(path, trust=trust)
    normaliser = pop_statistics(state) or normaliser
    features = features_of(state, FIRST_WEIGHT, 1)
    return with_weights(MoMask, config, state, normaliser, text_encoder, path=path, features=features, files=OWN_FILES)


def read_published(path: Path, *, trust: bool = False) -> tuple[MoMaskConfig, dict[str, Tensor]]:
    """Return config and weights of a published folder, under our keys; the statistics are there if the tokeniser has
    them."""
    folders = network_folders(path)
    options, state = read_networks(folders, trust=trust)
    mask = token_model_options(options["mask"])
    if options["rvq"].get("dataset_name") == "kit":
        mask["guidance_scale"] = KIT_GUIDANCE
    ours = {"rvq": rvq_options(options["rvq"], path), "residual": residual_options(options), "length": None}
    ours["mask"] = mask | _codes(options["rvq"])
    if "length" in folders:
        # Nothing is said of it; what can differ is read off its weights.
        last = "length.output.11.bias"
        ours["length"] = {"classes": len(state[last])} if last in state else {}
    return validate(MoMaskConfig, ours, source=str(path)), state


def network_folders(path: Path) -> dict[str, Path]:
    """Return the folder of each network that there is.

    Args:
        path: the folder of folders, or what lies in it.
    """
    places = (path, *path.absolute().parents[:3])
    place = next((place for place in places if only_folder(place, FOLDERS["rvq"]) is not None), path)
    folders = {network: find_folder(place, network) for network in ("rvq", "mask", "residual")}
    length = only_folder(place, FOLDERS["length"])
    return folders if length is None else folders | {"length": length}


def weight_files(path: Path) -> list[Path]:
    """Return the files that are read: one of each network."""
    return [network_file(folder, network) for network, folder in network_folders(path).items()]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=own_statistics,
    files="checkpoints/t2m: rvq_.../, t2m_.../, tres_.../, length_estimator/, each with model/*.tar",
    supports="HumanML3D (t2m) and KIT-ML (kit), residual weights shared or not, with or without length estimator",
    licence="MIT",
    signs=("vq_model", "t2m_transformer", "res_transformer"),
    presets=(momask_humanml3d, momask_kit),
)


def read_networks(folders: dict[str, Path], *, trust: bool = False) -> tuple[dict[str, Options], dict[str, Tensor]]:
    """Return options of each network that has any, and the weights of all under our keys, with the tokeniser's
    statistics.

    Args:
        folders: of each network, "rvq" among them.
        trust: see `atm.published.read_pickle`.
    """
    options = {network: read_options(folder / "opt.txt") for network, folder in folders.items() if network != "length"}
    tokeniser = folders["rvq"]
    for network, said in options.items():
        check_tokeniser_name(network, said, tokeniser)
    state = {}
    if (tokeniser / "meta").is_dir():
        state = statistics_of(own_statistics(tokeniser / "meta"))
    for network, folder in folders.items():
        table = read_weights(network_file(folder, network), *TABLES[network], trust=trust)
        state |= our_state(network, table)
    return options, state


def check_tokeniser_name(network: str, options: Options, tokeniser: Path) -> None:
    """Refuse a token model that was trained on another tokeniser than the one there: its tokens mean nothing to it."""
    trained_on, own = options.get("vq_name", tokeniser.name), tokeniser.name
    if trained_on != own:
        raise InputError(
            f"the {network} transformer was trained on the tokeniser {trained_on}, but the folder holds {own}"
        )


def pop_statistics(state: dict[str, Tensor]) -> Normaliser | None:
    """Return the statistics that `read_networks` put among the weights, taken out of them."""
    rows = [state.pop(f"normaliser.{name}", None) for name in ("mean", "std")]
    return None if None in rows else Normaliser(*rows)


def our_state(network: str, published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a published state dict under our keys.

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
    """Return where a published key stands with us."""
    in_trunk = network in ("mask", "residual") and not key.startswith(OWN_OF_TOKEN_MODELS)
    return f"{network}.trunk.{key}" if in_trunk else f"{network}.{key}"


def rvq_options(options: Options, source: Path) -> Options:
    """Return our names of a tokeniser's options; those absent from the file take the published defaults."""
    unsupported = {
        f"the activation {options.get('vq_act')!r}": options.get("vq_act", "relu") != "relu",
        f"the normalisation {options.get('vq_norm')!r}": options.get("vq_norm", "None") != "None",
        f"stride {options.get('stride_t')}": options.get("stride_t", 2) != 2,
        "a codebook shared by all levels": options.get("shared_codebook", False) is True,
    }
    found = [what for what, is_there in unsupported.items() if is_there]
    if found:
        raise InputError(f"{source} holds a tokeniser with {found[0]}, which this program has no model for")
    return _codes(options) | {
        "width": options.get("width", 512),
        "depth": options.get("depth", 3),
        "dilation_growth": options.get("dilation_growth_rate", 3),
        "halvings": options.get("down_t", 2),
        "levels": options.get("num_quantizers", 6),
        "decay": options.get("mu", 0.99),
        "level_dropout": options.get("quantize_dropout_prob", 0.2),
    }


def residual_options(options: dict[str, Options]) -> Options:
    """Return our names of a residual transformer's options, and those that it takes from its tokeniser's."""
    own = {"condition_dropout": 0.2} | token_model_options(options["residual"])
    own |= {"share_weights": options["residual"].get("share_weight", True)}
    return own | {"levels": options["rvq"].get("num_quantizers", 6)} | _codes(options["rvq"])


def token_model_options(options: Options) -> Options:
    """Return our names of what the options of all token models have."""
    ours = {"trunk": _trunk(options)}
    return ours | ({"condition_dropout": options["cond_drop_prob"]} if "cond_drop_prob" in options else {})


def _codes(options: Options) -> Options:
    return {"codes": options.get("nb_code", 512), "code_width": options.get("code_dim", 512)}


def _trunk(options: Options) -> Options:
    published = {"width": "latent_dim", "layers": "n_layers", "heads": "n_heads", "feed_forward": "ff_size"}
    published |= {"dropout": "dropout"}
    return {ours: options[name] for ours, name in published.items() if name in options}


def find_folder(path: Path, network: str) -> Path:
    """Return the folder of a network in a folder of networks."""
    folder = only_folder(path, FOLDERS[network])
    if folder is None:
        raise InputError(f"{path} holds no folder {FOLDERS[network]}...: expected one for each network of the model")
    return folder


def only_folder(path: Path, beginning: str) -> Path | None:
    """Return the folder whose name begins so, if there is one.

    Raises:
        InputError: there are several.
    """
    found = sorted(folder for folder in path.glob(f"{beginning}*") if folder.is_dir())
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise InputError(f"{path} holds {len(found)} folders {beginning}... ({names}): leave one of them")
    return found[0] if found else None


def network_file(folder: Path, network: str) -> Path:
    """Return the file of weights in a network's folder that the published program takes."""
    names = FILES[network]
    file = next((folder / "model" / name for name in names if (folder / "model" / name).is_file()), None)
    if file is None:
        raise InputError(f"{folder / 'model'} holds no weights: expected {' or '.join(names)}")
    return file
