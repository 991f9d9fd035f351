"""Checkpoints that others published: reading them safely, and what they have in common."""

from atm.published.files import (
    DATA_SET_FILES,
    OWN_FILES,
    Release,
    check_statistics,
    data_set_statistics,
    features_of,
    is_table,
    own_statistics,
    read_options,
    read_weights,
    statistics_of,
    without,
)
from atm.published.pickles import names_in, read_pickle

__all__ = [
    "DATA_SET_FILES",
    "OWN_FILES",
    "Release",
    "check_statistics",
    "data_set_statistics",
    "features_of",
    "is_table",
    "names_in",
    "own_statistics",
    "read_options",
    "read_pickle",
    "read_weights",
    "statistics_of",
    "without",
]
