"""The objective as a generator's training step meets it: a linear space, so that expected values can be derived."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from atm.alignment import Alignment, AlignmentConfig
from atm.alignment.losses import counterfactual_loss
from atm.interface import Batch, FineMeaning
from atm.motion import Motion

WIDTH = 263


class MeanFrameSpace(nn.Module):
    """A motion is the mean of its frames' first four features; a text is looked up."""

    def __init__(self, texts: dict[str, torch.Tensor]):
        super().__init__()
        self.texts = texts
        self.weight = nn.Parameter(torch.eye(4))

    def encode_motion(self, motion: Motion) -> torch.Tensor:
        inside = motion.features[..., :4] * motion.mask[..., None]
        return inside.sum(1) / motion.lengths[:, None] @ self.weight

    def encode_text(self, text: list[str]) -> torch.Tensor:
        return torch.stack([self.texts[t] for t in text])


def case(rows: int = 5, frames: int = 90, *, same_text: bool = False, lengths: list[int] | None = None):
    rng = torch.Generator().manual_seed(3)
    text = ["the same words"] * rows if same_text else [f"text {i}" for i in range(rows)]
    space = MeanFrameSpace({t: torch.randn(4, generator=rng) for t in dict.fromkeys(text)})
    count = torch.tensor(lengths or [frames] * rows)
    real = Motion(torch.randn(rows, frames, WIDTH, generator=rng), count)
    generated = Motion(torch.randn(rows, frames, WIDTH, generator=rng).requires_grad_(), count)
    batch = Batch(real, text, torch.eye(rows), [str(i) for i in range(rows)])
    return space, generated, batch


def test_total_is_the_weighted_sum_of_both_losses_and_reaches_the_motion():
    space, generated, batch = case()
    output = Alignment(AlignmentConfig(inter_weight=0.5, intra_weight=0.25, gamma=1), space)(generated, batch)
    torch.testing.assert_close(output.total, 0.5 * output.inter + 0.25 * output.intra)
    output.total.backward()
    assert generated.features.grad.abs().sum() > 0
    assert output.inter > 0
    assert output.intra > 0


@pytest.mark.parametrize(("frames", "reached"), [(37, False), (38, True)])
def test_the_intra_loss_leaves_kit_clips_of_12_frames_out(frames, reached):
    """37 frames at 12.5 a second are a clip of 2 s and 0.96 s, 38 are 2 s and 1.04 s: under 1 s is left out."""
    space, _, batch = case(12, frames)
    real = Motion(batch.motion.features[..., :251].clone(), batch.motion.lengths)
    made = Motion(
        torch.randn(12, frames, 251, generator=torch.Generator().manual_seed(5)).requires_grad_(), real.lengths
    )
    output = Alignment(AlignmentConfig(inter_weight=0.0, gamma=1), space)(made, replace(batch, motion=real))
    output.total.backward()
    assert made.features.grad[:, :25].any()
    assert made.features.grad[:, 25:].any().item() is reached


def test_the_space_is_frozen_and_gets_no_gradient():
    space, generated, batch = case()
    Alignment(AlignmentConfig(gamma=1), space)(generated, batch).total.backward()
    assert space.weight.grad is None
    assert not space.training


def test_padding_gets_no_gradient():
    space, generated, batch = case(lengths=[90, 60, 45, 90, 30])
    Alignment(AlignmentConfig(gamma=1), space)(generated, batch).total.backward()
    assert generated.features.grad[2, 45:].abs().sum() == 0


def test_the_real_motions_themselves_have_no_loss():
    space, _, batch = case()
    output = Alignment(AlignmentConfig(gamma=1), space)(batch.motion, batch)
    torch.testing.assert_close(output.total, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_all_texts_near_duplicates_gives_no_negative_and_loss_zero_without_nan():
    space, generated, batch = case(same_text=True)
    output = Alignment(AlignmentConfig(intra_weight=0), space)(generated, batch)
    output.total.backward()
    assert output.inter == 0
    assert output.log["inter/without_negative"] == 1
    assert torch.isfinite(generated.features.grad).all()


def test_a_batch_of_one_has_loss_zero_and_a_finite_gradient():
    space, generated, batch = case(rows=1, frames=40)
    output = Alignment(AlignmentConfig(gamma=1), space)(generated, batch)
    output.total.backward()
    assert output.total == 0
    assert torch.isfinite(generated.features.grad).all()


def test_motions_shorter_than_a_clip_take_part_from_one_second_on():
    """At 20 frames a second: 19 frames have no clip at all, 20 frames are one clip."""
    space, generated, batch = case(lengths=[19] * 5)
    short = Alignment(AlignmentConfig(gamma=1), space)(generated, batch)
    assert short.intra == 0
    space, generated, batch = case(lengths=[20] * 5)
    output = Alignment(AlignmentConfig(gamma=1), space)(generated, batch)
    assert output.intra_detail.clips.length.tolist() == [20] * 5


def test_nothing_under_gamma_gives_no_intra_loss():
    space, generated, batch = case()
    output = Alignment(AlignmentConfig(gamma=-1), space)(generated, batch)
    assert output.intra == 0
    assert output.log["intra/under_gamma"] == 0


def test_a_motion_above_gamma_is_not_moved_as_an_anchor():
    """Row 0 is generated exactly right, so cos = 1 > gamma: its own loss is 0, whatever its proxies are."""
    space, generated, batch = case()
    features = generated.features.detach().clone()
    features[0] = batch.motion.features[0]
    output = Alignment(AlignmentConfig(gamma=0.999), space)(Motion(features, generated.lengths), batch)
    detail = output.intra_detail
    assert detail.loss[detail.row == 0].item() == 0
    assert not detail.open[detail.row == 0].item()


def test_proxies_from_the_same_motion_have_its_owner():
    space, generated, batch = case()
    output = Alignment(AlignmentConfig(gamma=1, proxies_from="motion"), space)(generated, batch)
    detail = output.intra_detail
    owner = detail.clips.owner
    assert (owner[detail.positive.index[:, 0]] == owner[detail.anchor]).all()
    assert (owner[detail.negative.index[:, 0]] == owner[detail.anchor]).all()


@pytest.mark.parametrize("form", ["hard_negative", "triplet", "contrastive"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_every_form_and_distance_gives_a_finite_loss_and_gradient(form, distance):
    space, generated, batch = case()
    config = AlignmentConfig(inter_loss=form, distance=distance, negatives=3, proxy_pairs=3, gamma=1)
    output = Alignment(config, space)(generated, batch)
    output.total.backward()
    assert torch.isfinite(generated.features.grad).all()
    assert output.inter > 0


def test_rows_noised_above_max_noise_take_no_part():
    space, generated, batch = case()
    config = AlignmentConfig(max_noise=0.5, gamma=1)
    assert Alignment(config, space)(generated, batch, torch.full((5,), 0.6)).total == 0
    assert Alignment(config, space)(generated, batch, torch.full((5,), 0.4)).total > 0


def test_the_mean_over_active_rows_is_the_mean_over_the_batch_over_the_active_share():
    space, generated, batch = case()
    by_batch = Alignment(AlignmentConfig(intra_weight=0), space)(generated, batch)
    by_active = Alignment(AlignmentConfig(intra_weight=0, average="active"), space)(generated, batch)
    torch.testing.assert_close(by_active.inter * by_batch.log["inter/active"], by_batch.inter)


def test_similarity_in_the_space_reads_the_text_embeddings():
    """All texts at one place of the space: with similarity=space none is a negative, with sentences all are."""
    space, generated, batch = case()
    space.texts = {text: torch.ones(4) for text in space.texts}
    config = AlignmentConfig(intra_weight=0)
    assert Alignment(config.model_copy(update={"similarity": "space"}), space)(generated, batch).inter == 0
    assert Alignment(config, space)(generated, batch).log["inter/admissible"] == 4


def meaning(rows: int, counterfactual: list[str | None] | None = None) -> FineMeaning:
    """All contradict one another."""
    itself = torch.eye(rows, dtype=torch.bool)
    return FineMeaning(~itself, itself, counterfactual or [None] * rows)


def test_captions_that_contradict_are_negatives_though_the_language_model_calls_them_one():
    space, generated, batch = case()
    batch = replace(batch, sentence=torch.ones(5, 3), meaning=meaning(5))
    config = AlignmentConfig(intra_weight=0)
    assert Alignment(config, space)(generated, batch).log["inter/admissible"] == 0
    by_meaning = config.model_copy(update={"similarity": "meaning"})
    assert Alignment(by_meaning, space)(generated, batch).log["inter/admissible"] == 4


def test_the_counterfactual_term_is_the_mean_over_the_batch_and_only_rows_with_a_counterfactual_have_it():
    space, generated, batch = case()
    space.texts["false"] = torch.tensor([1.0, -2.0, 0.5, 0.0])
    batch = replace(batch, meaning=meaning(5, [None, "false", None, None, "false"]))
    config = AlignmentConfig(inter_weight=0, intra_weight=0, counterfactual_weight=0.5, margin=2.0)
    output = Alignment(config, space)(generated, batch)
    own = space.encode_text(batch.text)
    false = space.encode_text(["false"] * 5)
    each = counterfactual_loss(own, false, space.encode_motion(generated), space.encode_motion(generated), margin=2.0)
    torch.testing.assert_close(output.counterfactual, (each[1] + each[4]) / 5)
    torch.testing.assert_close(output.total, 0.5 * output.counterfactual)
    assert output.log["counterfactual/rows"] == pytest.approx(0.4)
    output.total.backward()
    assert [row.abs().sum().item() > 0 for row in generated.features.grad] == [False, True, False, False, True]


def test_a_batch_without_any_counterfactual_has_loss_zero():
    space, generated, batch = case()
    config = AlignmentConfig(inter_weight=0, intra_weight=0, counterfactual_weight=1)
    assert Alignment(config, space)(generated, replace(batch, meaning=meaning(5))).total == 0


@pytest.mark.parametrize("change", [{"similarity": "meaning"}, {"counterfactual_weight": 1}])
def test_a_batch_without_the_meaning_that_the_config_reads_is_refused(change: dict):
    space, generated, batch = case()
    with pytest.raises(ValueError, match="meaning"):
        Alignment(AlignmentConfig(**change), space)(generated, batch)


def test_lengths_that_differ_are_refused():
    space, generated, batch = case()
    with pytest.raises(ValueError, match="same lengths"):
        Alignment(AlignmentConfig(), space)(Motion(generated.features, generated.lengths - 1), batch)


def test_equal_real_motions_everywhere_give_finite_losses():
    space, generated, batch = case()
    same = Motion(batch.motion.features[:1].expand(5, -1, -1), batch.motion.lengths)
    output = Alignment(AlignmentConfig(gamma=1), space)(generated, Batch(same, batch.text, batch.sentence, batch.ids))
    assert torch.isfinite(output.total)
