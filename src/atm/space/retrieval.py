"""Retrieval: does a text find its motion among all, and a motion its text? The metrics of TMR (arXiv:2305.00976).

Protocols, from hard to easy:

- `all`: the whole set; only the own item is right.
- `threshold`: the whole set; items whose caption says nearly the same are right too.
- `nsim`: a subset of items whose captions differ as much as possible (TMR's split of 100, or `dissimilar_rows`).
- `batches`: random batches of 32, as Guo et al. 2022 measure; the mean over batches.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atm.space.losses import near_duplicates

Protocol = Literal["all", "threshold", "nsim", "batches"]

RECALLS = (1, 2, 3, 5, 10)
BATCH = 32
DISSIMILAR = 100
DUPLICATE_COSINE = 0.9
"""Raw cosine of sentence embeddings above which `threshold` takes an item for right: TMR's 0.95 of a cosine that was
squeezed into 0 to 1."""


def retrieval_metrics(
    z_text: Float[Tensor, "N E"],
    z_motion: Float[Tensor, "N E"],
    sentence: Float[Tensor, "N S"] | None = None,
    *,
    protocol: Protocol,
    duplicate_cosine: float = DUPLICATE_COSINE,
    subset: Int[Tensor, "M"] | None = None,
) -> dict[str, float]:
    """Return r@1, 2, 3, 5, 10 in percent and the median rank from 1, for texts (`t2m/...`) and for motions (`m2t/...`).

    Args:
        z_text, z_motion: embeddings (means); row i of both belong together. `batches` shuffles by row, so for
            published numbers the rows must be sorted by id.
        sentence: sentence embeddings of the texts; `threshold` needs them, and `nsim` without a subset.
        protocol: see the top of this file.
        duplicate_cosine: of `threshold`.
        subset: rows for `nsim`; None picks at most 100 by `dissimilar_rows`.

    Returns:
        For example `{"t2m/R@1": 5.68, ..., "t2m/MedR": 28.0, "m2t/R@1": ...}`, not rounded.

    Raises:
        ValueError: the protocol needs sentence embeddings, or there are fewer rows than one batch.
    """
    similarity = F.normalize(z_text, dim=-1) @ F.normalize(z_motion, dim=-1).T
    if sentence is None and (protocol == "threshold" or (protocol == "nsim" and subset is None)):
        raise ValueError(f"protocol {protocol} tells near-duplicates by their captions: give `sentence`")
    if protocol == "nsim":
        rows = dissimilar_rows(sentence, DISSIMILAR) if subset is None else subset
        return both_directions(similarity[rows][:, rows])
    if protocol == "batches":
        per_batch = [both_directions(similarity[rows][:, rows]) for rows in random_batches(len(similarity))]
        return {name: float(np.mean([metrics[name] for metrics in per_batch])) for name in per_batch[0]}
    if protocol == "threshold":
        return both_directions(similarity, near_duplicates(sentence, epsilon=duplicate_cosine))
    return both_directions(similarity)


def both_directions(similarity: Float[Tensor, "N N"], duplicate: Bool[Tensor, "N N"] | None = None) -> dict[str, float]:
    """Return metrics of a similarity matrix of texts (rows) and motions (columns), whose diagonal belongs together.

    Args:
        similarity: larger is more alike.
        duplicate: symmetric; which other items are right as well.
    """
    right = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    if duplicate is not None:
        right = right | duplicate
    return named("t2m", ranks(similarity, right)) | named("m2t", ranks(similarity.T, right.T))


def ranks(similarity: Float[Tensor, "Q G"], right: Bool[Tensor, "Q G"]) -> Float[Tensor, "Q"]:
    """Return place, from 0, of each query's best right item; among items of equal similarity the mean of their places.

    Args:
        similarity: of queries (rows) and gallery (columns).
        right: which items of the gallery are right; at least one per query.
    """
    if not right.any(dim=1).all():
        raise ValueError("every query needs at least one right item in the gallery")
    best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    before = (similarity > best).sum(dim=1)
    tied = (similarity == best).sum(dim=1)
    return before + (tied - 1) / 2


def named(direction: str, places: Float[Tensor, "Q"]) -> dict[str, float]:
    """Return r@k in percent and MedR, the median place counted from 1 (of an even number the mean of the middle
    two)."""
    recall = {f"{direction}/R@{k}": 100 * (places < k).double().mean().item() for k in RECALLS}
    return recall | {f"{direction}/MedR": float(np.median(places.cpu().numpy())) + 1}


def random_batches(count: int, size: int = BATCH, seed: int = 0) -> list[Int[Tensor, "size"]]:
    """Return rows of each batch; what is left over is dropped. numpy's old generator, as published numbers used it."""
    if count < size:
        raise ValueError(f"protocol batches needs at least {size} items, got {count}")
    order = np.arange(count)
    np.random.RandomState(seed).shuffle(order)
    return list(torch.from_numpy(order[: count - count % size]).reshape(-1, size))


def dissimilar_rows(sentence: Float[Tensor, "N S"], count: int) -> Int[Tensor, "M"]:
    """At most `count` rows whose captions differ: starting at the first, always the one furthest from those taken.

    Ours; TMR's published split of 100 comes from another approximation of the same aim.
    """
    direction = F.normalize(sentence, dim=-1)
    taken = [0]
    nearest = direction @ direction[0]
    for _ in range(min(count, len(sentence)) - 1):
        nearest[taken[-1]] = torch.inf
        taken.append(int(nearest.argmin()))
        nearest = torch.maximum(nearest, direction @ direction[taken[-1]])
    return torch.tensor(sorted(taken), device=sentence.device)


def clip_retrieval_metrics(
    z_text: Float[Tensor, "N E"],
    z_clip: Float[Tensor, "C E"],
    owner: Int[Tensor, "C"],
    sentence: Float[Tensor, "N S"] | None = None,
    *,
    duplicate_cosine: float = DUPLICATE_COSINE,
) -> dict[str, float]:
    """Return the same on clips: a text should find any clip of its motion among all clips, a clip the text of its
    motion.

    Args:
        z_text: one per motion; a motion without a clip is no query, but its text stays in the gallery.
        z_clip: embeddings of the clips.
        owner: row of the motion that each clip was cut from, as in `atm.alignment.clips.Clips`.
        sentence: with these, clips and texts of near-duplicate captions are right too (protocol `threshold`).
        duplicate_cosine: as in `retrieval_metrics`.

    Returns:
        `t2c/...` and `c2t/...`, named as in `retrieval_metrics`.
    """
    similarity = F.normalize(z_text, dim=-1) @ F.normalize(z_clip, dim=-1).T
    right = torch.arange(len(z_text), device=owner.device)[:, None] == owner[None, :]
    has_clip = right.any(dim=1)
    if sentence is not None:
        right = right | near_duplicates(sentence, epsilon=duplicate_cosine)[:, owner]
    return named("t2c", ranks(similarity[has_clip], right[has_clip])) | named("c2t", ranks(similarity.T, right.T))


def retrieval_table(metrics: dict[str, dict[str, float]]) -> str:
    """Return rows as lines of text, one per protocol and direction; recalls in percent, two digits."""
    columns = [*(f"R@{k}" for k in RECALLS), "MedR"]
    lines = [f"{'':<22}" + "".join(f"{column:>8}" for column in columns)]
    for protocol, values in metrics.items():
        for direction in dict.fromkeys(name.partition("/")[0] for name in values):
            cells = "".join(f"{values[f'{direction}/{column}']:>8.2f}" for column in columns)
            lines.append(f"{protocol + ' ' + direction:<22}{cells}")
    return "\n".join(lines)
