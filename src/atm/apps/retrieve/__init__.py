"""Search in a data set by a text-motion space: a sentence finds motions, a motion finds sentences."""

from atm.apps.retrieve.index import Hit, Index, build_index

__all__ = ["Hit", "Index", "build_index"]
