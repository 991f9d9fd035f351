"""Metrics against values of the field's public evaluation code."""

import numpy as np
import pytest

from atm.evaluation import metrics


@pytest.fixture
def values(golden):
    return golden("metrics.npz")


def test_r_precision_is_the_published_one_batch_by_batch(values):
    hits = metrics.r_precision_hits(values["text_emb"], values["motion_emb"])
    np.testing.assert_array_equal(hits, values["r_hits_per_batch"])
    np.testing.assert_allclose(metrics.r_precision(values["text_emb"], values["motion_emb"]), values["r_precision"])
    np.testing.assert_allclose(metrics.r_precision(values["text_emb"], values["gen_emb"]), values["r_precision_gen"])


def test_mm_dist_is_the_published_one(values):
    for motions, expected in (("motion_emb", "matching_score"), ("gen_emb", "matching_score_gen")):
        assert metrics.mm_dist(values["text_emb"], values[motions]) == pytest.approx(values[expected].item(), rel=1e-4)
    own = np.diag(metrics.distance_matrix(values["text_emb"][:32], values["motion_emb"][:32]))
    np.testing.assert_allclose(own, values["matching_first32"], rtol=1e-4)


def test_fid_is_the_published_one(values):
    assert metrics.fid(values["motion_emb"], values["gen_emb"]) == pytest.approx(values["fid"].item(), rel=1e-4)
    assert metrics.fid(values["motion_emb"], values["motion_emb"]) == pytest.approx(0, abs=1e-6)


def test_fid_of_fewer_motions_than_dimensions_is_the_published_one(values):
    small = metrics.fid(values["small_a"], values["small_b"])
    assert small == pytest.approx(values["fid_rank_deficient"].item(), rel=1e-3)


def test_diversity_draws_and_averages_as_published(values):
    rng = np.random.RandomState(values["diversity_seed"])
    ours = metrics.diversity(values["motion_emb"], rng, pairs=int(values["diversity_times"]))
    assert ours == pytest.approx(values["diversity"].item(), rel=1e-4)


def test_multimodality_draws_and_averages_as_published(values):
    rng = np.random.RandomState(values["mm_seed"])
    ours = metrics.multimodality(values["mm_emb"], rng, pairs=int(values["mm_times"]))
    assert ours == pytest.approx(values["multimodality"].item(), rel=1e-4)


def test_intervals_are_the_published_ones(values):
    mean, half = metrics.interval(values["rep_scalar"])
    assert (mean, half) == pytest.approx((values["rep_scalar_mean"].item(), values["rep_scalar_ci"].item()))
    for k in range(3):
        mean, half = metrics.interval(values["rep_top"][:, k])
        assert (mean, half) == pytest.approx((values["rep_top_mean"][k], values["rep_top_ci"][k]))
