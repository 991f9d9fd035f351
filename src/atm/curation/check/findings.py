"""Faults of a data folder, and their meaning: one row for each kind of fault."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from atm.base.outputs import output

Severity = Literal["error", "warning", "note"]
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_SHOWN = 3
"""Examples in the table; the file has all."""
_WIDE = 60
"""Characters of an example."""


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found."""

    severity: Severity
    """`error`: it cannot be used as it stands, or makes results wrong. `warning`: look at it. `note`: know it."""
    name: str
    """For machines; stays the same between versions."""
    what: str
    """Description of the finding, in a few words."""
    meaning: str
    """Meaning of the finding for training and evaluation."""
    where: tuple[str, ...]
    """Every clip, line or file that it was found in."""
    repair: str = ""
    """Repair that `--fix` makes; empty: none."""


@dataclass(frozen=True)
class FolderReport:
    """Contents of a data folder, and its faults."""

    folder: str
    facts: dict[str, str | int | float]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """No errors."""
        return not self.of("error")

    def of(self, severity: Severity) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; every finding with its count and all places."""
        counts = {f"{severity}s": len(self.of(severity)) for severity in _COLOURS}
        rows = [{"count": len(finding.where), **asdict(finding)} for finding in self.findings]
        return {"folder": self.folder, "sound": self.sound, **counts, "facts": self.facts, "findings": rows}

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        with output(path) as part:
            part.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False), encoding="utf-8")

    def tables(self) -> list[Table]:
        """Return what is there, and what is wrong."""
        facts = Table(title=self.folder, show_header=False)
        for name, value in self.facts.items():
            facts.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
        if not self.findings:
            return [facts]
        found = Table(title=self._summary(), show_lines=True)
        found.add_column("")
        found.add_column("count", justify="right")
        found.add_column("what, and what it means", ratio=3, overflow="fold")
        found.add_column("where", ratio=2, overflow="fold")
        for finding in self.findings:
            repair = f"\n[italic]--fix {finding.repair}." if finding.repair else ""
            found.add_row(
                f"[{_COLOURS[finding.severity]}]{finding.severity}",
                f"{len(finding.where):,}",
                f"[bold]{finding.what}[/bold]\n{finding.meaning}{repair}",
                _examples(finding.where),
            )
        return [facts, found]

    def _summary(self) -> str:
        counts = {severity: len(self.of(severity)) for severity in _COLOURS}
        return ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items())


def _examples(where: Sequence[str]) -> str:
    lines = [shorten(place, _WIDE, placeholder=" ...") for place in where[:_SHOWN]]
    if len(where) > _SHOWN:
        lines.append(f"and {len(where) - _SHOWN:,} more")
    return escape("\n".join(lines))
