"""MoMask's trainings and the assembled generator from outside."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from atm.alignment import Alignment, AlignmentConfig
from atm.base.config import Config
from atm.base.errors import InputError
from atm.base.storage import save_model
from atm.generators.momask.config import LengthConfig, MaskConfig, MoMaskConfig
from atm.generators.momask.masked import Guess
from atm.generators.momask.model import MoMask
from atm.generators.momask.presets import momask_humanml3d, momask_kit, momask_small
from atm.generators.momask.stages import LengthStage, MaskStage, build_stage
from atm.generators.tokens.config import ResidualConfig, RVQConfig, TrunkConfig
from atm.generators.tokens.quantiser import ABSENT
from atm.generators.tokens.stages import (
    LEARNED_FROM,
    ResidualStage,
    RVQStage,
    frozen_tokens,
    load_tokeniser,
    masked_error,
)
from atm.interface import Batch, Generator
from atm.models.check import check_generator
from atm.motion import Motion
from atm.motion.layers import Normaliser
from doubles import FakeTextEncoder

FEATURES = 263
TRUNK = TrunkConfig(width=16, layers=1, heads=2, feed_forward=16)
RVQ = RVQConfig(width=16, depth=1, levels=3, codes=24, code_width=8, level_dropout=0.0)
CODES = {"trunk": TRUNK, "codes": 24, "code_width": 8, "text_encoder": "fake"}
MASK = MaskConfig(**CODES, steps=3, max_frames=24)
RESIDUAL = ResidualConfig(**CODES, levels=3, max_frames=24)
LENGTH = LengthConfig(text_encoder="fake", widths=(8, 8, 8), classes=7)
WHOLE = MoMaskConfig(rvq=RVQ, mask=MASK, residual=RESIDUAL, length=LENGTH)
STATISTICS = Normaliser(torch.full((FEATURES,), 5.0), torch.full((FEATURES,), 2.0))


def tiny(config: MoMaskConfig) -> MoMaskConfig:
    """A preset with its own choices and small networks."""
    rvq = {"width": 16, "depth": 1, "codes": 24, "code_width": 8}
    codes = {"trunk": TRUNK, "codes": 24, "code_width": 8, "max_frames": 24}
    return config.model_copy(
        update={
            "rvq": config.rvq.model_copy(update=rvq),
            "mask": config.mask.model_copy(update=codes | {"steps": 3}),
            "residual": config.residual.model_copy(update=codes),
            "length": config.length.model_copy(update={"widths": (8, 8, 8)}),
        }
    )


def make(config: MoMaskConfig = WHOLE, *, normaliser: Normaliser = STATISTICS) -> MoMask:
    torch.manual_seed(0)
    model = MoMask(config, FakeTextEncoder(8, config.text_encoder), normaliser)
    # Fresh token models give almost equal odds to all codes; these have opinions.
    for network in (model.mask, model.residual):
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


def make_batch(lengths: tuple[int, ...] = (22, 9, 13), features: int = FEATURES) -> Batch:
    rng = torch.Generator().manual_seed(0)
    motion = Motion(5 + 2 * torch.randn(len(lengths), max(lengths), features, generator=rng), torch.tensor(lengths))
    text = ["a person walks", "someone sits down slowly", "jump"][: len(lengths)]
    return Batch(motion, text, torch.eye(len(lengths)), [str(row) for row in range(len(lengths))])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokeniser(config: RVQConfig = RVQ) -> RVQStage:
    torch.manual_seed(0)
    stage = RVQStage(config, STATISTICS)
    stage.train().training_step(make_batch(), seeded())
    return stage.eval()


def test_the_tokens_to_learn_are_found_in_full_precision_whatever_the_trainings():
    """Rounded vectors near the border of two codes would be given another code than in generating."""
    frozen, seen = tokeniser(), []
    frozen.rvq.encoder.register_forward_hook(lambda _module, _given, made: seen.append(made.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        frozen_tokens(frozen, make_batch().motion, 24)
    assert seen == [torch.float32]


def test_it_is_a_generator():
    assert isinstance(make(), Generator)


@pytest.mark.parametrize(
    ("preset", "features"),
    [(momask_humanml3d, 263), (momask_kit, 251), (momask_small, 263)],
    ids=["humanml3d", "kit", "small"],
)
def test_every_preset_passes_every_check_that_applies(preset, features):
    model = make(tiny(preset()), normaliser=Normaliser.identity(features)).train()
    results = check_generator(model, make_batch(features=features))
    assert [result for result in results if result.status == "fail"] == []
    skipped = {result.name for result in results if result.status == "not applicable"}
    assert skipped == set()
    assert model.training


def test_the_published_presets_have_the_published_numbers():
    """Ten rounds, guidance 4 (KIT 2) and 5, half the weight on positions, 2 % commitment, 49 tokens of 4 frames."""
    humanml3d, kit = momask_humanml3d(), momask_kit()
    assert humanml3d.mask.steps == kit.mask.steps == 10
    assert (humanml3d.mask.guidance_scale, kit.mask.guidance_scale) == (4.0, 2.0)
    assert humanml3d.residual.guidance_scale == kit.residual.guidance_scale == 5.0
    assert (humanml3d.rvq.positions_weight, humanml3d.rvq.commitment_weight) == (0.5, 0.02)
    assert humanml3d.max_frames // humanml3d.rvq.frames_per_token == 49


def test_the_plain_loss_is_the_absolute_error_of_the_motion_that_the_step_returns():
    """Eq. 10 of the ATM paper, from the step's own motion: |x - x_hat| in normalised units is half that in published
    ones where the deviation is 2."""
    config = RVQ.model_copy(update={"criterion": "l1", "positions_weight": 0.0, "commitment_weight": 0.0})
    batch = make_batch()
    step = tokeniser(config).training_step(batch, seeded())
    assert step.motion.features.shape == batch.motion.features.shape
    difference = (step.motion.features - batch.motion.features).abs() / 2
    rows = zip(difference, batch.motion.lengths.tolist(), strict=True)
    torch.testing.assert_close(step.loss, torch.stack([row[:length].mean() for row, length in rows]))


def test_the_released_loss_is_smooth_and_counts_positions_and_commitment():
    config = RVQ.model_copy(update={"criterion": "l1_smooth", "positions_weight": 0.5, "commitment_weight": 0.02})
    batch = make_batch()
    step = tokeniser(config).training_step(batch, seeded())
    error = (step.motion.features - batch.motion.features).abs() / 2
    smooth = torch.where(error < 1, error**2 / 2, error - 0.5)
    bare = tokeniser(config.model_copy(update={"commitment_weight": 0.0})).training_step(batch, seeded())
    for row, length in enumerate(batch.motion.lengths.tolist()):
        own = smooth[row, :length]
        # 21 joints' positions stand behind turn, step and height of the root.
        torch.testing.assert_close(bare.loss[row], own.mean() + 0.5 * own[:, 4 : 4 + 63].mean())
    extra = (step.loss - bare.loss).mean().item()
    assert extra == pytest.approx(0.02 * step.parts["commitment"], rel=1e-3)


def test_errors_below_one_are_squared_and_larger_ones_are_not():
    x, mask = torch.zeros(1, 2, 1), torch.tensor([[True, True]])
    x_hat = torch.tensor([[[0.5], [3.0]]])
    torch.testing.assert_close(masked_error(x_hat, x, mask, "l1_smooth"), torch.tensor([(0.125 + 2.5) / 2]))
    torch.testing.assert_close(masked_error(x_hat, x, mask, "l1"), torch.tensor([(0.5 + 3.0) / 2]))


def stages() -> list[nn.Module]:
    frozen, encoder = tokeniser(), FakeTextEncoder(8)
    torch.manual_seed(0)
    return [
        frozen,
        MaskStage(MASK, encoder, frozen),
        ResidualStage(RESIDUAL, encoder, frozen),
        LengthStage(LENGTH, encoder),
    ]


def test_a_step_of_any_stage_ignores_what_stands_in_the_padding_even_nan():
    batch = make_batch()
    junk = batch.motion.features.masked_fill(~batch.motion.mask[..., None], float("nan"))
    dirty = replace(batch, motion=replace(batch.motion, features=junk))
    for stage in stages():
        losses = [stage.eval().training_step(which, seeded()).loss for which in (batch, dirty)]
        assert losses[0].shape == (3,)
        torch.testing.assert_close(*losses, rtol=0, atol=0)


def test_every_stage_learns_a_batch_by_heart():
    batch = make_batch((24, 24))
    for stage in stages():
        stage.requires_grad_(True).train()
        optimiser = torch.optim.AdamW(stage.parameters(), lr=1e-2)
        losses = []
        for step in range(40):
            loss = stage.training_step(batch, seeded(step % 4)).loss.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert sum(losses[-4:]) < 0.8 * sum(losses[:4]), type(stage).__name__


def test_token_models_are_trained_at_the_data_sets_longest_whatever_the_batch():
    """So that how many tokens are masked does not depend on the batch's padding."""
    batch = make_batch((9, 8))
    longer = replace(
        batch, motion=Motion(nn.functional.pad(batch.motion.features, (0, 0, 0, 11)), batch.motion.lengths)
    )
    for stage in stages()[1:3]:
        losses = [stage.eval().training_step(which, seeded()).loss for which in (batch, longer)]
        torch.testing.assert_close(*losses)


def test_training_a_token_model_leaves_its_tokeniser_as_it_is():
    stage = stages()[1].train()
    before = {key: value.clone() for key, value in stage.tokeniser.state_dict().items()}
    stage.training_step(make_batch(), seeded()).loss.mean().backward()
    torch.testing.assert_close(stage.tokeniser.state_dict(), before, rtol=0, atol=0)
    assert not stage.tokeniser.training
    assert all(key.startswith("mask.") for key in stage.state_dict() if key != LEARNED_FROM)


def test_a_tokeniser_that_goes_on_from_its_file_keeps_its_codes(tmp_path):
    """A step moves a code by a hundredth of its way; a start from nothing would replace them all."""
    stage = tokeniser()
    save_model(tmp_path / "model.safetensors", stage, RVQ, "stage")
    loaded = load_tokeniser(tmp_path)
    torch.testing.assert_close(loaded.state_dict(), stage.state_dict(), rtol=0, atol=0)
    far = make_batch()
    far = replace(far, motion=replace(far.motion, features=far.motion.features + 200))
    sums = loaded.rvq.quantizer.layers[0].code_sum.clone()
    loaded.train().training_step(far, seeded())
    moved = loaded.rvq.quantizer.layers[0].code_sum
    new = RVQStage(RVQ, STATISTICS)
    new.load_state_dict(stage.state_dict())
    new.rvq.quantizer.layers[0].code_count.zero_()
    new.train().training_step(far, seeded())
    assert (moved - sums).norm() < 0.2 * (new.rvq.quantizer.layers[0].code_sum - sums).norm()


class PlaneSpace:
    """Texts and motions on a plane: a motion by two random projections of its mean frame."""

    def encode_motion(self, motion: Motion) -> Tensor:
        frames = (motion.features * motion.mask[..., None]).sum(1) / motion.lengths[:, None]
        return frames @ torch.randn(FEATURES, 2, generator=seeded())

    def encode_text(self, text: list[str]) -> Tensor:
        return FakeTextEncoder(2)(text).sentence


def test_the_alignment_losses_reach_the_encoder_through_the_codes():
    stage, batch = tokeniser().train(), make_batch((24, 20, 24))
    step = stage.training_step(batch, seeded())
    config = AlignmentConfig(
        inter={"margin": 1.0}, intra={"clip_seconds": 0.4, "min_clip_seconds": 0.2, "margin": 1.0, "gamma": 1.0}
    )
    total = Alignment(config, PlaneSpace())(step.motion, batch, rng=seeded()).total
    assert total > 0
    total.backward()
    assert stage.rvq.encoder.model[0].weight.grad.abs().sum() > 0
    assert stage.rvq.decoder.model[-1].weight.grad.abs().sum() > 0


def mask_stage(**changes) -> MaskStage:
    torch.manual_seed(0)
    return MaskStage(MASK.model_copy(update={"motion": "straight_through"} | changes), FakeTextEncoder(8), tokeniser())


def test_the_alignment_losses_reach_the_masked_transformer_through_the_tokens_that_it_chooses():
    stage, batch = mask_stage().train(), make_batch((24, 20, 24))
    step = stage.training_step(batch, seeded())
    config = AlignmentConfig(inter={"margin": 1.0}, intra={"weight": 0.0})
    Alignment(config, PlaneSpace())(step.motion, batch, step.noise_level, rng=seeded()).total.backward()
    assert stage.mask.token_emb.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in stage.tokeniser.parameters())


def test_the_motion_of_a_masked_step_is_what_the_tokeniser_makes_of_the_codes():
    """Where nothing is asked for it is the reconstruction of all levels; where all is, of the first level's guesses."""
    stage, batch = mask_stage(), make_batch((24, 12))
    codes, mask = frozen_tokens(stage.tokeniser, batch.motion, MASK.max_frames)
    logits = 50.0 * nn.functional.one_hot((codes[..., 0] + 1) % CODES["codes"], CODES["codes"]).float()
    noise = torch.zeros_like(logits)
    for asked, expected in ((torch.zeros_like(mask), codes), (mask, (codes[..., :1] + 1) % CODES["codes"])):
        made = stage._guessed(Guess(torch.zeros(2), logits, asked, 0.0), noise, codes, mask, batch.motion)
        there = torch.where(mask[..., None], expected, ABSENT)
        whole = stage.tokeniser.normaliser.inverse(stage.tokeniser.rvq.decode(there))
        torch.testing.assert_close(made.features[0, :24], whole[0, :24])
        torch.testing.assert_close(made.features[1, :12], whole[1, :12])


def test_a_masked_step_has_no_motion_as_published_and_its_loss_is_the_same_with_one():
    batch = make_batch()
    with_motion, without = (
        mask_stage(motion=motion).training_step(batch, seeded()) for motion in ("straight_through", "none")
    )
    assert without.motion is None and with_motion.motion is not None
    torch.testing.assert_close(with_motion.loss, without.loss)


def test_a_sample_is_as_long_as_asked_also_inside_a_token():
    motion = make().sample(["a", "b"], torch.tensor([9, 22]), seeds=[0, 1])
    assert motion.lengths.tolist() == [9, 22]
    assert motion.features.shape == (2, 24, FEATURES)


def test_a_motions_end_does_not_depend_on_its_neighbours():
    """Decoded behind zeros, the last frames would be others: the decoder sees tokens to both sides."""
    model = make()
    together = model.sample(["a", "b"], torch.tensor([8, 24]), seeds=[0, 1]).features[0, :8]
    alone = model.sample(["a"], torch.tensor([8]), seeds=[0]).features[0, :8]
    torch.testing.assert_close(together, alone)
    codes = torch.randint(24, (1, 2, 3), generator=seeded())
    padded = torch.cat([codes, torch.full((1, 4, 3), -1)], dim=1)
    with torch.no_grad():
        assert not torch.allclose(model.rvq.decode(padded)[:, 7], model.rvq.decode(codes)[:, 7], atol=1e-3)


def test_without_lengths_the_estimator_gives_them_by_the_rows_seed():
    model = make()
    text = ["a person walks", "someone sits down", "jump"]
    motion = model.sample(text, seeds=[0, 1, 2])
    assert all(length in range(4, 25, 4) for length in motion.lengths.tolist())
    alone = model.sample(text[1:2], seeds=[1])
    length = int(alone.lengths)
    assert length == int(motion.lengths[1])
    torch.testing.assert_close(alone.features[0, :length], motion.features[1, :length])


def test_without_an_estimator_lengths_must_be_given():
    model = make(WHOLE.model_copy(update={"length": None}))
    assert not model.capabilities.predicts_length
    with pytest.raises(InputError, match="no length estimator"):
        model.sample(["a"], seeds=[0])


@pytest.mark.parametrize("length", [0, 30000])
def test_impossible_lengths_are_refused(length):
    with pytest.raises(InputError, match="1 to 5000 tokens"):
        make().sample(["a"], torch.tensor([length]), seeds=[0])


def test_one_guidance_scale_is_for_both_token_models():
    """1 is the conditional: what the text is withheld from does not matter then."""
    model = make()
    seen = []
    for name in ("mask", "residual"):
        network = getattr(model, name)
        forward = network.guided
        network.guided = lambda *args, scale, forward=forward: (seen.append(scale), forward(*args, scale=scale))[1]
    model.sample(["a"], torch.tensor([8]), seeds=[0])
    assert seen == [4.0] * 3 + [5.0] * 2
    seen.clear()
    model.sample(["a"], torch.tensor([8]), seeds=[0], guidance_scale=1.0)
    assert seen == [1.0] * 5


def test_levels_can_be_left_out():
    model = make(WHOLE.model_copy(update={"residual_levels": 0}))
    whole = make().sample(["a"], torch.tensor([8]), seeds=[0])
    assert not torch.allclose(model.sample(["a"], torch.tensor([8]), seeds=[0]).features, whole.features)


def test_editing_keeps_the_first_level_outside_the_part_that_is_made_anew():
    """Frame 9 lies in token 2 of 5 (22 frames are five whole tokens): that token alone may change."""
    model, batch = make(), make_batch((22, 16))
    redo = torch.zeros(2, 22, dtype=torch.bool)
    redo[:, 9] = True
    bases = []
    generate = model.residual.generate
    model.residual.generate = lambda base, *args, **options: (bases.append(base), generate(base, *args, **options))[1]
    edited = model.edit(batch.motion, batch.text, redo, seeds=[0, 1])
    assert edited.lengths.tolist() == [20, 16]
    assert edited.features.shape == (2, 20, FEATURES)
    x = (batch.motion.zero_padding().features - 5) / 2 * batch.motion.mask[..., None]
    with torch.no_grad():
        codes = model.rvq.encode(nn.functional.pad(x, (0, 0, 0, 2)), torch.ones(2, 6, dtype=torch.bool)).codes[..., 0]
    kept = torch.tensor([[True, True, False, True, True, False], [True, True, False, True, False, False]])
    assert torch.equal(bases[0][kept], codes[kept])
    again = model.edit(batch.motion, batch.text, redo, seeds=[0, 1])
    torch.testing.assert_close(again.features, edited.features, rtol=0, atol=0)


def test_free_editing_needs_no_part():
    edited = make().edit(make_batch().motion, ["a", "b", "c"], seeds=[0, 1, 2])
    assert edited.lengths.tolist() == [20, 8, 12]
    assert edited.features[edited.mask].isfinite().all()


def test_a_motion_of_another_data_set_is_refused():
    batch = make_batch(features=251)
    with pytest.raises(InputError, match="made for 263 features per frame, but the motion has 251"):
        make().edit(batch.motion, batch.text, seeds=[0, 1, 2])
    with pytest.raises(InputError, match="made for 263 features"):
        make().training_step(batch, seeded())


def test_another_text_encoder_is_refused():
    with pytest.raises(InputError, match="'fake', but was given the encoder 'other'"):
        MoMask(WHOLE, FakeTextEncoder(8, "other"), STATISTICS)
    with pytest.raises(InputError, match="momask_length reads texts with 'fake'"):
        LengthStage(LENGTH, FakeTextEncoder(8, "other"))


def write_stages(folder) -> dict[str, object]:
    paths = {}
    for stage in stages():
        name = stage.config.name.removeprefix("momask_")
        paths[name] = folder / name
        paths[name].mkdir()
        save_model(paths[name] / "model.safetensors", stage, stage.config, "stage")
    return paths


def test_the_wrong_model_is_no_tokeniser(tmp_path):
    paths = write_stages(tmp_path)
    with pytest.raises(InputError, match=r"expected a tokeniser .* is 'momask_mask'"):
        load_tokeniser(paths["mask"])
    save_model(tmp_path / "whole.safetensors", make(), WHOLE, "generator")
    assert load_tokeniser(tmp_path / "whole.safetensors").config == RVQ


def test_a_token_models_stage_tells_which_tokeniser_it_learned():
    """By its codebooks, whatever its other weights."""
    frozen, other = tokeniser(), tokeniser()
    one = MaskStage(MASK, FakeTextEncoder(8), frozen)
    nn.init.zeros_(other.rvq.encoder.model[0].weight)
    assert MaskStage(MASK, FakeTextEncoder(8), other).state_dict()[LEARNED_FROM] == one.state_dict()[LEARNED_FROM]
    other.rvq.quantizer.layers[1].codebook[0, 0] += 1
    assert MaskStage(MASK, FakeTextEncoder(8), other).state_dict()[LEARNED_FROM] != one.state_dict()[LEARNED_FROM]


def test_stages_are_built_from_their_configs(tmp_path):
    paths = write_stages(tmp_path)
    encoder = FakeTextEncoder(8)
    assert isinstance(build_stage(RVQ, encoder, STATISTICS), RVQStage)
    assert isinstance(build_stage(LENGTH, encoder, STATISTICS), LengthStage)
    named: dict[type, Config] = {MaskStage: MASK, ResidualStage: RESIDUAL}
    for kind, config in named.items():
        with pytest.raises(InputError, match=r"give model\.tokeniser=RUN"):
            build_stage(config, encoder, STATISTICS)
        stage = build_stage(config.model_copy(update={"tokeniser": str(paths["rvq"])}), encoder, STATISTICS)
        assert isinstance(stage, kind)
        torch.testing.assert_close(stage.tokeniser.normaliser.std, STATISTICS.std)


def test_a_tokeniser_of_other_sizes_is_refused():
    frozen, encoder = tokeniser(), FakeTextEncoder(8)
    with pytest.raises(InputError, match="the tokeniser has 24 codes, but codes=23"):
        MaskStage(MASK.model_copy(update={"codes": 23}), encoder, frozen)
    with pytest.raises(InputError, match="the tokeniser has 3 levels, but levels=4"):
        ResidualStage(RESIDUAL.model_copy(update={"levels": 4}), encoder, frozen)


@pytest.mark.parametrize("completes", [False, True])
def test_as_many_rounds_are_made_as_steps_are_asked_for(monkeypatch, completes):
    model, rounds = make(), []
    once = model.mask._round
    monkeypatch.setattr(model.mask, "_round", lambda *given: rounds.append(1) or once(*given))
    batch = make_batch()
    keep = batch.motion.mask & (torch.arange(22) < 8)
    known = {"known": batch.motion, "keep": keep} if completes else {}
    for steps in (1, 7):
        rounds.clear()
        motion = model.sample(batch.text, batch.motion.lengths, seeds=[0, 1, 2], steps=steps, **known)
        assert len(rounds) == steps and motion.features.isfinite().all()
    own, same = (
        model.sample(batch.text, batch.motion.lengths, seeds=[0, 1, 2], steps=steps, **known).features
        for steps in (None, MASK.steps)
    )
    torch.testing.assert_close(same, own, rtol=0, atol=0)


def test_more_rounds_than_there_may_be_are_refused():
    with pytest.raises(InputError, match="steps must be 1 to 100 for this model, got 101"):
        make().sample(["a"], torch.tensor([8]), seeds=[0], steps=101)
