"""What a space or an evaluator hears of a caption: does "five steps" lie nearer to five steps than "four steps" does?

Two measures. Forced choice: a real motion, its caption, and the same caption with one thing said otherwise; how often
is the true one nearer? (Half of the time by chance.) Probes: how well a linear reading finds the number, the side or
the direction in embeddings of captions or motions; what no linear reading finds, a loss on distances hardly uses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atm.alignment.distances import Distance, row_distance
from atm.evaluation.metrics import Share, share
from atm.meaning import MeaningAttribute, counterfactuals, exact_attributes, parse_meaning

RIDGE = 0.01
"""Share of a standardised column's sum of squares that is added to it: embeddings have nearly equal columns."""
RAREST = 20
"""Captions of a value that a probe needs to learn it; rarer values are left out."""


@dataclass(frozen=True)
class FalsePair:
    """A motion's caption, and a false copy of it."""

    motion: int
    """Row of the motion."""
    text: str
    false: str
    attribute: MeaningAttribute


def draw_pairs(captions: Sequence[Sequence[str]], rng: np.random.Generator) -> list[FalsePair]:
    """For each motion and each attribute that its captions tell one pair: which of them and how, `rng` draws.

    Args:
        captions: of each motion, all true of it.
        rng: draws.
    """
    pairs = []
    for motion, texts in enumerate(captions):
        possible: dict[MeaningAttribute, list[FalsePair]] = {}
        for text in texts:
            for false, attribute in counterfactuals(text):
                possible.setdefault(attribute, []).append(FalsePair(motion, text, false, attribute))
        pairs += [found[rng.integers(len(found))] for found in possible.values()]
    return pairs


def forced_choice(
    z_text: Float[Tensor, "N E"],
    z_false: Float[Tensor, "N E"],
    z_motion: Float[Tensor, "N E"],
    attribute: Sequence[str],
    *,
    distance: Distance,
) -> dict[str, Share]:
    """Return how often the true caption is nearer to its motion than the false one, per attribute and for "all".

    Two that are equally far count half: a space that puts both at one place scores 50 %.

    Args:
        z_text, z_false, z_motion: embeddings of N pairs and of the motion of each.
        attribute: what the false caption says otherwise.
        distance: of the space, or of the evaluator.
    """
    gap = row_distance(z_false, z_motion, distance) - row_distance(z_text, z_motion, distance)
    right = ((gap > 0).double() + (gap == 0).double() / 2).tolist()
    names = sorted(set(attribute), key=lambda name: -sum(one == name for one in attribute))
    by_name = {name: share([r for r, one in zip(right, attribute, strict=True) if one == name]) for name in names}
    return by_name | {"all": share(right)}


class Probe(NamedTuple):
    """A linear reading, learnt on some captions and tried on others."""

    right: float
    """Share that it reads right."""
    chance: float
    """Share that the most frequent value has."""
    values: int
    n: int
    """Captions it was tried on."""


def linear_probe(
    x: Float[Tensor, "N W"], labels: Sequence[str], x_test: Float[Tensor, "M W"], labels_test: Sequence[str]
) -> Probe | None:
    """Return ridge regression on one column per value, with the largest one taken: how well a linear map reads a label.

    None: fewer than two values are frequent enough to be learnt.
    """
    values = sorted(value for value in set(labels) if labels.count(value) >= RAREST)
    rows, numbers = _numbered(labels, values)
    rows_test, numbers_test = _numbered(labels_test, values)
    if len(values) < 2 or not len(rows_test):
        return None
    x, x_test = x.double()[rows], x_test.double()[rows_test]
    mean, std = x.mean(0), x.std(0).clamp_min(1e-8)
    x, x_test = (x - mean) / std, (x_test - mean) / std
    y = torch.nn.functional.one_hot(numbers, len(values)).double()
    gram = x.T @ x
    gram.diagonal().add_(RIDGE * len(x))
    weights = torch.linalg.solve(gram, x.T @ (y - y.mean(0)))
    read = (x_test @ weights + y.mean(0)).argmax(1)
    most = max((numbers_test == k).double().mean().item() for k in range(len(values)))
    return Probe((read == numbers_test).double().mean().item(), most, len(values), len(rows_test))


def _numbered(labels: Sequence[str], values: list[str]) -> tuple[Int[Tensor, "N"], Int[Tensor, "N"]]:
    """Return rows whose label is among the values, and its number."""
    rows = [i for i, label in enumerate(labels) if label in values]
    return torch.tensor(rows, dtype=torch.long), torch.tensor([values.index(labels[i]) for i in rows])


Read = Callable[[list[str], list[int]], dict[str, Float[Tensor, "N W"]]]
"""Captions, and the row of each one's motion; gives embeddings of both by the name of the stage they stand at."""


def probe_all(
    read: Read, captions: Sequence[Sequence[str]], read_test: Read, captions_test: Sequence[Sequence[str]]
) -> dict[str, dict[str, Probe]]:
    """Return attribute -> stage -> how well a linear map reads it there.

    Args:
        read, captions: the embeddings that the probes learn on, and the captions of each motion.
        read_test, captions_test: those that they are tried on.
    """
    result: dict[str, dict[str, Probe]] = {}
    for name in ("count", "side", "direction"):
        learn, check = (_labelled(all_captions, name) for all_captions in (captions, captions_test))
        if not learn.text or not check.text:
            continue
        at, at_test = read(learn.text, learn.motion), read_test(check.text, check.motion)
        probes = {stage: linear_probe(at[stage], learn.label, at_test[stage], check.label) for stage in at}
        if all(probes.values()):
            result[name] = probes
    return result


class _Labelled(NamedTuple):
    text: list[str]
    motion: list[int]
    label: list[str]


def _labelled(captions: Sequence[Sequence[str]], attribute: str) -> _Labelled:
    """Return the first caption of each motion that says the attribute once and exactly."""
    rows = []
    for motion, texts in enumerate(captions):
        said = ((text, exact_attributes(parse_meaning(text)).get(attribute)) for text in texts)
        rows += [(text, motion, label) for text, label in said if label][:1]
    return _Labelled(*map(list, zip(*rows, strict=True))) if rows else _Labelled([], [], [])
