"""MotionDiffuse from outside: every check of a generator, the traps of its published code, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from atm.base.errors import InputError
from atm.generators.motiondiffuse.config import MotionDiffuseConfig
from atm.generators.motiondiffuse.model import MotionDiffuse
from atm.generators.motiondiffuse.presets import (
    motiondiffuse_humanml3d,
    motiondiffuse_humanml3d_softmax,
    motiondiffuse_kit,
    motiondiffuse_small,
)
from atm.generators.parts.linear_transformer import (
    FeedForward,
    SelfAttention,
    Stylisation,
    level_features,
    linear_attention,
)
from atm.generators.parts.padding import frame_weighted_loss
from atm.interface import Batch, Generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser, root_weighted
from doubles import ABOUT_COMPLETION, ABOUT_LENGTHS, FakeTextEncoder

TINY = {
    "width": 16,
    "heads": 2,
    "feed_forward": 32,
    "layers": 2,
    "max_frames": 24,
    "text_window": 6,
    "text_width": 8,
    "text_heads": 2,
    "text_feed_forward": 16,
    "text_layers": 1,
    "diffusion_steps": 40,
    "sampling_steps": 4,
}


def make(config: MotionDiffuseConfig | None = None, *, features: int = 263, **options) -> MotionDiffuse:
    """With weights drawn everywhere: fresh ones are zero at the end, so that nothing could be seen."""
    torch.manual_seed(0)
    config = (config or motiondiffuse_small()).model_copy(update=TINY | options)
    model = MotionDiffuse(config, FakeTextEncoder(8, config.text_encoder), Normaliser.identity(features))
    return drawn(model).eval()


@torch.no_grad()
def drawn(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        if (parameter == 0).all():
            parameter.normal_(std=0.3)
    return model


def make_batch(features: int = 263, lengths: tuple[int, ...] = (22, 9, 13)) -> Batch:
    rng = torch.Generator().manual_seed(0)
    motion = Motion(torch.randn(len(lengths), max(lengths), features, generator=rng), torch.tensor(lengths))
    text = ["a person walks", "someone sits down slowly", "jump"][: len(lengths)]
    return Batch(motion, text, torch.zeros(len(lengths), 4), [str(row) for row in range(len(lengths))])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("config", "features"),
    [
        (motiondiffuse_humanml3d(), 263),
        (motiondiffuse_humanml3d_softmax(), 263),
        (motiondiffuse_kit(), 251),
        (motiondiffuse_small(), 263),
    ],
    ids=["published", "softmax", "kit", "small"],
)
def test_every_preset_passes_every_check_that_applies(config, features):
    model = make(config, features=features)
    assert isinstance(model, Generator)
    results = check_generator(model, make_batch(features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = {result.name for result in results if result.status == "not applicable"}
    expected = ABOUT_COMPLETION | ABOUT_LENGTHS | {"guidance zero ignores the text", "guidance one equals conditional"}
    assert skipped == expected | (set() if config.attention == "linear" else {"padding does not change a step"})


def test_linear_attention_is_its_double_sum():
    """Trap: the query's softmax runs over the channels of its head, the key's over the tokens, nothing is scaled."""
    query, key, value = torch.randn(3, 1, 5, 4, generator=seeded(), dtype=torch.float64).unbind()
    mask = torch.tensor([[True, True, True, False, True]])
    expected = torch.zeros(5, 4, dtype=torch.float64)
    for head in (slice(0, 2), slice(2, 4)):
        q, k, v = (part[0, :, head] for part in (query, key, value))
        weight = k.exp() * mask[0, :, None]
        weight = weight / weight.sum(0)
        for n in range(5):
            share = q[n].exp() / q[n].exp().sum()
            expected[n, head] = sum(share[c] * sum(weight[m, c] * v[m] for m in range(5)) for c in range(2))
    torch.testing.assert_close(linear_attention(query, key, value, mask, 2)[0], expected)


def test_a_row_that_sees_nothing_still_gives_numbers():
    """Trap: hidden keys get -1e6 and not minus infinity."""
    attention = SelfAttention(4, 2)
    assert attention(torch.randn(1, 3, 4), torch.zeros(1, 3, dtype=torch.bool)).isfinite().all()


def test_noise_levels_are_cosines_first():
    """Trap: at level 0 the first half is cos 0 = 1, the second sin 0 = 0; frequency i is 10000^(-i / half)."""
    torch.testing.assert_close(level_features(torch.tensor([0]), 6), torch.tensor([[1.0, 1, 1, 0, 0, 0]]))
    angle = 7 * 10000.0 ** (-torch.arange(3) / 3)
    torch.testing.assert_close(level_features(torch.tensor([7]), 6)[0], torch.cat([angle.cos(), angle.sin()]))


def test_a_style_scales_by_one_plus_its_number():
    """Trap: with a style layer of zero weights, scale and shift are its bias: norm(x) (1 + 2) + 0.5."""
    block = Stylisation(4, 3, 0.0)
    nn.init.zeros_(block.emb_layers[1].weight)
    block.emb_layers[1].bias.data = torch.tensor([2.0] * 4 + [0.5] * 4)
    nn.init.eye_(block.out_layers[2].weight)
    x = torch.randn(1, 2, 4, generator=seeded())
    inner = nn.functional.layer_norm(x, (4,)) * 3 + 0.5
    torch.testing.assert_close(block(x, torch.randn(1, 3)), inner * inner.sigmoid())


def test_the_feed_forward_part_takes_its_input_as_it_is():
    """Trap: no norm before it, so twice the input is not the same output."""
    block = FeedForward(4, 8)
    x = torch.randn(1, 2, 4, generator=seeded())
    torch.testing.assert_close(block(x), block.linear2(nn.functional.gelu(block.linear1(x))))


def test_a_fresh_model_predicts_nothing():
    """Trap: the last layer starts at zero."""
    config = motiondiffuse_humanml3d().model_copy(update=TINY | {"text_encoder": "minilm"})
    model = MotionDiffuse(config, FakeTextEncoder(8, "minilm"), Normaliser.identity(263))
    text = model.condition(model.text_encoder(["walk"]))
    eps = model(torch.randn(1, 5, 263), torch.tensor([3]), text, torch.ones(1, 5, dtype=torch.bool))
    assert (eps == 0).all()


def test_a_fresh_model_of_patches_guesses_the_share_of_noise_in_each_frame():
    """Noise e in x = s x0 + n e, both of unit variance: the best linear guess of e is n x."""
    config = motiondiffuse_small().model_copy(update=TINY)
    model = MotionDiffuse(config, FakeTextEncoder(8, "minilm"), Normaliser.identity(263))
    x_t, t = torch.randn(1, 5, 263, generator=seeded()), torch.tensor([3])
    noise_share = (1 - model._chain.alphas_cumprod[3]).sqrt().float()
    text = model.condition(model.text_encoder(["walk"]))
    eps = model(x_t, t, text, torch.ones(1, 5, dtype=torch.bool))
    torch.testing.assert_close(eps, noise_share * x_t)


def test_the_padding_of_a_text_is_read():
    """Trap: there is no text mask. One more empty place changes the condition."""
    short, long = make(text_window=6), make(text_window=7)
    text = short.text_encoder(["walk"])
    first = short.condition(text).tokens
    assert first.shape == (1, 6, 8)
    assert not torch.allclose(first, long.condition(text).tokens[:, :6])


def test_a_text_over_the_window_is_cut_and_its_last_state_taken():
    model = make()
    text = model.text_encoder(["one two three four five six seven eight"])
    states = text.tokens[:, :6]
    torch.testing.assert_close(model.condition(text).style, model.read(states, torch.tensor([5])).style)


def test_the_loss_weighs_frames_not_rows():
    """Trap: 3 frames of error 1 and 1 frame of error 2 squared: (3 * 1 + 4) / 4 over the batch."""
    predicted = torch.stack([torch.full((3, 5), 1.0), torch.full((3, 5), 2.0)])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    loss = frame_weighted_loss(predicted, torch.zeros_like(predicted), mask)
    torch.testing.assert_close(loss.mean(), torch.tensor(7 / 4))
    torch.testing.assert_close(loss, torch.tensor([2 * 3 / 4, 2 * 4 / 4]))


def test_root_and_contacts_are_divided_by_less():
    """Trap: published statistics have 25 in them; the first 4 columns and the last 4."""
    std = root_weighted(Normaliser(torch.zeros(263), torch.full((263,), 50.0)), 25.0).std
    assert std[:4].tolist() == std[-4:].tolist() == [2.0] * 4
    assert (std[4:-4] == 50).all()


def test_a_perfect_guess_of_the_noise_is_the_clean_motion_until_the_signal_is_too_weak():
    """Below least_signal s the estimate is the clean motion times signal / s."""
    model = make(diffusion_steps=1000, least_signal=0.3)
    x0, noise = torch.randn(2, 3, 5, 263, generator=seeded()).unbind()
    t = torch.tensor([0, 400, 999])
    estimate = model.estimate(model.noised(x0, noise, t), noise, t)
    torch.testing.assert_close(estimate[:2], x0[:2], rtol=1e-3, atol=1e-3)
    signal = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[999].sqrt().item()
    torch.testing.assert_close(estimate[2], x0[2] * signal / 0.3, rtol=1e-3, atol=1e-3)


def test_an_error_of_the_network_is_never_blown_up():
    """At the noisiest level an error of 1 in the noise is one of 1 / 0.3 in the motion, not of 157."""
    model = make(diffusion_steps=1000, least_signal=0.3)
    t, zero = torch.tensor([999]), torch.zeros(1, 2, 263)
    error = model.estimate(zero, zero + 1, t).abs()
    torch.testing.assert_close(error, torch.full_like(error, 1 / 0.3), rtol=1e-3, atol=0)


def test_the_estimate_above_the_noise_that_the_docstring_names_is_faded():
    """The linear schedule's signal falls below 0.1, which the default leaves as it is, at 0.67 of the levels."""
    model = make(diffusion_steps=1000)
    assert model.config.least_signal == 0.1
    first = int((model._chain.alphas_cumprod.sqrt() < 0.1).nonzero()[0])
    assert first / 999 == pytest.approx(0.67, abs=0.01)


def test_a_step_says_how_far_each_row_was_noised():
    """0 for the first level and 1 for the last, by the levels that the step's generator draws first."""
    model, batch = make(), make_batch()
    step = model.training_step(batch, seeded(3))
    drawn_levels = torch.randint(40, (3,), generator=seeded(3))
    torch.testing.assert_close(step.noise_level, drawn_levels / 39)


def test_a_steps_motion_is_in_the_units_of_the_data():
    """A network that always guesses noise 0 estimates x_t / signal; mean 5 and deviation 2 make features of it."""
    torch.manual_seed(0)
    changes = {"text_encoder": "minilm", "root_weight": 1.0, "least_signal": 1e-3}
    config = motiondiffuse_humanml3d().model_copy(update=TINY | changes)
    normaliser = Normaliser(torch.full((263,), 5.0), torch.full((263,), 2.0))
    model = MotionDiffuse(config, FakeTextEncoder(8, "minilm"), normaliser)
    batch = make_batch()
    motion = model.training_step(batch, seeded()).motion
    rng = seeded()
    t = torch.randint(40, (3,), generator=rng)
    noise = torch.randn(batch.motion.features.shape, generator=rng)
    x_t = model.noised((batch.motion.zero_padding().features - 5) / 2, noise, t)
    signal = model._chain.alphas_cumprod[t].sqrt()[:, None, None]
    torch.testing.assert_close(motion.features, (x_t / signal * 2 + 5).float(), rtol=1e-4, atol=1e-3)


def test_padding_is_no_part_of_a_step_even_nan():
    model, batch = make(), make_batch()
    junk = batch.motion.features.masked_fill(~batch.motion.mask[..., None], float("nan"))
    clean = model.training_step(batch, seeded()).loss
    dirty = model.training_step(replace(batch, motion=replace(batch.motion, features=junk)), seeded()).loss
    torch.testing.assert_close(clean, dirty, rtol=0, atol=0)


def test_ordinary_attention_sees_padding_so_it_always_gets_the_whole_window():
    """Trap: the published mask of that variant hides nothing."""
    model, batch = make(motiondiffuse_humanml3d_softmax()), make_batch()
    seen = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    step = model.training_step(batch, seeded())
    model.sample(["walk"], torch.tensor([5]), seeds=[0])
    assert set(seen) == {24}
    assert step.motion.features.shape == batch.motion.features.shape
    attention = SelfAttention(4, 2, attend=model.temporal_decoder_blocks[0].sa_block.attend)
    x, mask = torch.randn(1, 3, 4, generator=seeded()), torch.tensor([[True, True, False]])
    changed = x.clone()
    changed[0, 2] = 5.0
    assert not torch.allclose(attention(x, mask)[0, 0], attention(changed, mask)[0, 0])


def test_ddpm_draws_anew_in_each_step_and_ddim_does_not(monkeypatch):
    draw = torch.randn
    for sampler, expected in (("ddpm", 1 + 4), ("ddim", 1)):
        model, calls = make(sampler=sampler), []
        monkeypatch.setattr(torch, "randn", lambda *shape, into=calls, **how: into.append(shape) or draw(*shape, **how))
        model.sample(["walk"], torch.tensor([8]), seeds=[1])
        monkeypatch.undo()
        assert sum(len(shape) == 2 for shape in calls) == expected  # what is left belongs to the text encoder


@pytest.mark.parametrize("length", [0, 25])
def test_a_length_beyond_the_learned_positions_is_refused(length):
    """Trap: the table has as many rows as the longest motion in training."""
    with pytest.raises(InputError, match="1 to 24 frames"):
        make().sample(["walk"], torch.tensor([length]), seeds=[0])


def test_what_does_not_belong_together_is_refused():
    model = make()
    with pytest.raises(ValueError, match="one per row"):
        model.sample(["walk"], torch.tensor([8]), seeds=[0, 1])
    with pytest.raises(InputError, match=r"'minilm'.*'other'"):
        MotionDiffuse(motiondiffuse_small().model_copy(update=TINY), FakeTextEncoder(8, "other"), model.normaliser)
    with pytest.raises(InputError, match=r"263 features per frame, but the motion has 251"):
        model.training_step(make_batch(251), seeded())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 30, "heads": 4}, "multiple of heads"),
        ({"text_width": 30, "text_heads": 4}, "multiple of text_heads"),
        ({"sampling_steps": 60, "diffusion_steps": 50}, "exceed"),
        ({"diffusion_steps": 20}, "greater than 20"),
    ],
)
def test_options_that_contradict_are_refused(options, words):
    """Trap: at 20 steps the last beta is 1, and below 20 it would pass 1."""
    with pytest.raises(ValueError, match=words):
        MotionDiffuseConfig(**options)
