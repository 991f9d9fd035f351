"""Published MoMask checkpoints: the folder, its options, its keys, its statistics."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from atm.base.errors import InputError
from atm.generators.momask.config import MoMaskConfig
from atm.generators.momask.model import MoMask
from atm.generators.momask.presets import momask_humanml3d, momask_kit
from atm.generators.momask.weights import from_published, our_key, our_state, read_published
from atm.models import load_generator, save_generator
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

KEYS = Path(__file__).parents[1] / "golden" / "keys"
FEATURES, TEXT = 263, 8

RVQ_OPTIONS = {
    "name": "rvq_small",
    "dataset_name": "t2m",
    "width": 8,
    "depth": 1,
    "dilation_growth_rate": 3,
    "down_t": 2,
    "stride_t": 2,
    "nb_code": 6,
    "code_dim": 4,
    "num_quantizers": 3,
    "quantize_dropout_prob": 0.2,
    "mu": 0.99,
    "vq_act": "relu",
    "vq_norm": None,
    "shared_codebook": False,
    "weight_decay": 1e-05,
}
TOKEN_OPTIONS = {
    "vq_name": "rvq_small",
    "latent_dim": 8,
    "n_layers": 1,
    "n_heads": 2,
    "ff_size": 16,
    "dropout": 0.2,
    "cond_drop_prob": 0.1,
    "share_weight": True,
}
TRUNK = {"width": 8, "layers": 1, "heads": 2, "feed_forward": 16}
SMALL = momask_humanml3d().model_copy(
    update={
        "rvq": momask_humanml3d().rvq.model_copy(
            update={"width": 8, "depth": 1, "levels": 3, "codes": 6, "code_width": 4}
        ),
        **{
            name: part.model_copy(
                update={"trunk": part.trunk.model_copy(update=TRUNK), "codes": 6, "code_width": 4} | changes
            )
            for name, part, changes in (
                ("mask", momask_humanml3d().mask, {}),
                ("residual", momask_humanml3d().residual, {"levels": 3, "condition_dropout": 0.1}),
            )
        },
    }
)


def encoder() -> FakeTextEncoder:
    return FakeTextEncoder(TEXT, "clip_b32_77")


def small_model() -> MoMask:
    torch.manual_seed(0)
    return MoMask(SMALL, encoder(), Normaliser.identity(FEATURES))


def published_tables(model: MoMask) -> dict[str, dict[str, torch.Tensor]]:
    """The model's weights under the published keys, with what published files hold beside them."""
    tables: dict[str, dict[str, torch.Tensor]] = {"rvq": {}, "mask": {}, "residual": {}, "length": {}}
    for key, value in model.state_dict().items():
        network, _, rest = key.partition(".")
        if network in tables and not rest.endswith(("code_sum", "code_count")):
            tables[network][rest.removeprefix("trunk.")] = value
    for network in ("mask", "residual"):
        tables[network]["position_enc.pe"] = torch.zeros(5000, 1, 8)
    tables["mask"]["clip_model.visual.proj"] = torch.zeros(2)
    return tables


def write(
    folder: Path,
    tables: dict[str, dict[str, torch.Tensor]],
    *,
    rvq_options: dict = RVQ_OPTIONS,
    token_options: dict = TOKEN_OPTIONS,
) -> Path:
    places = {
        "rvq": ("rvq_small", "net_best_fid.tar", "vq_model", rvq_options),
        "mask": ("t2m_small", "latest.tar", "t2m_transformer", token_options),
        "residual": ("tres_small", "net_best_fid.tar", "res_transformer", token_options),
        "length": ("length_estimator", "finest.tar", "estimator", None),
    }
    for network, (name, file, top, options) in places.items():
        if network not in tables:
            continue
        (folder / name / "model").mkdir(parents=True)
        torch.save({top: tables[network], "ep": 3}, folder / name / "model" / file)
        if options is not None:
            lines = [f"{key}: {value}" for key, value in options.items()]
            dashes = "------------ {} -------------"
            text = "\n".join([dashes.format("Options"), *lines, dashes.format("End")])
            (folder / name / "opt.txt").write_text(text + "\n")
    (folder / "rvq_small" / "meta").mkdir()
    np.save(folder / "rvq_small" / "meta" / "mean.npy", np.full(FEATURES, 3.0, np.float32))
    np.save(folder / "rvq_small" / "meta" / "std.npy", np.full(FEATURES, 0.25, np.float32))
    return folder


@pytest.mark.parametrize(
    ("network", "table", "config"),
    [
        ("rvq", "rvq", momask_humanml3d()),
        ("rvq", "rvq_kit", momask_kit()),
        ("mask", "mask_transformer", momask_humanml3d()),
        ("residual", "res_transformer", momask_humanml3d()),
        (
            "residual",
            "res_transformer_noshare",
            MoMaskConfig(residual=momask_humanml3d().residual.model_copy(update={"share_weights": False})),
        ),
        ("length", "length_estimator", momask_humanml3d()),
    ],
)
def test_every_published_key_has_its_place_and_shape(network, table, config):
    """On the meta device, where tensors have shapes alone."""
    shapes = json.loads((KEYS / f"momask.{table}.keys.json").read_text())
    features = shapes["encoder.model.0.weight"][1] if network == "rvq" else FEATURES
    normaliser = Normaliser.identity(features)
    with torch.device("meta"):
        model = MoMask(config, FakeTextEncoder(512, "clip_b32_77"), normaliser)
        published = our_state(network, {key: torch.zeros(shape) for key, shape in shapes.items()})
    own = {key: value for key, value in model.state_dict().items() if key.startswith(f"{network}.")}
    assert {key: value.shape for key, value in published.items()} == {key: value.shape for key, value in own.items()}


def test_a_published_folder_becomes_the_model_that_it_holds(tmp_path):
    model = small_model()
    loaded = from_published(write(tmp_path, published_tables(model)), text_encoder=encoder())
    assert loaded.config == SMALL
    assert not loaded.training
    for key, value in model.state_dict().items():
        if not key.startswith("normaliser.") and not key.endswith(("code_sum", "code_count")):
            torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=0)
    save_generator(tmp_path / "model.safetensors", loaded)
    again = load_generator(tmp_path, encoder())
    torch.testing.assert_close(again.state_dict(), loaded.state_dict(), rtol=0, atol=0)


def test_statistics_come_from_the_tokenisers_folder_and_not_from_the_data_set(tmp_path):
    """The published training scales some deviations by 25 where the data set's file has 5."""
    folder = write(tmp_path, published_tables(small_model()))
    loaded = from_published(folder, Normaliser.identity(FEATURES), encoder())
    torch.testing.assert_close(loaded.normaliser.mean, torch.full((FEATURES,), 3.0))
    torch.testing.assert_close(loaded.normaliser.std, torch.full((FEATURES,), 0.25))
    for file in (folder / "rvq_small" / "meta").iterdir():
        file.unlink()
    (folder / "rvq_small" / "meta").rmdir()
    own = Normaliser(torch.zeros(FEATURES), torch.full((FEATURES,), 7.0))
    torch.testing.assert_close(from_published(folder, own, encoder()).normaliser.std, own.std)
    with pytest.raises(InputError, match="no statistics beside its weights"):
        from_published(folder, text_encoder=encoder())


def test_training_goes_on_from_published_codes_and_does_not_replace_them(tmp_path):
    """No published file holds the averages behind the codes: they count as after one step."""
    book = from_published(
        write(tmp_path, published_tables(small_model())), text_encoder=encoder()
    ).rvq.quantizer.layers[0]
    before = book.codebook.clone()
    torch.testing.assert_close(book.code_sum, before)
    book.start(torch.full((9, 4), 100.0))
    torch.testing.assert_close(book.codebook, before, rtol=0, atol=0)


def test_without_a_length_estimator_lengths_must_be_given(tmp_path):
    tables = published_tables(small_model())
    del tables["length"]
    loaded = from_published(write(tmp_path, tables), text_encoder=encoder())
    assert loaded.config.length is None
    assert not loaded.capabilities.predicts_length


def test_old_files_call_their_tables_otherwise(tmp_path):
    tables = published_tables(small_model())
    folder = write(tmp_path, tables)
    torch.save({"net": tables["rvq"]}, folder / "rvq_small" / "model" / "net_best_fid.tar")
    torch.save({"trans": tables["mask"]}, folder / "t2m_small" / "model" / "latest.tar")
    (folder / "t2m_small" / "model" / "latest.tar").rename(folder / "t2m_small" / "model" / "net_best_fid.tar")
    assert from_published(folder, text_encoder=encoder()).config == SMALL


def test_kit_is_guided_by_two(tmp_path):
    folder = write(tmp_path, published_tables(small_model()), rvq_options=RVQ_OPTIONS | {"dataset_name": "kit"})
    assert read_published(folder)[0].mask.guidance_scale == 2.0


def test_the_released_options_are_the_presets(tmp_path):
    """An empty file takes the published defaults."""
    folder = write(tmp_path, published_tables(small_model()), rvq_options={}, token_options={})
    expected = momask_humanml3d()
    assert read_published(folder)[0] == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vq_act": "gelu"}, "activation 'gelu'"),
        ({"vq_norm": "BN"}, "normalisation 'BN'"),
        ({"shared_codebook": True}, "shared by all levels"),
        ({"nb_code": 0}, "codes"),
    ],
)
def test_a_tokeniser_of_another_kind_is_refused_by_name(tmp_path, options, words):
    folder = write(tmp_path, published_tables(small_model()), rvq_options=RVQ_OPTIONS | options)
    with pytest.raises(InputError, match=words):
        read_published(folder)


def test_a_token_model_of_another_tokeniser_is_refused(tmp_path):
    folder = write(tmp_path, published_tables(small_model()), token_options=TOKEN_OPTIONS | {"vq_name": "rvq_other"})
    with pytest.raises(InputError, match="trained on the tokeniser rvq_other, but the folder holds rvq_small"):
        read_published(folder)


def test_keys_that_do_not_fit_are_named(tmp_path):
    tables = published_tables(small_model())
    tables["mask"]["cond_emb.weights"] = tables["mask"].pop("cond_emb.weight")
    tables["rvq"]["quantizer.layers.1.codebook"] = torch.zeros(7, 4)
    with pytest.raises(InputError) as error:
        from_published(write(tmp_path, tables), text_encoder=encoder())
    assert "1 keys missing (mask.trunk.cond_emb.weight)" in str(error.value)
    assert "1 keys unknown (mask.trunk.cond_emb.weights)" in str(error.value)
    assert "rvq.quantizer.layers.1.codebook (7, 4) instead of (6, 4)" in str(error.value)


def test_the_key_map_is_a_prefix():
    assert our_key("rvq", "encoder.model.0.weight") == "rvq.encoder.model.0.weight"
    assert our_key("mask", "token_emb.weight") == "mask.token_emb.weight"
    assert our_key("mask", "cond_emb.weight") == "mask.trunk.cond_emb.weight"
    assert our_key("residual", "quant_emb.bias") == "residual.quant_emb.bias"
    assert our_key("residual", "output_process.dense.bias") == "residual.trunk.output_process.dense.bias"


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02junk"])
def test_a_random_file_is_said_to_be_unreadable(tmp_path, content):
    folder = write(tmp_path, published_tables(small_model()))
    (folder / "tres_small" / "model" / "net_best_fid.tar").write_bytes(content)
    with pytest.raises(InputError, match="cannot (be )?read"):
        read_published(folder)


def test_a_file_of_another_network_is_said_to_be_one(tmp_path):
    folder = write(tmp_path, published_tables(small_model()))
    torch.save({"estimator": {}}, folder / "tres_small" / "model" / "net_best_fid.tar")
    with pytest.raises(InputError, match="no table of weights called 'res_transformer'"):
        read_published(folder)


def test_what_is_missing_in_a_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no folder rvq_"):
        read_published(tmp_path)
    folder = write(tmp_path, published_tables(small_model()))
    (folder / "tres_small" / "model" / "net_best_fid.tar").unlink()
    with pytest.raises(InputError, match=r"expected net_best_fid\.tar"):
        read_published(folder)
    (folder / "t2m_small" / "opt.txt").unlink()
    with pytest.raises(InputError, match=r"opt\.txt"):
        read_published(folder)
    (folder / "rvq_other").mkdir()
    with pytest.raises(InputError, match=r"2 folders rvq_\.\.\. \(rvq_other, rvq_small\)"):
        read_published(folder)
