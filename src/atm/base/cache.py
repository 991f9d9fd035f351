"""Folder for things that can be computed again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return `ATM_CACHE` where it is set, else ~/.cache/atm. Not made here: who writes makes it."""
    return Path(os.environ.get("ATM_CACHE") or Path.home() / ".cache" / "atm")
