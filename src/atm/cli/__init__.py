"""The command line: one page for each kind of command."""

# Importing a page of commands puts them into the application, and in this order into `--help`.
from atm.cli import generate, export, studio, mcp, inspect, data, prepare, retrieval, train, evaluate, study, bench  # noqa: F401, I001
from atm.cli.app import run as main

__all__ = ["main"]
