"""The field's metrics, as pure functions of embeddings in float64.

Source: Guo et al. 2022 and its public evaluation code. Ours differs in precision (theirs computes distances in
float32 without a floor, which can give NaN for near-equal vectors), not in definition.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atm.base.errors import InputError

RANKED_WITHIN = 32
"""R-Precision ranks a text's motion among this many; numbers from other batch sizes are not comparable."""

DIVERSITY_PAIRS = 300
"""Pairs that Diversity averages over; 100 when there are no more than 300 motions."""

Embeddings = Float[np.ndarray, "N E"]
Random = np.random.Generator | np.random.RandomState
Share = dict[str, float]
"""`right` (the share), `n`, and `low` and `high`, its 95 % interval."""


class Estimate(NamedTuple):
    """A mean over replications with its 95 % interval."""

    mean: float
    interval: float
    """Half its width: mean ± interval."""


def squared_distances(a: Float[np.ndarray, "N E"], b: Float[np.ndarray, "M E"]) -> Float[np.ndarray, "N M"]:
    """Return squared euclidean distances of all rows of `a` to all rows of `b`."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a @ b.T) * -2
    squared += np.einsum("ne,ne->n", a, a)[:, None]
    squared += np.einsum("me,me->m", b, b)
    return np.maximum(squared, 0, out=squared)


def r_precision(z_text: Embeddings, z_motion: Embeddings, *, top: int = 3) -> Float[np.ndarray, "top"]:
    """Return share of texts whose own motion is among the nearest k of 32, for k = 1 .. top.

    Rows go in batches of 32 in the order given (shuffle before); rows behind the last whole batch are left out.

    Raises:
        InputError: fewer than 32 rows.
    """
    return r_precision_hits(z_text, z_motion, top=top).mean(axis=0) / RANKED_WITHIN


def r_precision_hits(z_text: Embeddings, z_motion: Embeddings, *, top: int = 3) -> Int[np.ndarray, "batches top"]:
    """Return hits of each batch of 32 that `r_precision` averages."""
    batches = len(z_text) // RANKED_WITHIN
    if batches == 0:
        raise InputError(f"R-Precision ranks among {RANKED_WITHIN} motions, got {len(z_text)}; evaluate more")
    ranks = np.zeros((batches, RANKED_WITHIN), dtype=np.int64)
    for batch in range(batches):
        rows = slice(batch * RANKED_WITHIN, (batch + 1) * RANKED_WITHIN)
        ranks[batch] = _own_ranks(squared_distances(z_text[rows], z_motion[rows]))
    return (ranks[:, :, None] < np.arange(1, top + 1)).sum(axis=1)


def _own_ranks(distances: Float[np.ndarray, "N N"]) -> Int[np.ndarray, "N"]:
    """Return how many motions come before each text's own; of equally near ones those with lower numbers do.

    Counting is quicker than sorting. Distances that are no numbers make ranks worse, never better.
    """
    own = distances.diagonal()[:, None]
    before = len(distances) - (distances > own).sum(axis=1) - 1
    tied = distances == own
    return before - np.triu(tied, 1).sum(axis=1) if tied.sum() > len(distances) else before


def mm_dist(z_text: Embeddings, z_motion: Embeddings) -> float:
    """Return MM-Dist: mean distance of a text to its own motion."""
    return float(_pair_distances(z_text, z_motion).mean())


LEAST_PIVOT = 1e-4
"""Smallest over largest pivot of a covariance down to which its root keeps 8 digits or more."""


class Gaussian(NamedTuple):
    """Mean and covariance of a set of vectors, as a Fréchet distance uses them."""

    mean: Float[np.ndarray, "E"]
    root: Float[np.ndarray, "R E"]
    """`root.T @ root` is the covariance (N - 1 in the denominator)."""


def fid(real: Float[np.ndarray, "N E"], generated: Float[np.ndarray, "M E"]) -> float:
    r"""Return Fréchet distance of two sets of vectors, each taken as a normal distribution.

    .. math:: |\mu_r - \mu_g|^2 + \operatorname{tr} C_r + \operatorname{tr} C_g - 2 \operatorname{tr} (C_r C_g)^{1/2}

    Source: Heusel et al. 2017, eq. 6. With :math:`C_r = A^T A` and :math:`C_g = B^T B` the trace of the root is the sum
    of the singular values of :math:`A B^T`: no root of a matrix, so singular covariances need no correction.

    With no more vectors than dimensions both covariances are singular, and the value depends strongly on the number
    of vectors: compare it only at equal numbers (`fid_caution` says so in words).

    Raises:
        InputError: fewer than 2 vectors on a side, or one that is not finite.
    """
    return frechet(gaussian(real, "real"), gaussian(generated, "generated"))


def gaussian(vectors: Float[np.ndarray, "N E"], name: str = "given") -> Gaussian:
    """Return the mean and covariance of vectors; `name` says in errors which ones they are. Errors as in `fid`."""
    if len(vectors) < 2:
        raise InputError(f"FID needs at least 2 {name} motions, got {len(vectors)}")
    if not np.isfinite(vectors).all():
        raise InputError(f"FID needs finite embeddings, but {name} ones hold NaN or infinity")
    vectors = vectors.astype(np.float64)
    mean = vectors.mean(0)
    scaled = (vectors - mean) / np.sqrt(len(vectors) - 1)
    return Gaussian(mean, _root(scaled))


def _root(scaled: Float[np.ndarray, "N E"]) -> Float[np.ndarray, "K E"]:
    """Return R with R^T R = S^T S: from the product, in a fifth of the time, where that is far from singular."""
    try:
        root = np.linalg.cholesky(scaled.T @ scaled).T
    except np.linalg.LinAlgError:
        return np.linalg.qr(scaled, mode="r")
    sizes = root.diagonal()
    return root if sizes.min() > LEAST_PIVOT * sizes.max() else np.linalg.qr(scaled, mode="r")


def frechet(a: Gaussian, b: Gaussian) -> float:
    """Return the distance of `fid`, of two sets that are looked at more than once."""
    overlap = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    return float(((a.mean - b.mean) ** 2).sum() + (a.root**2).sum() + (b.root**2).sum() - 2 * overlap)


def fid_caution(vectors: int, width: int) -> str | None:
    """Return what to say beside an FID of this many vectors; None when nothing."""
    if vectors > width:
        return None
    return f"FID of {vectors} motions in {width} dimensions is rank-deficient: compare it only at the same number"


def diversity(z_motion: Embeddings, rng: Random, *, pairs: int | None = None) -> float:
    """Return the mean distance of two random motions: two independent draws without replacement, paired in order.

    Args:
        z_motion: embeddings.
        rng: draws the indices.
        pairs: None takes `diversity_pairs`.

    Raises:
        InputError: not more motions than pairs.
    """
    pairs = diversity_pairs(len(z_motion)) if pairs is None else pairs
    if len(z_motion) <= pairs:
        raise InputError(f"Diversity of {pairs} pairs needs more than {pairs} motions, got {len(z_motion)}")
    first = rng.choice(len(z_motion), pairs, replace=False)
    second = rng.choice(len(z_motion), pairs, replace=False)
    return float(_pair_distances(z_motion[first], z_motion[second]).mean())


def diversity_pairs(motions: int) -> int:
    """Return 300 as published; 100 with no more than 300 motions (MoMask's rule); half of up to 100 (ours)."""
    if motions > DIVERSITY_PAIRS:
        return DIVERSITY_PAIRS
    return 100 if motions > 100 else motions // 2


def multimodality(z_motion: Float[np.ndarray, "texts repeats E"], rng: Random, *, pairs: int = 10) -> float:
    """Return multiModality: mean distance of motions generated from one text; the same pairs of repeats for every text.

    Raises:
        InputError: not more repeats than pairs.
    """
    repeats = z_motion.shape[1]
    if repeats <= pairs:
        raise InputError(f"MultiModality of {pairs} pairs needs more than {pairs} repeats of a text, got {repeats}")
    first = rng.choice(repeats, pairs, replace=False)
    second = rng.choice(repeats, pairs, replace=False)
    return float(_pair_distances(z_motion[:, first], z_motion[:, second]).mean())


def interval(values: Float[np.ndarray, "n"]) -> Estimate:
    """Return the mean of replications and 1.96 standard errors; the deviation has n in its denominator, as
    published."""
    values = np.asarray(values, dtype=np.float64)
    return Estimate(float(values.mean()), float(1.96 * values.std() / np.sqrt(len(values))))


def _pair_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1)


def share(right: Sequence[float]) -> Share:
    """Return the share of right (1) among right and wrong (0) answers.

    With the Wilson interval (Wilson 1927), which stays inside 0..1.
    """
    n, mean, z = len(right), sum(right) / len(right), 1.959964
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return {
        "right": mean,
        "n": n,
        "low": 0.0 if mean == 0 else middle - half,
        "high": 1.0 if mean == 1 else middle + half,
    }
