"""Evaluators on disk: our own files, and the published ones."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atm.base.config import validate
from atm.base.errors import InputError
from atm.base.storage import load_state, read_model, save_model
from atm.evaluation.evaluator import FEET, Evaluator, EvaluatorConfig
from atm.evaluation.presets import evaluator_humanml3d, evaluator_kit
from atm.evaluation.words import read_glove
from atm.motion.layers import Normaliser
from atm.published import (
    OWN_FILES,
    Release,
    check_statistics,
    features_of,
    is_table,
    own_statistics,
    read_pickle,
)

KIND = "evaluator"
NETWORKS = ("movement_encoder", "motion_encoder", "text_encoder")
PLACES = tuple(f"{above}finest.tar" for above in ("", "model/", "text_mot_match/model/", "*/text_mot_match/model/"))
"""Where a folder may have the checkpoint."""


def save_evaluator(path: Path, evaluator: Evaluator, *, half: bool = False) -> None:
    """Weights, statistics and vocabulary in one file. `half` stores weights as float16."""
    save_model(path, evaluator, evaluator.config, KIND, half=half)


def load_evaluator(path: Path) -> Evaluator:
    """Return an evaluator that `save_evaluator` wrote, ready to use.

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


def from_published(
    path: Path, normaliser: Normaliser | None = None, *, glove: Path | None = None, trust: bool = False
) -> Evaluator:
    """Return the published evaluator.

    Args:
        path: `text_mot_match/model/finest.tar`, or a folder above it: `text_mot_match`, `t2m`, `kit`.
        normaliser: None takes the evaluator's own, `Comp_v6_*/meta/` beside `text_mot_match`. These are not the
            statistics of the data set.
        glove: the folder with `our_vab_data.npy` and its two companions; None looks for `glove/` in the folders above.
        trust: see `atm.published.read_pickle`.

    Raises:
        InputError: a file is missing, or is not what the name says.
    """
    file = weight_files(path)[0]
    published = read_pickle(file, trust=trust)
    absent = [name for name in NETWORKS if not isinstance(published, dict) or not is_table(published.get(name))]
    if absent:
        raise InputError(f"{file} is no published evaluator (finest.tar): it has no {', '.join(absent)}")
    above, sizes = file.absolute().parents, _sizes(published)
    normaliser = normaliser or _beside(above[min(2, len(above) - 1)])
    normaliser = check_statistics(normaliser, sizes.get("features"), file, files=OWN_FILES)
    glove = glove or next((folder / "glove" for folder in above if (folder / "glove").is_dir()), None)
    if glove is None:
        raise InputError(
            f"there is no folder glove above {file}: give the one with our_vab_data.npy, which holds the vectors of "
            "the words that the evaluator reads (--glove DIR)"
        )
    vocabulary, vectors = read_glove(glove)
    sizes |= {"word_width": vectors.shape[1], "vocabulary": vocabulary, "train_words": False}
    config = validate(EvaluatorConfig, sizes, source=str(file))
    evaluator = Evaluator(config, normaliser)
    for name in NETWORKS:
        load_state(getattr(evaluator, name), published[name], source=f"{file} ({name})")
    load_state(evaluator.words, {"weight": torch.from_numpy(vectors)}, source=str(glove))
    return frozen(evaluator)


def weight_files(path: Path) -> list[Path]:
    """Return the file that is read: the one given, or the one in a folder above it.

    Raises:
        InputError: a folder with none, or with one for each of several data sets.
    """
    if not path.is_dir():
        return [path]
    found = [file for place in PLACES for file in sorted(path.glob(place))]
    if len(found) != 1:
        named = "no finest.tar" if not found else f"{len(found)} of them ({', '.join(map(str, found))})"
        raise InputError(f"{path} should hold text_mot_match/model/finest.tar of one evaluator, but holds {named}")
    return found


RELEASE = Release(
    read=from_published,
    weight_files=weight_files,
    statistics=own_statistics,
    files="t2m/text_mot_match/model/finest.tar or kit/... (with Comp_v6_*/meta/ beside it and glove/ above)",
    supports="HumanML3D (t2m) and KIT-ML (kit)",
    licence="MIT",
    signs=("movement_encoder",),
    presets=(evaluator_humanml3d, evaluator_kit),
    options=("glove",),
)


def frozen(evaluator: Evaluator) -> Evaluator:
    """Without dropout and without gradients."""
    return evaluator.eval().requires_grad_(False)


def _beside(folder: Path) -> Normaliser | None:
    """Return the statistics in the `Comp_v6_*` folders of a data set's checkpoints; None where there are none."""
    metas = sorted(meta for meta in folder.glob("Comp_v6_*/meta") if meta.is_dir())
    found = [own_statistics(meta) for meta in metas]
    if any(not torch.equal(one.std, found[0].std) or not torch.equal(one.mean, found[0].mean) for one in found):
        raise InputError(
            f"{folder} holds several statistics, and they differ: {', '.join(map(str, metas))}; give one with --stats"
        )
    return found[0] if found else None


def _sizes(published: dict[str, dict[str, Tensor]]) -> dict[str, Any]:
    """Return what the shapes tell of the config; keys that are not there are named when the weights are loaded."""
    movement, motion, text = (published[name] for name in NETWORKS)
    told = {
        "features": features_of(movement, "main.0.weight", 1),
        "movement_width": features_of(movement, "main.0.weight"),
        "motion_width": features_of(motion, "hidden", 2),
        "text_width": features_of(text, "hidden", 2),
        "embedding": features_of(motion, "output_net.3.weight"),
    }
    sizes = {name: size for name, size in told.items() if size}
    return sizes | ({"features": sizes["features"] + FEET} if "features" in sizes else {})
