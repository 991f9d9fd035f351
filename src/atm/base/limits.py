"""Largest numbers that are taken, from the command line and everywhere else."""

LARGEST_SEED = 2**53 - 1
"""The largest whole number that JavaScript holds, too."""
MOST = 1_000_000
"""Most of anything that a command counts: more is a slip of the keyboard."""
