"""Survey of the losses in a whole run: over its training, by its log, and now, by a few batches mined again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from atm.alignment import Alignment, AlignmentOutput
from atm.alignment.distances import row_distance
from atm.apps.explain.mined import Stepping
from atm.base.progress import progress
from atm.interface import Batch
from atm.meaning import parse_meaning
from atm.pages.charts import line_chart
from atm.pages.page import Column, TableRow, facts, figure, paragraph, quoted, section, side_by_side, table

SHOWN_PAIRS = 12
SHOWN_KINDS = 10
SMOOTHED = 40
"""Lines of the log on each side that a curve's mean takes in, at most; a quarter of them in a short log."""
SECTIONS = ("Over the training", "In batches mined now")

_SHARES = {
    "inter/active": "inter-motion loss acts",
    "inter/without_negative": "no admissible negative",
    "intra/under_gamma": "under γ",
    "intra/active": "intra-motion loss acts",
    "counterfactual/active": "counterfactual loss acts",
}
"""Shares of the motions of a batch, as the objective logs them."""


@dataclass(frozen=True)
class Pair:
    """A motion and its hard negative."""

    text: str
    negative: str
    generated_distance: float
    real_distance: float
    ratio: float
    loss: float


@dataclass(frozen=True)
class Survey:
    """Examples that the losses mine in a few batches, in the model's present state."""

    motions: int
    shares: dict[str, float]
    """Shares of the motions, 0 to 1, by the names of the objective's log."""
    pairs: Sequence[Pair]
    """Every motion that has a hard negative, the smallest ratio first."""

    @property
    def confused(self) -> list[Pair]:
        """The pairs, the smallest ratio first. Two motions that are one another's negative are one pair, with the
        larger of the two losses."""
        largest: dict[frozenset[str], Pair] = {}
        for pair in self.pairs:
            key = frozenset((pair.text, pair.negative))
            if key not in largest or pair.loss > largest[key].loss:
                largest[key] = pair
        return sorted(largest.values(), key=lambda pair: pair.ratio)

    @property
    def kinds(self) -> list[tuple[str, str, int]]:
        """Actions of the sentence, actions of its hard negative's, and how often this was mined; most often first."""
        counts = Counter((actions_of(pair.text), actions_of(pair.negative)) for pair in self.pairs)
        return [(own, other, count) for (own, other), count in counts.most_common()]


def actions_of(text: str) -> str:
    """Return the kinds of action that a sentence names, in order, each once: "walk, sit"."""
    actions = dict.fromkeys(event.action.replace("_", " ") for event in parse_meaning(text).events if event.known)
    return ", ".join(actions) or "something else"


@torch.no_grad()
def survey(
    generator: Stepping, alignment: Alignment, batches: Sequence[Batch], *, seed: int = 0, show_progress: bool = True
) -> Survey:
    """Run a training step on each batch, without training, and note what is mined.

    Args:
        generator: in evaluation mode.
        alignment: as the run has it; its `inter_loss` must mine.
        batches: real motions and texts.
        seed: of noise levels and noise; each batch has its own.
        show_progress: a bar.
    """
    logs, pairs, motions = [], [], 0
    for number, batch in enumerate(progress(batches, "mining", show=show_progress)):
        rng = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        step = generator.training_step(batch, rng)
        output = alignment(step.motion, batch, step.noise_level)
        logs.append(output.log)
        motions += len(batch)
        pairs += _pairs(output, batch)
    shares = {name: float(np.mean([log[name] for log in logs])) for name in _SHARES if name in logs[0]}
    return Survey(motions, shares, sorted(pairs, key=lambda pair: pair.ratio))


def training_html(metrics: Sequence[dict[str, Any]], settings: str) -> str:
    """Return the run's log as a section with curves.

    Args:
        metrics: lines of `metrics.jsonl`.
        settings: the losses of the run in a few words.
    """
    if not metrics:
        return section(SECTIONS[0], paragraph("There is no log of the model's training: a model file has none."))
    known = [line for line in metrics if any(name.startswith("alignment/") for name in line)]
    if not known:
        return section(SECTIONS[0], paragraph("The run was trained without the losses: its log says nothing of them."))
    charts = [
        _chart(known, _SHARES, "share of the motions", "How often each rule acts"),
        _chart(known, _quantiles("inter/ratio"), "generated / real", "Ratio of the hard negatives"),
        _chart(known, _quantiles("inter/margin"), "distance", "Margins φ of the inter-motion loss"),
        _chart(
            known,
            {"intra/ratio_positive/p50": "positive proxies", "intra/ratio_negative/p50": "negative proxies"},
            "generated / real, median", "Ratio of the proxies", log_y=True,
        ),
        _chart(
            known,
            {"inter/distance_to_text/p50": "motion to its sentence", "intra/clip_distance/p50": "least aligned clip"},
            "distance, median", "How far off",
        ),
        _chart(
            known,
            {"inter/loss": "inter-motion", "intra/loss": "intra-motion", "counterfactual/loss": "counterfactual"},
            "loss", "Losses, before weights",
        ),
    ]  # fmt: skip
    drawn = [figure(chart) for chart in charts if chart]
    return section(
        SECTIONS[0],
        paragraph(
            f"{settings} Each point is the mean over the steps since the last. A hard negative of ratio below 1 is "
            "nearer to the motion than the real pair is: the smaller, the worse the two are confused. Where the share "
            "under γ goes to 0, the intra-motion loss has nothing left to do."
        ),
        *(side_by_side(*drawn[start : start + 2]) for start in range(0, len(drawn), 2)),
    )


def survey_html(found: Survey) -> str:
    """Return what was mined now as a section."""
    shares = {_SHARES[name]: f"{100 * share:.0f} %" for name, share in found.shares.items()}
    parts = [
        paragraph(
            f"{found.motions} motions of the data, in the model's present state, each in one training step: of a "
            "diffusion model at any noise level, as in training."
        ),
        facts(shares),
    ]
    if not found.pairs:
        return section(SECTIONS[1], *parts, paragraph("No motion has a negative."))
    pairs = [
        TableRow(
            quoted(pair.text),
            [quoted(pair.negative), pair.generated_distance, pair.real_distance, f"{pair.ratio:.2f}", pair.loss],
        )
        for pair in found.confused[:SHOWN_PAIRS]
    ]
    columns = [
        Column("its hard negative", "", prose=True),
        Column("generated", "distance"),
        Column("real", "distance"),
        Column("ratio", "generated / real"),
        Column("loss", "inter-motion"),
    ]
    kinds = [
        TableRow(own, [other, str(count), f"{100 * count / len(found.pairs):.0f} %"])
        for own, other, count in found.kinds[:SHOWN_KINDS]
    ]
    of_kinds = [Column("taken for", "actions of the hard negative", prose=True), "motions", Column("share", "of all")]
    return section(
        SECTIONS[1],
        *parts,
        table(
            "sentence", columns, pairs,
            caption="The most confused pairs: the smallest ratio of generated to real distance first.",
        ),
        table(
            "actions of the sentence", of_kinds, kinds,
            caption="What is taken for what, most often first: the actions that the sentences name.",
        ),
    )  # fmt: skip


def _pairs(output: AlignmentOutput, batch: Batch) -> list[Pair]:
    """Return the first hard negative of each row that has one, with its numbers."""
    result, seen = output.inter_result, output.embedded
    rows = result.counts[:, 0].nonzero()[:, 0]
    others = result.mined.index[rows, 0]
    distances = (row_distance(z[rows], z[others], output.config.distance).tolist() for z in (seen.generated, seen.real))
    numbers = zip(*distances, result.mined.ratio[rows, 0].tolist(), result.loss[rows].tolist(), strict=True)
    texts = ((batch.text[row], batch.text[other]) for row, other in zip(rows.tolist(), others.tolist(), strict=True))
    return [Pair(*text, *number) for text, number in zip(texts, numbers, strict=True)]


def _quantiles(name: str) -> dict[str, str]:
    return {f"{name}/{point}": label for point, label in (("p50", "median"), ("p10", "10 %"), ("p90", "90 %"))}


def _chart(lines: Sequence[dict], names: dict[str, str], y_label: str, title: str, *, log_y: bool = False) -> str:
    """Return curves of these keys over the steps; empty where no line has one."""
    series = {}
    for name, label in names.items():
        points = [(line["step"], line[f"alignment/{name}"]) for line in lines if f"alignment/{name}" in line]
        if points and not (log_y and max(value for _, value in points) <= 0):
            series[label] = tuple(zip(*points, strict=True))
    if not series:
        return ""
    smooth = min(SMOOTHED, max(len(steps) for steps, _ in series.values()) // 16)
    return line_chart(series, x_label="step", y_label=y_label, title=title, log_y=log_y, smooth=smooth)
