"""Options and checks of the whole test suite."""

import signal
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Must stand before the first import of atm: the hook rewrites modules as they are imported.
install_import_hook("atm", "typecheck.check")

# What is about golden files and stands here, not beside the golden tests, stands here because pytest reads options
# only from the conftest files it sees at its start, and xdist's main process sees no others at all.
_golden_files = {"found": 0, "absent": 0}
_golden_compared: dict[str, int] = {}
"""Arrays that were compared, over all tests, by file."""
_golden_lacks: dict[str, set[str]] = {}


@pytest.fixture(autouse=True)
def bars_are_allowed():
    """A test before this one may have run a command with --quiet, which holds for its whole process."""
    from atm.base.progress import allow_bars

    allow_bars(True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=Path(__file__).parent / "golden" / "files",
        metavar="DIR",
        help="folder of golden files that tests/golden reads (default: the files in the repository)",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "teardown":
        return
    for name, value in report.user_properties:
        if name == "golden file":
            _golden_files[value] += 1
        elif name == "golden compared":
            file, count = value
            _golden_compared[file] = _golden_compared.get(file, 0) + count
        elif name == "golden lacks":
            file, key = value
            _golden_lacks.setdefault(file, set()).add(key)


def _golden_faults(config: pytest.Config) -> list[str]:
    faults = []
    if _golden_files["absent"] and not _golden_files["found"]:
        faults.append(f"{config.getoption('--golden')} holds none of the golden files that the tests ask for")
    return faults + [
        f"nothing of golden file {file} was compared" for file, count in _golden_compared.items() if not count
    ]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _golden_faults(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for file, keys in _golden_lacks.items():
        terminalreporter.write_line(f"golden file {file} has no {', '.join(sorted(keys))}: not compared")
    for fault in _golden_faults(config):
        terminalreporter.write_line(f"FAILED: {fault}", red=True)


@pytest.fixture(autouse=True)
def signals_as_usual():
    """Signals that end a process, as a shell leaves them; one that starts the tests with nohup ignores some."""
    ending = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    usual = {"SIGINT": signal.default_int_handler} | dict.fromkeys(ending, signal.SIG_DFL)
    before = {number: signal.getsignal(number) for name in usual if (number := getattr(signal, name, None))}
    for name, handler in usual.items():
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
