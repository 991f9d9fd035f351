"""Metrics on inputs whose value follows from the definition."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from atm.base.errors import InputError
from atm.evaluation import metrics

SHIFT = np.array([3.0, 4.0, 0.0, 0.0])
"""Of length 5."""


def rows(n: int, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


def test_distances_are_those_of_slow_loops():
    a, b = rows(5), rows(3, seed=1)
    slow = [[math.dist(x, y) for y in b] for x in a]
    np.testing.assert_allclose(np.sqrt(metrics.squared_distances(a, b)), slow)


def test_equal_vectors_have_distance_zero_and_not_nan_in_float32():
    z = (1e3 * rows(40)).astype(np.float32)
    assert np.isfinite(metrics.squared_distances(z, z)).all()
    np.testing.assert_allclose(np.sqrt(np.diag(metrics.squared_distances(z, z))), 0, atol=1e-3)


def test_every_text_finds_its_motion_when_embeddings_agree():
    z = rows(64)
    np.testing.assert_array_equal(metrics.r_precision(z, z), [1, 1, 1])


def test_a_motion_in_second_place_counts_from_top_2_on():
    """Texts 2i and 2i + 1 have each other's motion: the wrong one lies at 0, the own one is the next nearest."""
    motions = np.repeat(100.0 * np.arange(16), 2)[:, None] + np.tile([0.0, 1.0], 16)[:, None]
    texts = motions.reshape(16, 2)[:, ::-1].reshape(32, 1)
    np.testing.assert_array_equal(metrics.r_precision(texts, motions), [0, 1, 1])


def test_rows_behind_the_last_whole_batch_are_left_out():
    texts, motions = rows(40), rows(40, seed=1)
    whole = metrics.r_precision(texts[:32], motions[:32])
    np.testing.assert_array_equal(metrics.r_precision(texts, motions), whole)


def test_embeddings_that_are_all_alike_find_what_chance_finds():
    z = np.ones((64, 4))
    np.testing.assert_array_equal(metrics.r_precision_hits(z, z), [[1, 2, 3], [1, 2, 3]])


def test_embeddings_that_are_no_numbers_find_nothing():
    z = rows(32)
    broken = z.copy()
    broken[5] = np.nan
    assert metrics.r_precision(z, broken)[0] <= 31 / 32
    np.testing.assert_array_equal(metrics.r_precision(z, np.full_like(z, np.nan)), [0, 0, 0])


def test_ranks_are_those_of_sorted_distances():
    texts, motions = rows(320, width=8), rows(320, width=8, seed=1)
    for batch, hits in enumerate(metrics.r_precision_hits(texts, motions)):
        part = slice(32 * batch, 32 * batch + 32)
        order = np.argsort(metrics.squared_distances(texts[part], motions[part]), axis=1)
        assert hits.tolist() == [sum(row in order[row, : k + 1] for row in range(32)) for k in range(3)]


def test_r_precision_needs_32():
    with pytest.raises(InputError, match="among 32 motions, got 31"):
        metrics.r_precision(rows(31), rows(31))


def test_mm_dist_is_the_mean_distance_of_pairs():
    z = rows(8)
    assert metrics.mm_dist(z, z + SHIFT) == pytest.approx(5)


def test_fid_of_a_shift_is_its_squared_length():
    """Equal covariances cancel: 2 tr C - 2 tr C = 0."""
    z = rows(200)
    assert metrics.fid(z, z + SHIFT) == pytest.approx(25)


def test_fid_of_a_stretch_is_that_of_normal_distributions():
    """In one dimension the Fréchet distance is (mean difference)² + (deviation difference)²."""
    z = rows(500, width=1)
    assert metrics.fid(z, 3 * z) == pytest.approx((2 * z.mean()) ** 2 + (2 * z.std(ddof=1)) ** 2)


def test_fid_is_the_formula_with_a_matrix_root():
    a, b = rows(300), rows(200, seed=1) @ rows(4, seed=2)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = shift + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert metrics.fid(a, b) == pytest.approx(expected)


def test_fid_of_fewer_motions_than_dimensions_is_zero_for_the_same_set_and_is_cautioned():
    z = rows(10, width=64)
    assert metrics.fid(z, z) == pytest.approx(0, abs=1e-5)
    assert "rank-deficient" in metrics.fid_caution(10, 64)
    assert metrics.fid_caution(65, 64) is None


@pytest.mark.parametrize(
    ("real", "generated", "message"), [(rows(1), rows(9), "at least 2 real"), (rows(9), rows(9) * np.nan, "finite")]
)
def test_fid_says_what_it_cannot_compare(real, generated, message):
    with pytest.raises(InputError, match=message):
        metrics.fid(real, generated)


def test_diversity_of_two_clusters_is_their_distance_times_the_chance_to_meet():
    """Half of all pairs are from different clusters, 10 apart."""
    z = np.repeat([[0.0], [10.0]], 500, axis=0)
    assert metrics.diversity(z, np.random.default_rng(0)) == pytest.approx(5, abs=1)


@pytest.mark.parametrize(("motions", "pairs"), [(301, 300), (300, 100), (101, 100), (100, 50)])
def test_diversity_takes_fewer_pairs_from_fewer_motions(motions, pairs):
    assert metrics.diversity_pairs(motions) == pairs


def test_diversity_needs_more_motions_than_pairs():
    with pytest.raises(InputError, match="more than 300 motions, got 300"):
        metrics.diversity(rows(300), np.random.default_rng(0), pairs=300)


def test_multimodality_is_zero_when_a_text_always_gives_the_same_motion():
    z = np.repeat(rows(6)[:, None], 12, axis=1)
    assert metrics.multimodality(z, np.random.default_rng(0)) == 0


def test_multimodality_needs_more_repeats_than_pairs():
    with pytest.raises(InputError, match="more than 10 repeats of a text, got 10"):
        metrics.multimodality(np.zeros((4, 10, 3)), np.random.default_rng(0))


def test_an_interval_is_196_hundredths_of_the_standard_error():
    """Values 0 and 2: mean 1, deviation 1 (n in the denominator), standard error 1 / sqrt(2)."""
    assert metrics.interval(np.array([0.0, 2.0])) == pytest.approx((1, 1.96 / math.sqrt(2)))


@pytest.mark.parametrize("least", [1.0, 1e-3, 1e-6])
def test_fid_of_well_and_badly_conditioned_sets_is_that_of_an_exact_root(monkeypatch, least):
    """The widths of the dimensions fall from 1 to `least`; a pivot limit of 2 lets no product of covariances pass."""
    rng = np.random.default_rng(0)
    width = np.geomspace(1, least, 12)
    a, b = rng.standard_normal((60, 12)) * width, (rng.standard_normal((60, 12)) + 0.3) * width
    found = metrics.fid(a, b)
    monkeypatch.setattr(metrics, "LEAST_PIVOT", 2.0)
    assert found == pytest.approx(metrics.fid(a, b), rel=1e-8)
