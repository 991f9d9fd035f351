"""Published checkpoints of MLD: their exact keys, their forms, and what happens to bad ones; and the way from stage one
to stage two."""

import math

import pytest
import torch
from torch import Tensor

from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.mld.config import MLDConfig
from atm.generators.mld.model import MLD
from atm.generators.mld.presets import mld_humanml3d, mld_humanml3d_frames, mld_kit, mld_small
from atm.generators.mld.stage import VAEStage
from atm.generators.mld.weights import begin, from_published, read_published, vae_from_published
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

LAYER = {
    "self_attn.in_proj_weight": (768, 256),
    "self_attn.in_proj_bias": (768,),
    "self_attn.out_proj.weight": (256, 256),
    "self_attn.out_proj.bias": (256,),
    "linear1.weight": (1024, 256),
    "linear1.bias": (1024,),
    "linear2.weight": (256, 1024),
    "linear2.bias": (256,),
    "norm1.weight": (256,),
    "norm1.bias": (256,),
    "norm2.weight": (256,),
    "norm2.bias": (256,),
}
CROSS = {
    "multihead_attn.in_proj_weight": (768, 256),
    "multihead_attn.in_proj_bias": (768,),
    "multihead_attn.out_proj.weight": (256, 256),
    "multihead_attn.out_proj.bias": (256,),
    "norm3.weight": (256,),
    "norm3.bias": (256,),
}


def linear(name: str, out: int, width: int) -> dict[str, tuple]:
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def trunk(name: str, layer: dict[str, tuple]) -> dict[str, tuple]:
    blocks = ["middle_block", *(f"{half}_blocks.{i}" for half in ("input", "output") for i in range(4))]
    merges = [linear(f"{name}.linear_blocks.{i}", 256, 512) for i in range(4)]
    return {
        f"{name}.norm.weight": (256,),
        f"{name}.norm.bias": (256,),
        **{f"{name}.{block}.{key}": shape for block in blocks for key, shape in layer.items()},
        **{key: shape for merge in merges for key, shape in merge.items()},
    }


def published_shapes(*, features: int = 263, tokens: int = 1) -> dict[str, tuple]:
    """Keys and shapes of a published file, without the evaluator's networks."""
    return {
        "vae.global_motion_token": (2 * tokens, 256),
        "vae.query_pos_encoder.pe": (500, 1, 256),
        "vae.query_pos_decoder.pe": (500, 1, 256),
        **trunk("vae.encoder", LAYER),
        **trunk("vae.decoder", LAYER | CROSS),
        **linear("vae.skel_embedding", 256, features),
        **linear("vae.final_layer", features, 256),
        **linear("denoiser.time_embedding.linear_1", 256, 768),
        **linear("denoiser.time_embedding.linear_2", 256, 256),
        **linear("denoiser.emb_proj.1", 256, 768),
        "denoiser.query_pos.pe": (500, 1, 256),
        "denoiser.mem_pos.pe": (500, 1, 256),
        **trunk("denoiser.encoder", LAYER),
    }


def published_shapes_without_vae() -> dict[str, tuple]:
    layers = {f"denoiser.decoder.layers.{i}.{key}": shape for i in range(9) for key, shape in (LAYER | CROSS).items()}
    return {
        **linear("denoiser.pose_embd", 256, 263),
        **linear("denoiser.pose_proj", 263, 256),
        **linear("denoiser.time_embedding.linear_1", 256, 768),
        **linear("denoiser.time_embedding.linear_2", 256, 256),
        **linear("denoiser.emb_proj.1", 256, 768),
        "denoiser.query_pos.pe": (500, 1, 256),
        "denoiser.mem_pos.pe": (500, 1, 256),
        **layers,
        "denoiser.decoder.norm.weight": (256,),
        "denoiser.decoder.norm.bias": (256,),
    }


EVALUATOR = {f"t2m_{part}encoder.hidden": torch.zeros(2, 1, 3) for part in ("text", "move", "motion")}


def with_tokens(config: MLDConfig, tokens: int) -> MLDConfig:
    autoencoder = config.autoencoder.model_copy(update={"latent_tokens": tokens})
    return config.model_copy(update={"autoencoder": autoencoder})


def identity(features: int = 263) -> Normaliser:
    return Normaliser.identity(features)


def tiny() -> MLDConfig:
    sizes = {"width": 8, "feed_forward": 12, "layers": 3}
    autoencoder = mld_humanml3d().autoencoder.model_copy(update=sizes | {"latent_tokens": 2})
    return mld_humanml3d().model_copy(update=sizes | {"autoencoder": autoencoder})


def tiny_state(value: float = 0.5) -> dict[str, Tensor]:
    model = MLD(tiny(), FakeTextEncoder(16, "clip_l14_77"), identity())
    return {name: torch.full_like(v, value) for name, v in model.state_dict().items() if "normaliser" not in name}


def write(folder, state: dict[str, Tensor]):
    file = folder / "1222_mld_humanml3d_FID041.ckpt"
    torch.save({"epoch": 1222, "state_dict": state}, file)
    return file


@pytest.mark.parametrize(
    ("config", "features", "tokens", "count"),
    [
        (mld_humanml3d(), 263, 1, 26_381_319),
        (with_tokens(mld_humanml3d(), 7), 263, 7, 26_384_391),
        (mld_kit(), 251, 1, 26_375_163),
    ],
)
def test_weights_carry_the_published_keys_and_shapes_and_are_as_many(config, features, tokens, count):
    model = MLD(config, FakeTextEncoder(768, "clip_l14_77"), identity(features))
    shapes = published_shapes(features=features, tokens=tokens)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert own == shapes | {"normaliser.mean": (features,), "normaliser.std": (features,)}
    assert sum(math.prod(shape) for shape in shapes.values()) == count


def test_a_published_file_or_its_folder_becomes_a_model_with_its_weights(tmp_path):
    """Its sizes follow from the shapes; the evaluator's networks and the statistics are not its own."""
    normaliser = Normaliser(torch.full((263,), 3.0), torch.full((263,), 2.0))
    file = write(tmp_path, tiny_state(0.25) | EVALUATOR | {"text_encoder.logit_scale": torch.zeros(())})
    for path in (file, tmp_path):
        model = from_published(path, normaliser, FakeTextEncoder(16, "clip_l14_77"))
        assert model.config == tiny()
        assert not model.training
        assert all((value == 0.25).all() for name, value in model.named_parameters())
        torch.testing.assert_close(model.normaliser.mean, normaliser.mean)


def test_a_published_file_without_vae_becomes_that_variant(tmp_path):
    state = {key: torch.full((1,), 0.25).expand(shape) for key, shape in published_shapes_without_vae().items()}
    model = from_published(write(tmp_path, state), identity(), FakeTextEncoder(768, "clip_l14_77"))
    assert model.config == mld_humanml3d_frames()
    assert model.vae is None
    assert all((value == 0.25).all() for name, value in model.named_parameters())


def test_the_published_files_shapes_are_those_of_the_preset(tmp_path):
    state = {key: torch.empty(1).expand(shape) for key, shape in published_shapes(tokens=7).items()}
    assert read_published(write(tmp_path, state))[0] == with_tokens(mld_humanml3d(), 7)


def test_a_first_stage_is_read_from_its_own_file_or_out_of_a_whole_one(tmp_path):
    state = tiny_state()
    for kept in (state, {key: value for key, value in state.items() if key.startswith("vae.")}):
        stage = vae_from_published(write(tmp_path, kept), identity())
        assert stage.config == tiny().autoencoder
        assert (stage.vae.global_motion_token == 0.5).all()


def test_a_first_stage_alone_is_no_generator(tmp_path):
    vae = {key: value for key, value in tiny_state().items() if key.startswith("vae.")}
    with pytest.raises(InputError, match="holds a VAE alone"):
        from_published(write(tmp_path, vae), identity(), FakeTextEncoder(16, "clip_l14_77"))


def test_keys_that_do_not_fit_are_named(tmp_path):
    state = tiny_state()
    state["denoiser.emb_proj.0.bias"] = state.pop("denoiser.emb_proj.1.bias")
    state["vae.final_layer.bias"] = torch.zeros(251)
    with pytest.raises(InputError) as error:
        from_published(write(tmp_path, state), identity(), FakeTextEncoder(16, "clip_l14_77"))
    for words in (
        "1 keys missing (denoiser.emb_proj.1.bias)",
        "1 keys unknown (denoiser.emb_proj.0.bias)",
        "vae.final_layer.bias (251,) instead of (263,)",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02junk"])
def test_a_random_file_is_said_to_be_unreadable(tmp_path, content):
    file = tmp_path / "model.ckpt"
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot (be )?read"):
        read_published(file)


def test_a_folder_without_a_checkpoint_and_another_systems_file_are_told(tmp_path):
    with pytest.raises(InputError, match=r"holds 0 \.ckpt files"):
        read_published(tmp_path)
    with pytest.raises(InputError, match=r"not MLD's: they lack denoiser\.time_embedding"):
        read_published(write(tmp_path, {"denoiser.other": torch.zeros(1)}))


def trained_vae(folder, config=None):
    torch.manual_seed(3)
    stage = VAEStage(config or tiny().autoencoder, Normaliser(torch.full((263,), 3.0), torch.full((263,), 2.0)))
    save_model(folder / "model.safetensors", stage, stage.config, "generator")
    return stage


def test_the_second_stage_begins_on_the_weights_and_the_statistics_of_the_first(tmp_path):
    stage = trained_vae(tmp_path)
    config = tiny().model_copy(update={"vae": str(tmp_path)})
    model = begin(config, FakeTextEncoder(16, "clip_l14_77"), identity())
    torch.testing.assert_close(model.vae.state_dict(), stage.vae.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(model.normaliser.mean, stage.normaliser.mean)


def test_a_second_stage_without_its_first_or_on_another_is_told_what_to_give(tmp_path):
    encoder = FakeTextEncoder(16, "clip_l14_77")
    with pytest.raises(InputError, match=r"give model\.vae=RUN"):
        begin(tiny(), encoder, identity())
    trained_vae(tmp_path, tiny().autoencoder.model_copy(update={"latent_tokens": 3, "kl_weight": 0.5}))
    with pytest.raises(InputError, match=r"give model\.autoencoder\.latent_tokens=3$"):
        begin(tiny().model_copy(update={"vae": str(tmp_path)}), encoder, identity())
    save_model(tmp_path / "other.safetensors", trained_vae(tmp_path), mld_small(), "generator")
    with pytest.raises(InputError, match="must be a trained mld_vae, but .* holds 'mld'"):
        begin(tiny().model_copy(update={"vae": str(tmp_path / "other.safetensors")}), encoder, identity())
