"""MLD from outside: both stages' steps, sampling, what is frozen, the traps of the published code, and refusals."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from atm.base.errors import InputError
from atm.generators.diffusion.steps import reverse
from atm.generators.mld.config import MLDConfig, MLDVAEConfig
from atm.generators.mld.denoiser import time_sinusoid
from atm.generators.mld.model import MLD
from atm.generators.mld.presets import mld_humanml3d, mld_humanml3d_frames, mld_kit, mld_small, mld_vae_small
from atm.generators.mld.schedule import latent_chain
from atm.generators.mld.stage import VAEStage
from atm.generators.mld.transformer import SkipTransformer
from atm.generators.mld.vae import MotionVAE, Posterior, kl_to_standard
from atm.interface import Batch, Generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import ABOUT_COMPLETION, ABOUT_LENGTHS, FakeTextEncoder

SIZES = {"width": 16, "heads": 2, "feed_forward": 32, "layers": 3}
FEATURES = 263
FIVE_UNITS = Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0))


def tiny(config: MLDConfig, **changes) -> MLDConfig:
    """Quick to run; nothing else about the preset changes."""
    autoencoder = config.autoencoder and config.autoencoder.model_copy(update=SIZES)
    sizes = SIZES | {"autoencoder": autoencoder, "max_frames": 24, "diffusion_steps": 20, "sampling_steps": 4}
    return config.model_copy(update=sizes | changes)


def make(config: MLDConfig | None = None, *, normaliser: Normaliser | None = None) -> MLD:
    torch.manual_seed(0)
    config = config or tiny(mld_small())
    return MLD(config, FakeTextEncoder(8, config.text_encoder), normaliser or Normaliser.identity(FEATURES)).eval()


def make_stage(*, normaliser: Normaliser | None = None, **changes) -> VAEStage:
    torch.manual_seed(0)
    config = mld_vae_small().model_copy(update=SIZES | {"frames_per_token": 1} | changes)
    return VAEStage(config, normaliser or Normaliser.identity(FEATURES)).eval()


def make_batch(lengths: tuple[int, ...] = (18, 9), *, frames: int | None = None, features: int = FEATURES) -> Batch:
    rng = torch.Generator().manual_seed(0)
    frames = frames or max(lengths)
    motion = Motion(torch.randn(len(lengths), frames, features, generator=rng), torch.tensor(lengths))
    text = ["a person walks forward", "somebody sits", "jump"][: len(lengths)]
    return Batch(motion, text, torch.zeros(len(lengths), 4), [str(row) for row in range(len(lengths))])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("config", "features"),
    [(mld_humanml3d(), 263), (mld_kit(), 251), (mld_small(), 263), (mld_humanml3d_frames(), 263)],
    ids=["humanml3d", "kit", "small", "without VAE"],
)
def test_every_preset_passes_every_check_that_applies(config, features):
    torch.manual_seed(0)
    config = tiny(config)
    model = MLD(config, FakeTextEncoder(8, config.text_encoder), Normaliser.identity(features))
    assert isinstance(model, Generator)
    results = check_generator(model, make_batch((22, 9, 13), features=features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = {result.name for result in results if result.status == "not applicable"}
    padding = set() if config.autoencoder else {"padding does not change a step"}
    assert skipped == ABOUT_COMPLETION | ABOUT_LENGTHS | padding


# Stage one: the VAE.


def test_the_stages_motion_is_the_reconstruction_in_the_units_of_the_data():
    """With mean 5 and std 2 it is 5 + 2 x0_hat, from which the loss can be computed again."""
    stage, batch = make_stage(normaliser=FIVE_UNITS), make_batch((18, 18))
    step = stage.training_step(batch, seeded())
    assert step.motion.features.shape == batch.motion.features.shape
    x0, x0_hat = ((features - 5) / 2 for features in (batch.motion.features, step.motion.features))
    posterior = stage.vae.encode(x0, batch.motion.mask)
    features, joints, kl = stage.losses(x0_hat, x0, posterior)
    torch.testing.assert_close(step.loss, features + joints + 1e-4 * kl)


def test_the_gradient_of_the_reconstruction_reaches_every_weight_of_the_vae():
    stage = make_stage()
    step = stage.training_step(make_batch(), seeded())
    step.motion.features.square().mean().backward()
    assert [name for name, weight in stage.named_parameters() if weight.grad is None] == []


def test_a_reconstruction_is_from_a_drawn_latent_and_not_from_the_mean():
    stage, batch = make_stage(), make_batch()
    first, again, other = (stage.training_step(batch, seeded(seed)).motion.features for seed in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.allclose(first, other)


def test_the_joints_behind_a_motions_end_count_and_add_up_the_roots_steps():
    """A step 1 m too long at frame 0 of 4 shifts all joints of frames 1 to 3 by 1 m along one of three axes: 1/2 each
    in smooth L1. Of the features it is one of 4 x 263."""
    stage, x0 = make_stage(), torch.zeros(1, 4, FEATURES)
    x0_hat = x0.clone()
    x0_hat[0, 0, 1] = 1.0
    features, joints, _ = stage.losses(x0_hat, x0, Posterior(torch.zeros(1, 1, 16), torch.zeros(1, 1, 16)))
    torch.testing.assert_close(joints, torch.tensor([0.5 * 3 / (4 * 3)]))
    torch.testing.assert_close(features, torch.tensor([0.5 / (4 * FEATURES)]))


def test_the_joints_of_kit_are_compared_in_metres():
    """A step of 1000, in KIT's millimetres, is 1 m."""
    stage, x0 = make_stage(normaliser=Normaliser.identity(251)), torch.zeros(1, 4, 251)
    x0_hat = x0.clone()
    x0_hat[0, 0, 1] = 1000.0
    _, joints, _ = stage.losses(x0_hat, x0, Posterior(torch.zeros(1, 1, 16), torch.zeros(1, 1, 16)))
    torch.testing.assert_close(joints, torch.tensor([0.5 * 3 / (4 * 3)]))


def test_the_distance_to_the_standard_normal_is_a_mean_over_tokens_and_dimensions():
    """KL(N(2, 1), N(0, 1)) = 2, in half of the dimensions; 0 in the others."""
    mean = torch.zeros(1, 2, 4)
    mean[:, 1] = 2.0
    torch.testing.assert_close(kl_to_standard(Posterior(mean, torch.zeros(1, 2, 4))), torch.tensor([1.0]))
    assert Posterior(mean, torch.full((1, 2, 4), 2.0)).std[0, 0, 0].item() == pytest.approx(torch.e)


@torch.no_grad()
def test_one_table_serves_tokens_and_frames():
    """With 4 tokens to hold mean and variance, frame k has row 4 + k in the encoder, and row k in the decoder."""
    vae: MotionVAE = make_stage(latent_tokens=2).vae
    features, mask = torch.randn(1, 5, FEATURES, generator=seeded()), torch.ones(1, 5).bool()

    def rows_that_matter(table: nn.Parameter, run) -> list[int]:
        before, found = run(), []
        for row in range(12):
            kept = table[row].clone()
            table[row] += 1.0 + torch.arange(16)
            found += [row] if not torch.allclose(run(), before) else []
            table[row] = kept
        return found

    assert rows_that_matter(vae.query_pos_encoder.pe, lambda: vae.encode(features, mask).mean) == list(range(9))
    z = torch.randn(1, 2, 16, generator=seeded())
    assert rows_that_matter(vae.query_pos_decoder.pe, lambda: vae.decode(z, mask)) == list(range(5))


def test_patches_of_frames_share_a_row_of_the_table():
    """Nine frames are three tokens of four; the last frame of a motion is in its reconstruction, its padding is not."""
    stage, seen = make_stage(frames_per_token=4), []
    stage.vae.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    batch = make_batch((9, 6))
    step = stage.training_step(batch, seeded())
    assert seen == [3] and step.motion.features.shape == batch.motion.features.shape
    noise = torch.zeros(2, *stage.vae.latent_shape)
    mask = batch.motion.mask
    before = stage.vae.encode(batch.motion.features, mask).at(noise)
    for frame, matters in ((5, True), (6, False)):
        changed = batch.motion.features.clone()
        changed[1, frame] += 1
        assert torch.allclose(stage.vae.encode(changed, mask).at(noise)[1], before[1]) != matters


def test_positions_are_learned():
    stage = make_stage()
    assert {name for name, _ in stage.named_parameters() if name.endswith(".pe")} == {
        "vae.query_pos_encoder.pe",
        "vae.query_pos_decoder.pe",
    }


class Times(nn.Module):
    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, sequence: Tensor, **masks) -> Tensor:
        return self.factor * sequence


def test_what_was_saved_last_is_read_first_before_the_layer():
    """1 becomes 2, 6 and 30; then, as each merge takes the difference, (30 - 6) 7 = 168 and (168 - 2) 11 = 1826."""
    trunk = SkipTransformer("encoder", mld_vae_small().model_copy(update=SIZES | {"layers": 5}), 16)
    trunk.input_blocks = nn.ModuleList([Times(2), Times(3)])
    trunk.middle_block = Times(5)
    trunk.output_blocks = nn.ModuleList([Times(7), Times(11)])
    trunk.norm = nn.Identity()
    for merge in trunk.linear_blocks:
        merge.weight.data = torch.cat([torch.eye(16), -torch.eye(16)], dim=1)
        nn.init.zeros_(merge.bias)
    torch.testing.assert_close(trunk(torch.ones(1, 1, 16)), torch.full((1, 1, 16), 1826.0))


def test_a_batch_is_decoded_as_far_as_its_longest_motion():
    """Frames of padding beyond it neither cost time nor change the loss."""
    stage, seen = make_stage(), []
    stage.vae.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    tight = make_batch((18, 9))
    motion = Motion(nn.functional.pad(tight.motion.features, (0, 0, 0, 12), value=7.0), tight.motion.lengths)
    loose = replace(tight, motion=motion)
    steps = [stage.training_step(batch, seeded()) for batch in (tight, loose)]
    assert seen == [18, 18]
    torch.testing.assert_close(steps[0].loss, steps[1].loss, rtol=0, atol=0)
    assert steps[1].motion.features.shape == (2, 30, FEATURES)


# Stage two: the denoiser.


def test_the_motion_of_a_step_reaches_the_denoiser_through_the_frozen_decoder():
    model = make()
    step = model.training_step(make_batch(), seeded())
    step.motion.features.square().mean().backward()
    reached = {name.split(".")[0] for name, weight in model.named_parameters() if weight.grad is not None}
    assert reached == {"denoiser"}


def test_training_leaves_the_vae_as_it_was():
    """Also where a loop turns all gradients on and hands all parameters to an optimiser with weight decay."""
    model = make().train().requires_grad_(True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    step = model.training_step(make_batch(), seeded())
    (step.loss.mean() + step.motion.features.mean()).backward()
    optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and {name.split(".")[0] for name in changed} == {"denoiser"}


@pytest.mark.parametrize("encoder_dropout", [True, False])
def test_dropout_stays_on_in_the_frozen_encoder_where_it_is_asked_for_and_never_in_the_decoder(encoder_dropout):
    model = make(tiny(mld_humanml3d(), encoder_dropout=encoder_dropout)).train()
    drops = {
        part: {layer.training for layer in module.modules() if isinstance(layer, nn.Dropout)}
        for part, module in (("encoder", model.vae.encoder), ("decoder", model.vae.decoder), ("own", model.denoiser))
    }
    assert drops == {"encoder": {encoder_dropout}, "decoder": {False}, "own": {True}}
    assert not any(layer.training for layer in model.eval().modules())


def test_the_latents_to_learn_are_drawn_anew_in_each_step(monkeypatch):
    model, seen = make(), []
    noised = model.noised
    monkeypatch.setattr(model, "noised", lambda z0, noise, t: (seen.append(z0), noised(z0, noise, t))[1])
    for seed in (0, 1):
        model.training_step(make_batch(), seeded(seed))
    assert not torch.allclose(seen[0], seen[1])


def test_a_perfect_guess_of_the_noise_gives_the_clean_latent_at_every_level():
    model = make(tiny(mld_humanml3d(), diffusion_steps=1000))
    z0, noise = (torch.randn(1000, 1, 16, generator=seeded(seed)) for seed in (0, 1))
    t = torch.arange(1000)
    torch.testing.assert_close(model.clean(model.noised(z0, noise, t), noise, t), z0, rtol=1e-3, atol=1e-3)


def test_a_steps_motion_is_in_the_units_of_the_data():
    """A decoder whose last layer gives 1 everywhere makes motions of 5 + 2."""
    model = make(normaliser=FIVE_UNITS)
    nn.init.zeros_(model.vae.final_layer.final.weight)
    nn.init.ones_(model.vae.final_layer.final.bias)
    step = model.training_step(make_batch((9, 9)), seeded())
    torch.testing.assert_close(step.motion.features, torch.full((2, 9, FEATURES), 7.0))


def test_the_null_condition_is_the_embedded_empty_string():
    model = make()
    torch.testing.assert_close(model.null(2), FakeTextEncoder(8)(["", ""]).sentence[:, None])
    assert model.null(1).abs().sum() > 0


def test_text_is_withheld_from_the_configured_share_of_rows():
    """All rows at a dropout close to 1: then the loss cannot depend on the text."""
    batch = make_batch()
    other = replace(batch, text=["jump", "run fast now"])
    losses = []
    for dropout in (0.0, 0.999999):
        model = make(tiny(mld_small(), condition_dropout=dropout))
        losses.append([model.training_step(which, seeded()).loss for which in (batch, other)])
    assert not torch.allclose(*losses[0])
    torch.testing.assert_close(*losses[1])


def test_guidance_is_the_published_mix_of_both_estimates_with_the_empty_texts_first():
    model, seen = make(), []
    z_t, t = torch.randn(2, 4, 16, generator=seeded()), torch.tensor([3, 1])
    text, null = model.condition(["walk", "sit"]), model.null(2)
    conditional, unconditional = model.denoiser(z_t, t, text), model.denoiser(z_t, t, null)
    model.denoiser.register_forward_pre_hook(lambda module, args: seen.append(args[2]))
    for scale in (0.0, 1.0, 7.5):
        expected = unconditional + scale * (conditional - unconditional)
        torch.testing.assert_close(model.guided(z_t, t, text, null, scale=scale), expected)
    torch.testing.assert_close(seen[-1], torch.cat([null, text]))


def test_a_model_trained_without_withholding_texts_has_no_guidance():
    model = make(tiny(mld_small(), condition_dropout=0.0))
    assert not model.capabilities.guidance
    ask = {"text": ["walk"], "lengths": torch.tensor([8]), "seeds": [0]}
    one, seven = (model.sample(**ask, guidance_scale=scale).features for scale in (1.0, 7.0))
    torch.testing.assert_close(one, seven, rtol=0, atol=0)


def test_negative_text_features_are_cut_off_before_the_linear_layer():
    denoiser = make().denoiser
    torch.testing.assert_close(denoiser.emb_proj(torch.full((1, 1, 8), -3.0))[0, 0], denoiser.emb_proj[1].bias)


def test_the_sinusoid_of_a_level_has_its_cosines_first():
    at_zero = time_sinusoid(torch.tensor([0]))
    torch.testing.assert_close(at_zero, torch.cat([torch.ones(1, 384), torch.zeros(1, 384)], dim=1))
    # The slowest of the 384 rates is 10000^(-383/384).
    slowest = torch.tensor(100.0 * 10_000 ** (-383 / 384))
    torch.testing.assert_close(
        time_sinusoid(torch.tensor([100]))[0, [383, 767]], torch.stack([slowest.cos(), slowest.sin()])
    )


def test_a_run_starts_at_level_981_and_ends_with_the_noise_of_level_zero():
    """Share of signal at level 0: 1 - 0.00085. Where no noise is ever found, a step scales by the roots of the shares'
    ratio, so all steps together by that of level 0 to that of level 981."""
    chain = latent_chain(1000, kept=50)
    assert chain.levels == list(range(1, 982, 20))
    end = reverse(lambda z_t, level: torch.zeros_like(z_t), lambda: torch.ones(1, 1, 1), chain, eta=0.0)
    start = latent_chain(1000).alphas_cumprod[981].item()
    assert end.item() == pytest.approx(((1 - 0.00085) / start) ** 0.5, rel=1e-4)


def test_sampling_leaves_the_model_in_training_with_its_vae_frozen():
    model = make(tiny(mld_humanml3d())).train()
    first, again = (model.sample(["walk"], torch.tensor([8]), seeds=[1]).features for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert model.training and not model.vae.decoder.training


def test_half_precision_arithmetic_gives_losses_and_motions_in_single_precision():
    with torch.autocast("cpu", torch.bfloat16):
        step = make().training_step(make_batch(), seeded())
        stage = make_stage().training_step(make_batch(), seeded())
        motion = make().sample(["walk"], torch.tensor([8]), seeds=[0])
    for value in (step.loss, step.motion.features, stage.loss, stage.motion.features, motion.features):
        assert value.dtype == torch.float32
        assert value.isfinite().all()


def test_features_of_another_data_set_are_refused_by_name():
    for model in (make(), make_stage()):
        with pytest.raises(InputError, match=r"263 features per frame, but the motion has 251.*KIT-ML"):
            model.training_step(make_batch(features=251), seeded())


@pytest.mark.parametrize("length", [0, -3, 1969])
def test_a_length_that_the_position_table_has_no_rows_for_is_refused(length):
    """500 rows, of which four latent tokens take eight; each of the others stands for four frames."""
    with pytest.raises(InputError, match="1 to 1968 frames"):
        make().sample(["walk"], torch.tensor([length]), seeds=[0])


def test_arguments_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="one per row"):
        make().sample(["walk"], torch.tensor([8]), seeds=[0, 1])
    with pytest.raises(InputError, match=r"'minilm'.*'other'"):
        MLD(tiny(mld_small()), FakeTextEncoder(8, "other"), Normaliser.identity(FEATURES))


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (MLDConfig, {"heads": 3}, "multiple of heads"),
        (MLDConfig, {"layers": 8}, "layers must be odd"),
        (MLDConfig, {"width": 128}, "that of the latents"),
        (MLDConfig, {"sampling_steps": 501}, "at most half"),
        (MLDVAEConfig, {"layers": 4}, "layers must be odd"),
    ],
)
def test_options_that_contradict_are_refused(kind, options, words):
    with pytest.raises(ValidationError, match=words):
        kind(**options)
