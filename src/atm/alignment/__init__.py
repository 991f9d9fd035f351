"""The alignment losses: the idea that this project is about. Start with `losses.py`, then `objective.py`."""

from atm.alignment.config import AlignmentConfig
from atm.alignment.diagnostics import AlignmentOutput, diagnostics
from atm.alignment.objective import Alignment

__all__ = ["Alignment", "AlignmentConfig", "AlignmentOutput", "diagnostics"]
