"""The terms of eq. 9: by hand, against slow loops, gradients, errors, and what follows from the formulas."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from atm.base.errors import InputError
from atm.interface import FineMeaning
from atm.space.losses import (
    attribute_cross_entropy,
    counterfactual_margin_loss,
    info_nce,
    kl_divergence,
    kl_to_each_other_and_standard,
    near_duplicates,
    smooth_l1,
    value_directions,
)


def doubles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def none_duplicate(rows: int) -> torch.Tensor:
    return torch.zeros(rows, rows, dtype=torch.bool)


def test_smooth_l1_by_hand():
    """Differences 0.5 and 3: 0.5² / 2 = 0.125 and 3 - 0.5 = 2.5, whose mean is 1.3125; equal rows give 0."""
    a = torch.tensor([[0.5, 3.0], [7.0, 7.0]])
    b = torch.tensor([[0.0, 0.0], [7.0, 7.0]])
    torch.testing.assert_close(smooth_l1(a, b), torch.tensor([1.3125, 0.0]))


def test_smooth_l1_averages_frames_and_features_of_each_row():
    a, b = doubles(3, 4, 5), doubles(3, 4, 5, seed=1)
    by_row = [torch.nn.functional.smooth_l1_loss(x, y) for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(smooth_l1(a, b), torch.stack(by_row))


def test_kl_divergence_by_hand():
    """q = N(0, 1), p = N(1, 4): (1/4 + 1/4 - 1 + log 4) / 2. Two such dimensions have the same mean."""
    zero, one = torch.zeros(1, 2), torch.ones(1, 2)
    expected = (0.25 + 0.25 - 1 + math.log(4)) / 2
    kl = kl_divergence(zero, zero, one, one * math.log(4))
    torch.testing.assert_close(kl, torch.tensor([expected]))


def test_kl_divergence_is_what_torch_distributions_say():
    q_mean, q_logvar, p_mean, p_logvar = (doubles(3, 4, seed=i) for i in range(4))
    q = torch.distributions.Normal(q_mean, (q_logvar / 2).exp())
    p = torch.distributions.Normal(p_mean, (p_logvar / 2).exp())
    expected = torch.distributions.kl_divergence(q, p).mean(dim=1)
    torch.testing.assert_close(kl_divergence(q_mean, q_logvar, p_mean, p_logvar), expected)


def test_kl_terms_vanish_when_both_are_the_standard_normal():
    zero = torch.zeros(2, 3)
    torch.testing.assert_close(kl_to_each_other_and_standard(zero, zero, zero, zero), torch.zeros(2))


def test_kl_terms_of_equal_gaussians_are_twice_the_one_to_the_standard_normal():
    mean, logvar = doubles(2, 3), doubles(2, 3, seed=1)
    zero = torch.zeros_like(mean)
    expected = 2 * kl_divergence(mean, logvar, zero, zero)
    torch.testing.assert_close(kl_to_each_other_and_standard(mean, logvar, mean, logvar), expected)


def test_info_nce_is_log_batch_when_all_scores_are_equal():
    """A softmax over B equal scores gives 1/B to each, whatever the temperature: -log(1/B) = log B."""
    z = torch.ones(5, 8)
    loss = info_nce(z, z, none_duplicate(5), temperature=0.1)
    torch.testing.assert_close(loss, torch.full((5,), math.log(5)))


def test_info_nce_by_hand():
    """Orthogonal rows: own score 1/τ, the other 0. Both directions give log(1 + exp(-1/τ))."""
    z = torch.eye(2)
    loss = info_nce(z, z, none_duplicate(2), temperature=0.5)
    torch.testing.assert_close(loss, torch.full((2,), math.log(1 + math.exp(-2))))


def test_info_nce_is_the_same_as_slow_loops():
    z_text, z_motion = doubles(5, 3), doubles(5, 3, seed=1)
    duplicate = none_duplicate(5)
    duplicate[0, 3] = duplicate[3, 0] = True
    expected = []
    for i in range(5):
        others = [j for j in range(5) if not duplicate[i, j]]
        cosine = torch.nn.functional.cosine_similarity
        texts = sum(math.exp(cosine(z_text[i], z_motion[j], dim=0) / 0.2) for j in others)
        motions = sum(math.exp(cosine(z_text[j], z_motion[i], dim=0) / 0.2) for j in others)
        own = cosine(z_text[i], z_motion[i], dim=0) / 0.2
        expected.append((math.log(texts) - own + math.log(motions) - own) / 2)
    loss = info_nce(z_text, z_motion, duplicate, temperature=0.2)
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=torch.float64))


def test_info_nce_of_a_row_without_negatives_is_zero_and_has_a_finite_gradient():
    z_text, z_motion = doubles(3, 4).requires_grad_(), doubles(3, 4, seed=1).requires_grad_()
    loss = info_nce(z_text, z_motion, ~none_duplicate(3), temperature=0.1)
    loss.sum().backward()
    assert loss.tolist() == [0, 0, 0]
    assert torch.isfinite(z_text.grad).all() and torch.isfinite(z_motion.grad).all()


def test_info_nce_of_a_batch_of_one_is_zero():
    z = torch.ones(1, 4)
    assert info_nce(z, -z, none_duplicate(1), temperature=0.1).tolist() == [0]


def test_a_counterfactual_is_one_more_text_that_the_motion_chooses_among():
    """All scores equal: a text chooses among B motions, a motion among B texts and the false one, where it has one."""
    z = torch.ones(4, 8)
    has = torch.tensor([True, True, False, True])
    loss = info_nce(z, z, none_duplicate(4), temperature=0.1, z_counterfactual=z, has_counterfactual=has)
    with_one, without = (math.log(4) + math.log(5)) / 2, math.log(4)
    torch.testing.assert_close(loss, torch.tensor([with_one, with_one, without, with_one]))


def test_info_nce_with_counterfactuals_is_the_same_as_slow_loops():
    z_text, z_motion, false = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = info_nce(z_text, z_motion, none_duplicate(4), temperature=0.3, z_counterfactual=false)
    cos = torch.nn.functional.cosine_similarity
    for i in range(4):
        own = cos(z_text[i], z_motion[i], dim=0) / 0.3
        motions = [cos(z_text[i], z_motion[j], dim=0) / 0.3 for j in range(4)]
        texts = [cos(z_text[j], z_motion[i], dim=0) / 0.3 for j in range(4)] + [cos(false[i], z_motion[i], dim=0) / 0.3]
        expected = (torch.stack(motions).logsumexp(0) + torch.stack(texts).logsumexp(0)) / 2 - own
        torch.testing.assert_close(loss[i], expected)


def test_info_nce_does_not_see_the_length_of_embeddings():
    z_text, z_motion = doubles(4, 3), doubles(4, 3, seed=1)
    loss = info_nce(z_text, z_motion, none_duplicate(4), temperature=0.1)
    scaled = info_nce(3 * z_text, 0.1 * z_motion, none_duplicate(4), temperature=0.1)
    torch.testing.assert_close(loss, scaled)


@pytest.mark.parametrize("loss", ["smooth_l1", "kl", "nce"])
def test_gradients_are_those_of_finite_differences(loss):
    a, b, c, d = (doubles(3, 4, seed=i).requires_grad_() for i in range(4))
    duplicate = none_duplicate(3)
    duplicate[0, 1] = duplicate[1, 0] = True
    if loss == "smooth_l1":
        assert gradcheck(smooth_l1, (a, b))
    elif loss == "kl":
        assert gradcheck(kl_to_each_other_and_standard, (a, b, c, d))
    else:
        assert gradcheck(lambda x, y: info_nce(x, y, duplicate, temperature=0.3), (a, b))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_info_nce_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be > 0"):
        info_nce(torch.eye(2), torch.eye(2), none_duplicate(2), temperature=temperature)


def test_near_duplicates_are_the_pairs_above_epsilon_and_never_the_row_itself():
    """Directions at 0, 30 and 90 degrees: cosines 0.87 (0, 30), 0.5 (30, 90) and 0 (0, 90)."""
    angle = torch.tensor([0.0, 30.0, 90.0]).deg2rad()
    sentence = 5 * torch.stack([angle.cos(), angle.sin()], dim=1)
    assert near_duplicates(sentence, epsilon=0.85).nonzero().tolist() == [[0, 1], [1, 0]]
    assert near_duplicates(sentence, epsilon=0.4).nonzero().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert not near_duplicates(sentence, epsilon=0.9).any()


def test_meaning_overrules_the_cosine_of_near_duplicates_both_ways():
    """Rows 0 and 1 coincide and contradict; rows 0 and 2 are at right angles and say the same."""
    sentence = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    contradicts, same = torch.zeros(3, 3, dtype=torch.bool), torch.eye(3, dtype=torch.bool)
    contradicts[0, 1] = contradicts[1, 0] = True
    same[0, 2] = same[2, 0] = True
    meaning = FineMeaning(contradicts, same, [None] * 3)
    assert near_duplicates(sentence, epsilon=0.85, meaning=meaning).nonzero().tolist() == [[0, 2], [2, 0]]


def test_identical_captions_are_near_duplicates_at_any_epsilon():
    sentence = torch.randn(1, 384, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    assert near_duplicates(sentence, epsilon=1.0).nonzero().tolist() == [[0, 1], [1, 0]]


def test_an_epsilon_below_zero_still_keeps_every_row_itself():
    assert not near_duplicates(torch.eye(3), epsilon=-0.5).diagonal().any()


def test_what_is_missing_to_the_margin_by_hand():
    """Cosines 1, 0.6 and 0: distances 0, 0.4 and 1. To a margin of 0.5 are missing 0.5, 0.1 and nothing; a row without
    a false copy misses nothing."""
    z = torch.tensor([[1.0, 0.0]] * 4)
    false = torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 1.0], [1.0, 0.0]])
    has = torch.tensor([True, True, True, False])
    torch.testing.assert_close(
        counterfactual_margin_loss(z, false, has, margin=0.5), torch.tensor([0.5, 0.1, 0.0, 0.0])
    )


@pytest.mark.parametrize(("values", "width"), [(3, 8), (8, 8), (23, 128)])
def test_the_directions_of_values_are_orthonormal(values, width):
    direction = value_directions(values, width)
    torch.testing.assert_close(direction @ direction.T, torch.eye(values), atol=1e-5, rtol=0)


def test_an_embedding_too_narrow_for_the_values_is_refused():
    with pytest.raises(InputError, match="9 values need"):
        value_directions(9, 8)


def test_misreading_by_hand():
    """Two directions; an embedding along the first has scores 1 / 0.5 = 2 and 0: -log(e^2 / (e^2 + 1)) for the first
    value, 2 more for the second, and nothing where nothing is told. Length does not matter."""
    z = torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    right = math.log(1 + math.exp(-2))
    loss = attribute_cross_entropy(z, torch.eye(2), torch.tensor([0, 1, -1]), temperature=0.5)
    torch.testing.assert_close(loss, torch.tensor([right, right + 2, 0.0]))
