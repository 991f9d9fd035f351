"""The tests on every Python that the package promises: `nox`, or `nox -s tests-3.12 -- tests/base`."""

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the package with the pinned versions, look at its help, and run the fast tests."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("atm", "--help", silent=True)
    session.run("python", "-m", "pytest", "-n", "2", *session.posargs, env={"OMP_NUM_THREADS": "1"})
