"""Published MotionDiffuse checkpoints: their exact keys, their folder, and what happens to bad ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atm.base.errors import InputError
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.motiondiffuse.presets import motiondiffuse_humanml3d, motiondiffuse_kit
from atm.generators.motiondiffuse.weights import from_published, read_published
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

KEYS = Path(__file__).parents[1] / "golden" / "keys" / "motiondiffuse.keys.json"
OPTIONS = {"latent_dim": 16, "ff_size": 8, "num_layers": 1, "text_latent_dim": 8, "no_eff": False}
"""Of a checkpoint that is quick to write."""


def encoder(width: int = 12) -> FakeTextEncoder:
    return FakeTextEncoder(width, "clip_b32_77_padded")


def small_state() -> dict[str, Tensor]:
    sizes = {"width": 16, "feed_forward": 8, "layers": 1, "text_width": 8}
    model = MotionDiffuse(motiondiffuse_humanml3d().model_copy(update=sizes), encoder(), Normaliser.identity(263))
    state = {name: torch.full_like(v, 0.5) for name, v in model.state_dict().items() if "normaliser" not in name}
    return state | {"clip.logit_scale": torch.zeros(()), "clip.visual.proj": torch.zeros(3, 3)}


def write(folder: Path, state: dict[str, Tensor], **options) -> Path:
    lines = [f"{key}: {value}" for key, value in (OPTIONS | options).items()]
    rule = "-" * 12
    (folder / "opt.txt").write_text("\n".join([f"{rule} Options {rule}", *lines, f"{rule} End {rule}"]))
    for name in ("meta", "model"):
        (folder / name).mkdir()
    np.save(folder / "meta" / "mean.npy", np.full(263, 3.0, np.float32))
    np.save(folder / "meta" / "std.npy", np.full(263, 2.0, np.float32))
    torch.save({"encoder": state, "opt_encoder": {}, "ep": 49, "total_it": 7}, folder / "model" / "latest.tar")
    return folder


@pytest.mark.parametrize(
    ("name", "config", "features", "size"),
    [
        ("humanml3d", motiondiffuse_humanml3d(), 263, 87_152_135),
        ("kit", motiondiffuse_kit(), 251, 87_139_835),
    ],
)
def test_weights_carry_the_published_keys_and_shapes_beside_the_statistics(name, config, features, size):
    normaliser = Normaliser.identity(features)
    with torch.device("meta"):
        state = MotionDiffuse(config, encoder(512), normaliser).state_dict()
    shapes = {key: list(value.shape) for key, value in state.items()}
    expected = json.loads(KEYS.read_text())[name]
    assert shapes == expected | {"normaliser.mean": [features], "normaliser.std": [features]}
    assert sum(int(np.prod(shape)) for shape in expected.values()) == size


def test_a_published_folder_becomes_a_model_with_its_own_statistics(tmp_path):
    """Traps: the statistics are those of meta/, taken as they are; the CLIP inside the file is left out."""
    folder = write(tmp_path, small_state())
    for path in (folder, folder / "model" / "latest.tar"):
        model = from_published(path, text_encoder=encoder())
        assert (model.normaliser.std == 2).all()
        assert (model.normaliser.mean == 3).all()
        assert (model.out.weight == 0.5).all()
        assert not model.training


def test_options_become_the_preset_that_they_describe(tmp_path):
    sizes = {"latent_dim": 512, "ff_size": 1024, "num_layers": 8, "text_latent_dim": 256}
    config, _ = read_published(write(tmp_path, small_state(), **sizes))
    assert config == motiondiffuse_humanml3d()


def test_the_ordinary_attention_is_told_by_the_options(tmp_path):
    config, _ = read_published(write(tmp_path, small_state(), no_eff=True))
    assert config.attention == "softmax"


def test_keys_that_do_not_fit_are_named(tmp_path):
    state = small_state()
    state["text_ln.gain"] = state.pop("text_ln.weight")
    state["joint_embed.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as error:
        from_published(write(tmp_path, state), text_encoder=encoder())
    assert "1 keys missing (text_ln.weight)" in str(error.value)
    assert "1 keys unknown (text_ln.gain)" in str(error.value)
    assert "joint_embed.bias (3,) instead of (16,)" in str(error.value)


def test_a_folder_of_something_else_is_said_to_be_so(tmp_path):
    with pytest.raises(InputError, match="opt.txt"):
        from_published(tmp_path)
    write(tmp_path, small_state())
    (tmp_path / "meta" / "std.npy").unlink()
    with pytest.raises(InputError, match="std.npy"):
        from_published(tmp_path)
    (tmp_path / "meta" / "mean.npy").unlink()
    (tmp_path / "meta").rmdir()
    with pytest.raises(InputError, match="no statistics beside its weights"):
        from_published(tmp_path)
    file = tmp_path / "model" / "latest.tar"
    torch.save({"model": {}}, file)
    with pytest.raises(InputError, match="'encoder'"):
        read_published(tmp_path)
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot read"):
        read_published(tmp_path)
