"""Tiny published checkpoints, laid out on disk as their readers have them, with the widths of the real texts."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from atm.base.config import Config, validate
from atm.evaluation.evaluator import Evaluator, EvaluatorConfig
from atm.evaluation.words import SPECIAL
from atm.generators.bamm.presets import bamm_humanml3d
from atm.generators.mdm.presets import mdm_humanml3d
from atm.generators.mld.presets import mld_humanml3d
from atm.generators.momask.presets import momask_humanml3d
from atm.generators.motiondiffuse.presets import motiondiffuse_humanml3d
from atm.generators.remodiffuse.presets import remodiffuse_humanml3d
from atm.models import build_generator
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig
from atm.text import DeferredTextEncoder

TRUNK = {"width": 8, "layers": 1, "heads": 2, "feed_forward": 16}
CODES = {"codes": 6, "code_width": 4}
REMODIFFUSE = remodiffuse_humanml3d().model_copy(
    update={
        "width": 16, "feed_forward": 8, "layers": 1, "text_width": 8, "text_feed_forward": 8, "text_layers": 1,
        "retrieval_layers": 1, "sampling_sections": (1, 1, 1, 1, 1),
    }
)  # fmt: skip
"""Its checkpoints say nothing of their sizes: a test that imports one puts this in the place of the published."""


class Written(NamedTuple):
    """A checkpoint on disk."""

    path: Path
    """What is given to `atm import`."""
    model: nn.Module
    """Whose weights these are."""
    options: Mapping[str, Path] = MappingProxyType({})
    """What must be given besides."""


def statistics(folder: Path, features: int, names: tuple[str, str] = ("mean.npy", "std.npy")) -> Path:
    """Two files of statistics."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, row in zip(names, (rng.normal(size=features), rng.random(features) + 0.5), strict=True):
        np.save(folder / name, row.astype(np.float32))
    return folder


def mdm(root: Path, features: int = 263) -> Written:
    model = _made(mdm_humanml3d(), {"width": 16, "heads": 4, "layers": 1, "diffusion_steps": 6}, features)
    folder = root / "save" / "tiny"
    folder.mkdir(parents=True)
    options = {"arch": "trans_enc", "latent_dim": 16, "layers": 1, "diffusion_steps": 6, "text_encoder_type": "clip"}
    (folder / "args.json").write_text(json.dumps(options))
    tables = {"sequence_pos_encoder.pe": torch.zeros(5000, 1, 16), "clip_model.logit_scale": torch.zeros(())}
    torch.save(_weights(model) | tables, folder / "model000000100.pt")
    return Written(folder, model, {"stats": statistics(root / "data", features, ("Mean.npy", "Std.npy"))})


def mld(root: Path, features: int = 263) -> Written:
    sizes = {"width": 8, "feed_forward": 12, "layers": 3}
    autoencoder = mld_humanml3d().autoencoder.model_copy(update=sizes)
    model = _made(mld_humanml3d(), sizes | {"autoencoder": autoencoder}, features)
    root.mkdir(parents=True)
    path = root / "1222_mld_humanml3d_FID041.ckpt"
    others = {"t2m_textencoder.hidden": torch.zeros(2, 1, 3), "text_encoder.logit_scale": torch.zeros(())}
    torch.save({"epoch": 1222, "state_dict": _weights(model) | others}, path)
    return Written(path, model, {"stats": statistics(root / "data", features, ("Mean.npy", "Std.npy"))})


def motiondiffuse(root: Path, features: int = 263) -> Written:
    sizes = {"width": 16, "feed_forward": 8, "layers": 1, "text_width": 8, "diffusion_steps": 30}
    model = _made(motiondiffuse_humanml3d(), sizes, features)
    folder = root / "checkpoints" / "t2m" / "t2m_motiondiffuse"
    (folder / "model").mkdir(parents=True)
    statistics(folder / "meta", features)
    _write_options(
        folder, latent_dim=16, ff_size=8, num_layers=1, text_latent_dim=8, diffusion_steps=30, no_eff=False, num_heads=8
    )
    weights = _weights(model) | {"clip.visual.proj": torch.zeros(3, 3)}
    torch.save({"encoder": weights, "opt_encoder": {}, "ep": 49, "total_it": 7}, folder / "model" / "latest.tar")
    return Written(folder, model)


def remodiffuse(root: Path, features: int = 263) -> Written:
    model = _made(REMODIFFUSE, {}, features)
    folder = root / "logs" / "remodiffuse" / "remodiffuse_t2m"
    folder.mkdir(parents=True)
    statistics(root / "data" / "datasets" / "human_ml3d", features)
    database = root / "data" / "database" / "t2m_text_train.npz"
    database.parent.mkdir()
    arrays = {"motions": (4, 196, features), "text_features": (4, 512), "clip_seq_features": (4, 77, 512)}
    rng = np.random.default_rng(0)
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in arrays.items()}
    np.savez(database, m_lengths=np.array([40, 60, 80, 100]), captions=np.array(list("abcd")), **found)
    weights = {f"model.{key}": value for key, value in _weights(model).items()}
    torch.save({"meta": {"seed": 0}, "state_dict": weights, "optimizer": {}}, folder / "latest.pth")
    return Written(folder, model)


def momask(root: Path, features: int = 263) -> Written:
    model = _made(momask_humanml3d(), _token_models(mask=momask_humanml3d().mask), features)
    folder = root / "checkpoints" / "t2m"
    _write_networks(folder, model, features)
    network = folder / "t2m_tiny"
    _write_options(network, **_TOKEN_OPTIONS)
    torch.save({"t2m_transformer": _published(model, "mask"), "ep": 3}, _model_folder(network) / "latest.tar")
    network = _model_folder(folder / "length_estimator")
    torch.save({"estimator": _published(model, "length"), "epoch": 3}, network / "finest.tar")
    return Written(folder, model)


def bamm(root: Path, features: int = 263) -> Written:
    model = _made(bamm_humanml3d(), _token_models(transformer=bamm_humanml3d().transformer), features)
    _write_networks(root / "checkpoints" / "t2m", model, features)
    run = root / "log" / "t2m" / "t2m" / "2024-02-14_tiny"
    _write_options(run, trans="official", **_TOKEN_OPTIONS)
    weights = {key.removeprefix("transformer."): v for key, v in _weights(model).items() if key.startswith("transf")}
    torch.save({"t2m_transformer": weights, "ep": 3}, _model_folder(run) / "latest.tar")
    return Written(root, model)


def tmr(root: Path, features: int = 263, data: str = "humanml3d") -> Written:
    config = SpaceConfig(width=16, feed_forward=32, layers=1, decoder_layers=1)
    torch.manual_seed(0)
    space = Space(config, DeferredTextEncoder(config.text_encoder), Normaliser.identity(features))
    folder, stats = root / "models" / f"tmr_{data}_guoh3dfeats", root / "stats" / data / "guoh3dfeats"
    (folder / "last_weights").mkdir(parents=True)
    stats.mkdir(parents=True)
    for part in ("motion_encoder", "text_encoder", "motion_decoder"):
        torch.save(getattr(space, part).state_dict(), folder / "last_weights" / f"{part}.pt")
    torch.save(torch.zeros(features), stats / "mean.pt")
    torch.save(torch.ones(features), stats / "std.pt")
    return Written(folder, space)


def evaluator(root: Path, features: int = 263) -> Written:
    sizes = {"movement_width": 8, "motion_width": 8, "text_width": 8, "word_width": 6, "embedding": 5}
    words = (*SPECIAL, "walk")
    torch.manual_seed(0)
    model = Evaluator(EvaluatorConfig(features=features, vocabulary=words, **sizes), Normaliser.identity(features))
    folder, glove = root / "t2m", root / "glove"
    networks = {
        name: getattr(model, name).state_dict() for name in ("movement_encoder", "motion_encoder", "text_encoder")
    }
    torch.save(networks | {"epoch": 3}, _model_folder(folder / "text_mot_match") / "finest.tar")
    statistics(folder / "Comp_v6_KLD01" / "meta", features)
    glove.mkdir()
    np.save(glove / "our_vab_data.npy", model.words.weight.detach().numpy())
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(list(words)))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({word: row for row, word in enumerate(words)}))
    return Written(folder, model)


WRITERS: dict[str, Callable[..., Written]] = {
    "mdm": mdm, "mld": mld, "motiondiffuse": motiondiffuse, "remodiffuse": remodiffuse, "momask": momask,
    "bamm": bamm, "tmr": tmr, "evaluator": evaluator,
}  # fmt: skip

_TOKEN_OPTIONS = {
    "vq_name": "rvq_tiny", "latent_dim": 8, "n_layers": 1, "n_heads": 2, "ff_size": 16, "dropout": 0.2,
    "cond_drop_prob": 0.1,
}  # fmt: skip


def _made(config: Config, changes: dict, features: int) -> nn.Module:
    torch.manual_seed(0)
    config = validate(type(config), config.model_copy(update=changes).model_dump(), source="a test")
    return build_generator(config, DeferredTextEncoder(config.text_encoder), Normaliser.identity(features))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """All but the statistics, which no published table of weights holds."""
    return {key: value for key, value in model.state_dict().items() if not key.startswith("normaliser.")}


def _token_models(**first: Config) -> dict[str, Config]:
    """Tiny networks of MoMask or BAMM; `first` is the one that makes the first level."""
    like = momask_humanml3d()
    rvq = like.rvq.model_copy(update=CODES | {"width": 8, "depth": 1, "levels": 3})
    residual = like.residual.model_copy(update=CODES | {"levels": 3, "condition_dropout": 0.1})
    return {
        "rvq": rvq,
        **{
            name: part.model_copy(update=CODES | {"trunk": like.mask.trunk.model_copy(update=TRUNK)})
            for name, part in {**first, "residual": residual}.items()
        },
    }


def _published(model: nn.Module, network: str) -> dict[str, Tensor]:
    """The weights of one network under their published keys, with the position table that published files hold."""
    kept = {key: value for key, value in _weights(model).items() if key.startswith(f"{network}.")}
    kept = {key: value for key, value in kept.items() if not key.endswith(("code_sum", "code_count"))}
    table = {key.removeprefix(f"{network}.").removeprefix("trunk."): value for key, value in kept.items()}
    return table | ({"position_enc.pe": torch.zeros(5000, 1, 8)} if network in ("mask", "residual") else {})


def _write_networks(folder: Path, model: nn.Module, features: int) -> None:
    """MoMask's tokeniser and residual transformer, which BAMM shares."""
    options = {
        "dataset_name": "t2m" if features == 263 else "kit", "nb_code": 6, "code_dim": 4, "width": 8, "depth": 1,
        "num_quantizers": 3, "vq_act": "relu", "vq_norm": None, "shared_codebook": False,
    }  # fmt: skip
    tokeniser, residual = folder / "rvq_tiny", folder / "tres_tiny"
    _write_options(tokeniser, **options)
    _write_options(residual, **_TOKEN_OPTIONS, share_weight=True)
    statistics(tokeniser / "meta", features)
    torch.save({"vq_model": _published(model, "rvq"), "ep": 3}, _model_folder(tokeniser) / "net_best_fid.tar")
    torch.save({"res_transformer": _published(model, "residual")}, _model_folder(residual) / "net_best_fid.tar")


def _model_folder(network: Path) -> Path:
    (network / "model").mkdir(parents=True)
    return network / "model"


def _write_options(folder: Path, **options) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rule = "-" * 12
    lines = [f"{key}: {value}" for key, value in options.items()]
    (folder / "opt.txt").write_text("\n".join([f"{rule} Options {rule}", *lines, f"{rule} End {rule}"]))
