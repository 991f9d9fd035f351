"""Agreement of a study with the paper in direction, in words.

Each row is compared with one other: that of the paper's conclusion (the baseline, or the paper's own choice). The
paper's order holds in a row if ours differs from it to the side to which the paper's does. Sizes are not compared:
data, model and evaluator are others.
"""

from typing import Literal, NamedTuple

from atm.apps.studies.results import StudyResults, column_of
from atm.apps.studies.study import Row, Said

HOW = (
    "How this is counted: each row is compared with one other, metric by metric; the order holds where ours differs "
    "from it to the same side as the paper's does (where the paper says “no better”: where ours is not better beyond "
    "its interval). Differences are taken in pairs of the same seed; with one seed, of the same replication (or "
    "round, where steps are timed), whose interval does not hold the spread of training. Sizes are not compared."
)


class Comparison(NamedTuple):
    """A row against its reference, by one metric."""

    row: str
    against: str
    metric: str
    paper: Said
    """Judgement of the paper on the row."""
    ours: Literal["better", "worse", "equal"]
    clear: bool | None
    """Our difference is beyond its 95 % interval; None: there is no interval, for want of a second value."""

    @property
    def holds(self) -> bool:
        if self.paper == "no better":
            return not (self.clear and self.ours == "better")
        return self.ours == self.paper


def comparisons(outcome: StudyResults) -> list[Comparison]:
    """Return every row and metric that the paper says something of, where we have figures of both rows."""
    found = []
    for metric in outcome.study.metrics:
        for row in outcome.rows:
            against = row.against or outcome.study.against
            if against is None or against == row.name:
                continue
            paper = said_by_paper(row, outcome.study.row(against), metric, first=metric == outcome.study.metrics[0])
            difference = outcome.difference(row.name, against, metric)
            if paper is None or difference is None:
                continue
            gap, half = difference
            gap *= _sign(metric)
            ours = "equal" if gap == 0 else "better" if gap > 0 else "worse"
            clear = None if half is None else abs(gap) > half
            found.append(Comparison(row.name, against, metric, paper, ours, clear))
    return found


def said_by_paper(row: Row, against: Row, metric: str, *, first: bool) -> Said | None:
    """Return what the paper says of a row against another: by its figures on the first data set that it has both of, or
    in words, which are about the first metric."""
    for data, figures in row.published.items():
        other = against.published.get(data, {})
        if metric in figures and metric in other and figures[metric] != other[metric]:
            return "better" if _sign(metric) * (figures[metric] - other[metric]) > 0 else "worse"
    return row.said if first else None


def in_words(found: list[Comparison]) -> list[str]:
    """Return a sentence for each metric."""
    lines = []
    for metric in dict.fromkeys(one.metric for one in found):
        of_metric = [one for one in found if one.metric == metric]
        held = [one for one in of_metric if one.holds]
        line = f"{column_of(metric).title}: the paper's order holds in {len(held)} of {_rows(len(of_metric))}"
        if held and all(one.clear is not None for one in held):
            line += f", in {sum(bool(one.clear) for one in held)} of them beyond the 95 % interval"
        broken = [
            f"{one.row} is {one.ours} than {one.against}{' (clearly)' if one.clear else ''}"
            if one.ours != "equal"
            else f"{one.row} equals {one.against}"
            for one in of_metric
            if not one.holds
        ]
        lines.append(line + (f". Not in: {'; '.join(broken)}." if broken else "."))
    return lines


def _sign(metric: str) -> int:
    return {"↑": 1, "↓": -1}[column_of(metric).better]


def _rows(count: int) -> str:
    return f"{count} row{'s' if count != 1 else ''}"
