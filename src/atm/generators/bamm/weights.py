"""Published BAMM checkpoints: a copy of its program's folder, in which

    log/t2m/DATASET/RUN/{opt.txt, model/latest.tar}       the transformer
    checkpoints/DATASET/{rvq_..., tres_...}/              MoMask's tokeniser and residual transformer

with DATASET `t2m` or `kit`. The transformer's keys are the published ones behind `transformer.`; the rest is read as
MoMask's is. `log/vq/`, a copy of the tokeniser's options, and the length estimator are left out.
"""

from pathlib import Path

from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.generators.bamm.config import BAMMConfig
from atm.generators.bamm.model import BAMM
from atm.generators.bamm.presets import bamm_humanml3d, bamm_kit
from atm.generators.momask.weights import (
    FIRST_WEIGHT,
    KIT_GUIDANCE,
    WITHOUT_COUNTERPART,
    check_tokeniser_name,
    find_folder,
    network_file,
    pop_statistics,
    read_networks,
    residual_options,
    rvq_options,
    token_model_options,
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
)

FILE = "latest.tar"
TABLES = ("t2m_transformer", "trans")
"""What the transformer's table is called in its file, today and in older ones."""


def from_published(
    path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None, *, trust: bool = False
) -> BAMM:
    """Return a BAMM with published weights, in evaluation mode.

    Args:
        path: the folder that holds `log` and `checkpoints`, or a transformer's run or file in it.
        normaliser: only for a tokeniser without `meta/`, see `atm.generators.momask.weights.from_published`.
        text_encoder: None loads, when it is first needed, the one that the checkpoints were trained with.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a missing or damaged file, options that this program has no model for, or keys that are missing,
            unknown or of another shape.
    """
    config, state = read_published(path, trust=trust)
    normaliser = pop_statistics(state) or normaliser
    features = features_of(state, FIRST_WEIGHT, 1)
    return with_weights(BAMM, config, state, normaliser, text_encoder, path=path, features=features, files=OWN_FILES)


def read_published(path: Path, *, trust: bool = False) -> tuple[BAMMConfig, dict[str, Tensor]]:
    """Return config and weights of a published folder, under our keys; the statistics are there if the tokeniser has
    them."""
    run = _only_run(path)
    said, folders = read_options(run / "opt.txt"), _network_folders(run)
    check_tokeniser_name("first-level", said, folders["rvq"])
    options, state = read_networks(folders, trust=trust)
    state |= our_transformer(read_weights(run / "model" / FILE, *TABLES, trust=trust))
    residual = residual_options(options)
    transformer = token_model_options(said) | {"body": said.get("trans", "official")}
    transformer |= {name: residual[name] for name in ("codes", "code_width")}
    if run.parent.name == "kit":
        transformer["guidance_scale"] = KIT_GUIDANCE
    ours = {"rvq": rvq_options(options["rvq"], path), "transformer": transformer, "residual": residual}
    return validate(BAMMConfig, ours, source=str(path)), state


def weight_files(path: Path) -> list[Path]:
    """Return the files that are read: the transformer's, and those of MoMask's networks."""
    run = _only_run(path)
    others = [network_file(folder, network) for network, folder in _network_folders(run).items()]
    return [run / "model" / FILE, *others]


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=own_statistics,
    files="a copy of its folder: log/t2m/t2m/RUN/ (opt.txt, model/latest.tar), checkpoints/t2m/ (rvq_.../, tres_.../)",
    supports="HumanML3D (t2m) and KIT-ML (kit), both bodies of the transformer; lengths are predicted or given",
    licence="none stated; tokeniser and residual transformer are MoMask's (MIT)",
    signs=("t2m_transformer", "vq_model", "res_transformer"),
    presets=(bamm_humanml3d, bamm_kit),
)


def our_transformer(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the transformer's published state dict under our keys."""
    return {f"transformer.{key}": v for key, v in published.items() if not key.startswith(WITHOUT_COUNTERPART)}


def _network_folders(run: Path) -> dict[str, Path]:
    networks = run.parents[3] / "checkpoints" / run.parent.name
    return {network: find_folder(networks, network) for network in ("rvq", "residual")}


def _only_run(path: Path) -> Path:
    """Return the folder of the transformer's run that the path means."""
    path = path.absolute()
    root = next((place for place in (path, *path.parents) if (place / "log" / "t2m").is_dir()), path)
    runs = sorted(file.parents[1] for file in root.glob(f"log/t2m/*/*/model/{FILE}"))
    meant = [run for run in runs if run.is_relative_to(path) or path.is_relative_to(run)]
    if len(meant) != 1:
        named = f" ({', '.join(run.name for run in meant)}): give the one that is meant" if meant else ""
        raise InputError(f"{path} holds {len(meant)} transformers log/t2m/DATASET/RUN/model/{FILE}{named}")
    return meant[0]
