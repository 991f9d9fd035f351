"""What a space promises whoever measures in it, and what its training step does."""

import math
from dataclasses import replace

import pytest
import torch

from atm.base.errors import InputError
from atm.interface import Batch, FineMeaning, TextMotionSpace
from atm.motion import HUMANML3D, Motion
from atm.motion.layers import Normaliser
from atm.space import Space, SpaceConfig, model, space_humanml3d, space_kit, space_small
from atm.space.augment import random_crops, random_warps
from atm.space.losses import near_duplicates
from doubles import FakeTextEncoder

CAPTIONS = ["a person walks", "a person sits down", "he jumps twice", "someone waves the left hand"]
TINY = SpaceConfig(width=16, feed_forward=32, layers=2, decoder_layers=2, heads=2)


def space_of(**changes) -> Space:
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    statistics = Normaliser(torch.randn(263, generator=rng), torch.rand(263, generator=rng) + 0.5)
    return Space(TINY.model_copy(update=changes), FakeTextEncoder(), statistics)


def frozen(**changes) -> Space:
    return space_of(**changes).eval().requires_grad_(False)


def motion_of(lengths: list[int], seed: int = 1) -> Motion:
    rng = torch.Generator().manual_seed(seed)
    return Motion(torch.randn(len(lengths), max(lengths), 263, generator=rng), torch.tensor(lengths))


def batch_of(lengths: list[int]) -> Batch:
    text = CAPTIONS[: len(lengths)]
    return Batch(motion_of(lengths), text, FakeTextEncoder()(text).sentence, ids=text)


def rng_of(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


per_token = pytest.mark.parametrize("frames_per_token", [1, 4])


def test_a_space_is_a_text_motion_space():
    assert isinstance(frozen(), TextMotionSpace)


@per_token
def test_padding_changes_no_embedding_whatever_it_holds(frames_per_token):
    space, motion = frozen(frames_per_token=frames_per_token), motion_of([23, 7, 14])
    longer = torch.nn.functional.pad(motion.features, (0, 0, 0, 9), value=3.0)
    longer = torch.where(Motion(longer, motion.lengths).mask[..., None], longer, torch.nan)
    z = space.encode_motion(motion)
    torch.testing.assert_close(space.encode_motion(Motion(longer, motion.lengths)), z)


@per_token
def test_a_batch_of_one_embeds_as_its_row(frames_per_token):
    space, motion = frozen(frames_per_token=frames_per_token), motion_of([23, 7, 14])
    rows = torch.cat([space.encode_motion(motion[[i]]) for i in range(3)])
    torch.testing.assert_close(space.encode_motion(motion), rows, rtol=1e-5, atol=1e-5)
    words = torch.cat([space.encode_text([caption]) for caption in CAPTIONS])
    torch.testing.assert_close(space.encode_text(CAPTIONS), words, rtol=1e-5, atol=1e-5)


@per_token
def test_the_gradient_reaches_every_frame_of_a_motion_and_no_padding(frames_per_token):
    space, motion = frozen(frames_per_token=frames_per_token), motion_of([13, 6])
    features = motion.features.clone().requires_grad_()
    space.encode_motion(Motion(features, motion.lengths)).square().sum().backward()
    torch.testing.assert_close(features.grad.abs().sum(dim=2) > 0, motion.mask)


def test_the_gradient_through_the_space_is_that_of_finite_differences():
    space, motion = frozen(frames_per_token=4).double(), motion_of([5, 3])
    features = motion.features.double().requires_grad_()
    direction = torch.randn(features.shape, generator=rng_of(5), dtype=torch.float64) * motion.mask[..., None]

    def value(step: float) -> torch.Tensor:
        return space.encode_motion(Motion(features + step * direction, motion.lengths)).cos().sum()

    value(0).backward()
    slope = (features.grad * direction).sum()
    torch.testing.assert_close(slope, (value(1e-5) - value(-1e-5)).detach() / 2e-5, rtol=1e-5, atol=1e-8)


def test_rows_are_grouped_where_padding_costs_more_than_a_group(monkeypatch):
    """Of [50, 8, 50, 9] one batch has 42 + 41 tokens of padding, two groups have 1: they save 82."""
    monkeypatch.setattr(model, "GROUP_COST", 81)
    assert model.length_groups([50, 8, 50, 9]) == [[1, 3], [0, 2]]
    monkeypatch.setattr(model, "GROUP_COST", 82)
    assert model.length_groups([50, 8, 50, 9]) == [[1, 3, 0, 2]]
    monkeypatch.setattr(model, "GROUP_COST", 0)
    assert model.length_groups([50, 8, 50, 9]) == [[1], [3], [0, 2]]


def test_motions_read_in_groups_have_the_embeddings_and_gradients_of_one_batch(monkeypatch):
    space = frozen(frames_per_token=4)
    lengths = torch.tensor([90, 20, 60, 24, 88])
    features = torch.randn(5, 90, 263, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = []
    for cost in (10**6, 0):
        monkeypatch.setattr(model, "GROUP_COST", cost)
        z = space.encode_motion(Motion(features, lengths))
        found.append((z, *torch.autograd.grad(z[:, 0].square().sum(), features)))
    assert found[1][1][1, :20].abs().sum() > 0
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_last_layer_read_in_part_is_the_last_layer_in_whole():
    """The encoder computes only the first two rows of its last layer; PyTorch's own stack computes all."""
    encoder = frozen().motion_encoder
    sequence, mask = torch.randn(3, 9, 263, generator=rng_of()), torch.arange(9) < torch.tensor([[9], [4], [1]])
    tokens = encoder.tokens.expand(3, -1, -1)
    hidden = encoder.position(torch.cat([tokens, encoder.projection(sequence)], dim=1))
    outside = torch.cat([torch.zeros(3, 2, dtype=torch.bool), ~mask], dim=1)
    whole = encoder.seqTransEncoder(hidden, src_key_padding_mask=outside)
    gaussian = encoder(sequence, mask)
    torch.testing.assert_close(torch.stack(gaussian, dim=1), whole[:, :2], rtol=1e-5, atol=1e-5)


@per_token
def test_a_decoded_motion_is_in_published_units_and_zero_behind_its_end(frames_per_token):
    """A decoder that says nothing (all weights zero) says the mean motion."""
    space = frozen(frames_per_token=frames_per_token)
    torch.nn.init.zeros_(space.motion_decoder.final_layer.weight)
    torch.nn.init.zeros_(space.motion_decoder.final_layer.bias)
    motion = space.decode(torch.zeros(2, 16), torch.tensor([6, 3]))
    torch.testing.assert_close(motion.features, space.normaliser.mean.expand(2, 6, -1) * motion.mask[..., None])


@per_token
def test_a_training_step_gives_a_loss_per_row_and_its_gradient_reaches_every_weight(frames_per_token):
    space = space_of(frames_per_token=frames_per_token).train()
    step = space.training_step(batch_of([40, 25, 33]), rng_of())
    assert step.loss.shape == (3,)
    assert step.motion is None
    step.loss.mean().backward()
    without = [name for name, weight in space.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []


@pytest.mark.slow
def test_a_few_steps_teach_the_small_space_what_belongs_together():
    """Four attributes of five values; a motion is the sum of its attributes' poses, a caption names them. 48 of the
    625 combinations are one in 48 by chance; latents are drawn in training, means are compared here."""
    poses = torch.randn(4, 5, 263, generator=rng_of())

    def drawn(seed: int) -> Batch:
        rng = rng_of(seed)
        values = torch.randint(0, 5, (48, 4), generator=rng)
        pose = sum(poses[a, values[:, a]] for a in range(4)) / 2
        features = pose[:, None] + 0.5 * torch.randn(48, 8, 263, generator=rng)
        text = [" ".join(f"attribute{a}value{v}" for a, v in enumerate(row)) for row in values.tolist()]
        return Batch(Motion(features, torch.full((48,), 8)), text, FakeTextEncoder(64)(text).sentence, ids=text)

    torch.manual_seed(0)
    space = Space(space_small(), FakeTextEncoder(64), Normaliser.identity(263))
    optimizer = torch.optim.AdamW(space.parameters(), lr=3e-4)
    for step in range(80):
        optimizer.zero_grad()
        space.train().training_step(drawn(step), rng_of(step)).loss.mean().backward()
        optimizer.step()
    assert space.eval().training_step(drawn(10**6), rng_of()).parts["top1"] > 0.6


def test_the_loss_is_the_weighted_sum_of_its_parts():
    space = space_of(lambda_kl=0.3, lambda_latent=0.5, lambda_nce=0.7).train()
    step = space.training_step(batch_of([40, 25, 33]), rng_of())
    parts = step.parts
    expected = parts["rec"] + 0.3 * parts["kl"] + 0.5 * parts["latent"] + 0.7 * parts["nce"]
    assert step.loss.mean().item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_motion_and_one_caption_trains_without_nan():
    step = space_of().train().training_step(batch_of([40]), rng_of())
    assert torch.isfinite(step.loss).all()
    assert step.parts["nce"] == 0


def test_a_batch_of_one_caption_repeated_has_no_negatives_and_no_nan():
    batch = batch_of([40, 30, 20])
    same = Batch(batch.motion, [CAPTIONS[0]] * 3, batch.sentence[:1].repeat(3, 1), ids=batch.ids)
    step = space_of().train().training_step(same, rng_of())
    assert torch.isfinite(step.loss).all()
    assert step.parts["nce"] == 0
    assert step.parts["duplicates"] == 2


def test_captions_that_contradict_are_negatives_of_a_space_that_reads_meaning():
    """All three captions have one sentence embedding; by the meaning none of them is a duplicate of another."""
    batch = batch_of([40, 30, 20])
    itself = torch.eye(3, dtype=torch.bool)
    alike = replace(batch, sentence=torch.ones(3, 4), meaning=FineMeaning(~itself, itself, [None] * 3))
    assert space_of().train().training_step(alike, rng_of()).parts["duplicates"] == 2
    assert space_of(similarity="meaning").train().training_step(alike, rng_of()).parts["duplicates"] == 0


def test_counterfactuals_only_add_negatives():
    """Without dropout and draws, a false caption adds a term to the motion's sum: the contrastive part grows. A batch
    in which no caption has one is as without."""
    batch, itself = batch_of([40, 30, 20]), torch.eye(3, dtype=torch.bool)
    space = space_of(dropout=0.0).eval()
    plain = space.training_step(batch, rng_of()).parts["nce"]
    space.config = space.config.model_copy(update={"counterfactuals": True})
    for false, compare in ((["a false caption", None, None], float.__gt__), ([None] * 3, float.__eq__)):
        read = replace(batch, meaning=FineMeaning(~itself, itself, false))
        assert compare(space.training_step(read, rng_of()).parts["nce"], plain)


def test_a_step_down_the_gradient_parts_captions_from_their_counterfactuals_as_far_as_the_margin_asks():
    batch, itself = batch_of([40, 30, 20]), torch.eye(3, dtype=torch.bool)
    read = replace(batch, meaning=FineMeaning(~itself, itself, ["a false caption"] * 3))
    space = space_of(dropout=0.0, counterfactuals=True, counterfactual_margin=0.5, lambda_nce=1.0).eval()
    before = space.training_step(read, rng_of())
    assert before.parts["too_near"] > 0
    before.loss.mean().backward()
    torch.optim.SGD(space.parameters(), lr=0.05).step()
    assert space.training_step(read, rng_of()).parts["too_near"] < before.parts["too_near"]
    space.config = space.config.model_copy(update={"counterfactual_margin": 0.0})
    assert "too_near" not in space.training_step(read, rng_of()).parts


def test_a_margin_of_counterfactuals_needs_counterfactuals():
    with pytest.raises(ValueError, match="set counterfactuals=true"):
        SpaceConfig(counterfactual_margin=0.2)


def test_what_a_caption_tells_is_read_off_text_and_whole_motion():
    """With nothing told there is nothing to misread; a crop leaves what the text misreads."""
    batch, itself = batch_of([60, 50, 40]), torch.eye(3, dtype=torch.bool)
    sizes = {"width": 24, "heads": 2, "dropout": 0.0, "sample_latents": False, "told_weight": 1.0}
    torch.manual_seed(0)
    space = space_of(**sizes, min_crop_seconds=1.0, crop_probability=1.0).train()

    def misread(*told: dict[str, str]) -> float:
        meaning = FineMeaning(~itself, itself, [None] * 3, told)
        return space.training_step(replace(batch, meaning=meaning), rng_of()).parts["misread"]

    told = {"count": "3"}, {"side": "left"}, {"count": "40", "direction": "turns left"}
    cropped = misread(*told)
    space.eval()
    whole = misread(*told)
    assert misread({}, {}, {}) == 0
    assert 0 < cropped < whole


def test_crops_have_no_counterfactual():
    """All motions are cropped to 1 s: a number that the caption counts is no longer what they show. What is left out is
    not read by the language model either."""
    batch, itself = batch_of([60, 50, 40]), torch.eye(3, dtype=torch.bool)
    read = replace(batch, meaning=FineMeaning(~itself, itself, ["a false caption"] * 3))
    cropped = {"dropout": 0.0, "sample_latents": False, "min_crop_seconds": 1.0, "crop_probability": 1.0}
    torch.manual_seed(0)
    space = space_of(**cropped).train()
    parts = [space.training_step(read, rng_of()).parts]
    space.config = space.config.model_copy(update={"counterfactuals": True})
    asked = []

    class Asked(FakeTextEncoder):
        def __call__(self, text):
            asked.extend(text)
            return super().__call__(text)

    space.language_model = Asked()
    parts.append(space.training_step(read, rng_of()).parts)
    assert parts[0]["nce"] == parts[1]["nce"]
    assert set(asked) == set(batch.text)


@pytest.mark.parametrize(
    "change", [{"similarity": "meaning"}, {"counterfactuals": True}, {"told_weight": 1.0, "width": 24}]
)
def test_a_space_that_reads_meaning_refuses_a_batch_without(change):
    with pytest.raises(ValueError, match="meaning"):
        space_of(**change).train().training_step(batch_of([40, 30]), rng_of())


def test_the_same_generator_state_gives_the_same_training_step():
    space, batch = space_of(dropout=0.0).train(), batch_of([60, 50, 40])
    first, again, other = (space.training_step(batch, rng_of(seed)).loss for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_in_evaluation_mode_a_step_is_of_means_and_whole_motions():
    space, batch = space_of().eval(), batch_of([60, 50, 40])
    assert torch.equal(space.training_step(batch, rng_of(1)).loss, space.training_step(batch, rng_of(2)).loss)


def test_embeddings_stay_in_single_precision_under_autocast():
    space, motion = frozen(), motion_of([12, 9])
    exact = space.encode_motion(motion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = space.encode_motion(motion)
        step = space.training_step(batch_of([12, 9]), rng_of())
    assert rough.dtype == torch.float32 and step.loss.dtype == torch.float32
    assert torch.cosine_similarity(rough, exact).min() > 0.99


def test_a_motion_of_another_data_set_is_refused():
    kit = Motion(torch.zeros(1, 5, 251), torch.tensor([5]))
    with pytest.raises(InputError, match="reads 263 features per frame, but the motion has 251"):
        frozen().encode_motion(kit)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(InputError, match="multiple of heads"):
        space_of(width=10, heads=4)


def test_a_motion_without_end_is_refused():
    endless = Motion(torch.zeros(1, 5001, 263), torch.tensor([5001]))
    with pytest.raises(InputError, match="too long"):
        frozen().encode_motion(endless)


def test_a_space_of_kit_reads_kit():
    space = Space(TINY, FakeTextEncoder(), Normaliser.identity(251)).eval()
    assert space.encode_motion(Motion(torch.zeros(2, 5, 251), torch.tensor([5, 3]))).shape == (2, 16)


def test_the_language_model_is_no_part_of_the_weights():
    parts = {key.partition(".")[0] for key in space_of().state_dict()}
    assert parts == {"normaliser", "motion_encoder", "text_encoder", "motion_decoder"}


def test_presets_are_valid_and_say_their_language_model():
    assert space_humanml3d().text_encoder == space_kit().text_encoder == "distilbert"
    small = space_small()
    assert SpaceConfig.model_validate(small.model_dump()) == small
    assert small.text_encoder == small.sentence_encoder == "minilm"


@pytest.mark.slow
def test_the_small_spaces_epsilon_keeps_left_and_right_as_negatives_and_drops_a_full_stop():
    from atm.text import load_text_encoder

    kicks = "a person kicks with the left foot"
    said = load_text_encoder("minilm")([kicks, kicks.replace("left", "right"), kicks + "."])
    assert near_duplicates(said.sentence, epsilon=space_small().epsilon).nonzero().tolist() == [[0, 2], [2, 0]]


def counting_motion(lengths: list[int]) -> Motion:
    """Frame t of motion i is 1000 i + t everywhere; padding is NaN."""
    frames = torch.arange(max(lengths)) + 1000.0 * torch.arange(len(lengths))[:, None]
    motion = Motion(frames[..., None].repeat(1, 1, 2), torch.tensor(lengths))
    return Motion(motion.features.masked_fill(~motion.mask[..., None], math.nan), motion.lengths)


def test_crops_are_unbroken_spans_of_their_own_motion():
    lengths = [100, 61, 40, 20, 7]
    for seed in range(20):
        crops = random_crops(counting_motion(lengths), rng_of(seed), probability=0.7, min_frames=20)
        for row, whole in enumerate(lengths):
            length = int(crops.lengths[row])
            span = crops.features[row, :length, 0] - 1000 * row
            assert min(20, whole) <= length <= whole
            assert torch.equal(span.diff(), torch.ones(length - 1))
            assert span[0] >= 0 and span[-1] < whole


def test_crops_reach_every_length_and_both_ends():
    motion = counting_motion([23] * 2000)
    crops = random_crops(motion, rng_of(), probability=1.0, min_frames=20)
    start = crops.features[:, 0, 0] - 1000 * torch.arange(2000)
    assert set(crops.lengths.tolist()) == {20, 21, 22, 23}
    assert (start == 0).any() and (start + crops.lengths == 23).any()


def test_crop_probability_is_the_share_of_cropped_motions():
    """2000 draws at 0.3: the share has a standard deviation of 0.01. A crop of 1 to 1000 frames is whole 1 in 1000."""
    motion = counting_motion([1000] * 2000)
    share = [
        (random_crops(motion, rng_of(), probability=p, min_frames=1).lengths < 1000).double().mean().item()
        for p in (0.0, 0.3)
    ]
    assert share == [0, pytest.approx(0.3, abs=0.04)]


def walk_of(frames: int) -> Motion:
    """Height rises by 1 per frame, the root by 0.5; feet are down in every second group of ten frames."""
    columns, time = HUMANML3D.columns, torch.arange(frames, dtype=torch.float32)
    features = torch.zeros(1, frames, 263)
    features[0, :, columns["root_height"]] = time[:, None]
    features[0, :, columns["root_step"]] = 0.5
    features[0, :, columns["contacts"]] = (time // 10 % 2)[:, None]
    return Motion(features, torch.tensor([frames]))


def test_a_warped_motion_goes_the_same_way_at_another_pace():
    """From the first frame to the last, over the same distance: 99 steps of 0.5; contacts stay 0 or 1."""
    columns, paces = HUMANML3D.columns, set()
    for seed in range(20):
        warped = random_warps(walk_of(100), rng_of(seed), most=0.25)
        length = int(warped.lengths[0])
        height = warped.features[0, :length, columns["root_height"]].squeeze(-1)
        step = warped.features[0, : length - 1, columns["root_step"]]
        contacts = warped.features[0, :length, columns["contacts"]]
        torch.testing.assert_close(height, torch.linspace(0, 99, length))
        torch.testing.assert_close(step.sum(0), torch.tensor([49.5, 49.5]))
        assert set(contacts.unique().tolist()) == {0.0, 1.0}
        assert 99 / 1.25 - 0.5 <= length - 1 <= 99 * 1.25 + 0.5
        paces.add(length)
    assert min(paces) < 90 and max(paces) > 110


def test_a_warp_reads_no_padding_and_a_single_frame_stays():
    motion = counting_motion([40, 1])
    warped = random_warps(Motion(motion.features[..., :1].repeat(1, 1, 263), motion.lengths), rng_of(3), most=0.5)
    assert warped.features[warped.mask].isfinite().all()
    assert int(warped.lengths[1]) == 1
