"""Published BAMM checkpoints: the folder, its options, its keys. What they share with MoMask's is tested there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.generators.bamm.model import BAMM
from atm.generators.bamm.presets import bamm_humanml3d
from atm.generators.bamm.weights import from_published, our_transformer, read_published
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

KEYS = Path(__file__).parents[1] / "golden" / "keys"
FEATURES = 263
RVQ_OPTIONS = {"width": 8, "depth": 1, "nb_code": 6, "code_dim": 4, "num_quantizers": 3, "vq_act": "relu"}
TOKEN_OPTIONS = {"vq_name": "rvq_tiny", "latent_dim": 8, "n_layers": 1, "n_heads": 2, "ff_size": 16}
PUBLISHED = bamm_humanml3d()
TOKENS = {
    "trunk": PUBLISHED.transformer.trunk.model_copy(
        update={"width": 8, "layers": 1, "heads": 2, "feed_forward": 16}
    ),
    "codes": 6,
    "code_width": 4,
}  # fmt: skip
SMALL = PUBLISHED.model_copy(
    update={
        "rvq": PUBLISHED.rvq.model_copy(
            update={"width": 8, "depth": 1, "codes": 6, "code_width": 4, "levels": 3}
        ),
        "transformer": PUBLISHED.transformer.model_copy(update=TOKENS),
        "residual": PUBLISHED.residual.model_copy(update=TOKENS | {"levels": 3}),
    }
)  # fmt: skip


def encoder(width: int = 8) -> FakeTextEncoder:
    return FakeTextEncoder(width, "clip_b32_77")


def small_model(body: str = "official") -> BAMM:
    torch.manual_seed(0)
    transformer = SMALL.transformer.model_copy(update={"body": body})
    return BAMM(SMALL.model_copy(update={"transformer": transformer}), encoder(), Normaliser.identity(FEATURES))


def write(folder: Path, model: BAMM, *, dataset: str = "t2m", **options) -> Path:
    networks = folder / "checkpoints" / dataset
    run = folder / "log" / "t2m" / dataset / "2024-02-14_run"
    places = {
        "rvq": (networks / "rvq_tiny", "net_best_fid.tar", "vq_model", RVQ_OPTIONS),
        "residual": (networks / "tres_tiny", "net_best_fid.tar", "res_transformer", TOKEN_OPTIONS),
        "transformer": (run, "latest.tar", "t2m_transformer", TOKEN_OPTIONS | options),
    }
    for network, (place, file, table, said) in places.items():
        (place / "model").mkdir(parents=True)
        own = {key: value for key, value in model.state_dict().items() if key.startswith(f"{network}.")}
        own = {key.removeprefix(f"{network}.").removeprefix("trunk."): value for key, value in own.items()}
        own = {key: value for key, value in own.items() if not key.endswith(("code_sum", "code_count"))}
        torch.save({table: own, "ep": 3}, place / "model" / file)
        lines = [f"{key}: {value}" for key, value in said.items()]
        (place / "opt.txt").write_text("\n".join(["--- Options ---", *lines, "--- End ---"]))
    meta = networks / "rvq_tiny" / "meta"
    meta.mkdir()
    np.save(meta / "mean.npy", np.full(FEATURES, 3.0, np.float32))
    np.save(meta / "std.npy", np.full(FEATURES, 0.25, np.float32))
    return folder


@pytest.mark.parametrize(("table", "body"), [("bamm.transformer", "official"), ("bamm.transformer_t2mgpt", "t2mgpt")])
def test_every_published_key_has_its_place_and_shape(table, body):
    """On the meta device, where tensors have shapes alone."""
    shapes = json.loads((KEYS / f"{table}.keys.json").read_text())
    transformer = PUBLISHED.transformer.model_copy(update={"body": body})
    normaliser = Normaliser.identity(FEATURES)
    with torch.device("meta"):
        model = BAMM(PUBLISHED.model_copy(update={"transformer": transformer}), encoder(512), normaliser)
        published = our_transformer({key: torch.zeros(shape) for key, shape in shapes.items()})
    own = {key: value for key, value in model.state_dict().items() if key.startswith("transformer.")}
    assert {key: value.shape for key, value in published.items()} == {key: value.shape for key, value in own.items()}


@pytest.mark.parametrize("body", ["official", "t2mgpt"])
def test_a_published_folder_becomes_the_model_that_it_holds(tmp_path, body):
    model = small_model(body)
    loaded = from_published(write(tmp_path, model, trans=body), text_encoder=encoder())
    assert loaded.config == model.config
    assert not loaded.training
    torch.testing.assert_close(loaded.normaliser.std, torch.full((FEATURES,), 0.25))
    for key, value in model.state_dict().items():
        if not key.startswith("normaliser.") and not key.endswith(("code_sum", "code_count")):
            torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=0)


def test_kit_is_guided_by_two_and_then_by_three(tmp_path):
    transformer = read_published(write(tmp_path, small_model(), dataset="kit"))[0].transformer
    assert (transformer.guidance_scale, transformer.second_guidance_scale) == (2.0, 3.0)


def test_the_run_is_found_from_any_place_in_it_and_two_must_be_told_apart(tmp_path):
    folder = write(tmp_path, small_model())
    run = folder / "log" / "t2m" / "t2m" / "2024-02-14_run"
    for place in (folder, run, run / "model" / "latest.tar"):
        assert read_published(place)[0] == SMALL
    (run.parent / "other" / "model").mkdir(parents=True)
    (run.parent / "other" / "model" / "latest.tar").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds 2 transformers .* \(2024-02-14_run, other\)"):
        read_published(folder)
    assert read_published(run)[0] == SMALL
    with pytest.raises(InputError, match="holds 0 transformers"):
        read_published(tmp_path / "checkpoints")


def test_keys_that_do_not_fit_are_named(tmp_path):
    folder = write(tmp_path, small_model())
    file = folder / "log" / "t2m" / "t2m" / "2024-02-14_run" / "model" / "latest.tar"
    content = torch.load(file)
    content["t2m_transformer"]["cond_emb.weights"] = content["t2m_transformer"].pop("cond_emb.weight")
    content["t2m_transformer"]["token_emb.weight"] = torch.zeros(8, 4)
    torch.save(content, file)
    with pytest.raises(InputError) as error:
        from_published(folder, text_encoder=encoder())
    assert "1 keys missing (transformer.cond_emb.weight)" in str(error.value)
    assert "1 keys unknown (transformer.cond_emb.weights)" in str(error.value)
    assert "transformer.token_emb.weight (8, 4) instead of (9, 4)" in str(error.value)


def test_a_body_that_is_not_published_is_refused(tmp_path):
    with pytest.raises(InputError, match="trans = 'mamba'|body = 'mamba'"):
        read_published(write(tmp_path, small_model(), trans="mamba"))


def test_a_transformer_of_another_tokeniser_is_refused(tmp_path):
    folder = write(tmp_path, small_model(), vq_name="rvq_other")
    with pytest.raises(InputError, match="trained on the tokeniser rvq_other, but the folder holds rvq_tiny"):
        read_published(folder)
