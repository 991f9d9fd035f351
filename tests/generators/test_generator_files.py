"""The table of generators, and their files."""

import pytest
import torch

from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.mdm.presets import mdm_small
from atm.models import GENERATORS, build_generator, find_spec, load_generator, save_generator
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

CONFIG = mdm_small().model_copy(
    update={"width": 16, "heads": 2, "layers": 1, "feed_forward": 8, "frame_width": 8, "text_encoder": "fake"}
)


def make():
    return build_generator(CONFIG, FakeTextEncoder(8), Normaliser(torch.randn(263), torch.rand(263) + 0.1))


def test_every_row_of_the_table_is_found_by_the_name_in_its_config():
    for name in GENERATORS:
        assert find_spec(name).config.model_fields["name"].default == name


def test_a_generator_comes_back_from_its_file_or_its_run_folder(tmp_path):
    model = make().eval()
    save_generator(tmp_path / "model.safetensors", model)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = load_generator(path, FakeTextEncoder(8))
        assert loaded.config == CONFIG
        assert not loaded.training
        torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_half_precision_halves_the_file_and_keeps_the_statistics(tmp_path):
    model = make()
    save_generator(tmp_path / "whole", model)
    save_generator(tmp_path / "half", model, half=True)
    assert (tmp_path / "half").stat().st_size < 0.6 * (tmp_path / "whole").stat().st_size
    loaded = load_generator(tmp_path / "half", FakeTextEncoder(8))
    torch.testing.assert_close(loaded.normaliser.std, model.normaliser.std, rtol=0, atol=0)
    torch.testing.assert_close(loaded.embed_text.weight, model.embed_text.weight, rtol=1e-3, atol=1e-4)


def test_a_model_of_another_kind_is_no_generator(tmp_path):
    save_model(tmp_path / "space", make(), CONFIG, "space")
    with pytest.raises(InputError, match=r"expected a generator.*'space'"):
        load_generator(tmp_path / "space", FakeTextEncoder(8))


def test_a_file_of_an_unknown_generator_is_answered_with_the_nearest_name(tmp_path):
    class Other(Config):
        name: str = "mdn"

    save_model(tmp_path / "m", make(), Other(), "generator")
    with pytest.raises(InputError, match="unknown model 'mdn': did you mean .*'mdm'"):
        load_generator(tmp_path / "m", FakeTextEncoder(8))


def test_weights_of_another_text_encoder_are_named(tmp_path):
    save_generator(tmp_path / "m", make())
    with pytest.raises(InputError, match=r"embed_text\.weight"):
        load_generator(tmp_path / "m", FakeTextEncoder(9))


def test_a_random_or_truncated_file_is_no_generator(tmp_path):
    save_generator(tmp_path / "m", make())
    content = (tmp_path / "m").read_bytes()
    for bad in (content[: len(content) // 2], b"\x00" * 100, b""):
        (tmp_path / "m").write_bytes(bad)
        with pytest.raises(InputError, match="cannot read the model file|is empty and cannot be read"):
            load_generator(tmp_path / "m", FakeTextEncoder(8))
