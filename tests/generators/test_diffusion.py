"""Noise levels and the way back through them."""

import math

import pytest
import torch

from atm.generators.diffusion.steps import kept_levels, noise_chain, reverse, row_noise


def test_the_cosine_schedule_is_its_formula():
    """The share of signal after level i of N is cos^2((i + 1) / N) up to a factor, until the last beta is capped."""

    def cosine(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = [cosine((i + 1) / 20) / cosine(0) for i in range(19)]
    torch.testing.assert_close(
        noise_chain(20).alphas_cumprod[:19], torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0
    )
    assert noise_chain(20).betas[-1].item() == pytest.approx(0.999)


def test_the_linear_schedule_reaches_the_same_noise_whatever_the_number_of_steps():
    """Betas scale with 1000 / N: the first and last of N = 500 are twice 1e-4 and twice 0.02."""
    betas = noise_chain(500, "linear").betas
    assert betas[0].item() == pytest.approx(2e-4)
    assert betas[-1].item() == pytest.approx(0.04)


def test_a_shortened_chain_visits_first_and_last_level_at_their_own_noise():
    whole, short = noise_chain(1000), noise_chain(1000, kept=7)
    assert (short.levels[0], short.levels[-1], len(short.levels)) == (0, 999, 7)
    torch.testing.assert_close(short.alphas_cumprod, whole.alphas_cumprod[short.levels])


@pytest.mark.parametrize("count", [0, 11])
def test_a_run_cannot_visit_more_levels_than_there_are_or_none(count):
    with pytest.raises(ValueError, match="1 to 10 noise levels"):
        kept_levels(10, count)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_network_that_knows_the_answer_ends_at_the_answer(eta):
    """At the cleanest level the step returns the estimate itself: its noise has weight 0."""
    answer = torch.linspace(-1, 1, 12).reshape(1, 4, 3)
    draw = row_noise([3], [4], (4, 3), torch.device("cpu"))
    for chain in (noise_chain(50), noise_chain(1000, kept=5)):
        torch.testing.assert_close(reverse(lambda x_t, level: answer, draw, chain, eta=eta), answer, rtol=0, atol=1e-5)


def test_a_network_that_predicts_the_noise_ends_at_the_answer_too():
    """With eps = (x_t - sqrt(a) x0) / sqrt(1 - a), the clean estimate is x0 at every level."""
    answer, chain = torch.linspace(-1, 1, 12).reshape(1, 4, 3), noise_chain(50, predicts="epsilon")

    def eps(x_t, level):
        a = chain.alphas_cumprod[level]
        return (x_t - a.sqrt() * answer) / (1 - a).sqrt()

    draw = row_noise([3], [4], (4, 3), torch.device("cpu"))
    torch.testing.assert_close(reverse(eps, draw, chain, eta=0.0), answer, rtol=0, atol=1e-4)


def test_the_network_is_told_levels_of_the_full_schedule_from_noise_to_clean():
    told = []

    def predict(x_t, level):
        told.append(level)
        return x_t

    reverse(predict, row_noise([0], [2], (2, 3), torch.device("cpu")), noise_chain(1000, kept=4), eta=0.0)
    assert told == [999, 666, 333, 0]


def test_a_rows_noise_depends_on_its_seed_and_frames_alone():
    """In the second drawing as well: a longer neighbour must not use up the row's random numbers."""
    alone = row_noise([5], [3], (3, 2), torch.device("cpu"))
    among = row_noise([9, 5], [7, 3], (7, 2), torch.device("cpu"))
    for _ in range(2):
        one, many = alone(), among()
        torch.testing.assert_close(many[1, :3], one[0], rtol=0, atol=0)
        assert (many[1, 3:] == 0).all()
        assert not torch.equal(many[0, :3], one[0])
