"""Runs of stages that become one generator."""

from pathlib import Path

import pytest
import torch
from torch import nn

from atm.apps.assemble import assemble, assemble_run
from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.bamm.config import TransformerConfig
from atm.generators.bamm.stage import TransformerStage
from atm.generators.momask.config import LengthConfig, MaskConfig
from atm.generators.momask.stages import LengthStage, MaskStage
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.stages import LEARNED_FROM, ResidualStage, RVQStage
from atm.models import load_generator
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

FEATURES = 263
TRUNK = TrunkConfig(width=16, layers=1, heads=2, feed_forward=16)
RVQ = RVQConfig(width=16, depth=1, levels=3, codes=24, code_width=8)
TOKENS = {"trunk": TRUNK, "codes": 24, "code_width": 8, "text_encoder": "minilm", "max_frames": 24}
ENCODER = FakeTextEncoder(384, "minilm")


def tokeniser(seed: int = 0, config: RVQConfig = RVQ) -> RVQStage:
    torch.manual_seed(seed)
    return RVQStage(config, Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0)))


def stages(frozen: RVQStage) -> dict[str, nn.Module]:
    return {
        "rvq": frozen,
        "mask": MaskStage(MaskConfig(**TOKENS, tokeniser="runs/gone"), ENCODER, frozen),
        "transformer": TransformerStage(TransformerConfig(**TOKENS), ENCODER, frozen),
        "residual": ResidualStage(ResidualConfig(**TOKENS, levels=3), ENCODER, frozen),
        "length": LengthStage(LengthConfig(text_encoder="minilm", widths=(8, 8, 8), classes=7), ENCODER),
    }


def write(folder: Path, trained: dict[str, nn.Module]) -> dict[str, Path]:
    paths = {}
    for name, stage in trained.items():
        paths[name] = folder / name
        paths[name].mkdir(parents=True)
        save_model(paths[name] / "model.safetensors", stage, stage.config, "stage")
    return paths


@pytest.fixture
def trained() -> dict[str, nn.Module]:
    return stages(tokeniser())


@pytest.fixture
def runs(tmp_path, trained) -> dict[str, Path]:
    return write(tmp_path / "runs", trained)


@pytest.mark.parametrize(
    ("system", "names"),
    [
        ("momask", ("rvq", "mask", "residual", "length")),
        ("momask", ("residual", "rvq", "mask")),
        ("bamm", ("transformer", "rvq", "residual")),
    ],
)
def test_each_network_of_the_whole_is_that_of_its_run_in_any_order(trained, runs, system, names):
    model = assemble(system, [runs[name] for name in names], text_encoder=ENCODER)
    assert not model.training
    expected = {key: value for name in names for key, value in trained[name].state_dict().items()}
    expected.pop(LEARNED_FROM)
    torch.testing.assert_close(dict(model.state_dict()), expected, rtol=0, atol=0)
    for name in names:
        own = trained[name].config
        own = own.model_copy(update={"tokeniser": None}) if hasattr(own, "tokeniser") else own
        assert getattr(model.config, name) == own
    if system == "momask":
        assert (model.length is None) == ("length" not in names)


def test_the_run_folder_is_one_that_generates(tmp_path, runs):
    out = assemble_run("bamm", [runs["rvq"], runs["transformer"], runs["residual"]], tmp_path / "whole")
    model = load_generator(out, ENCODER)
    motion = model.sample(["a person walks"], torch.tensor([8]), seeds=[0])
    assert motion.features.shape == (1, 8, FEATURES)
    with pytest.raises(InputError, match="holds a run already"):
        assemble_run("bamm", [runs["rvq"]], out)


def test_a_whole_generator_brings_the_networks_that_no_run_brings(tmp_path, trained, runs):
    """BAMM on an assembled MoMask: all of that but its masked transformer."""
    whole = tmp_path / "momask.safetensors"
    model = assemble("momask", [runs["rvq"], runs["mask"], runs["residual"]], text_encoder=ENCODER)
    save_model(whole, model, model.config, "generator")
    bamm = assemble("bamm", [whole, runs["transformer"]], text_encoder=ENCODER)
    for name in ("rvq", "transformer", "residual"):
        own = {key: value for key, value in trained[name].state_dict().items() if key.startswith(f"{name}.")}
        torch.testing.assert_close({key: bamm.state_dict()[key] for key in own}, own, rtol=0, atol=0)


def test_a_stage_that_is_missing_or_there_twice_or_foreign_is_named(runs):
    with pytest.raises(InputError, match="there is none of momask_mask and none of momask_residual"):
        assemble("momask", [runs["rvq"], runs["length"]])
    with pytest.raises(InputError, match="both bring a momask_mask"):
        assemble("momask", [runs["rvq"], runs["mask"], runs["mask"], runs["residual"]])
    with pytest.raises(InputError, match=r"holds a momask_mask, but a bamm is put together from runs of momask_rvq,"):
        assemble("bamm", [runs["rvq"], runs["mask"]])
    with pytest.raises(InputError, match="mdm is not put together from runs; what is: bamm, momask"):
        assemble("mdm", [runs["rvq"]])


def test_tokens_of_another_tokeniser_are_refused(tmp_path, runs):
    """Of the same sizes, so that nothing but the codebooks tells."""
    other = write(tmp_path / "other", {"rvq": tokeniser(seed=1)})
    with pytest.raises(InputError, match=r"mask.* learned the tokens of another tokeniser than .*other"):
        assemble("momask", [other["rvq"], runs["mask"], runs["residual"]], text_encoder=ENCODER)


def test_networks_of_other_sizes_are_refused(tmp_path, runs):
    smaller = LengthStage(LengthConfig(text_encoder="minilm", widths=(8, 8, 8), frames_per_token=2), ENCODER)
    other = write(tmp_path / "other", {"length": smaller})
    with pytest.raises(InputError, match=r"must agree on frames_per_token, but have \[2, 4\]"):
        assemble("momask", [runs["rvq"], runs["mask"], runs["residual"], other["length"]], text_encoder=ENCODER)
