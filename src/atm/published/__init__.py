"""Checkpoints that others published: reading them safely, and what they have in common."""

from atm.published.files import (
    DATA_SET_STATISTICS,
    OWN_STATISTICS,
    Release,
    check_statistics,
    features_of,
    is_table,
    read_options,
    read_statistics,
    read_weights,
    statistics_of,
    without,
)
from atm.published.pickles import names_in, read_pickle

__all__ = [
    "DATA_SET_STATISTICS",
    "OWN_STATISTICS",
    "Release",
    "check_statistics",
    "features_of",
    "is_table",
    "names_in",
    "read_options",
    "read_pickle",
    "read_statistics",
    "read_weights",
    "statistics_of",
    "without",
]
