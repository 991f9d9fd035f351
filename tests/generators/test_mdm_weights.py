"""Published checkpoints: their exact keys, their forms, and what happens to bad ones."""

import json

import pytest
import torch
from torch import Tensor

from atm.base.errors import InputError
from atm.generators.mdm.model import MDM
from atm.generators.mdm.presets import mdm_humanml3d, mdm_humanml3d_50, mdm_humanml3d_dip, mdm_humanml3d_distilbert
from atm.generators.mdm.weights import from_published, read_published
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

LAYER = {
    "self_attn.in_proj_weight": (1536, 512),
    "self_attn.in_proj_bias": (1536,),
    "self_attn.out_proj.weight": (512, 512),
    "self_attn.out_proj.bias": (512,),
    "linear1.weight": (1024, 512),
    "linear1.bias": (1024,),
    "linear2.weight": (512, 1024),
    "linear2.bias": (512,),
    "norm1.weight": (512,),
    "norm1.bias": (512,),
    "norm2.weight": (512,),
    "norm2.bias": (512,),
}
CROSS = {
    "multihead_attn.in_proj_weight": (1536, 512),
    "multihead_attn.in_proj_bias": (1536,),
    "multihead_attn.out_proj.weight": (512, 512),
    "multihead_attn.out_proj.bias": (512,),
    "norm3.weight": (512,),
    "norm3.bias": (512,),
}


def published_shapes(*, features: int = 263, decoder: bool = False, text_width: int = 512) -> dict[str, tuple]:
    """Keys and shapes of a published file, without position tables and text encoder."""
    trunk, layer = ("seqTransDecoder", LAYER | CROSS) if decoder else ("seqTransEncoder", LAYER)
    return {
        "input_process.poseEmbedding.weight": (512, features),
        "input_process.poseEmbedding.bias": (512,),
        "embed_timestep.time_embed.0.weight": (512, 512),
        "embed_timestep.time_embed.0.bias": (512,),
        "embed_timestep.time_embed.2.weight": (512, 512),
        "embed_timestep.time_embed.2.bias": (512,),
        "embed_text.weight": (512, text_width),
        "embed_text.bias": (512,),
        "output_process.poseFinal.weight": (features, 512),
        "output_process.poseFinal.bias": (features,),
        **{f"{trunk}.layers.{i}.{name}": shape for i in range(8) for name, shape in layer.items()},
    }


SMALL = {"arch": "trans_enc", "latent_dim": 16, "layers": 1}
"""Options of a checkpoint that is quick to write; its feed-forward width is the published 1024."""


def small_state(value: float = 0.5) -> dict[str, Tensor]:
    model = MDM(
        mdm_humanml3d().model_copy(update={"width": 16, "layers": 1}), FakeTextEncoder(8, "clip_b32_22"), identity()
    )
    state = {name: torch.full_like(v, value) for name, v in model.state_dict().items() if "normaliser" not in name}
    return state | {
        "sequence_pos_encoder.pe": torch.zeros(7, 1, 16),
        "embed_timestep.sequence_pos_encoder.pe": torch.zeros(7, 1, 16),
        "clip_model.logit_scale": torch.zeros(()),
    }


def identity() -> Normaliser:
    return Normaliser.identity(263)


def write(folder, options: dict, content, name: str = "model000000100.pt"):
    (folder / "args.json").write_text(json.dumps(options))
    torch.save(content, folder / name)
    return folder


@pytest.mark.parametrize(
    ("config", "shapes"),
    [
        (mdm_humanml3d(), published_shapes()),
        (mdm_humanml3d_distilbert(), published_shapes(decoder=True, text_width=768)),
    ],
)
def test_weights_carry_the_published_keys_and_shapes_beside_the_statistics(config, shapes):
    encoder = FakeTextEncoder(768 if config.condition == "tokens" else 512, config.text_encoder)
    model = MDM(config, encoder, identity())
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert own == shapes | {"normaliser.mean": (263,), "normaliser.std": (263,)}


@pytest.mark.parametrize(("features", "count"), [(263, 17_880_327), (251, 17_868_027)])
def test_the_published_model_has_the_published_size(features, count):
    model = MDM(mdm_humanml3d(), FakeTextEncoder(512, "clip_b32_22"), Normaliser.identity(features))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_a_published_folder_becomes_a_model_with_its_last_weights(tmp_path):
    write(tmp_path, SMALL, small_state(0.1), "model000000050.pt")
    write(tmp_path, SMALL, small_state(0.2), "model000000100.pt")
    model = from_published(tmp_path, identity(), FakeTextEncoder(8, "clip_b32_22"))
    torch.testing.assert_close(model.embed_text.bias.detach(), torch.full((16,), 0.2))
    earlier = from_published(tmp_path / "model000000050.pt", identity(), FakeTextEncoder(8, "clip_b32_22"))
    torch.testing.assert_close(earlier.embed_text.bias.detach(), torch.full((16,), 0.1))


@pytest.mark.parametrize(("use_ema", "value"), [(True, 0.9), (False, 0.1)])
def test_of_a_model_and_its_average_the_options_choose(tmp_path, use_ema, value):
    content = {"model": small_state(0.1), "model_avg": small_state(0.9)}
    write(tmp_path, SMALL | {"use_ema": use_ema}, content)
    model = from_published(tmp_path, identity(), FakeTextEncoder(8, "clip_b32_22"))
    torch.testing.assert_close(model.embed_text.bias.detach(), torch.full((16,), value))


def test_options_become_the_preset_that_they_describe(tmp_path):
    """Old files lack the later options and have `cond_mode`."""
    old = {"arch": "trans_enc", "cond_mode": "text", "dataset": "humanml", "diffusion_steps": 1000}
    assert read_published(write(tmp_path, old, small_state()))[0] == mdm_humanml3d()
    fifty = {"diffusion_steps": 50, "mask_frames": True, "text_encoder_type": "clip", "unconstrained": False}
    assert read_published(write(tmp_path, fifty, small_state()))[0] == mdm_humanml3d_50()
    bert = fifty | {"arch": "trans_dec", "text_encoder_type": "bert"}
    assert read_published(write(tmp_path, bert, small_state()))[0] == mdm_humanml3d_distilbert()
    dip = bert | {"diffusion_steps": 10, "context_len": 20, "pred_len": 40}
    assert read_published(write(tmp_path, dip, small_state()))[0] == mdm_humanml3d_dip()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"arch": "gru"}, "GRU"),
        ({"unconstrained": True}, "no text condition"),
        ({"multi_target_cond": True}, "target locations"),
        ({"text_encoder_type": "t5"}, "'t5'"),
        ({"diffusion_steps": 0}, "diffusion_steps"),
    ],
)
def test_a_checkpoint_of_another_kind_of_model_is_refused_by_name(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        read_published(write(tmp_path, options, small_state()))


def test_keys_that_do_not_fit_are_named(tmp_path):
    state = small_state()
    state["embed_text.weights"] = state.pop("embed_text.weight")
    with pytest.raises(InputError) as error:
        from_published(write(tmp_path, SMALL, state), identity(), FakeTextEncoder(8, "clip_b32_22"))
    assert "1 keys missing (embed_text.weight)" in str(error.value)
    assert "1 keys unknown (embed_text.weights)" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02junk"])
def test_a_random_checkpoint_is_said_to_be_unreadable(tmp_path, content):
    (tmp_path / "args.json").write_text("{}")
    (tmp_path / "model000000100.pt").write_bytes(content)
    with pytest.raises(InputError, match="cannot (be )?read"):
        read_published(tmp_path)


def test_a_truncated_checkpoint_is_said_to_be_unreadable(tmp_path):
    write(tmp_path, SMALL, small_state())
    file = tmp_path / "model000000100.pt"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot read"):
        read_published(tmp_path)


def test_a_folder_without_options_or_weights_is_said(tmp_path):
    with pytest.raises(InputError, match=r"args\.json"):
        read_published(tmp_path)
    (tmp_path / "args.json").write_text("{}")
    with pytest.raises(InputError, match="no MDM weights"):
        read_published(tmp_path)
