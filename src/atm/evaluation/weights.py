"""Evaluators on disk: our own files, and the published ones."""

from pathlib import Path

import numpy as np
import torch

from atm.config import validate
from atm.errors import InputError
from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.words import read_glove
from atm.layers import Normaliser
from atm.storage import load_state, read_model, save_model

KIND = "evaluator"
NETWORKS = ("movement_encoder", "motion_encoder", "text_encoder")


def save_evaluator(path: Path, evaluator: Evaluator, *, half: bool = False) -> None:
    """Weights, statistics and vocabulary in one file. `half` stores weights as float16."""
    save_model(path, evaluator, evaluator.config, KIND, half=half)


def load_evaluator(path: Path) -> Evaluator:
    """An evaluator that `save_evaluator` wrote, ready to use.

    Raises:
        InputError: no such file, or one that holds something else.
    """
    stored = read_model(path)
    if stored.kind != KIND:
        raise InputError(f"expected an evaluator, but {path} holds a {stored.kind}; give the file of an evaluator run")
    config = validate(EvaluatorConfig, stored.config, source=str(path))
    evaluator = Evaluator(config, Normaliser.identity(config.features))
    load_state(evaluator, stored.state, source=str(path))
    return frozen(evaluator)


def import_published(checkpoint: Path, meta: Path, glove: Path) -> Evaluator:
    """The published evaluator.

    Args:
        checkpoint: `text_mot_match/model/finest.tar`.
        meta: the folder with the evaluator's own `mean.npy` and `std.npy` (`Comp_v6_KLD01/meta` or the like); these
            are not the statistics of the data set.
        glove: the folder with `our_vab_data.npy` and its two companions.

    Raises:
        InputError: a file is missing, or is not what the name says.
    """
    try:
        published = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(f"cannot read the checkpoint {checkpoint}: {str(error).splitlines()[0]}") from None
    absent = [name for name in NETWORKS if not isinstance(published, dict) or name not in published]
    if absent:
        raise InputError(f"{checkpoint} is no published evaluator (finest.tar): it has no {', '.join(absent)}")
    normaliser = _read_meta(meta)
    vocabulary, vectors = read_glove(glove)
    config = EvaluatorConfig(
        features=len(normaliser.mean), word_width=vectors.shape[1], vocabulary=vocabulary, train_words=False
    )
    evaluator = Evaluator(config, normaliser)
    for name in NETWORKS:
        load_state(getattr(evaluator, name), published[name], source=f"{checkpoint} ({name})")
    load_state(evaluator.words, {"weight": torch.from_numpy(vectors)}, source=str(glove))
    return frozen(evaluator)


def frozen(evaluator: Evaluator) -> Evaluator:
    """Without dropout and without gradients."""
    return evaluator.eval().requires_grad_(False)


def _read_meta(folder: Path) -> Normaliser:
    try:
        mean, std = (torch.from_numpy(np.load(folder / name).astype(np.float32)) for name in ("mean.npy", "std.npy"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the evaluator's mean.npy and std.npy from {folder}: {error}") from None
    if mean.ndim != 1 or mean.shape != std.shape:
        raise InputError(f"mean.npy {tuple(mean.shape)} and std.npy {tuple(std.shape)} of {folder} must be equal rows")
    return Normaliser(mean, std)
