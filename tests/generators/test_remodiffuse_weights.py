"""Published ReMoDiffuse checkpoints: their exact keys, where things lie in a copy of their code, and bad files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atm.base.errors import InputError
from atm.generators.remodiffuse import weights
from atm.generators.remodiffuse.model import ReMoDiffuse
from atm.generators.remodiffuse.presets import remodiffuse_humanml3d, remodiffuse_kit
from atm.generators.remodiffuse.weights import from_published
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

KEYS = Path(__file__).parents[1] / "golden" / "keys" / "remodiffuse.keys.json"
SMALL = remodiffuse_humanml3d().model_copy(
    update={"width": 16, "feed_forward": 8, "layers": 1, "text_width": 8, "text_layers": 1, "retrieval_layers": 1}
)


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    """The published size takes seconds to write."""
    small = {width: known._replace(config=SMALL) for width, known in weights.PUBLISHED.items()}
    monkeypatch.setattr(weights, "PUBLISHED", small)


def encoder(width: int = 16) -> FakeTextEncoder:
    return FakeTextEncoder(width, "clip_b32_77_padded")


def small_state(features: int = 263) -> dict[str, Tensor]:
    model = ReMoDiffuse(SMALL, encoder(), Normaliser.identity(features))
    state = {f"model.{name}": torch.full_like(v, 0.5) for name, v in model.state_dict().items() if "norm" not in name}
    state |= {f"model.{name}": v for name, v in model.state_dict().items() if "norm" in name}
    del state["model.normaliser.mean"], state["model.normaliser.std"]
    return state | {"model.clip.logit_scale": torch.zeros(())}


def write(copy: Path, state: dict[str, Tensor], run: str = "remodiffuse_t2m", statistics: str = "human_ml3d") -> Path:
    features = state["model.out.bias"].shape[0]
    folder, data = copy / "logs" / "remodiffuse" / run, copy / "data" / "datasets" / statistics
    folder.mkdir(parents=True)
    data.mkdir(parents=True)
    np.save(data / "mean.npy", np.full(features, 3.0, np.float32))
    np.save(data / "std.npy", np.full(features, 2.0, np.float32))
    torch.save({"meta": {}, "state_dict": state, "optimizer": {}}, folder / "latest.pth")
    return folder


@pytest.mark.parametrize(
    ("name", "config", "features", "size"),
    [("humanml3d", remodiffuse_humanml3d(), 263, 46_966_791), ("kit", remodiffuse_kit(), 251, 46_948_347)],
)
def test_weights_carry_the_published_keys_and_shapes_beside_the_statistics(name, config, features, size):
    """Key map: ours with `model.` in front. The database itself is in neither."""
    normaliser = Normaliser.identity(features)
    with torch.device("meta"):
        state = ReMoDiffuse(config, encoder(512), normaliser).state_dict()
    shapes = {f"model.{key}": list(value.shape) for key, value in state.items()}
    expected = json.loads(KEYS.read_text())[name]
    assert shapes == expected | {"model.normaliser.mean": [features], "model.normaliser.std": [features]}
    assert sum(int(np.prod(shape)) for shape in expected.values()) == size


@pytest.mark.parametrize(
    ("features", "run", "statistics"),
    [(263, "remodiffuse_t2m", "human_ml3d"), (251, "remodiffuse_kit", "kit_ml")],
)
def test_a_published_folder_becomes_a_model_with_its_statistics(tmp_path, features, run, statistics):
    folder = write(tmp_path, small_state(features), run, statistics)
    for path in (folder, folder / "latest.pth"):
        model = from_published(path, text_encoder=encoder())
        assert (model.normaliser.mean == 3).all()
        assert (model.out.weight == 0.5).all()
        assert model.config.database is None
        assert not model.training


def test_the_database_of_the_copy_is_named_in_the_config(tmp_path):
    folder = write(tmp_path, small_state())
    file = tmp_path / "data" / "database" / "t2m_text_train.npz"
    file.parent.mkdir()
    file.touch()
    assert from_published(folder, text_encoder=encoder()).config.database == str(file)


def test_keys_that_do_not_fit_are_named(tmp_path):
    state = small_state()
    state["model.text_ln.gain"] = state.pop("model.text_ln.weight")
    state["model.joint_embed.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as error:
        from_published(write(tmp_path, state), text_encoder=encoder())
    assert "without 'model.'" in str(error.value)
    assert "1 keys missing (text_ln.weight)" in str(error.value)
    assert "1 keys unknown (text_ln.gain)" in str(error.value)
    assert "joint_embed.bias (3,) instead of (16,)" in str(error.value)


def test_a_file_of_something_else_is_said_to_be_so(tmp_path):
    file = tmp_path / "latest.pth"
    with pytest.raises(InputError, match="there is no file"):
        from_published(file)
    torch.save({"state_dict": {"model.out.bias": torch.zeros(7)}}, file)
    with pytest.raises(InputError, match="263 or 251 features, and gives 7"):
        from_published(file)
    torch.save({"state_dict": small_state()}, file)
    with pytest.raises(InputError, match="no statistics beside its weights"):
        from_published(file, text_encoder=encoder())
