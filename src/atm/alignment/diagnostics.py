"""The outcome of a step of the losses, and its numbers for the log: computed only when asked for, on a logged step."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from atm.alignment.config import AlignmentConfig
from atm.alignment.counterfactual import CounterfactualResult
from atm.alignment.distances import row_distance
from atm.alignment.embed import Embedded
from atm.alignment.inter import InterResult
from atm.alignment.intra import IntraResult

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}


@dataclass(frozen=True)
class AlignmentOutput:
    """One step of the alignment losses."""

    total: Float[Tensor, ""]
    """The terms below, each times its weight: ready to be added to the generator's own loss."""
    inter: Float[Tensor, ""]
    intra: Float[Tensor, ""]
    counterfactual: Float[Tensor, ""]
    """Ours, off by default."""
    config: AlignmentConfig
    embedded: Embedded
    inter_result: InterResult | None
    """Everything that was compared, row by row; None: the term is off. So with the next two."""
    intra_result: IntraResult | None
    counterfactual_result: CounterfactualResult | None

    @cached_property
    def log(self) -> dict[str, float]:
        """Shares, counts and quantiles, for the log: computed when they are first asked for, see `diagnostics`."""
        return diagnostics(self)


@torch.no_grad()
def diagnostics(output: AlignmentOutput) -> dict[str, float]:
    """Return what a step compared as numbers for the log, with one transfer from the device.

    Shares are of the rows of the batch. Quantiles are left out where there is nothing to take them of.
    """
    found = {"inter/loss": output.inter, "intra/loss": output.intra}
    if output.inter_result is not None:
        found |= _inter(output, output.inter_result)
    if output.intra_result is not None:
        found |= _intra(output, output.intra_result)
    if output.counterfactual_result is not None:
        found |= _counterfactual(output, output.counterfactual_result)
    values = torch.stack([value.to(output.total.dtype) for value in found.values()]).tolist()
    read = dict(zip(found, values, strict=True))
    return {name: value for name, value in read.items() if value == value or not name.endswith(tuple(QUANTILES))}


def _inter(output: AlignmentOutput, result: InterResult) -> dict[str, Tensor]:
    distance, seen = output.config.distance, output.embedded
    found = {"inter/admissible": result.admissible.float().mean(), "inter/active": _active(result.loss)}
    if result.mined is None:
        return found
    found["inter/without_negative"] = (~result.mined.valid.any(1)).float().mean()
    text, generated, real = (z[seen.own] for z in (seen.text, seen.generated, seen.real))
    of_each = text[:, None].expand(-1, result.mined.index.shape[1], -1)
    to_negative = row_distance(of_each, seen.real[result.mined.index], distance)
    margin = to_negative - row_distance(text, real, distance)[:, None]
    found |= _quantiles("inter/ratio", result.mined.ratio, result.counts)
    found |= _quantiles("inter/margin", margin, result.counts)
    return found | _quantiles("inter/distance_to_text", row_distance(text, generated, distance))


def _intra(output: AlignmentOutput, result: IntraResult) -> dict[str, Tensor]:
    found = {"intra/under_gamma": result.under_gamma.float().mean(), "intra/active": _active(result.loss)}
    mined = result.mined
    if mined is None:
        return found
    away = row_distance(mined.z_generated[mined.anchor], mined.z_real[mined.anchor], output.config.distance)
    found |= _quantiles("intra/ratio_positive", mined.positive.ratio, result.counts)
    found |= _quantiles("intra/ratio_negative", mined.negative.ratio, result.counts)
    return found | _quantiles("intra/clip_distance", away)


def _counterfactual(output: AlignmentOutput, result: CounterfactualResult) -> dict[str, Tensor]:
    distance, seen = output.config.distance, output.embedded
    text, real = (z[seen.own][result.row] for z in (seen.text, seen.real))
    margin = row_distance(result.z_false, real, distance) - row_distance(text, real, distance)
    return {
        "counterfactual/rows": result.loss.new_full((), len(result.row) / max(len(result.loss), 1)),
        "counterfactual/active": _active(result.loss),
        "counterfactual/loss": output.counterfactual,
        **_quantiles("counterfactual/margin", margin),
    }


def _active(loss: Float[Tensor, "B"]) -> Float[Tensor, ""]:
    return (loss > 0).float().mean()


def _quantiles(
    name: str, values: Float[Tensor, "*n"], counts: Bool[Tensor, "*n"] | None = None
) -> dict[str, Float[Tensor, ""]]:
    """Return quantiles of the values that count, or of all; NaN where there is none."""
    values = values.float()
    if counts is not None:
        values = values.masked_fill(~counts, torch.nan)
    if not values.numel():
        return {}
    points = torch.tensor(list(QUANTILES.values())).to(values.device, non_blocking=True)
    found = values.flatten().nanquantile(points)
    return {f"{name}/{label}": value for label, value in zip(QUANTILES, found, strict=True)}
