"""The walking figure for every test of this folder."""

from figures import walk

__all__ = ["walk"]
