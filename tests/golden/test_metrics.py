"""Metrics against values of the field's public evaluation code."""

import numpy as np
import pytest

from atm.evaluation import metrics


@pytest.fixture
def values(golden):
    return golden("metrics.npz")


def test_r_precision_is_the_published_one_batch_by_batch(values):
    text, motion = values["text_emb"], values["motion_emb"]
    values.same("r_hits_per_batch", metrics.r_precision_hits(text, motion))
    values.compare("r_precision", metrics.r_precision(text, motion), rtol=1e-6)
    values.compare("r_precision_gen", metrics.r_precision(text, values["gen_emb"]), rtol=1e-6)


def test_mm_dist_is_the_published_one(values):
    text, motion = values["text_emb"], values["motion_emb"]
    values.compare("matching_score", metrics.mm_dist(text, motion))
    values.compare("matching_score_gen", metrics.mm_dist(text, values["gen_emb"]))
    values.compare("matching_first32", np.sqrt(np.diag(metrics.squared_distances(text[:32], motion[:32]))))


def test_fid_is_the_published_one(values):
    motion = values["motion_emb"]
    values.compare("fid", metrics.fid(motion, values["gen_emb"]))
    values.compare("fid_self", metrics.fid(motion, motion), atol=1e-6)


def test_fid_of_fewer_motions_than_dimensions_is_the_published_one(values):
    values.compare("fid_rank_deficient", metrics.fid(values["small_a"], values["small_b"]), rtol=1e-3)


def test_diversity_draws_and_averages_as_published(values):
    rng = np.random.RandomState(values["diversity_seed"])
    values.compare("diversity", metrics.diversity(values["motion_emb"], rng, pairs=int(values["diversity_times"])))


def test_multimodality_draws_and_averages_as_published(values):
    rng = np.random.RandomState(values["mm_seed"])
    values.compare("multimodality", metrics.multimodality(values["mm_emb"], rng, pairs=int(values["mm_times"])))


def test_intervals_are_the_published_ones(values):
    columns = [values["rep_scalar"], *values["rep_top"].T]
    means, halves = zip(*map(metrics.interval, columns), strict=True)
    for key, ours in (("mean", means), ("ci", halves)):
        values.compare(f"rep_scalar_{key}", ours[0], rtol=1e-6)
        values.compare(f"rep_top_{key}", ours[1:], rtol=1e-6)
