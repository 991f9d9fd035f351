"""The two losses: by hand, against slow loops, gradients, errors, and what follows from the formulas."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from atm.alignment.distances import pair_distances, row_distance
from atm.alignment.losses import contrastive_loss, counterfactual_loss, inter_motion_loss, intra_motion_loss


def at(*degrees: float) -> torch.Tensor:
    """Unit vectors in the plane: their cosine distance is 1 - cos of the angle between them."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def distance(a: float, b: float) -> float:
    return 1 - math.cos(math.radians(a - b))


def random_case(rows: int = 6, width: int = 5, choices: int = 2):
    rng = torch.Generator().manual_seed(0)
    text, generated, real = torch.randn(3, rows, width, generator=rng, dtype=torch.float64)
    negative = torch.stack([torch.tensor([(i + 1 + k) % rows for k in range(choices)]) for i in range(rows)])
    return text, generated, real, negative


def test_inter_motion_loss_by_hand():
    """Texts at 0 and 90 degrees, generated both at 40 and 50, real at 10 and 90: eq. 3 with plain trigonometry."""
    loss = inter_motion_loss(at(0, 90), at(40, 50), at(10, 90), torch.tensor([[1], [0]]))
    first = distance(0, 40) - distance(0, 50) + (distance(0, 90) - distance(0, 10))
    second = distance(90, 50) - distance(90, 40) + (distance(90, 10) - distance(90, 90))
    torch.testing.assert_close(loss, torch.tensor([[first], [second]], dtype=torch.float64))


def test_inter_motion_loss_is_the_same_as_slow_loops():
    text, generated, real, negative = random_case()
    loss = inter_motion_loss(text, generated, real, negative)
    for i in range(len(text)):
        for k, j in enumerate(negative[i].tolist()):
            d = [1 - torch.nn.functional.cosine_similarity(text[i], v, dim=0) for v in (generated[i], generated[j])]
            phi = torch.nn.functional.cosine_similarity(text[i], real[i], dim=0)
            phi = phi - torch.nn.functional.cosine_similarity(text[i], real[j], dim=0)
            torch.testing.assert_close(loss[i, k], (d[0] - d[1] + phi).clamp_min(0))


def test_inter_motion_loss_passes_gradcheck():
    text, generated, real, negative = random_case(rows=4)
    generated.requires_grad_()
    assert gradcheck(lambda g: inter_motion_loss(text, g, real, negative, margin=2.0), (generated,))


def test_inter_motion_loss_refuses_a_motion_as_its_own_negative():
    text, generated, real, _ = random_case(rows=2)
    with pytest.raises(ValueError, match="own hard negative"):
        inter_motion_loss(text, generated, real, torch.tensor([[0], [0]]))


def test_inter_motion_loss_is_zero_where_generated_motions_are_the_real_ones():
    """Then the hinge's inside is D(t, m) - D(t, m_h) + D(t, m_h) - D(t, m) = 0: the margin is the real gap."""
    text, _, real, negative = random_case()
    loss = inter_motion_loss(text, real, real, negative)
    torch.testing.assert_close(loss, torch.zeros_like(loss))


def test_the_adaptive_margin_carries_no_gradient():
    text, generated, real, negative = random_case()
    real.requires_grad_()
    loss = inter_motion_loss(text, generated.requires_grad_(), real, negative)
    loss.sum().backward()
    assert real.grad is None
    assert generated.grad.abs().sum() > 0


def test_a_detached_negative_gets_no_gradient_and_an_attached_one_does():
    """Row 1 is the negative of row 0 only; row 0's loss alone must move row 1 exactly when it is not detached."""
    text, generated, real, negative = random_case(rows=3, choices=1)
    for detach in (False, True):
        leaf = generated.clone().requires_grad_()
        inter_motion_loss(text, leaf, real, negative, margin=2.0, detach_negative=detach)[0].sum().backward()
        assert (leaf.grad[1].abs().sum() == 0) == detach
        assert leaf.grad[0].abs().sum() > 0


def test_a_fixed_margin_takes_the_place_of_the_adaptive_one():
    loss = inter_motion_loss(at(0, 90), at(40, 50), at(10, 90), torch.tensor([[1], [0]]), margin=0.3)
    expected = distance(0, 40) - distance(0, 50) + 0.3
    assert loss[0, 0].item() == pytest.approx(expected)


def test_counterfactual_loss_by_hand():
    """The text at 0, its false copy at 30, the generated motion at 20, the real one at 5 degrees."""
    loss = counterfactual_loss(at(0), at(30), at(20), at(5))
    margin = distance(30, 5) - distance(0, 5)
    assert loss.item() == pytest.approx(distance(0, 20) - distance(30, 20) + margin)
    fixed = counterfactual_loss(at(0), at(30), at(20), at(5), margin=0.1)
    assert fixed.item() == pytest.approx(distance(0, 20) - distance(30, 20) + 0.1)


def test_counterfactual_loss_is_the_same_as_slow_loops():
    text, generated, real, _ = random_case()
    other = text.flip(0) + 0.1
    loss = counterfactual_loss(text, other, generated, real)
    for i in range(len(text)):
        own, false = (
            [1 - torch.nn.functional.cosine_similarity(t[i], v[i], dim=0) for v in (generated, real)]
            for t in (text, other)
        )
        torch.testing.assert_close(loss[i], (own[0] - false[0] + false[1] - own[1]).clamp_min(0))


def test_counterfactual_loss_passes_gradcheck():
    text, generated, real, _ = random_case(rows=4)
    generated.requires_grad_()
    assert gradcheck(lambda g: counterfactual_loss(text, text.flip(0), g, real, margin=2.0), (generated,))


def test_a_space_that_puts_a_text_and_its_false_copy_at_one_place_asks_nothing():
    text, generated, real, _ = random_case()
    loss = counterfactual_loss(text, text.clone(), generated, real)
    torch.testing.assert_close(loss, torch.zeros_like(loss))


def test_intra_motion_loss_by_hand():
    """Anchor clip 0; it should resemble clip 1 (real: 20 degrees away) and not clip 2 (real: 90 degrees away)."""
    generated, real = at(0, 70, 30), at(0, 20, 90)
    one = torch.tensor([[1]]), torch.tensor([[2]])
    loss = intra_motion_loss(generated, real, torch.tensor([0]), *one)
    expected = distance(0, 70) - distance(0, 30) + distance(0, 90) - distance(0, 20)
    assert loss.item() == pytest.approx(expected)


def test_intra_motion_loss_is_the_same_as_slow_loops():
    _, generated, real, _ = random_case()
    anchor, positive, negative = torch.tensor([0, 3]), torch.tensor([[1, 2], [4, 0]]), torch.tensor([[5, 4], [1, 2]])
    loss = intra_motion_loss(generated, real, anchor, positive, negative)
    cos = torch.nn.functional.cosine_similarity
    for a, i in enumerate(anchor.tolist()):
        for k in range(2):
            p, n = int(positive[a, k]), int(negative[a, k])
            inside = cos(generated[i], generated[n], dim=0) - cos(generated[i], generated[p], dim=0)
            phi = cos(real[i], real[p], dim=0) - cos(real[i], real[n], dim=0)
            torch.testing.assert_close(loss[a, k], (inside + phi).clamp_min(0))


def test_intra_motion_loss_passes_gradcheck():
    _, generated, real, _ = random_case(rows=4)
    generated.requires_grad_()
    chosen = torch.tensor([0]), torch.tensor([[1]]), torch.tensor([[3]])
    assert gradcheck(lambda g: intra_motion_loss(g, real, *chosen, margin=2.0), (generated,))


def test_intra_motion_loss_refuses_a_clip_as_its_own_proxy():
    _, generated, real, _ = random_case(rows=3)
    with pytest.raises(ValueError, match="own proxy"):
        intra_motion_loss(generated, real, torch.tensor([0]), torch.tensor([[0]]), torch.tensor([[1]]))


def test_detached_proxies_leave_the_gradient_to_the_anchor_alone():
    _, generated, real, _ = random_case(rows=3)
    leaf = generated.clone().requires_grad_()
    chosen = torch.tensor([0]), torch.tensor([[1]]), torch.tensor([[2]])
    intra_motion_loss(leaf, real, *chosen, margin=2.0, detach_proxies=True).sum().backward()
    assert leaf.grad[1:].abs().sum() == 0
    assert leaf.grad[0].abs().sum() > 0


def test_contrastive_loss_is_log_of_the_admissible_count_when_all_scores_are_equal():
    z = torch.ones(4, 3)
    admissible = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]], dtype=torch.bool)
    expected = torch.tensor([4.0, 3.0, 1.0, 4.0]).log()
    torch.testing.assert_close(contrastive_loss(z, z, admissible, temperature=0.1), expected)


def test_contrastive_loss_refuses_a_temperature_of_zero():
    with pytest.raises(ValueError, match="temperature must be > 0"):
        contrastive_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 2, dtype=torch.bool), temperature=0.0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_row_and_pair_distances_agree(metric):
    text, generated, _, _ = random_case()
    torch.testing.assert_close(
        pair_distances(text, generated, metric).diagonal(), row_distance(text, generated, metric), atol=1e-6, rtol=1e-6
    )


def test_euclidean_distance_of_equal_rows_has_a_finite_gradient():
    a = torch.ones(2, 3, requires_grad=True)
    row_distance(a, torch.ones(2, 3), "euclidean").sum().backward()
    assert torch.isfinite(a.grad).all()
