"""Options and checks of the whole test suite."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Must stand before the first import of atm: the hook rewrites modules as they are imported.
install_import_hook("atm", "typecheck.check")

# What is about golden files and stands here, not beside the golden tests, stands here because pytest reads options
# only from the conftest files it sees at its start, and xdist's main process sees no others at all.
_golden_files = {"found": 0, "absent": 0}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=Path(__file__).parent / "golden" / "files",
        metavar="DIR",
        help="folder of golden files that tests/golden reads (default: the files in the repository)",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == "golden file":
                _golden_files[value] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _golden_files["absent"] and not _golden_files["found"]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _golden_files["absent"] and not _golden_files["found"]:
        folder = config.getoption("--golden")
        terminalreporter.write_line(f"FAILED: {folder} holds none of the golden files that the tests ask for", red=True)
