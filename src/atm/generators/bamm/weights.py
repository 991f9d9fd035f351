"""Published BAMM checkpoints: a copy of its program's folder, in which

    log/t2m/DATASET/RUN/{opt.txt, model/latest.tar}       the transformer
    checkpoints/DATASET/{rvq_..., tres_...}/              MoMask's tokeniser and residual transformer

with DATASET `t2m` or `kit`. The transformer's keys are the published ones behind `transformer.`; the rest is read as
MoMask's is. `log/vq/`, a copy of the tokeniser's options, and the length estimator are left out.
"""

from pathlib import Path

from torch import Tensor

from atm.config import validate
from atm.errors import InputError
from atm.generators.bamm.config import BAMMConfig
from atm.generators.bamm.model import BAMM
from atm.generators.momask.weights import (
    KIT_GUIDANCE,
    WITHOUT_COUNTERPART,
    find_folder,
    read_networks,
    residual_options,
    rvq_options,
    token_model_options,
)
from atm.generators.parts.published import read_options, read_weights
from atm.interface import TextEncoder
from atm.layers import Normaliser
from atm.storage import load_state

FILE = "latest.tar"
TABLES = ("t2m_transformer", "trans")
"""What the transformer's table is called in its file, today and in older ones."""


def from_published(path: Path, normaliser: Normaliser | None = None, text_encoder: TextEncoder | None = None) -> BAMM:
    """A BAMM with published weights, in evaluation mode.

    Args:
        path: the folder that holds `log` and `checkpoints`.
        normaliser: only for a tokeniser without `meta/`, see `atm.generators.momask.weights.from_published`.
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
    model = BAMM(config, text_encoder, Normaliser.identity(len(state["normaliser.mean"])))
    load_state(model, state, source=str(path))
    return model.eval()


def read_published(path: Path) -> tuple[BAMMConfig, dict[str, Tensor]]:
    """Config and weights of a published folder, under our keys; the statistics are there if the tokeniser has them."""
    run = _only_run(path)
    dataset, said = run.parent.name, read_options(run / "opt.txt")
    networks = path / "checkpoints" / dataset
    options, state = read_networks({network: find_folder(networks, network) for network in ("rvq", "residual")})
    state |= our_transformer(read_weights(run / "model" / FILE, *TABLES))
    residual = residual_options(options)
    transformer = token_model_options(said) | {"body": said.get("trans", "official")}
    transformer |= {name: residual[name] for name in ("codes", "code_width")}
    if dataset == "kit":
        transformer["guidance_scale"] = KIT_GUIDANCE
    ours = {"rvq": rvq_options(options["rvq"], path), "transformer": transformer, "residual": residual}
    return validate(BAMMConfig, ours, source=str(path)), state


def our_transformer(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The transformer's published state dict under our keys."""
    return {f"transformer.{key}": v for key, v in published.items() if not key.startswith(WITHOUT_COUNTERPART)}


def _only_run(path: Path) -> Path:
    runs = sorted(file.parents[1] for file in path.glob(f"log/t2m/*/*/model/{FILE}"))
    if len(runs) != 1:
        named = f" ({', '.join(run.name for run in runs)}): leave one of them" if runs else ""
        raise InputError(f"{path} holds {len(runs)} transformers log/t2m/DATASET/RUN/model/{FILE}{named}")
    return runs[0]
