"""No mutation of the alignment losses goes unnoticed (`make mutants`), and the table of them fits the source."""

import subprocess
import sys
from pathlib import Path

import pytest

import mutants

SCRIPT = Path(mutants.__file__)


def test_each_mutation_exchanges_a_text_that_is_there_once():
    assert not mutants.outdated(mutants.MUTATIONS)
    names = [mutation.what for mutation in mutants.MUTATIONS]
    assert len(set(names)) == len(names)
    assert all((SCRIPT.parent / test).is_file() for mutation in mutants.MUTATIONS for test in mutation.tests)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_no_mutation_survives():
    ended = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_mutation_that_no_test_notices_is_told(tmp_path):
    """One that changes a comment."""
    code = (
        "import mutants; mutants.MUTATIONS = [mutants.Mutation('nothing', mutants.CLIPS, '(the paper\\'s eq. 4)', '', "
        "mutants.MINING)]; raise SystemExit(mutants.main([]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=SCRIPT.parent, capture_output=True, text=True)
    assert ended.returncode == 1 and "no test noticed: nothing" in ended.stdout, ended.stdout + ended.stderr
