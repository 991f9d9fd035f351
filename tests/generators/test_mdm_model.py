"""MDM from outside: its step, its sampling, its editing, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from atm.base.errors import InputError
from atm.generators.mdm.config import MDMConfig
from atm.generators.mdm.model import MDM, masked_mse
from atm.generators.mdm.presets import mdm_humanml3d, mdm_humanml3d_50, mdm_small
from atm.interface import Batch, Generator, TextEmbedding
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

TINY = {
    "width": 16,
    "heads": 2,
    "feed_forward": 32,
    "layers": 2,
    "frame_width": 12,
    "max_frames": 24,
    "diffusion_steps": 4,
    "sampling_steps": None,
    "text_encoder": "fake",
    "foot_weight": 0.0,
    "velocity_weight": 0.0,
}
FEATURES = 263


def make(config: MDMConfig, *, normaliser: Normaliser | None = None) -> MDM:
    torch.manual_seed(0)
    config = config.model_copy(update=TINY)
    return MDM(config, FakeTextEncoder(8), normaliser or Normaliser.identity(FEATURES)).eval()


def make_batch(lengths: tuple[int, ...] = (18, 9)) -> Batch:
    rng = torch.Generator().manual_seed(0)
    motion = Motion(torch.randn(len(lengths), max(lengths), FEATURES, generator=rng), torch.tensor(lengths))
    text = ["a person walks forward", "somebody sits"][: len(lengths)]
    return Batch(motion, text, torch.zeros(len(lengths), 4), [str(row) for row in range(len(lengths))])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PRESETS = pytest.mark.parametrize("preset", [mdm_humanml3d, mdm_humanml3d_50, mdm_small])


def test_it_is_a_generator():
    assert isinstance(make(mdm_small()), Generator)


def test_the_loss_is_the_mean_over_a_motions_own_frames():
    """Errors of 1 in the first motion and 2 in the second are 1 and 4 squared, whatever lies in the padding."""
    x0 = torch.zeros(2, 3, 5)
    x0_hat = torch.stack([torch.full((3, 5), 1.0), torch.full((3, 5), 2.0)])
    x0_hat[1, 2] = 99.0
    mask = torch.tensor([[True, True, True], [True, True, False]])
    torch.testing.assert_close(masked_mse(x0_hat, x0, mask), torch.tensor([1.0, 4.0]))


@PRESETS
def test_a_steps_motion_is_in_the_units_of_the_data(preset):
    """With mean 5 and std 2, features are 5 + 2 x0_hat: the loss computed from the motion is the step's loss."""
    normaliser = Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0))
    batch = make_batch()
    step = make(preset(), normaliser=normaliser).training_step(batch, seeded())
    assert step.motion.features.shape == batch.motion.features.shape
    x0, x0_hat = ((features - 5) / 2 for features in (batch.motion.features, step.motion.features))
    torch.testing.assert_close(masked_mse(x0_hat, x0, batch.motion.mask), step.loss)


@PRESETS
def test_a_step_ignores_what_stands_in_the_padding_even_nan(preset):
    batch = make_batch()
    junk = batch.motion.features.masked_fill(~batch.motion.mask[..., None], float("nan"))
    model = make(preset())
    clean = model.training_step(batch, seeded()).loss
    dirty = model.training_step(replace(batch, motion=replace(batch.motion, features=junk)), seeded()).loss
    torch.testing.assert_close(clean, dirty, rtol=0, atol=0)


def test_a_motion_may_end_inside_a_token():
    """9 frames are two tokens and a quarter; the frames behind it, and only they, may be anything."""
    model = make(mdm_small())
    text = model.condition(model.text_encoder(["a person walks"]))
    t, mask = torch.tensor([2]), torch.arange(12)[None] < 9
    x_t = torch.randn(1, 12, FEATURES, generator=seeded())
    changed = x_t.clone()
    changed[:, 9:] = 50.0
    torch.testing.assert_close(model(x_t, t, text, mask)[:, :9], model(changed, t, text, mask)[:, :9])
    changed[:, 8] = 50.0
    assert not torch.allclose(model(x_t, t, text, mask)[:, 0], model(changed, t, text, mask)[:, 0])


def test_a_length_that_is_no_multiple_of_a_token_comes_back_as_asked():
    model = make(mdm_small())
    text = model.condition(model.text_encoder(["a person walks"]))
    x_t = torch.randn(1, 9, FEATURES, generator=seeded())
    assert model(x_t, torch.tensor([0]), text, torch.ones(1, 9, dtype=torch.bool)).shape == (1, 9, FEATURES)
    assert model.sample(["a"], torch.tensor([9]), seeds=[0]).lengths.tolist() == [9]


@PRESETS
def test_guidance_is_the_published_mix_of_both_estimates(preset):
    """Zero is the estimate without text, one that with text, and any other scale lies on the line through both."""
    model = make(preset())
    text = model.condition(model.text_encoder(["a person walks", "sit"]))
    x_t, t = torch.randn(2, 8, FEATURES, generator=seeded()), torch.tensor([3, 1])
    mask = torch.ones(2, 8, dtype=torch.bool)
    null = text.withheld(torch.ones(2, dtype=torch.bool))
    conditional, unconditional = model(x_t, t, text, mask), model(x_t, t, null, mask)
    for scale in (0.0, 1.0, 2.5):
        expected = unconditional + scale * (conditional - unconditional)
        torch.testing.assert_close(model.guided(x_t, t, text, mask, scale=scale), expected)


def test_the_null_condition_is_the_bias_of_the_text_layer():
    model = make(mdm_small())
    text = model.condition(model.text_encoder(["a person walks"]))
    null = text.withheld(torch.tensor([True]))
    torch.testing.assert_close(model.embed_text(null.features)[0], model.embed_text.bias.expand(3, -1))
    assert torch.equal(null.mask, text.mask)


def test_text_is_withheld_from_the_configured_share_of_rows():
    """All rows at a dropout close to 1: then the loss cannot depend on the text."""
    batch = make_batch()
    other = replace(batch, text=["jump", "run fast now"])
    rows = []
    for dropout in (0.0, 0.999999):
        torch.manual_seed(0)
        config = mdm_small().model_copy(update=TINY | {"condition_dropout": dropout})
        model = MDM(config, FakeTextEncoder(8), Normaliser.identity(FEATURES)).eval()
        rows.append([model.training_step(which, seeded()).loss for which in (batch, other)])
    assert not torch.allclose(*rows[0])
    torch.testing.assert_close(*rows[1])


def test_a_model_trained_without_dropping_texts_has_no_guidance():
    config = mdm_small().model_copy(update=TINY | {"condition_dropout": 0.0})
    model = MDM(config, FakeTextEncoder(8), Normaliser.identity(FEATURES))
    assert not model.capabilities.guidance
    ask = {"text": ["walk"], "lengths": torch.tensor([8]), "seeds": [0]}
    one, seven = (model.sample(**ask, guidance_scale=scale).features for scale in (1.0, 7.0))
    torch.testing.assert_close(one, seven, rtol=0, atol=0)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@PRESETS
def test_a_row_is_the_same_alone_and_in_company_with_either_sampler(preset, sampler):
    model = make(preset().model_copy(update={"sampler": sampler}))
    texts, lengths = ["a person walks", "sits", "jumps up and down"], torch.tensor([6, 21, 13])
    together = model.sample(texts, lengths, seeds=[4, 5, 6])
    for row in range(3):
        alone = model.sample([texts[row]], lengths[row : row + 1], seeds=[4 + row])
        frames = int(lengths[row])
        torch.testing.assert_close(together.features[row, :frames], alone.features[0, :frames], rtol=1e-4, atol=1e-4)


def test_sampling_leaves_the_model_in_training():
    model = make(mdm_humanml3d()).train()
    first, again = (model.sample(["walk"], torch.tensor([8]), seeds=[1]).features for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert model.training


def test_models_that_see_padding_always_see_the_published_window():
    model = make(mdm_humanml3d())
    seen = []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    model.training_step(make_batch((9, 5)), seeded())
    model.sample(["walk"], torch.tensor([5]), seeds=[0], guidance_scale=1.0)
    assert set(seen) == {TINY["max_frames"]}


@pytest.mark.parametrize("per_feature", [False, True])
def test_what_is_known_is_kept(per_feature):
    model = make(mdm_small())
    batch = make_batch((18, 9))
    keep = torch.zeros(2, 18, dtype=torch.bool)
    keep[:, :4] = True
    if per_feature:
        keep = keep[..., None].repeat(1, 1, FEATURES)
        keep[..., 100:] = False
    motion = model.sample(batch.text, batch.motion.lengths, seeds=[0, 1], known=batch.motion, keep=keep)
    made, known = motion.features[:, :18], batch.motion.features
    kept = keep if per_feature else keep[..., None].expand_as(made)
    torch.testing.assert_close(made[kept], known[kept])
    assert not torch.isclose(
        made[~kept & batch.motion.mask[..., None]], known[~kept & batch.motion.mask[..., None]]
    ).all()


def test_a_known_beginning_may_be_shorter_than_the_motion():
    model = make(mdm_small())
    start = make_batch((5,)).motion
    keep = torch.ones(1, 5, dtype=torch.bool)
    motion = model.sample(["walk"], torch.tensor([16]), seeds=[0], known=start, keep=keep)
    torch.testing.assert_close(motion.features[:, :5], start.features)


CONTEXT = mdm_small().model_copy(update={"context_frames": 4})


def test_a_model_with_a_context_learns_what_follows_it():
    """The first 4 frames come back as they were given, and the loss is that of the others."""
    batch = make_batch((18, 9))
    step = make(CONTEXT).training_step(batch, seeded())
    made, given = step.motion.features, batch.motion.features
    torch.testing.assert_close(made[:, :4], given[:, :4])
    torch.testing.assert_close(step.loss, masked_mse(made[:, 4:], given[:, 4:], batch.motion.mask[:, 4:]))


def test_a_model_with_a_context_continues_the_prefix_that_it_is_given():
    model = make(CONTEXT)
    prefixes = make_batch((4, 4)).motion
    ask = {"text": ["walk"], "lengths": torch.tensor([12]), "seeds": [0]}
    first, other = (model.sample(**ask, prefix=prefixes[[row]]).features for row in (0, 1))
    assert first.shape == (1, 12, FEATURES)
    assert not torch.allclose(first, other)
    with pytest.raises(InputError, match="continues 4 frames, but was given a prefix of 0"):
        model.sample(**ask)
    with pytest.raises(InputError, match="continues 0 frames, but was given a prefix of 4"):
        make(mdm_small()).sample(**ask, prefix=prefixes[[0]])


def test_the_text_encoder_is_no_part_of_the_weights():
    class Encoder(torch.nn.Module):
        name, token_width, sentence_width = "fake", 8, 8

        def __init__(self):
            super().__init__()
            self.huge = torch.nn.Linear(3, 3)

        def forward(self, text: list[str]) -> TextEmbedding:
            return FakeTextEncoder(8)(text)

    model = MDM(mdm_small().model_copy(update=TINY), Encoder(), Normaliser.identity(FEATURES))
    assert not [name for name in model.state_dict() if "huge" in name or "text_encoder" in name]
    assert model.train().text_encoder.training  # its mode is its own affair


def test_a_text_without_tokens_is_no_nan():
    class Silent:
        name, token_width, sentence_width = "fake", 8, 8

        def __call__(self, text: list[str]) -> TextEmbedding:
            rows = len(text)
            return TextEmbedding(torch.zeros(rows, 2, 8), torch.zeros(rows, 2).bool(), torch.zeros(rows, 8))

    model = MDM(mdm_small().model_copy(update=TINY), Silent(), Normaliser.identity(FEATURES))
    assert model.sample([""], torch.tensor([8]), seeds=[0]).features.isfinite().all()


@PRESETS
def test_half_precision_arithmetic_gives_losses_and_motions_in_single_precision(preset):
    model = make(preset())
    with torch.autocast("cpu", torch.bfloat16):
        step = model.training_step(make_batch(), seeded())
        motion = model.sample(["walk"], torch.tensor([8]), seeds=[0])
    for value in (step.loss, step.motion.features, motion.features):
        assert value.dtype == torch.float32
        assert value.isfinite().all()


def test_features_of_another_data_set_are_refused_by_name():
    model = make(mdm_small())
    motion = Motion(torch.zeros(1, 8, 251), torch.tensor([8]))
    with pytest.raises(InputError, match=r"263 features per frame, but the motion has 251.*KIT-ML"):
        model.training_step(Batch(motion, ["a"], torch.zeros(1, 4), ["a"]), seeded())


@pytest.mark.parametrize("length", [0, -3, 5000])
def test_a_length_that_no_motion_has_is_refused(length):
    with pytest.raises(InputError, match="1 to 4999 frames"):
        make(mdm_small()).sample(["walk"], torch.tensor([length]), seeds=[0])


def test_arguments_that_do_not_belong_together_are_refused():
    model = make(mdm_small())
    with pytest.raises(ValueError, match="one per row"):
        model.sample(["walk"], torch.tensor([8]), seeds=[0, 1])
    with pytest.raises(ValueError, match="known and keep"):
        model.sample(["walk"], torch.tensor([8]), seeds=[0], known=make_batch((8,)).motion)
    with pytest.raises(InputError, match=r"'fake'.*'other'"):
        MDM(mdm_small().model_copy(update=TINY), FakeTextEncoder(8, "other"), Normaliser.identity(FEATURES))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 30, "heads": 4}, "multiple of heads"),
        ({"architecture": "trans_enc", "condition": "tokens"}, "trans_dec"),
        ({"context_frames": 6, "frames_per_token": 4}, "whole tokens"),
        ({"sampling_steps": 60, "diffusion_steps": 50}, "exceed"),
    ],
)
def test_options_that_contradict_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        MDMConfig(**options)


def test_the_noise_level_of_a_step_lies_between_clean_and_pure_noise():
    """The timesteps are the first random numbers of the step's generator; of N noise levels the last is 1."""
    step = make(mdm_small()).training_step(make_batch(), seeded(5))
    t = torch.randint(TINY["diffusion_steps"], (2,), generator=seeded(5))
    torch.testing.assert_close(step.noise_level, t / (TINY["diffusion_steps"] - 1))
