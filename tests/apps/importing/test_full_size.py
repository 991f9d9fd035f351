"""Checkpoints with the published keys, shapes and options are the published models, and differ from them in nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.apps.importing import import_published
from atm.generators.momask.weights import FOLDERS

KEYS = Path(__file__).parents[2] / "golden" / "keys"
BODY = {263: "HumanML3D, 22 joints, 20 fps", 251: "KIT-ML, 21 joints, 12.5 fps"}
TOKENISER = "rvq_nq6_dc512_nc512_noshare_qdp0.2"
TRANSFORMER = {
    "vq_name": TOKENISER, "latent_dim": 384, "n_layers": 8, "n_heads": 6, "ff_size": 1024, "dropout": 0.2,
}  # fmt: skip

pytestmark = pytest.mark.slow


def weights(name: str, *parts: str) -> dict[str, torch.Tensor]:
    """Zeros of the published shapes."""
    shapes = json.loads((KEYS / f"{name}.keys.json").read_text())
    for part in parts:
        shapes = shapes[part]
    return {key: torch.zeros(shape) for key, shape in shapes.items() if isinstance(shape, list)}


def save(content: dict, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, file)


def options(folder: Path, **said) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["------------ Options -------------", *(f"{key}: {value}" for key, value in said.items())]
    (folder / "opt.txt").write_text("\n".join([*lines, "-------------- End ----------------"]))


def statistics(folder: Path, features: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mean.npy", "std.npy"):
        np.save(folder / name, np.ones(features, np.float32))


def networks(folder: Path, features: int) -> None:
    """MoMask's tokeniser and residual transformer, as they are released."""
    tokeniser, residual = folder / TOKENISER, folder / "tres_nlayer8_ld384_ff1024_rvq6ns_cdp0.2_sw"
    table = weights("momask.rvq" if features == 263 else "momask.rvq_kit")
    save({"vq_model": table, "ep": 3}, tokeniser / "model" / "net_best_fid.tar")
    options(
        tokeniser, name=TOKENISER, dataset_name="t2m" if features == 263 else "kit", nb_code=512, code_dim=512,
        output_emb_width=512, down_t=2, stride_t=2, width=512, depth=3, dilation_growth_rate=3, vq_act="relu",
        vq_norm=None, num_quantizers=6, shared_codebook=False, quantize_dropout_prob=0.2, mu=0.99,
    )  # fmt: skip
    statistics(tokeniser / "meta", features)
    table = weights("momask.res_transformer")
    save({"res_transformer": table, "ep": 3}, residual / "model" / "net_best_fid.tar")
    options(residual, **TRANSFORMER, cond_drop_prob=0.2, share_weight=True)


def momask(root: Path, features: int) -> Path:
    networks(root, features)
    transformer = root / "t2m_nlayer8_nhead6_ld384_ff1024_cdp0.1_rvq6ns"
    save({"t2m_transformer": weights("momask.mask_transformer")}, transformer / "model" / "latest.tar")
    options(transformer, **TRANSFORMER, cond_drop_prob=0.1)
    save({"estimator": weights("momask.length_estimator")}, root / FOLDERS["length"] / "model" / "finest.tar")
    return root


def bamm(root: Path, features: int) -> Path:
    data = "t2m" if features == 263 else "kit"
    networks(root / "checkpoints" / data, features)
    run = root / "log" / "t2m" / data / "2024-02-14-14-27-29_8_GPT_officialTrans_2iterPrdictEnd"
    save({"t2m_transformer": weights("bamm.transformer")}, run / "model" / "latest.tar")
    options(run, **TRANSFORMER, cond_drop_prob=0.1, trans="official")
    return root


def motiondiffuse(root: Path, features: int) -> Path:
    table = weights("motiondiffuse", "humanml3d" if features == 263 else "kit")
    save({"encoder": table | {"clip.logit_scale": torch.zeros(())}, "ep": 49}, root / "model" / "latest.tar")
    statistics(root / "meta", features)
    options(root, latent_dim=512, ff_size=1024, num_layers=8, no_clip=False, no_eff=False, feat_bias=25)
    return root


def remodiffuse(root: Path, features: int) -> Path:
    table = weights("remodiffuse", "humanml3d" if features == 263 else "kit")
    run, data = ("remodiffuse_t2m", "human_ml3d") if features == 263 else ("remodiffuse_kit", "kit_ml")
    save({"meta": {}, "state_dict": table}, root / "logs" / "remodiffuse" / run / "latest.pth")
    statistics(root / "data" / "datasets" / data, features)
    return root / "logs" / "remodiffuse" / run


def tmr(root: Path, features: int) -> Path:
    folder = root / "models" / "tmr_humanml3d_guoh3dfeats"
    table = weights("tmr")
    for part in ("motion_encoder", "text_encoder", "motion_decoder"):
        inner = {key.removeprefix(f"{part}."): value for key, value in table.items() if key.startswith(f"{part}.")}
        save(inner, folder / "last_weights" / f"{part}.pt")
    for name in ("mean.pt", "std.pt"):
        save(torch.ones(features), root / "stats" / "humanml3d" / "guoh3dfeats" / name)
    return folder


@pytest.mark.parametrize(
    ("system", "write", "features", "preset"),
    [
        ("momask", momask, 263, "momask_humanml3d"),
        ("momask", momask, 251, "momask_kit"),
        ("bamm", bamm, 263, "bamm_humanml3d"),
        ("bamm", bamm, 251, "bamm_kit"),
        ("motiondiffuse", motiondiffuse, 263, "motiondiffuse_humanml3d"),
        ("motiondiffuse", motiondiffuse, 251, "motiondiffuse_kit"),
        ("remodiffuse", remodiffuse, 263, "remodiffuse_humanml3d"),
        ("remodiffuse", remodiffuse, 251, "remodiffuse_kit"),
        ("tmr", tmr, 263, "space_humanml3d"),
    ],
)
def test_a_checkpoint_just_as_published_is_the_preset(tmp_path, system, write, features, preset):
    source = write(tmp_path / "theirs", features)
    outcome = import_published(system, source, tmp_path / "run", show_progress=False)
    assert outcome.recognised == f"{preset} ({features} features per frame: {BODY[features]})"
