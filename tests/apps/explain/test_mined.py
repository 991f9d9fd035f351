"""An explanation shows what the losses mined, with the losses' own numbers."""

from dataclasses import replace

import pytest
import torch
from spaces import FRAMES, Recorded, case

from atm.alignment import Alignment, AlignmentConfig
from atm.alignment.distances import row_distance
from atm.apps.explain import explain_batch
from atm.apps.explain.mined import explain_motions
from atm.base.config import changed
from atm.base.errors import InputError

BOTH = AlignmentConfig(inter={"weight": 1}, intra={"weight": 1, "gamma": 1}, epsilon=0.9)


@pytest.mark.parametrize("row", range(6))
def test_the_negative_on_the_page_is_the_one_of_the_loss(row):
    space, generated, batch = case()
    alignment = Alignment(BOTH, space)
    result = alignment(generated, batch).inter_result
    inter = explain_motions(generated, alignment, batch, row=row).inter
    assert inter.own.id == batch.ids[row]
    assert inter.negative.id == batch.ids[result.mined.index[row, 0]]
    assert inter.ratio == pytest.approx(result.mined.ratio[row, 0].item(), rel=1e-5)
    assert inter.loss == pytest.approx(result.loss[row].item(), rel=1e-5)


@pytest.mark.parametrize("proxies_from", ["batch", "motion"])
@pytest.mark.parametrize("row", range(6))
def test_clip_and_proxies_on_the_page_are_those_of_the_loss(row, proxies_from):
    space, generated, batch = case()
    alignment = Alignment(changed(BOTH, {"intra.proxies_from": proxies_from}), space)
    result = alignment(generated, batch).intra_result
    detail = result.mined
    intra = explain_motions(generated, alignment, batch, row=row).intra
    for shown, number in (
        (intra.anchor, detail.anchor[row]),
        (intra.positive, detail.positive.index[row, 0]),
        (intra.negative, detail.negative.index[row, 0]),
    ):
        start = int(detail.clips.start[number])
        assert shown.id == batch.ids[detail.clips.owner[number]]
        assert shown.span == (start, start + FRAMES // 2)
    assert intra.loss == pytest.approx(result.loss[row].item(), rel=1e-5)


def test_the_numbers_of_the_losses_can_be_followed():
    """Each loss is max(0, near - far + margin) of the numbers beside it, and the distances are those of the space."""
    space, generated, batch = case()
    explanation = explain_motions(generated, Alignment(BOTH, space), batch, row=2)
    inter, intra = explanation.inter, explanation.intra
    assert inter.loss == pytest.approx(max(0, inter.to_own - inter.to_negative + inter.margin), abs=1e-6)
    near, far = intra.positive_distances[0], intra.negative_distances[0]
    assert intra.loss == pytest.approx(max(0, near - far + intra.margin), abs=1e-6)
    z, other = space.encode_motion(generated), batch.ids.index(inter.negative.id)
    assert inter.generated_distance == pytest.approx(row_distance(z[2], z[other], "cosine").item(), abs=1e-6)


def test_the_anchor_is_the_clip_with_the_largest_distance():
    space, generated, batch = case()
    intra = explain_motions(generated, Alignment(BOTH, space), batch, row=0).intra
    assert [place for place, _ in intra.away] == ["0.0 to 2.0 s", "2.0 to 4.0 s"]
    assert max(intra.away, key=lambda clip: clip[1])[0] == intra.anchor.place


def test_candidates_are_ordered_by_the_ratio_and_the_first_is_chosen():
    space, generated, batch = case(rows=9)
    explanation = explain_motions(generated, Alignment(BOTH, space), batch, row=1)
    for candidates, sign in (
        (explanation.inter.candidates, 1),
        (explanation.intra.positives, -1),
        (explanation.intra.negatives, 1),
    ):
        ratios = [sign * candidate.ratio for candidate in candidates]
        assert ratios == sorted(ratios)
        assert [candidate.chosen for candidate in candidates] == [True] + [False] * (len(candidates) - 1)


def test_a_text_too_alike_is_listed_as_barred_and_never_chosen():
    space, generated, batch = case()
    free = explain_motions(generated, Alignment(BOTH, space), batch, row=0).inter
    sentence = batch.sentence.clone()
    sentence[batch.ids.index(free.negative.id)] = sentence[0]
    inter = explain_motions(generated, Alignment(BOTH, space), replace(batch, sentence=sentence), row=0).inter
    assert inter.negative.id != free.negative.id
    (barred,) = [candidate for candidate in inter.candidates if candidate.barred]
    assert barred.text == free.negative.text and not barred.chosen
    assert barred.similarity == pytest.approx(1)
    assert barred.ratio < inter.ratio


def test_a_motion_above_gamma_is_shown_and_said_not_to_count():
    space, generated, batch = case()
    features = generated.features.clone()
    features[3] = 1.001 * batch.motion.features[3]
    close = replace(generated, features=features)
    intra = explain_motions(close, Alignment(changed(BOTH, {"intra.gamma": 0.8}), space), batch, row=3).intra
    assert intra.alike == pytest.approx(1, abs=1e-4)
    assert not intra.acts


@pytest.mark.parametrize("seed", range(8))
def test_by_itself_it_takes_the_largest_loss_among_motions_where_both_losses_act(seed):
    space, generated, batch = case(rows=9, seed=seed)
    alignment = Alignment(BOTH, space)
    output = alignment(generated, batch)
    inter, intra = output.inter_result.loss, output.intra_result.loss
    assert output.intra_result.mined.row.tolist() == list(range(9))
    wanted = torch.where((inter > 0) & (intra > 0), inter + intra, -1).argmax()
    assert explain_motions(generated, alignment, batch).inter.own.id == batch.ids[wanted]


def test_a_training_step_is_explained_with_its_noise_level():
    space, generated, batch = case()
    levels = torch.linspace(0, 1, len(batch))
    explanation = explain_batch(Recorded(generated, levels), Alignment(BOTH, space), batch, row=5, noise=1)
    assert explanation.noise_level == 1
    assert explanation.batch_size == len(batch)


def test_motions_that_are_noised_too_much_are_noised_anew_and_the_others_stay():
    """Three steps: rows 0 to 2 have a low level in the first, 3 and 4 in the second, 5 in the third alone. Each step's
    estimates are told by an offset of their own."""
    space, generated, batch = case()
    levels = torch.tensor([[0.1, 0.2, 0.5, 0.9, 0.8, 0.7], [0.9, 0.9, 0.9, 0.3, 0.4, 0.6], [1, 1, 1, 1, 1, 0.05]])

    class Moving(Recorded):
        steps = ()

        def training_step(self, batch, rng):
            self.steps += (batch.ids,)
            step = super().training_step(batch, rng)
            return replace(step, motion=replace(step.motion, features=step.motion.features + 0.1 * len(self.steps)))

    step_of_row = torch.tensor([1, 1, 1, 2, 2, 3])
    mixed = replace(generated, features=generated.features + 0.1 * step_of_row[:, None, None])
    alignment = Alignment(BOTH, space)
    for row, level in enumerate([0.1, 0.2, 0.5, 0.3, 0.4, 0.05]):
        model = Moving(generated, *levels)
        found = explain_batch(model, alignment, batch, row=row, noise=0.5)
        assert model.steps == (batch.ids, batch.ids[3:], batch.ids[5:])
        assert found.noise_level == pytest.approx(level)
        wanted = explain_motions(mixed, alignment, batch, row=row)
        assert found.inter.loss == pytest.approx(wanted.inter.loss, abs=1e-6)


def test_no_motion_is_noised_more_than_where_the_losses_act():
    space, generated, batch = case()
    levels = torch.full((6,), 0.4), torch.full((6,), 0.2)
    config = BOTH.model_copy(update={"max_noise": 0.3})
    explanation = explain_batch(Recorded(generated, *levels), Alignment(config, space), batch, row=5)
    assert explanation.noise_level == pytest.approx(0.2)


def test_a_model_that_draws_no_such_noise_level_is_refused():
    space, generated, batch = case()
    with pytest.raises(InputError, match="did not noise every motion to 50 % .* or less: allow for more noise"):
        explain_batch(Recorded(generated, torch.ones(6)), Alignment(BOTH, space), batch)


def test_a_model_without_a_motion_and_a_batch_without_a_negative_are_refused():
    space, generated, batch = case()
    with pytest.raises(InputError, match="gives no motion"):
        explain_batch(Recorded(None), Alignment(BOTH, space), batch)
    same = replace(batch, sentence=torch.ones_like(batch.sentence))
    with pytest.raises(InputError, match="'sentence 4' to be a negative.*lower epsilon"):
        explain_motions(generated, Alignment(BOTH, space), same, row=4)
    with pytest.raises(InputError, match="differs enough from another"):
        explain_motions(generated, Alignment(BOTH, space), same)


def test_fixed_margins_and_several_negatives_are_told_as_the_config_has_them():
    space, generated, batch = case(rows=9)
    alignment = Alignment(changed(BOTH, {"inter.margin": 0.3, "inter.negatives": 3}), space)
    inter = explain_motions(generated, alignment, batch, row=0).inter
    assert inter.margin == 0.3
    assert sum(candidate.chosen for candidate in inter.candidates) == 3
    assert inter.loss == pytest.approx(alignment(generated, batch).inter_result.loss[0].item(), rel=1e-5)


def test_the_losses_are_shown_for_a_config_that_has_them_off():
    space, generated, batch = case()
    off = changed(BOTH, {"inter.weight": 0, "intra.weight": 0, "inter.loss": "contrastive"})
    both = [explain_motions(generated, Alignment(config, space), batch, row=0) for config in (BOTH, off)]
    assert both[0].inter.negative.id == both[1].inter.negative.id
    assert both[0].intra.loss == both[1].intra.loss
