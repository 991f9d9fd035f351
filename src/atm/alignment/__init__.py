"""The alignment losses: the idea that this project is about. Start with `losses.py`."""

from atm.alignment.config import AlignmentConfig
from atm.alignment.objective import Alignment, AlignmentOutput

__all__ = ["Alignment", "AlignmentConfig", "AlignmentOutput"]
