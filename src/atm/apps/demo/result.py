"""Results of a demo, before they are put on a page."""

from dataclasses import dataclass

from atm.apps.compare import Answer
from atm.apps.explain import Explanation
from atm.evaluation.report import Report
from atm.training.record import RunFolder

ARMS = {"baseline": "without the losses", "aligned": "with the alignment losses"}


@dataclass(frozen=True)
class DemoResult:
    """All that the page shows."""

    reports: dict[str, Report]
    runs: dict[str, RunFolder]
    answers: list[Answer]
    """To the packaged prompts: every prompt by both arms."""
    explanation: Explanation
    clips: int
    full: bool
